# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a deployment: good or bad, the record says it, the host is clean, and the lock is free."""

from __future__ import annotations

import os
import shutil

from ansible_collections.hitless.paas.plugins.module_utils._begin import releases_on_disk
from ansible_collections.hitless.paas.plugins.module_utils._build import stop_builds
from ansible_collections.hitless.paas.plugins.module_utils._errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_NEEDS_PERSON
from ansible_collections.hitless.paas.plugins.module_utils._history import keep_set, prune_plan
from ansible_collections.hitless.paas.plugins.module_utils._record import Record
from ansible_collections.hitless.paas.plugins.module_utils._repair import Host, repair_action, stop_hooks, take_over

_RECORDS_KEPT = 200
_REMOVED = ".removed-"


def finish(record, paths, keep):
    """Make ``record`` the deployment that runs, prune, and say so."""
    take_over(record, paths)
    try:
        with record.phase("prune"):
            prune(paths, keep)
    except (OSError, ValueError) as error:
        record.emit("warning", message="Old releases of %s could not be pruned: %s" % (paths.app, error), hint="The next deploy tries again.")
    record["finished"] = record["phases"][-1]["finished"]
    seconds = round(sum(phase["seconds"] for phase in record["phases"]), 3)
    record.emit(
        "deployed",
        status="RUNNING",
        url=(record["urls"] or [None])[0],
        urls=record["urls"],
        preview_url=record["preview_url"],
        release=record["release"],
        seconds=seconds,
        requests=record["requests"],
        changed=True,
    )


def push(record):
    """End a deployment that was only to be built."""
    record.move("STOPPED")
    record["finished"] = record["phases"][-1]["finished"]
    seconds = round(sum(phase["seconds"] for phase in record["phases"]), 3)
    facts = {"status": "STOPPED", "url": None, "preview_url": None, "release": None, "requests": record["requests"], "changed": True}
    record.emit("deployed", seconds=seconds, **facts)


def prune(paths, keep):
    """Remove what no kept release needs; returns what went. Raises ValueError, and nothing goes, when a record cannot be read."""
    records = [record.values for record in Record.all(paths, strict=True)]
    _remove_leftovers(paths)
    artifact_of = releases_on_disk(paths)
    digests = [name for name in os.listdir(paths.artifacts) if not name.startswith(".") and not name.endswith(".json")]
    kept = keep_set(records, keep)
    plan = prune_plan(kept, os.listdir(paths.releases), digests, artifact_of)
    for release in plan.releases:
        _remove(paths.release(release))
    for digest in plan.artifacts:
        _remove(paths.artifact(digest))
        if os.path.exists(paths.artifact(digest) + ".json"):
            os.unlink(paths.artifact(digest) + ".json")
    spare = [record["id"] for record in records if record["status"] != "RUNNING" and record["release"] not in kept]
    for old in spare[:-_RECORDS_KEPT]:
        os.unlink(paths.record(old))
        shutil.rmtree(os.path.join(paths.logs, old), ignore_errors=True)
    return plan


def _remove(folder):
    """Remove a folder that another run looks for by its name: it loses the name first, so that what is half removed is never taken for whole."""
    hidden = os.path.join(os.path.dirname(folder), _REMOVED + os.path.basename(folder))
    os.rename(folder, hidden)
    shutil.rmtree(hidden)


def _remove_leftovers(paths):
    for folder in (paths.releases, paths.artifacts):
        for name in os.listdir(folder):
            if name.startswith(_REMOVED):
                shutil.rmtree(os.path.join(folder, name))


_ENDED = {"FAILED": "The run was ended.", "CANCELLED": "The deployment was cancelled; what served before still serves."}


def fail(record, paths, status, failure):
    """Take the deployment off the host and record why it ended.

    When the one before it is stopped already, this one is all that serves, so it stays and RUNNING is what it becomes.

    Args:
        record: Record, not finished.
        status: FAILED or CANCELLED.
        failure: ``reason``, ``phase``, ``hint``, ``log_tail``, ``exit`` of the error, and ``because_of``, the host that failed when it was not this one.
    """
    stop_builds(paths.app)
    stop_hooks(paths.app)
    host = Host(paths)
    live = next((known for known in reversed(Record.all(paths)) if known["status"] == "RUNNING"), None)
    phase = failure.get("phase") or _last_phase(record)
    reason, hint = failure.get("reason") or _ENDED[status], failure.get("hint")
    # What a template makes of a number is a text before ansible-core 2.19.
    exit_code = int(failure.get("exit") or EXIT_FAILED)
    stays = bool(live) and repair_action(host.standing(record), host.standing(live)) == "finish"
    if stays:
        reason = reason.rstrip(".") + ". The release before it was stopped by then, so this one goes on serving."
        record["digests"] = {}
        record.values.update(reason=reason, log_tail=list(failure.get("log_tail") or ())[-50:])
        take_over(record, paths)
        exit_code, hint = EXIT_NEEDS_PERSON, hint or "hitless rollback"
    else:
        host.undo(record.id, live.id if live else None)
        record.fail(status, reason, hint, failure.get("log_tail") or ())
        record.save()
        if record["release"] == record.id and os.path.isdir(paths.release(record.id)):
            _remove(paths.release(record.id))
    if record["status"] == "CANCELLED":
        tell_cancelled(record, live)
    else:
        tell_failed(record, phase, exit_code, rolled_back=not stays, hint=hint, because_of=failure.get("because_of"))


def tell_cancelled(record, live):
    """Emit the last event of a run that was to cancel the deployment, and did. ``live``: the record of what serves, or None."""
    urls = live["urls"] if live else []
    facts = {"url": (urls or [None])[0], "urls": urls, "preview_url": None, "release": live["release"] if live else None}
    record.emit("deployed", status="CANCELLED", seconds=0.0, requests=record["requests"], changed=True, **facts)


def tell_failed(record, phase, exit_code, rolled_back=True, hint=None, because_of=None):
    """Emit the last event of a deployment that ended badly. ``because_of``: the host that is to blame, when it is not this one."""
    facts = {"reason": record["reason"], "hint": hint or record["hint"], "log_tail": record["log_tail"], "because_of": because_of}
    record.emit("failed", phase=phase, rolled_back=rolled_back, exit=exit_code, **facts)


def tell_ended(record, wanted):
    """Emit the last event of a deployment that ended before, for a run that hears of it only now, or that wanted it to end that way."""
    if record["status"] == wanted == "CANCELLED":
        tell_cancelled(record, None)
        return
    tell_failed(record, _last_phase(record), EXIT_INTERRUPTED if record["status"] == "CANCELLED" else EXIT_FAILED)


def _last_phase(record):
    """The phase that failed, or else the last one that began."""
    failed = [phase["name"] for phase in record["phases"] if phase["state"] == "failed"]
    begun = [phase["name"] for phase in record["phases"]]
    return (failed or begun or ["prepare"])[-1]
