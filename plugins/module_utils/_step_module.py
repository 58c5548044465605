# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every step of a deployment does around its work: the step lock, the lease, the record, the events."""

from __future__ import annotations

import os

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._lock import Lock, heartbeat, step
from ansible_collections.hitless.paas.plugins.module_utils._names import check_deployment, check_name
from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.module_utils._record import Record


def run_step(module, work):
    """Run ``work(record, paths) -> dict of return values`` as a step of the deployment that the module names, and end the module.

    The step goes on only while the deployment holds the app's lock; the lease is renewed while it works. The record is saved
    whether the step works or fails.
    """
    record = None
    try:
        paths = AppPaths(check_name("app", module.params["app"]))
        deployment = check_deployment(module.params["deployment"])
        if not os.path.isdir(paths.state):
            raise HitlessError("deployment_unknown", "%s was never deployed on this host; nothing was changed." % paths.app, "hitless deploy")
        with step(paths):
            record = Record.load(paths, deployment)
            result = _locked_work(record, paths, work)
    except HitlessError as error:
        told = {"deployment": record.values, "events": record.events} if record else {"events": []}
        module.fail_json(**dict(error.as_result(), **told))
    module.exit_json(**dict({"changed": True, "deployment": record.values, "events": record.events}, **result))


def _locked_work(record, paths, work):
    lock = Lock(paths)
    if not lock.is_ours(record.id):
        message = "Deployment %s no longer holds the lock of %s: another run took over. It stopped here." % (record.id, paths.app)
        raise HitlessError("lock_lost", message, "hitless status")
    lock.renew()
    with heartbeat(lock):
        try:
            return work(record, paths)
        finally:
            record.save()
