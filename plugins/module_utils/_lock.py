# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of an app: a lease that is renewed while a run lives and taken over when it is dead."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import threading
import time
from contextlib import contextmanager, suppress

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import read_json, write_json
from ansible_collections.hitless.paas.plugins.module_utils._record import now

_POLL = 0.5
_FLOCK_POLL = 0.1


def is_valid(age, lease):
    """Whether a lease that was renewed ``age`` seconds ago still counts. One from the future was renewed before the host's clock was set back."""
    return -lease <= age <= lease


@contextmanager
def _exclusive(path, wait=None, on_busy=None):
    """Hold a flock on ``path``, with this process's id in it; gives False when it could not be had within ``wait`` seconds (None: wait on).

    ``on_busy`` is called with the file descriptor when somebody else holds it, once.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = None if wait is None else time.monotonic() + wait
    try:
        while not _try_flock(fd):
            if on_busy:
                on_busy(fd)
                on_busy = None
            if deadline is not None and time.monotonic() >= deadline:
                yield False
                return
            time.sleep(_FLOCK_POLL)
        os.pwrite(fd, b"%d\n" % os.getpid(), 0)
        try:
            yield True
        finally:
            os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def _try_flock(fd):
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Lock:
    """The lease in ``paths.lock``. It counts from the file's mtime on, so that a plain ``touch -c`` renews it.

    Args:
        paths: AppPaths.
        clock: gives the time in seconds since the epoch.
    """

    def __init__(self, paths, clock=time.time):
        self.paths = paths
        self._clock = clock

    def holder(self):
        """What the lock file says of who holds the lock, with ``expires`` (seconds since the epoch) and ``valid``; None when nobody does."""
        try:
            held = read_json(self.paths.lock)
            renewed, lease = os.stat(self.paths.lock).st_mtime, float(held["lease"])
            told = {name: str(held[name]) for name in ("deployment", "owner", "since")}
        except (OSError, ValueError, TypeError, KeyError):
            # The file is renamed into place, so none of this can come of a cut: what cannot be read protects nobody.
            return None
        return dict(held, expires=renewed + lease, valid=is_valid(self._clock() - renewed, lease), **told)

    def acquire(self, new_id, owner, controller, lease, wait=0.0, steal=None):
        """Take the lock, waiting up to ``wait`` seconds for it, and return the id of the deployment that has it now.

        Args:
            new_id: callable that gives the id. It is asked at the moment when nobody else can take the lock, so that no two runs get the same.
            owner: who runs it, for people ("ann@laptop").
            controller: {"id": machine, "pid": int} of the run, so that the same machine can tell that it is dead.
            lease: seconds that it stays valid without being renewed.
            steal: a deployment whose lock may be taken though it has not expired.

        Raises:
            HitlessError: ``locked``, with the holder in its details.
        """
        deadline = time.monotonic() + wait
        while True:
            with _exclusive(self.paths.lock + ".guard"):
                held = self.holder()
                if held is None or not held["valid"] or held["deployment"] == steal:
                    entry = {"v": 1, "deployment": new_id(), "owner": owner, "controller": controller, "since": now(), "lease": lease}
                    write_json(self.paths.lock, entry, 0o600)
                    return entry["deployment"]
            if time.monotonic() >= deadline:
                raise _locked(self.paths.app, held, self._clock())
            time.sleep(_POLL)

    def renew(self, deployment):
        """Make the lease last from now on, if ``deployment`` holds it."""
        if self.is_ours(deployment):
            os.utime(self.paths.lock)

    def is_ours(self, deployment):
        """Whether ``deployment`` holds the lock, even if the lease has expired: nobody took it."""
        held = self.holder()
        return held is not None and held["deployment"] == deployment

    def release(self, deployment):
        """Give the lock back; it is left alone when it is somebody else's."""
        with _exclusive(self.paths.lock + ".guard"):
            if self.is_ours(deployment):
                os.unlink(self.paths.lock)


def _locked(app, held, clock):
    left = max(0, int(held["expires"] - clock) + 1)
    message = "%s is being deployed by %s since %s (deployment %s); nothing was changed." % (app, held["owner"], held["since"], held["deployment"])
    hint = "Wait for it with hitless deploy --wait 600, or end it with hitless cancel. If that run is dead, its lock ends in %d s." % left
    return HitlessError("locked", message, hint, {"holder": json.loads(json.dumps(held))})


@contextmanager
def step(paths, wait=120.0, on_busy=None):
    """Hold the app's step lock: a step of a dead controller may still be working, and the next run waits for its end.

    ``on_busy`` is called with the lock's file descriptor when a step is at work.
    """
    with _exclusive(paths.step_lock, wait, on_busy) as held:
        if not held:
            message = "A step of an earlier run of %s is still working after %d s; nothing was changed." % (paths.app, wait)
            raise HitlessError("locked", message, "Try again when it has ended: hitless status")
        yield


def interrupt_step(fd):
    """Ask the process that holds the step lock ``fd`` to end (SIGTERM)."""
    written = os.pread(fd, 32, 0).strip()
    with open("/proc/locks", encoding="ascii") as stream:
        holders = flock_holders(stream.read(), os.fstat(fd).st_ino)
    # What is written alone may be the id of a process long gone, which another one has now.
    if written.isdigit() and int(written) in holders:
        with suppress(ProcessLookupError):
            os.kill(int(written), signal.SIGTERM)


def flock_holders(table, inode):
    """The ids of the processes that hold a flock on the file ``inode``, by the text of /proc/locks."""
    rows = [line.split() for line in table.splitlines()]
    return {int(row[4]) for row in rows if len(row) > 5 and row[1] == "FLOCK" and row[5].rpartition(":")[2] == str(inode)}


@contextmanager
def heartbeat(lock, deployment):
    """Renew the lease of ``deployment`` while the block runs."""
    held = lock.holder()
    lease = float(held["lease"]) if held else 60.0
    ended = threading.Event()

    def beat():
        while not ended.wait(lease / 3.0):
            lock.renew(deployment)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
