#!/usr/bin/python
# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment
short_description: Begin and end a deployment of an app
version_added: 0.1.0
description:
  - With O(state=begun) it takes the app's lock, repairs what a dead run left, checks the host and decides what there is to do.
  - With O(state=finished) the deployment is what runs from now on; the one before it becomes C(STOPPED), old releases are pruned and the lock is given back.
  - With O(state=pushed) it ends with its artifact built and nothing released.
  - With O(state=failed) or O(state=cancelled) the deployment's replicas and endpoints go, the route goes back to what ran before, and the record says why.
  - A step that is cut anywhere leaves what the next O(state=begun) recognises and repairs.
author:
  - The hitless maintainers (@hitless)
options:
  app:
    description: Name of the app.
    type: str
    required: true
  state:
    description: What the deployment becomes.
    type: str
    choices: [begun, pushed, finished, failed, cancelled]
    required: true
  target:
    description: Name of the target, for the record.
    type: str
  deployment:
    description:
      - Id of the deployment.
      - Required but for O(state=begun), which makes it unless it is given, as for the other hosts of a deployment to several.
      - With O(state=cancelled) the default is the deployment that holds the lock.
    type: str
  kind:
    description: Whether a source is deployed, an earlier release is brought back, or the live release gets new replicas.
    type: str
    choices: [deploy, rollback, restart]
    default: deploy
  settings:
    description: The settings of C(hitless.yml). The action plugin makes O(plan) and O(source) of them.
    type: dict
  origin:
    description:
      - What is deployed instead of the source in O(settings), a folder, an archive, a git URL,
        or a dictionary with C(git) and what else C(source) in C(hitless.yml) has.
      - The action plugin takes it.
    type: raw
  ref:
    description: Branch, tag or commit of a git source, over that of O(settings). The action plugin takes it.
    type: str
  builder:
    description: The builder, over that of O(settings). The action plugin takes it.
    type: str
    choices: [auto, native, dockerfile, image, nixpacks, railpack]
  plan:
    description: The resolved app.
    type: dict
  source:
    description: The source as C(digest), C(bytes), C(branch), C(commit), C(message), C(author), C(dirty), and of a git source C(url) and C(ref).
    type: dict
    default: {}
  planned:
    description: The phase C(plan) as the action plugin timed it, for the record.
    type: dict
  env:
    description:
      - All variables of the app.
      - A JSON object in a text. The action plugin takes a dictionary as well.
    type: str
    default: ""
  by:
    description: Who runs it, for people.
    type: str
    default: unknown
  controller:
    description: The machine and the process that run it, as C(id) and C(pid).
    type: dict
    default: {}
  lease:
    description: Seconds that the lock stays valid without being renewed.
    type: float
    default: 60.0
  wait:
    description: Seconds to wait for the lock.
    type: float
    default: 0.0
  steal:
    description: Id of a deployment whose run is known to be dead, so that its lock may be taken.
    type: str
  domains:
    description: The domains in O(settings); one that another app has ends the deployment before anything is uploaded. The action plugin gives them.
    type: list
    elements: raw
    default: []
  force:
    description: Make a new release although exactly this runs already.
    type: bool
    default: false
  to:
    description: The release or deployment to go back to, with O(kind=rollback). By default the good one before the live one.
    type: str
  keep_releases:
    description: How many good releases are kept.
    type: int
    default: 5
  failure:
    description: Why the deployment failed, as C(reason), C(hint), C(phase), C(log_tail), C(exit), and C(because_of), the host to blame if it was another one.
    type: dict
    default: {}
attributes:
  check_mode:
    description: With O(state=begun) says what would be done. Otherwise does nothing.
    support: full
  diff_mode:
    description: Not supported.
    support: none
"""

EXAMPLES = r"""
- name: Begin
  hitless.paas.deployment:
    state: begun
    app: shop
    target: prod
    settings: "{{ hitless_settings }}"
    env: "{{ hitless_env }}"
  register: begun

- name: Finish
  hitless.paas.deployment:
    state: finished
    app: shop
    deployment: "{{ begun.deployment.id }}"
"""

RETURN = r"""
action:
  description: What there is to do, C(deploy) or C(nothing).
  returned: when I(state=begun)
  type: str
  sample: deploy
deployment:
  description: The deployment's record; empty when there is nothing to do.
  returned: success
  type: dict
  sample: {id: "20261121080000", status: INITIALIZING}
id:
  description: Id of the deployment that began, or would have begun if there were anything to do.
  returned: when I(state=begun), but not in check mode
  type: str
  sample: "20261121080000"
artifact:
  description: Digest of the artifact that the deployment runs.
  returned: when there is something to deploy
  type: str
  sample: 4f0c9f
artifact_ready:
  description: Whether the artifact is on the host already, so that nothing is uploaded or built.
  returned: when there is something to deploy
  type: bool
source_ready:
  description: Whether the source is on the host already.
  returned: when there is something to deploy
  type: bool
release:
  description: Id of the release that the deployment runs.
  returned: when there is something to deploy
  type: str
  sample: "20261121080000"
reuse:
  description: Whether the release is one that was there before.
  returned: when there is something to deploy
  type: bool
