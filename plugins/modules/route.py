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
  state:
    description:
      - Where to stop. With V(switched) the new replicas take over and the old ones stay as they are, so that it can be taken back.
      - V(drained) goes on from there. With V(done) it is both in one run.
      - On several hosts it is V(switched) on all of them before it is V(drained) on any.
    type: str
    choices: [done, switched, drained]
    default: done
  replicas:
    description:
      - The new replicas, as lists of C(n), C(address) and C(port) by service; replicas of workers may be among them.
      - By default those that M(hitless.paas.release) started in this deployment.
    type: dict
  services:
    description:
      - The app's services by name, with C(type), C(health), C(drain), C(long_lived_drain), C(stop_timeout) and C(bake). Times are in seconds.
    type: dict
    required: true
  domains:
    description:
      - The domains of C(hitless.yml), names or mappings as M(hitless.paas.domain) takes them. It is an error when one of them belongs to another app.
      - Those that a command added stay.
      - An app without any answers to its name under C(localhost), and the first such app on a host to the host's own addresses.
    type: list
    elements: raw
    default: []
  addresses:
    description: The host's own addresses, for an app without domains.
    type: list
    elements: str
    default: []
  preview_domain:
    description:
      - The deployment can be seen at C(<deployment>.<app>.) and this domain, before it takes over and until its replicas stop.
      - That name leads to the first replica of the service that the app's names lead to, and to no other.
    type: str
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
  https_port:
    description: The port that the router takes HTTPS on.
    type: int
    default: 443
  public_port:
    description: The port that people reach O(http_port) at, for the URL; another one where the host is behind a published port.
    type: int
    default: 80
  public_https_port:
    description: The port that people reach O(https_port) at, for the URL.
    type: int
    default: 443
seealso:
  - module: hitless.paas.release
"""

EXAMPLES = r"""
- name: Switch to the new replicas
  hitless.paas.route:
    app: shop
    deployment: "20261121080000"
    services:
      web: {type: web, drain: 30, bake: 10}
    domains: [shop.example.com]
"""

RETURN = r"""
deployment:
  description: The record of the deployment; this step writes its C(requests), C(urls), C(preview_url) and C(phases). In check mode only its C(id).
  returned: always
  type: dict
  sample: {id: "20261121080000", requests: {sent: 120, failed: 0, held: 0, cut: 0}, phases: [], urls: ["http://shop.example.com"]}
uncovered:
  description: Names that are to have a certificate and have none yet.
  returned: success, and not in check mode
  type: list
  elements: str
  sample: [shop.example.com]
events:
  description: What happened, in order.
  returned: always
  type: list
  elements: dict
  sample: [{event: switch, service: web, from: ["127.0.0.1:20000"], to: ["127.0.0.1:20001"]}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hitless.paas.plugins.module_utils._arguments import OPTIONS
from ansible_collections.hitless.paas.plugins.module_utils._certificates import live_names
from ansible_collections.hitless.paas.plugins.module_utils._domain_book import DomainBook
from ansible_collections.hitless.paas.plugins.module_utils._domains import url
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._names import check_deployment, check_name
from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.module_utils._route import Switchover, difference
from ansible_collections.hitless.paas.plugins.module_utils._router import router
from ansible_collections.hitless.paas.plugins.module_utils._runtime import runtime
from ansible_collections.hitless.paas.plugins.module_utils._step_module import run_step


def _switchover(params, emit):
    deployment, app = check_deployment(params["deployment"]), check_name("app", params["app"])
    routes = router(params["router"])
    book = DomainBook(AppPaths(app), routes, live_names)
    return Switchover(app, deployment, routes, runtime(params["runtime"]), book, emit, (params["http_port"], params["https_port"]))


def _plan(steps, params, started):
    replicas = {name: service["replicas"] for name, service in started.items()} if params["replicas"] is None else params["replicas"]
    return steps.plan(params["services"], replicas, params["domains"], params["addresses"], params["preview_domain"])


def _take_over(steps, plan, record):
    """Send new requests to the new replicas, and watch them."""
    with record.phase("switch"):
        steps.switch(plan)
        switched = steps.counters(plan)
        steps.check(plan)
    with record.phase("bake"):
        steps.bake(plan, switched)


def _go(steps, plan, record, params):
    """Every step in order; the record says how the requests fared, whether it ends well or not."""
    before, cut = steps.counters(plan), 0
    try:
        if params["state"] != "drained":
            _take_over(steps, plan, record)
        if params["state"] != "switched":
            with record.phase("drain"):
                cut = steps.drain(plan, plan.old)
                steps.retire(plan, params["old"] or record["previous"])
    finally:
        counted = difference(before, steps.counters(plan))
        seen = {"sent": counted.sent, "failed": counted.failed, "held": counted.held, "cut": cut}
        record["requests"] = {name: record["requests"][name] + count for name, count in seen.items()}


def _result(plan, serving):
    def lines(endpoints):
        return "".join("%s %s\n" % (endpoint.backend, endpoint) for endpoint in sorted(endpoints))

    changed = serving != set(plan.new) or bool(plan.old)
    return {"changed": changed, "diff": {"before": lines(serving), "after": lines(plan.new)}}


def _work(params):
    def work(record, paths):
        steps = _switchover(params, record.emit)
        plan = _plan(steps, params, record["services"])
        serving = steps.serving(plan)
        ports = (params["public_port"], params["public_https_port"])
        record["urls"] = [url(domain, ports) for domain in plan.domains]
        record["preview_url"] = url(plan.preview, ports) if plan.preview else None
        _go(steps, plan, record, params)
        return dict(_result(plan, serving), uncovered=sorted(steps.uncovered(plan)))

    return work


def _foresee(module):
    """What would be done, from what the router has now."""
    steps = _switchover(module.params, lambda event, **fields: None)
    plan = _plan(steps, module.params, {})
    return dict(_result(plan, steps.serving(plan)), deployment={"id": module.params["deployment"]}, events=[])


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=OPTIONS["route"], supports_check_mode=True)
    if not module.check_mode:
        run_step(module, _work(module.params))
    try:
        result = _foresee(module)
    except HitlessError as error:
        module.fail_json(events=[], **error.as_result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
