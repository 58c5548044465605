# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of one deployment: what it was asked, what it did, when, and how it ended."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from datetime import datetime, timezone

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import read_json, write_json

PHASES = (
    "lock", "prepare", "plan", "upload", "install", "build", "freeze", "pre_deploy", "start", "health", "switch", "bake", "drain", "post_deploy", "prune",
)  # fmt: skip
UNFINISHED = ("PENDING", "INITIALIZING", "BUILDING", "DEPLOYING")
# A push stops when its artifact is built. A failed begin goes from any unfinished status to FAILED; RUNNING ends only by being replaced.
TRANSITIONS = {
    "PENDING": ("INITIALIZING", "FAILED", "CANCELLED"),
    "INITIALIZING": ("BUILDING", "DEPLOYING", "STOPPED", "FAILED", "CANCELLED"),
    "BUILDING": ("DEPLOYING", "STOPPED", "FAILED", "CANCELLED"),
    "DEPLOYING": ("RUNNING", "FAILED", "CANCELLED"),
    "RUNNING": ("STOPPED",),
    "FAILED": (),
    "STOPPED": (),
    "CANCELLED": (),
}
_EMPTY = {
    "v": 1,
    "kind": "deploy",
    "status": "PENDING",
    "good": False,
    "release": None,
    "artifact": None,
    "previous": None,
    "source": {},
    "by": None,
    "digests": {},
    "services": {},
    "phases": [],
    "requests": {"sent": 0, "failed": 0, "held": 0, "cut": 0},
    "build_seconds": 0.0,
    "reason": None,
    "hint": None,
    "log_tail": [],
    "urls": [],
    "preview_url": None,
    "finished": None,
}


def now():
    """The time in UTC as ISO 8601 with milliseconds and Z."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _fresh():
    return {key: (value.copy() if hasattr(value, "copy") else value) for key, value in _EMPTY.items()}


class Record:
    """One deployment's record and the events that it gave in this step.

    Args:
        paths: AppPaths of the app.
        values: the record as docs/architecture.md gives it.

    Attributes:
        events: what happened in this step.
        listener: called with each event as it happens, and with ``is_kept=False`` when it is not among ``events``; or None.
    """

    def __init__(self, paths, values):
        self.paths = paths
        self.values = values
        self.events = []
        self.listener = None
        self._on_disk = False

    @classmethod
    def create(cls, paths, deployment, **values):
        """A new record with status PENDING; the caller saves it."""
        return cls(paths, {**_fresh(), "id": deployment, "app": paths.app, "created": now(), **values})

    @classmethod
    def load(cls, paths, deployment):
        """The record of ``deployment``; HitlessError ``deployment_unknown`` when there is none."""
        try:
            values = read_json(paths.record(deployment))
            if values is not None:
                return cls._of(paths, paths.record(deployment), values)
        except ValueError as error:
            raise HitlessError("record_broken", "%s; nothing was changed." % error, "hitless deploy begins a new deployment.") from error
        raise HitlessError("deployment_unknown", "There is no deployment %s of %s." % (deployment, paths.app), "hitless events lists the deployments.")

    @classmethod
    def _of(cls, paths, path, values):
        if not isinstance(values, dict) or not {"id", "status"} <= set(values):
            raise ValueError("%s is not the record of a deployment" % path)
        record = cls(paths, {**_fresh(), **values})
        record._on_disk = True
        return record

    @classmethod
    def all(cls, paths, strict=False):
        """Every record of the app, oldest first. One that cannot be read is left out, for it must not stop a deploy; if ``strict`` it raises ValueError."""
        records = []
        for name in sorted(os.listdir(paths.deployments) if os.path.isdir(paths.deployments) else ()):
            if name.endswith(".json") and not name.startswith("."):
                path = os.path.join(paths.deployments, name)
                try:
                    records.append(cls._of(paths, path, read_json(path)))
                except ValueError:
                    if strict:
                        raise
        return records

    def __getitem__(self, key):
        return self.values[key]

    def __setitem__(self, key, value):
        self.values[key] = value

    @property
    def id(self):
        """The id of the deployment."""
        return self.values["id"]

    def save(self):
        """Write the record, durably."""
        write_json(self.paths.record(self.id), self.values)
        self._on_disk = True

    def emit(self, event, **fields):
        """Add an event to those that this step returns."""
        self.events.append({"event": event, "time": now(), "deployment": self.id, **fields})
        if self.listener:
            self.listener(self.events[-1])

    def tell_lines(self, stream, lines):
        """Show lines of a log as they come, and keep none of them; returns False when nobody listens."""
        if self.listener and lines:
            self.listener({"event": "log", "time": now(), "deployment": self.id, "stream": stream, "lines": lines}, is_kept=False)
        return self.listener is not None

    def move(self, status):
        """Go to ``status``, or stay; HitlessError ``status_illegal`` when there is no way from here to there."""
        old = self.values["status"]
        if old == status:
            return
        if status not in TRANSITIONS[old]:
            raise HitlessError(
                "status_illegal",
                "Deployment %s is %s and cannot become %s; nothing was changed." % (self.id, old, status),
                "hitless status",
            )
        self.values["status"] = status
        self.emit("status", **{"from": old, "to": status})

    @contextmanager
    def phase(self, name):
        """Time a phase: done when the block ends, failed when it raises. It is on disk from its start, so that a run that is cut there is known for it."""
        entry = {"name": name, "state": "running", "started": now(), "finished": None, "seconds": 0.0}
        began = time.monotonic()
        self.values["phases"].append(entry)
        self.emit("phase", name=name, state="running", seconds=0.0)
        if self._on_disk:
            self.save()
        try:
            yield entry
            entry["state"] = "done"
        except BaseException:
            entry["state"] = "failed"
            raise
        finally:
            entry["finished"] = now()
            entry["seconds"] = round(time.monotonic() - began, 3)
            self.emit("phase", name=name, state=entry["state"], seconds=entry["seconds"])

    def skip(self, name):
        """Say that a phase had nothing to do."""
        moment = now()
        self.values["phases"].append({"name": name, "state": "skipped", "started": moment, "finished": moment, "seconds": 0.0})
        self.emit("phase", name=name, state="skipped", seconds=0.0)

    def add_phase(self, phase):
        """Add a phase that was timed elsewhere; one that is there already is left as it is."""
        if not any(known["name"] == phase["name"] and known["started"] == phase["started"] for known in self.values["phases"]):
            self.values["phases"].append(phase)

    def fail(self, status, reason, hint=None, log_tail=()):
        """End in ``status`` (FAILED or CANCELLED) for ``reason``."""
        self.move(status)
        self.values.update(reason=reason, hint=hint, log_tail=list(log_tail)[-50:], finished=now())