services:
  description: The services that the release runs.
  returned: when there is something to deploy
  type: dict
plan:
  description: The resolved app.
  returned: when I(state=begun) and I(kind=deploy)
  type: dict
events:
  description: What happened, in order.
  returned: always
  type: list
  elements: dict
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hitless.paas.plugins.module_utils._arguments import OPTIONS, REQUIRED_IF
from ansible_collections.hitless.paas.plugins.module_utils._begin import Begin
from ansible_collections.hitless.paas.plugins.module_utils._env import from_json
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._finish import fail, finish, push, tell_ended
from ansible_collections.hitless.paas.plugins.module_utils._lock import Lock, heartbeat, interrupt_step, step
from ansible_collections.hitless.paas.plugins.module_utils._names import check_deployment, check_name
from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.module_utils._record import UNFINISHED, Record
from ansible_collections.hitless.paas.plugins.module_utils._repair import stop_hooks
from ansible_collections.hitless.paas.plugins.module_utils._step_module import host_error, run_step

_STATUS = {"failed": "FAILED", "cancelled": "CANCELLED"}


def _nothing(live):
    """The event of a deployment that found everything in place."""
    facts = {"status": "RUNNING", "url": (live["urls"] or [None])[0], "urls": live["urls"], "preview_url": live.get("preview_url"), "release": live["release"]}
    requests = {"sent": 0, "failed": 0, "held": 0, "cut": 0}
    return [dict(facts, event="deployed", deployment=live["id"], seconds=0.0, requests=requests, changed=False)]


def _begin(module):
    """Begin, or say that there is nothing to do."""
    paths = AppPaths(check_name("app", module.params["app"]))
    begin = Begin(paths, dict(module.params, env=from_json(module.params["env"])))
    if module.check_mode:
        preview = begin.preview()
        return {"changed": preview["action"] != "nothing", "action": "nothing", "would": preview["action"], "deployment": {}, "events": []}
    record, result = begin.run()
    if record is None:
        return dict(result, changed=False, deployment={}, events=result["events"] + _nothing(result["running"]))
    return dict(result, changed=True, deployment=record.values, events=record.events)


def _end_badly(module):
    """Clean up after a deployment that failed or is cancelled, and give the lock back. What was ended before is left as it is."""
    paths = AppPaths(check_name("app", module.params["app"]))
    lock = Lock(paths)
    deployment = module.params["deployment"] or (lock.holder() or {}).get("deployment")
    if not deployment:
        raise HitlessError("not_running", "No deployment of %s is under way; nothing was changed." % paths.app, "hitless status")
    check_deployment(deployment)
    if not os.path.isdir(paths.state):
        return _unchanged()
    with step(paths, on_busy=_end_step(paths.app) if module.params["state"] == "cancelled" else None):
        held = lock.holder()
        if held and held["deployment"] != deployment:
            message = "Deployment %s of %s is not the one under way; nothing was changed." % (deployment, paths.app)
            raise HitlessError("lock_lost", message, "hitless status")
        try:
            with heartbeat(lock, deployment):
                return _failed(paths, deployment, module.params)
        finally:
            lock.release(deployment)


def _end_step(app):
    """What ends the step that is at work: its process, and the command of the app that it may be waiting for."""

    def end(fd):
        interrupt_step(fd)
        stop_hooks(app)

    return end


def _failed(paths, deployment, params):
    if not os.path.exists(paths.record(deployment)):
        # Its begin came to no decision, so there is nothing of it.
        return _unchanged()
    record = Record.load(paths, deployment)
    if record["status"] in ("FAILED", "CANCELLED"):
        tell_ended(record, _STATUS[params["state"]])
        return dict(_unchanged(), deployment=record.values, events=record.events)
    if record["status"] not in UNFINISHED:
        raise HitlessError("status_illegal", "Deployment %s is %s already; nothing was changed." % (record.id, record["status"]), "hitless status")
    try:
        fail(record, paths, _STATUS[params["state"]], params["failure"])
    except HitlessError as error:
        message = "Deployment %s ended, and what it left could not be taken off the host: %s" % (deployment, error.message)
        raise HitlessError("needs_person", message, error.hint or "hitless status") from error
    return {"changed": True, "deployment": record.values, "events": record.events}


def _unchanged():
    return {"changed": False, "deployment": {}, "events": []}


def _finish(module):
    def work(record, paths):
        if module.params["state"] == "pushed":
            push(record)
        else:
            finish(record, paths, module.params["keep_releases"])
        return {}

    run_step(module, work, last=True)


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=OPTIONS["deployment"], supports_check_mode=True, required_if=REQUIRED_IF["deployment"])
    state = module.params["state"]
    try:
        if state == "begun":
            module.exit_json(**_begin(module))
        if module.check_mode:
            module.exit_json(changed=True, deployment={}, events=[])
        if state in ("finished", "pushed"):
            _finish(module)
        module.exit_json(**_end_badly(module))
    except HitlessError as error:
        module.fail_json(events=[], **error.as_result())
    except OSError as error:
        module.fail_json(events=[], **host_error(error).as_result())


if __name__ == "__main__":
    main()
