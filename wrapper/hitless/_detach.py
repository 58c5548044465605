# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that go on without their terminal: a session of their own, a file with the pid, and its lock while they live."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from hitless._errors import EXIT_LOCKED, ConfigError
from hitless._events import Event, make

if TYPE_CHECKING:
    from hitless._project import Project

_PATIENCE = 120.0


def _folder(project: Project) -> Path:
    from ansible_collections.hitless.paas.plugins.plugin_utils._targets import target_folder

    return target_folder(project.app, project.target)


def start(project: Project, arguments: Sequence[str]) -> Event:
    """Run ``hitless`` with ``arguments`` in the background; its events go to ``detached.jsonl``, what else it says to ``detached.err``.

    The child inherits the lock of ``detached.pid``, so the file can be trusted however the child ends, and whoever
    has its number later.

    Raises:
        ConfigError: one is running already; its exit is 3.
    """
    folder = _folder(project)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / "detached.pid", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _take(lock):
            raise _running(project, os.pread(lock, 32, 0).decode())
        command = [sys.executable, "-m", "hitless", *arguments]
        with _private(folder / "detached.jsonl") as events, _private(folder / "detached.err") as errors:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=events, stderr=errors, start_new_session=True, pass_fds=(lock,))
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(process.pid).encode(), 0)
    finally:
        os.close(lock)
    return make("deploying", project.target, project.app, pid=process.pid)


def stop(project: Project) -> bool:
    """Interrupt the run in the background and wait until it has cleaned up; False when there is none.

    Raises:
        ConfigError: it does not end.
    """
    try:
        lock = os.open(_folder(project) / "detached.pid", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        if _take(lock):
            return False
        pid = os.pread(lock, 32, 0).decode()
        os.kill(int(pid), signal.SIGINT)
        end = time.monotonic() + _PATIENCE
        while not _take(lock):
            if time.monotonic() > end:
                raise _running(project, pid)
            time.sleep(0.1)
    finally:
        os.close(lock)
    return True


def _private(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _running(project: Project, pid: str) -> ConfigError:
    error = ConfigError(f"A run of {project.app} on {project.target} goes on in the background as process {pid}; nothing was started.", "hitless cancel")
    error.exit = EXIT_LOCKED
    return error
