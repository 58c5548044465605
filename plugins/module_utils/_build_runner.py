# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program inside a build's unit: it runs the steps, writes their output to stdout and what became of them to stderr.

systemd has opened both as files: stdout is build.log, stderr the status file, one JSON object a line. The steps themselves only get a pipe.
It is copied to the host as it is, so it imports nothing of this collection.
"""

from __future__ import annotations

import collections
import json
import os
import re
import select
import subprocess
import sys
import time

_CHUNK = 65536
_LINE = 8192
_TAIL = 100
# A process that a step left behind may keep the pipe open; its output is waited for no longer than this.
_LINGER = 0.5
_OOM_FILES = {"": "/sys/fs/cgroup%s/memory.events", "memory": "/sys/fs/cgroup/memory%s/memory.oom_control"}


class Log:
    """Writes to ``fd``: UTF-8 whatever comes, secrets masked, and no more than ``cap`` bytes; then only the last lines."""

    def __init__(self, fd, cap, secrets):
        self._fd = fd
        self._room = cap
        self._left_out = 0
        self._tail = collections.deque(maxlen=_TAIL)
        self._rest = b""
        words = sorted({line.encode() for secret in secrets for line in secret.splitlines() if len(line) >= 4}, key=len, reverse=True)
        self._secrets = re.compile(b"|".join(re.escape(word) for word in words)) if words else None
        self.offset = os.lseek(fd, 0, os.SEEK_END)

    def feed(self, data):
        """Take output as it comes; lines go on as soon as they are whole, or too long."""
        self._rest += data
        end = self._rest.rfind(b"\n") + 1
        if not end and len(self._rest) >= _LINE:
            end = len(self._rest)
            self._rest += b"\n"
            end += 1
        if end:
            self._put(self._rest[:end])
            self._rest = self._rest[end:]

    def close_step(self):
        """End the last line, and show the last lines of what was left out."""
        if self._rest:
            self._put(self._rest + b"\n")
            self._rest = b""
        if self._left_out:
            self._write(b"[%d bytes of output left out here]\n" % self._left_out + b"".join(self._tail))
            self._tail.clear()
            self._left_out = 0

    def _put(self, lines):
        if self._secrets:
            lines = self._secrets.sub(b"***", lines)
        lines = lines.decode("utf-8", "replace").encode("utf-8")
        if len(lines) <= self._room:
            self._room -= len(lines)
            self._write(lines)
            return
        fits = lines.rfind(b"\n", 0, self._room) + 1
        self._write(lines[:fits])
        lines = lines[fits:]
        self._room = 0
        self._left_out += len(lines)
        self._tail.extend(line[:_LINE] + b"\n" for line in lines.splitlines()[-_TAIL:])

    def _write(self, data):
        try:
            while data:
                written = os.write(self._fd, data)
                self.offset += written
                data = data[written:]
        except OSError:  # a log that cannot be written does not fail a build
            self._room = 0


def _report(**fields):
    line = json.dumps(dict(fields, time=time.time())) + "\n"
    try:
        os.write(2, line.encode())
    except OSError:  # the disk is full: the status is missing then, and the reader of it says so
        return


def _pump(child, fd, log):
    """Copy the child's output until it has ended, and what then still is in the pipe."""
    gone = None
    while True:
        readable = select.select([fd], [], [], 0.1)[0]
        data = os.read(fd, _CHUNK) if readable else None
        if data:
            log.feed(data)
        if gone is None and child.poll() is not None:
            gone = time.monotonic()
        if data == b"" or (gone is not None and (not readable or time.monotonic() - gone > _LINGER)):
            break
    return child.wait()


def _oom_kills():
    """How many processes of this unit the kernel has killed for want of memory; cgroup v2 says it in one file, v1 in another."""
    kills = 0
    with open("/proc/self/cgroup", encoding="ascii") as stream:
        groups = [line.rstrip("\n").split(":", 2) for line in stream]
    for _number, controller, path in groups:
        if controller not in _OOM_FILES:
            continue
        try:
            with open(_OOM_FILES[controller] % path, encoding="ascii") as stream:
                kills += int(dict(line.split() for line in stream).get("oom_kill", 0))
        except (OSError, ValueError):
            continue
    return kills


def run_step(step, env, log):
    """Run one step ``{"name", "command"}``; true when it ended with 0."""
    started = time.monotonic()
    _report(step=step["name"], state="running", offset=log.offset)
    reader, writer = os.pipe()
    words = ["/bin/sh", "-ec", step["command"]]
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer, env=env)
    os.close(writer)
    code = _pump(child, reader, log)
    os.close(reader)
    log.close_step()
    state = "failed" if code else "done"
    _report(step=step["name"], state=state, code=code, oom=bool(code and _oom_kills()), seconds=round(time.monotonic() - started, 3), offset=log.offset)
    return not code


def main(path):
    """Run the steps of the order in ``path``: ``{"steps", "env", "secrets", "cap"}``."""
    with open(path, encoding="utf-8") as stream:
        order = json.load(stream)
    log = Log(1, order["cap"], order["secrets"])
    if all(run_step(step, order["env"], log) for step in order["steps"]):
        _report(step=None, state="done", offset=log.offset)
        return 0
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
