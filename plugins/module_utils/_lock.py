# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of an app: a lease that is renewed while a run lives and taken over when it is dead."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from contextlib import contextmanager

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import read_json, write_json
from ansible_collections.hitless.paas.plugins.module_utils._record import now

_POLL = 0.5


@contextmanager
def _exclusive(path, wait=None):
    """Hold a flock on ``path``; False is given when it could not be had within ``wait`` seconds (None: wait on)."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = None if wait is None else time.monotonic() + wait
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if deadline is not None and time.monotonic() >= deadline:
                    yield False
                    return
                time.sleep(0.1)
        yield True
    finally:
        os.close(fd)


class Lock:
    """The lease in ``paths.lock``. It is valid until the file's mtime plus its ``lease``, so that a plain ``touch -c`` renews it.

    Args:
        paths: AppPaths.
        clock: gives the time in seconds since the epoch.
    """

    def __init__(self, paths, clock=time.time):
        self.paths = paths
        self._clock = clock

    def holder(self):
        """What the lock file says of who holds the lock, with ``expires`` (seconds since the epoch); None when nobody does."""
        try:
            held = read_json(self.paths.lock)
            return dict(held, expires=os.stat(self.paths.lock).st_mtime + held["lease"]) if held else None
        except (OSError, ValueError):
            # Neither can come of a cut, since the file is renamed into place: what cannot be read protects nobody.
            return None

    def acquire(self, deployment, owner, controller, lease, wait=0.0, steal=None):
        """Take the lock, waiting up to ``wait`` seconds for it.

        Args:
            deployment: id of the deployment that takes it.
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
                if held is None or held["expires"] < self._clock() or held["deployment"] in (steal, deployment):
                    entry = {"v": 1, "deployment": deployment, "owner": owner, "controller": controller, "since": now(), "lease": lease}
                    write_json(self.paths.lock, entry, 0o600)
                    return
            if time.monotonic() >= deadline:
                raise _locked(self.paths.app, held, self._clock())
            time.sleep(_POLL)

    def renew(self):
        """Make the lease last from now on."""
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
def step(paths, wait=120.0):
    """Hold the app's step lock: a step of a dead controller may still be working, and the next run waits for its end."""
    with _exclusive(paths.step_lock, wait) as held:
        if not held:
            message = "A step of an earlier run of %s is still working after %d s; nothing was changed." % (paths.app, wait)
            raise HitlessError("locked", message, "Try again when it has ended: hitless status")
        yield


@contextmanager
def heartbeat(lock):
    """Renew the lease while the block runs."""
    held = lock.holder()
    ended = threading.Event()

    def beat():
        while not ended.wait(held["lease"] / 3.0):
            lock.renew()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
