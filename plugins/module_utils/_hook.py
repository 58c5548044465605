# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks: commands of the app that run once in a deployment."""

from __future__ import annotations

import collections
import contextlib
import os
import queue
import threading

from ansible_collections.hitless.paas.plugins.module_utils._command import app_settings, mask, run_command
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._release_folder import ReleaseFolder, prepare

_SHOWN_LINES = 200
_TAIL_LINES = 50
_LONGEST_LINE = 8192
_PAUSE = 0.2
_WAITING_LINES = 4000
# Characters of lines that are shown together.
_BATCH = 50_000


def unit_name(app, deployment, name):
    """The transient unit of a hook. All that runs for an app matches ``hitless-<app>.*``, and no other app's units do."""
    return "hitless-%s.%s.%s.service" % (app, deployment, name)


class Live:
    """Shows lines while the hook runs, those of a fifth of a second together: to show one takes Ansible about a millisecond.

    Args:
        tell: called with a list of lines.
    """

    def __init__(self, tell):
        self._tell = tell
        # A hook that writes faster than can be shown waits for it.
        self._lines = queue.Queue(_WAITING_LINES)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, line):
        """Take one line."""
        self._lines.put(line)

    def close(self):
        """Show what is left."""
        self._ended.set()
        self._thread.join()

    def _run(self):
        while not self._ended.wait(_PAUSE):
            self._show()
        self._show()

    def _show(self):
        while not self._lines.empty():
            batch, size = [], 0
            while size < _BATCH and not self._lines.empty():
                batch.append(self._lines.get())
                size += len(batch[-1]) + 4
            self._tell(batch)


class Log:
    """The log of a hook: a file that may be missing, for a log that cannot be written fails no deployment, and the last lines.

    Args:
        path: the file.
        secrets: values that no line shows.
        on_line: called with each line, masked.

    Attributes:
        lines: the last lines, masked.
        problem: why the file is not whole, or None.
    """

    def __init__(self, path, secrets, on_line=None):
        self.lines = collections.deque(maxlen=_SHOWN_LINES)
        self._on_line = on_line
        self.problem = None
        self._secrets = secrets
        self._stream = None
        with self._tolerant():
            os.makedirs(os.path.dirname(path), mode=0o750, exist_ok=True)
            self._stream = open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o640))  # noqa: SIM115

    @contextlib.contextmanager
    def _tolerant(self):
        try:
            yield
        except OSError as error:
            self.problem = str(error)
            self._stream = None

    def add(self, line):
        """Take one line of output."""
        self.lines.append(mask(line, self._secrets)[:_LONGEST_LINE])
        if self._on_line:
            self._on_line(self.lines[-1])
        with self._tolerant():
            if self._stream:
                self._stream.write(self.lines[-1] + "\n")
                self._stream.flush()

    def close(self):
        """End the file."""
        with self._tolerant():
            if self._stream:
                self._stream.close()


def _run(paths, args, log):
    settings = app_settings(args["app"], args["release"], args["artifact"], args["mounts"])
    try:
        return run_command(args["command"], settings, args["timeout"], unit_name(args["app"], args["deployment"], args["name"]), log.add)
    finally:
        log.close()


def _failure(args, reason, lines):
    """The HitlessError of a hook that failed."""
    before = args["name"] == "pre_deploy"
    state = "Nothing was started, and what served before still does." if before else "The new release serves."
    message = "The hook %s failed: %s. %s" % (args["name"], reason, state)
    return HitlessError(
        "hook_failed", message, "Look at hooks.%s in hitless.yml." % args["name"], {"log_tail": list(lines)[-_TAIL_LINES:], "phase": args["name"]}
    )


def run_hook(record, paths, args):
    """Run the hook that the parameters of the module name, and return its result."""
    if not args["command"]:
        return {"changed": False, "log": None}
    record.move("DEPLOYING")
    log_path = paths.log(args["deployment"], args["name"])
    with record.phase(args["name"]):
        prepare(record, paths, args)
        with _live(record, args["name"]) as show:
            log = Log(log_path, ReleaseFolder(paths, args["release"]).secrets(), show)
            ending = _run(paths, args, log)
        _report(record, args["name"], log)
        if ending.reason and args["name"] == "pre_deploy":
            raise _failure(args, ending.reason, log.lines)
    if ending.reason:
        error = _failure(args, ending.reason, log.lines)
        record.emit("warning", message=error.message, hint=error.hint)
    return {"changed": True, "log": log_path}


@contextlib.contextmanager
def _live(record, name):
    """What shows each line of the hook as it comes; None where lines can only be shown at the end."""
    if not record.tell_lines(name, []):
        yield None
        return
    live = Live(lambda lines: record.tell_lines(name, lines))
    try:
        yield live.add
    finally:
        live.close()


def _report(record, name, log):
    for line in [] if record.listener else log.lines:
        record.emit("log", stream=name, line=line)
    if log.problem:
        record.emit("warning", message="the log of the hook %s could not be written: %s" % (name, log.problem), hint="Look at the free space of the host.")
