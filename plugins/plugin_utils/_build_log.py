# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A build's log as it grows: bytes and marks in, lines with the step they belong to out. Pure."""

from __future__ import annotations

import base64
import json
import shlex
from typing import Any

CHUNK = 1_000_000
_LONGEST = 16384
# Characters of lines that are shown together.
_BATCH = 50_000
_RUNNING = ("active", "activating", "deactivating", "reloading")


def poll_script(unit: str, status: str, log: str, offset: int) -> str:
    """Prints how the unit is, the status file, and the log from ``offset`` on. The unit comes first: once it has ended, the rest is complete."""
    return f"""
printf 'unit %s\\n' "$(systemctl show --value -p ActiveState {shlex.quote(unit)})"
printf 'status %s\\n' "$(base64 -w0 {shlex.quote(status)} 2>/dev/null)"
printf 'log %s\\n' "$(tail -c +{offset + 1} {shlex.quote(log)} 2>/dev/null | head -c {CHUNK} | base64 -w0)"
"""


class LogFollower:
    """Follows one log over all stages of a build.

    Attributes:
        offset: how many bytes of the log have been taken in.
        is_running: whether the unit ran at the last poll.
        has_more: whether the log had more than one poll brings.
    """

    def __init__(self) -> None:
        self.offset = 0
        self.is_running = True
        self.has_more = False
        self._rest = b""
        self._marks: list[tuple[int, str]] = []

    def feed(self, answer: str) -> list[tuple[str, str]]:
        """The new lines, as (step, line), in an answer to ``poll_script``."""
        said = {name: value.strip() for name, _space, value in (line.partition(" ") for line in answer.splitlines())}
        self.is_running = said.get("unit") in _RUNNING
        self._marks = [(mark["offset"], mark["step"]) for mark in _marks(base64.b64decode(said.get("status", ""))) if mark.get("state") == "running"]
        data = base64.b64decode(said.get("log", ""))
        self.has_more = len(data) >= CHUNK
        return self._take(data)

    def _take(self, data: bytes) -> list[tuple[str, str]]:
        start = self.offset - len(self._rest)
        self.offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        taken = []
        for line in lines:
            taken += [(self._step(start), piece) for piece in _pieces(line)]
            start += len(line) + 1
        return taken

    def _step(self, offset: int) -> str:
        return next((step for begin, step in reversed(self._marks) if begin <= offset), "build")


def batches(taken: list[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Lines of one step that follow each other, together: to show one line takes Ansible about a millisecond, however long it is."""
    made: list[tuple[str, list[str]]] = []
    room = 0
    for step, line in taken:
        if not made or made[-1][0] != step or room < len(line):
            made.append((step, []))
            room = _BATCH
        made[-1][1].append(line)
        room -= len(line) + 4
    return made


def _pieces(line: bytes) -> list[str]:
    text = line.decode("utf-8", "replace").rstrip("\r")
    return [text[at : at + _LONGEST] for at in range(0, len(text), _LONGEST)] or [""]


def _marks(status: bytes) -> list[dict[str, Any]]:
    lines = status.decode("utf-8", "replace").split("\n")[:-1]
    return [json.loads(line) for line in lines if line.startswith("{")]
