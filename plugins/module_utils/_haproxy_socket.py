# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy's sockets: commands in, parsed answers out. HAProxy reports errors as text, so every answer is judged here."""

from __future__ import annotations

import csv
import re
import socket
from typing import NamedTuple

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError

_TIMEOUT = 10.0
_PER_LINE = 50
_TUNNEL = re.compile(r"\b(?:req|rsp)\.st=MSG_TUNNEL\b")
_SESSION = re.compile(r"(0x[0-9a-f]+): ")
_SERVER = re.compile(r"^\s+server=(\S+)", re.MULTILINE)
_BACKEND = re.compile(r"^\s+backend=(\S+)", re.MULTILINE)
_VERSION = re.compile(r"(\d+)\.(\d+)")


class Process(NamedTuple):
    """One worker: ``uptime`` in seconds; ``stale`` when a reload has replaced it and it only finishes what it has."""

    pid: int
    uptime: int
    stale: bool


class Workers(NamedTuple):
    """The master's word on its workers; ``reloads`` and ``failed_reloads`` count since the master started."""

    processes: tuple
    reloads: int
    failed_reloads: int


def parse_table(text):
    """The rows of a ``show stat`` answer, each a dict of str; an answer that is no table gives none."""
    lines = [line for line in text.splitlines() if line]
    if not lines or not lines[0].startswith("# "):
        return []
    return list(csv.DictReader([lines[0][2:], *lines[1:]]))


def _seconds(text):
    days, hours, minutes, seconds = re.match(r"(\d+)d(\d+)h(\d+)m(\d+)s", text).groups()
    return ((int(days) * 24 + int(hours)) * 60 + int(minutes)) * 60 + int(seconds)


def parse_workers(text):
    """The Workers of a ``show proc`` answer."""
    processes, reloads, failed, stale = [], 0, 0, False
    for line in text.splitlines():
        words = line.split()
        if line.startswith("# old workers"):
            stale = True
        elif len(words) > 2 and words[1] == "master":
            reloads = int(words[2])
            found = re.search(r"\[failed: (\d+)\]", line)
            failed = int(found.group(1)) if found else 0
        elif len(words) > 3 and words[1] == "worker":
            processes.append(Process(int(words[0]), _seconds(words[3]), stale))
    return Workers(tuple(processes), reloads, failed)


def parse_sessions(text):
    """``[(id, backend, server, is a tunnel)]`` of a ``show sess all`` answer, for those that are at a server."""
    found = []
    for block in re.split(r"\n(?=0x[0-9a-f]+: )", text):
        start, server, backend = _SESSION.match(block.lstrip()), _SERVER.search(block), _BACKEND.search(block)
        if start and server and backend and not server.group(1).startswith("<"):
            found.append((start.group(1), backend.group(1), server.group(1), bool(_TUNNEL.search(block))))
    return found


def parse_map(text):
    """``{key: value}`` of a ``show map`` answer."""
    rows = (line.split(None, 2) for line in text.splitlines() if line.startswith("0x"))
    return {row[1]: row[2] for row in rows if len(row) == 3}


def parse_version(text):
    """``(major, minor)`` of a ``show info`` answer, or None."""
    for line in text.splitlines():
        if line.startswith("Version:"):
            found = _VERSION.search(line)
            return (int(found.group(1)), int(found.group(2))) if found else None
    return None


class Socket:
    """The command socket of one HAProxy process, or through the master's socket of any."""

    def __init__(self, path, pid=None):
        self._path = path
        self._prefix = "" if pid is None else "@!%d " % pid

    def ask(self, command):
        """The answer to one command, as text."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
                link.settimeout(_TIMEOUT)
                link.connect(self._path)
                link.sendall(("%s%s\n" % (self._prefix, command)).encode("ascii"))
                link.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: link.recv(65536), b"")).decode("utf-8", "replace")
        except OSError as error:
            raise HitlessError(
                "router_down",
                "HAProxy does not answer on %s (%s); nothing more was changed" % (self._path, error.strerror or error),
                "systemctl status haproxy; journalctl -u haproxy -n 30",
            ) from error

    def tell(self, commands):
        """Do commands that answer nothing when they work, in one line as far as it fits, so that nothing comes between them."""
        for start in range(0, len(commands), _PER_LINE):
            part = commands[start : start + _PER_LINE]
            answer = self.ask(";".join(part)).strip()
            if answer:
                raise HitlessError("router_failed", "HAProxy refused %r: %s" % ("; ".join(part), answer), "journalctl -u haproxy -n 30")

    def expect(self, command, answer):
        """Do one command whose answer must hold ``answer``."""
        text = self.ask(command).strip()
        if answer not in text:
            raise HitlessError("router_failed", "HAProxy refused %r: %s" % (command, text or "no answer"), "journalctl -u haproxy -n 30")
