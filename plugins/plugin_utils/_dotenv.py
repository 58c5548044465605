# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of a ``.env`` file.

``NAME=value`` a line, ``export`` allowed before it. Single quotes keep everything as it is; double quotes know ``\\n \\r \\t \\\\ \\" \\$``; both may
span lines. Without quotes the value ends at `` #`` or at the end of the line. ``$`` stands for itself. The last of two equal names wins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_START = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>[^=\s#]+)[ \t]*=[ \t]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_BLANK = re.compile(r"[ \t]*(#[^\n]*)?\n")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_SINGLE = re.compile(r"'([^']*)'")
_COMMENT = re.compile(r"(?:^|[ \t]+)#.*$")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "$": "$"}


@dataclass
class Dotenv:
    """Attributes: values by name, and what is wrong as (line, message); messages never hold a value."""

    values: dict[str, str] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)


def parse(text: str) -> Dotenv:
    """The variables in ``text``."""
    found = Dotenv()
    text = text.removeprefix("\ufeff").replace("\r\n", "\n") + "\n"
    at = 0
    while at < len(text):
        blank = _BLANK.match(text, at)
        at = blank.end() if blank else _entry(text, at, found)
    return found


def _entry(text: str, at: int, found: Dotenv) -> int:
    """Read the entry that begins at ``at``; returns where the next line begins."""
    line = text.count("\n", 0, at) + 1
    end = text.index("\n", at) + 1
    start = _START.match(text, at)
    if not start or start.end() > end:
        found.problems.append((line, "is not NAME=value; allowed: NAME=value, export NAME=value, # comment"))
        return end
    name = start["name"]
    if not _NAME.match(name):
        found.problems.append((line, f"has the name {name!r}; allowed: letters, digits and _, not starting with a digit"))
        return end
    quote = text[start.end()]
    if quote not in "\"'":
        found.values[name] = _COMMENT.sub("", text[start.end() : end - 1]).strip(" \t")
        return end
    match = (_DOUBLE if quote == '"' else _SINGLE).match(text, start.end())
    if not match:
        found.problems.append((line, f"{name}: the quote {quote} is never closed"))
        return len(text)
    rest = _BLANK.match(text, match.end())
    if not rest:
        found.problems.append((line, f"{name}: text follows the closing quote; allowed: a comment"))
        return text.index("\n", match.end()) + 1
    found.values[name] = match[1] if quote == "'" else _ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[0]), match[1])
    return rest.end()
