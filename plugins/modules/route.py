#!/usr/bin/python
# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: route
short_description: Move an app's traffic to a new deployment and stop the old one
version_added: 0.1.0
description:
  - Makes the replicas of a deployment known to the router, waits until the router finds them healthy, and then sends every new request to them.
  - Checks a request through the router and watches real traffic for as long as O(services) asks; when that fails, the route goes back first.
  - Waits until nothing is in flight on the old replicas, within limits, and only then stops them.
  - Does the phases C(switch), C(bake) and C(drain) of a deployment.
author:
  - The hitless maintainers (@hitless)
attributes:
  check_mode:
    description: Can run in check mode and say what would change without changing it.
    support: full
  diff_mode:
    description: Returns what the router sent requests to before and after.
    support: full
options:
  app:
    description: Name of the app.
    type: str
    required: true
  deployment:
    description: Id of the deployment that takes over.
    type: str
    required: true
  replicas:
    description: The new replicas, as lists of C(n), C(address) and C(port) by service; replicas of workers may be among them.
    type: dict
    required: true
  services:
    description:
      - The app's services by name, with C(type), C(health), C(drain), C(long_lived_drain), C(stop_timeout) and C(bake). Times are in seconds.
    type: dict
    required: true
  hosts:
    description:
      - Host names that lead to the app. It is an error when one of them belongs to another app.
      - An app without any answers to its name under C(localhost), and the first such app on a host to the host's own addresses.
    type: list
    elements: str
    default: []
  addresses:
    description: The host's own addresses, for an app without host names.
    type: list
    elements: str
    default: []
  old:
    description:
      - Id of the deployment to stop.
      - By default the one that the record of O(deployment) names as the previous.
    type: str
  router:
    description: The router of the host.
    type: str
    choices: [haproxy]
    default: haproxy
  runtime:
    description: The runtime that the replicas run in.
    type: str
    default: systemd
  http_port:
    description: The port that the router takes plain HTTP on.
    type: int
    default: 80
seealso:
  - module: hitless.paas.release
"""

EXAMPLES = r"""
- name: Switch to the new replicas
  hitless.paas.route:
    app: shop
    deployment: "20261121080000"
    replicas:
      web:
        - {n: 1, address: 127.0.0.1, port: 20001}
    services:
      web: {type: web, drain: 30, bake: 10}
    hosts: [shop.example.com]
"""

RETURN = r"""
deployment:
  description: The part of the deployment's record that this step writes.
  returned: always
  type: dict
  contains:
    id:
      description: Id of the deployment.
      returned: always
      type: str
    requests:
      description: Requests during the step, as C(sent), C(failed), C(held) and C(cut). Failed are those that the router had to answer itself.
      returned: always
      type: dict
    phases:
      description: The phases of this step with C(name), C(state), C(started), C(finished) and C(seconds).
      returned: always
      type: list
      elements: dict
    urls:
      description: Where the app answers.
      returned: always
      type: list
      elements: str
  sample: {id: "20261121080000", requests: {sent: 120, failed: 0, held: 0, cut: 0}, phases: [], urls: ["http://shop.example.com"]}
events:
  description: What happened, in order.
  returned: always
  type: list
  elements: dict
  sample: [{event: switch, service: web, from: ["127.0.0.1:20000"], to: ["127.0.0.1:20001"]}]
"""

import contextlib
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import read_json, write_json
from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.module_utils._route import Switchover, difference, now
from ansible_collections.hitless.paas.plugins.module_utils._router import router
from ansible_collections.hitless.paas.plugins.module_utils._runtime import runtime

ARGUMENT_SPEC = {
    "app": {"type": "str", "required": True},
    "deployment": {"type": "str", "required": True},
    "replicas": {"type": "dict", "required": True},
    "services": {"type": "dict", "required": True},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "addresses": {"type": "list", "elements": "str", "default": []},
    "old": {"type": "str"},
    "router": {"type": "str", "choices": ["haproxy"], "default": "haproxy"},
    "runtime": {"type": "str", "default": "systemd"},
    "http_port": {"type": "int", "default": 80},
}


class _Record:
    """The part of the deployment's record that this step writes: every phase as it goes, so that a cut run shows where it was."""

    def __init__(self, app, deployment, emit):
        self._path = AppPaths(app).record(deployment)
        self._emit = emit
        self._whole = read_json(self._path)
        self.part = {"id": deployment, "requests": {"sent": 0, "failed": 0, "held": 0, "cut": 0}, "phases": [], "urls": []}

    @property
    def previous(self):
        """Id of the deployment before this one, or None."""
        return (self._whole or {}).get("previous")

    @contextlib.contextmanager
    def phase(self, name):
        """Record one phase around what is done in it."""
        began, phase = time.monotonic(), {"name": name, "state": "failed", "started": now(), "finished": None, "seconds": 0.0}
        # The first phase is announced by the action plugin, before this module runs.
        if self.part["phases"]:
            self._emit({"event": "phase", "name": name, "state": "running", "seconds": 0.0, "time": phase["started"]})
        self.part["phases"].append(phase)
        try:
            yield
            phase["state"] = "done"
        finally:
            phase.update(finished=now(), seconds=round(time.monotonic() - began, 3))
            self._emit({"event": "phase", "name": name, "state": phase["state"], "seconds": phase["seconds"], "time": phase["finished"]})
            self.save()

    def save(self):
        """Merge this part into the record on disk, when there is one."""
        if self._whole is not None:
            ours = {phase["name"] for phase in self.part["phases"]}
            phases = [phase for phase in self._whole.get("phases", []) if phase["name"] not in ours] + self.part["phases"]
            self._whole.update(self.part, phases=phases)
            write_json(self._path, self._whole)


def _requests(counted, cut):
    return {"sent": counted.sent, "failed": counted.failed, "held": counted.held, "cut": cut}


def _go(steps, plan, record, old):
    """Every step in order."""
    before = steps.counters(plan)
    try:
        with record.phase("switch"):
            steps.switch(plan)
            after = steps.counters(plan)
            steps.check(plan)
        with record.phase("bake"):
            steps.bake(plan, after)
        with record.phase("drain"):
            cut = steps.drain(plan, plan.old)
            record.part["requests"] = _requests(difference(before, steps.counters(plan)), cut)
            record.part["urls"] = ["http://%s" % name for name in plan.names[:1]]
            steps.retire(plan, old)
    finally:
        record.save()


def _diff(plan, serving):
    def lines(endpoints):
        return "".join("%s %s\n" % (endpoint.backend, endpoint) for endpoint in sorted(endpoints))

    return {"before": lines(serving), "after": lines(plan.new)}


def _run(module, events):
    params = module.params
    app, deployment = params["app"], params["deployment"]
    steps = Switchover(app, deployment, router(params["router"]), runtime(params["runtime"]), events.append, params["http_port"])
    plan = steps.plan(params["services"], params["replicas"], params["hosts"], params["addresses"])
    record = _Record(app, deployment, events.append)
    serving = steps.serving(plan)
    changed = serving != set(plan.new) or bool(plan.old)
    if not module.check_mode:
        _go(steps, plan, record, params["old"] or record.previous)
    return {"changed": changed, "deployment": record.part, "events": events, "diff": _diff(plan, serving)}


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    events = []
    try:
        result = _run(module, events)
    except HitlessError as error:
        module.fail_json(events=events, **error.as_result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
