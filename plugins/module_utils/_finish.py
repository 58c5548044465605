# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a deployment: good or bad, the record says it, the host is clean, and the lock is free."""

from __future__ import annotations

import os
import shutil

from ansible_collections.hitless.paas.plugins.module_utils._begin import releases_on_disk
from ansible_collections.hitless.paas.plugins.module_utils._build import stop_builds
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import symlink_atomic
from ansible_collections.hitless.paas.plugins.module_utils._history import keep_set, prune_plan
from ansible_collections.hitless.paas.plugins.module_utils._record import UNFINISHED, Record
from ansible_collections.hitless.paas.plugins.module_utils._repair import Host

_RECORDS_KEPT = 200


def finish(record, paths, keep, preview_url=None):
    """Make ``record`` the deployment that runs, prune, and say so."""
    _make_running(record, paths)
    symlink_atomic(os.path.join("releases", record["release"]), paths.current)
    try:
        with record.phase("prune"):
            prune(paths, keep)
    except (OSError, ValueError, HitlessError) as error:
        record.emit("warning", message="Old releases of %s could not be pruned: %s" % (paths.app, error), hint="The next deploy tries again.")
    record["finished"] = record["phases"][-1]["finished"]
    seconds = round(sum(phase["seconds"] for phase in record["phases"]), 3)
    record.emit(
        "deployed",
        status="RUNNING",
        url=(record["urls"] or [None])[0],
        preview_url=preview_url,
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


def _make_running(record, paths):
    """Stop the ones before first: cut in between, the next run still finds this one unfinished and finishes it."""
    record.move("DEPLOYING")
    for known in Record.all(paths):
        if known["status"] == "RUNNING" and known.id != record.id:
            known.move("STOPPED")
            known.save()
    record.move("RUNNING")
    record["good"] = True
    record.save()


def prune(paths, keep):
    """Remove what no kept release needs; returns what went."""
    records = [record.values for record in Record.all(paths)]
    artifact_of = releases_on_disk(paths)
    digests = [name for name in os.listdir(paths.artifacts) if not name.startswith(".") and not name.endswith(".json")]
    plan = prune_plan(keep_set(records, keep), os.listdir(paths.releases), digests, artifact_of)
    for release in plan.releases:
        shutil.rmtree(paths.release(release))
    for digest in plan.artifacts:
        shutil.rmtree(paths.artifact(digest))
        if os.path.exists(paths.artifact(digest) + ".json"):
            os.unlink(paths.artifact(digest) + ".json")
    for old in [record["id"] for record in records if record["status"] != "RUNNING"][:-_RECORDS_KEPT]:
        os.unlink(paths.record(old))
        shutil.rmtree(os.path.join(paths.logs, old), ignore_errors=True)
    return plan


def fail(record, paths, status, failure):
    """Take the deployment off the host and record why it ended.

    Args:
        record: Record, not finished.
        status: FAILED or CANCELLED.
        failure: ``reason``, ``phase``, ``hint``, ``log_tail``, ``exit`` of the error, each may be None.
    """
    if record["status"] not in UNFINISHED:
        raise HitlessError("status_illegal", "Deployment %s is %s already; nothing was changed." % (record.id, record["status"]), "hitless status")
    stop_builds(paths.app)
    live = next((known.id for known in reversed(Record.all(paths)) if known["status"] == "RUNNING"), None)
    Host(paths).undo(record.id, live)
    failed = [phase["name"] for phase in record["phases"] if phase["state"] == "failed"]
    phase = failure.get("phase") or (failed[-1] if failed else None) or (record["phases"][-1]["name"] if record["phases"] else "prepare")
    reason = failure.get("reason") or "The run was ended."
    record.fail(status, reason, failure.get("hint"), failure.get("log_tail") or ())
    record.save()
    if record["kind"] == "deploy" and not record["good"]:
        shutil.rmtree(paths.release(record.id), ignore_errors=True)
    record.emit(
        "failed",
        phase=phase,
        reason=reason,
        hint=failure.get("hint"),
        rolled_back=True,
        log_tail=record["log_tail"],
        exit=130 if status == "CANCELLED" else failure.get("exit") or 1,
    )
