# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every step of a deployment does around its work: the step lock, the lease, the record, the events."""

from __future__ import annotations

import errno
import os
import signal

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._lock import Lock, heartbeat, step
from ansible_collections.hitless.paas.plugins.module_utils._names import check_deployment, check_name
from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.module_utils._record import Record


class _Interrupted(BaseException):
    """hitless cancel asked this step to end. No error, so that nothing in the step takes it for one that it can handle."""


def host_error(error):
    """The HitlessError for a file operation that the host refused (OSError)."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HitlessError("disk_low", "The disk of the host is full: %s. It stopped there." % error, "Free some space and try again: df -h")
    return HitlessError("host_failed", "The host refused a file operation: %s. It stopped there." % error, "hitless status")


def run_step(module, work, last=False):
    """Run ``work(record, paths) -> dict of return values`` as a step of the deployment that the module names, and end the module.

    The step goes on only while the deployment holds the app's lock; the lease is renewed while it works. The record is saved
    whether the step works or fails. After the ``last`` step of a deployment, if it worked, the lock is free.
    """
    told = {"events": []}
    try:
        paths = AppPaths(check_name("app", module.params["app"]))
        deployment = check_deployment(module.params["deployment"])
        if not os.path.isdir(paths.state):
            raise HitlessError("deployment_unknown", "%s was never deployed on this host; nothing was changed." % paths.app, "hitless deploy")
        with step(paths):
            record = Record.load(paths, deployment)
            # Only a module that runs from the library can say something before its end.
            record.listener = getattr(module, "tell", None)
            told = {"deployment": record.values, "events": record.events}
            result = _locked_work(record, paths, work, last)
    except HitlessError as error:
        module.fail_json(**dict(error.as_result(), **told))
    except OSError as error:
        module.fail_json(**dict(host_error(error).as_result(), **told))
    except _Interrupted:
        error = HitlessError("interrupted", "The step was ended by hitless cancel.", "hitless status")
        module.fail_json(**dict(error.as_result(), **told))
    module.exit_json(**dict({"changed": True}, **dict(told, **result)))


def _locked_work(record, paths, work, last):
    lock = Lock(paths)
    if not lock.is_ours(record.id):
        message = "Deployment %s no longer holds the lock of %s: another run took over. It stopped here." % (record.id, paths.app)
        raise HitlessError("lock_lost", message, "hitless status")
    lock.renew(record.id)
    signal.signal(signal.SIGTERM, _interrupt)
    with heartbeat(lock, record.id):
        try:
            result = work(record, paths)
        finally:
            record.save()
    if last:
        lock.release(record.id)
    return result


def _interrupt(number, frame):
    signal.signal(number, signal.SIG_IGN)
    raise _Interrupted
