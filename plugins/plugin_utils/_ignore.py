# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of ignore files, as gitignore(5) gives them. Pure: text in, answers out."""

from __future__ import annotations

import os
import re
from typing import NamedTuple


class Rule(NamedTuple):
    """One line of an ignore file.

    Attributes:
        pattern: matches the whole path, relative to the source folder, with ``/`` between its parts.
        negated: the line starts with ``!``: what it matches is taken in again.
        folders_only: the line ends with ``/``.
    """

    pattern: re.Pattern[str]
    negated: bool
    folders_only: bool


def parse(text: str, folder: str = "") -> list[Rule]:
    """The rules of one ignore file that lies in ``folder`` (relative, "" for the top)."""
    return [rule for line in _as_bytes(text).split("\n") if (rule := _rule(line.rstrip("\r"), _as_bytes(folder))) is not None]


def _as_bytes(text: str) -> str:
    """``text`` with one character for each of its bytes, since git's ``?`` stands for one byte."""
    return text if text.isascii() else os.fsencode(text).decode("latin-1")


def _rule(line: str, folder: str) -> Rule | None:
    line = _strip(line)
    if not line or line.startswith("#"):
        return None
    negated = line.startswith("!")
    glob = line[1:] if negated or line.startswith(("\\!", "\\#")) else line
    folders_only = glob.endswith("/")
    glob = glob.rstrip("/")
    if not glob:
        return None
    anchored = "/" in glob
    prefix = re.escape(folder + "/") if folder else ""
    try:
        pattern = re.compile(prefix + ("" if anchored else "(?:.*/)?") + _translate(glob.lstrip("/")), re.DOTALL)
    except re.error:
        return None  # as git does: a broken pattern matches nothing
    return Rule(pattern, negated, folders_only)


def _strip(line: str) -> str:
    """The line without its trailing spaces, unless the last of them is escaped."""
    stripped = line.rstrip(" ")
    odd_backslashes = (len(stripped) - len(stripped.rstrip("\\"))) % 2
    return stripped + " " if odd_backslashes and len(stripped) < len(line) else stripped


_CLASSES = {
    "digit": "0-9",
    "alpha": "a-zA-Z",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
    "xdigit": "0-9a-fA-F",
    "punct": r"!-/:-@\[-`{-~",
}
_TOKENS = re.compile(r"/\*\*/|^\*\*/|/\*\*$|\*+|\?|\\.|\[[!^]?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]|.", re.DOTALL)


def _translate(glob: str) -> str:
    return "".join(_token(token) for token in _TOKENS.findall(glob))


def _token(token: str) -> str:
    fixed = {"/**/": "/(?:.*/)?", "**/": "(?:.*/)?", "/**": "/.+", "?": "[^/]"}
    if token in fixed:
        return fixed[token]
    if token[0] == "*":
        return "[^/]*"
    if token[0] == "[" and len(token) > 1:
        negated, body = (True, token[2:-1]) if token[1] in "!^" else (False, token[1:-1])
        for name, characters in _CLASSES.items():
            body = body.replace("[:%s:]" % name, characters)
        return "(?!/)[%s%s]" % ("^" if negated else "", body.replace("[", "\\["))
    return re.escape(token[1]) if token[0] == "\\" and len(token) > 1 else re.escape(token)


def ignores(rules: list[Rule], path: str, is_folder: bool) -> bool:
    """What the last rule that matches ``path`` says of it. Its parents are not looked at."""
    path = _as_bytes(path)
    for rule in reversed(rules):
        if (is_folder or not rule.folders_only) and rule.pattern.fullmatch(path):
            return not rule.negated
    return False


def ignores_within(rules: list[Rule], path: str) -> bool:
    """Whether the file ``path`` or a folder above it is ignored; a file cannot be taken in again below an ignored folder."""
    parts = path.split("/")
    folders = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
    return any(ignores(rules, folder, True) for folder in folders) or ignores(rules, path, False)
