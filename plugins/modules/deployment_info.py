#!/usr/bin/python
# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_info
short_description: Say what an app runs on a host, and what was deployed before
version_added: 0.1.0
description:
  - Reads the records, the replicas and the logs of an app. The host is the truth; nothing is changed.
  - Through its action plugin the answer is also one C(info) event.
author:
  - The hitless maintainers (@hitless)
options:
  app:
    description: Name of the app.
    type: str
    required: true
  what:
    description: What is asked for.
    type: str
    choices: [status, ps, events, logs]
    default: status
  deployment:
    description: The deployment whose phases or log are asked for. By default the last one.
    type: str
  phase:
    description:
      - The log of one phase, or of one step of the build (V(pre), V(build.api)), with O(what=logs).
      - By default the log of the build and of every phase, and what the replicas wrote.
    type: str
  lines:
    description: How many lines of each log.
    type: int
    default: 200
  follow:
    description: Go on with what the replicas write, a C(log) event a line, until the run is ended. With O(what=logs) alone.
    type: bool
    default: false
attributes:
  check_mode:
    description: Nothing is ever changed.
    support: full
  diff_mode:
    description: Not supported.
    support: none
"""

EXAMPLES = r"""
- name: See what runs
  hitless.paas.deployment_info:
    app: shop
  register: shop
"""

RETURN = r"""
data:
  description: >-
    The answer: C(current), C(under_way) and C(replicas) for I(what=status); C(replicas) for I(what=ps); C(deployments) (newest first), or C(phases) of one, for
    I(what=events); C(lines) for I(what=logs).
  returned: success
  type: dict
  sample: {current: {id: "20261121080000", status: RUNNING}, under_way: null, replicas: []}
events:
  description: With I(what=status), a C(warning) for every certificate of the app that ends soon and is not renewed.
  returned: success
  type: list
  elements: dict
  sample: []
"""

import os
from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hitless.paas.plugins.module_utils._arguments import OPTIONS
from ansible_collections.hitless.paas.plugins.module_utils._certificates import expiry_warnings, listing
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._lock import Lock
from ansible_collections.hitless.paas.plugins.module_utils._names import check_deployment, check_name
from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.module_utils._record import PHASES, Record, now
from ansible_collections.hitless.paas.plugins.module_utils._runtime import runtime

# Steps of a build that have a log of their own, beside the phases.
BUILD_HOOKS = ("pre", "post")
SERVICE_STEPS = ("install", "build")


def replicas(paths):
    """The replicas as they are now, as a list of dict."""
    run = runtime("systemd")
    listed = run.list(paths.app)
    release_of = {record.id: record["release"] for record in Record.all(paths)}
    states = run.inspect(listed)
    return [_replica(replica, states[replica], release_of.get(replica.deployment)) for replica in listed]


def _replica(replica, state, release):
    endpoint = "%s:%s" % (replica.address, replica.port) if replica.port else None
    facts = {"service": replica.service, "n": replica.n, "unit": replica.unit, "deployment": replica.deployment, "release": release, "endpoint": endpoint}
    return dict(facts, state=state.state, pid=state.pid, restarts=state.restarts)


def status(paths, params):
    """What runs, and what is being done about it."""
    records = Record.all(paths)
    current = next((record.values for record in reversed(records) if record["status"] == "RUNNING"), None)
    held = Lock(paths).holder()
    under_way = next((record.values for record in records if held and record.id == held["deployment"]), None)
    return {"current": current, "under_way": under_way, "replicas": replicas(paths)}


def ps(paths, params):
    """The replicas."""
    return {"replicas": replicas(paths)}


def events(paths, params):
    """The deployments, newest first, or one of them with its phases."""
    if params["deployment"]:
        return Record.load(paths, check_deployment(params["deployment"])).values
    return {"deployments": [record.values for record in reversed(Record.all(paths))]}


def logs(paths, params):
    """The last lines of the logs of one deployment."""
    records = Record.all(paths)
    if params["deployment"]:
        record = Record.load(paths, check_deployment(params["deployment"]))
    elif records:
        record = records[-1]
    else:
        raise HitlessError("deployment_unknown", "%s was never deployed on this host." % paths.app, "hitless deploy")
    # The log of the build has the steps that have a log of their own as well.
    names = [params["phase"]] if params["phase"] else [name for name in PHASES if name != "install"]
    if not all(_has_log(name) for name in names):
        raise HitlessError("usage", "There is no phase %r." % params["phase"], "The phases are: %s." % " ".join(PHASES))
    lines = [line for name in names for line in tail(paths.log(record.id, name), params["lines"])]
    if not params["phase"]:
        run = runtime("systemd")
        for replica in run.list(paths.app):
            if replica.deployment == record.id:
                lines += run.logs(replica, params["lines"])
    return {"deployment": record.id, "lines": lines}


def _has_log(name):
    stage, dot, service = name.partition(".")
    if dot and stage in SERVICE_STEPS:
        return bool(check_name("service", service))
    return name in PHASES or name in BUILD_HOOKS


def tail(path, lines):
    """The last ``lines`` lines of a log, [] when there is none."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read().splitlines()[-lines:]


def expiry_events(app, what):
    """``warning`` events for certificates of the app that will end, when its status is asked for."""
    if what != "status":
        return []
    warnings = expiry_warnings(listing(app), datetime.now(timezone.utc).replace(tzinfo=None))
    return [dict(warning, event="warning", time=now()) for warning in warnings]


_ANSWERS = {"status": status, "ps": ps, "events": events, "logs": logs}


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=OPTIONS["deployment_info"], supports_check_mode=True)
    try:
        paths = AppPaths(check_name("app", module.params["app"]))
        data = _ANSWERS[module.params["what"]](paths, module.params)
    except HitlessError as error:
        module.fail_json(**error.as_result())
    module.exit_json(changed=False, data=data, events=expiry_events(paths.app, module.params["what"]))


if __name__ == "__main__":
    main()
