#!/usr/bin/python
# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: Start all replicas of a release and wait until they are healthy
version_added: 0.1.0
description:
  - Writes the release's folder, makes the folders of its mounts, starts every replica of every service on a free port beside those that serve,
    and waits until each of them is healthy.
  - No request reaches the new replicas yet. That is done by M(hitless.paas.route).
  - When a replica does not get healthy, all that was started is removed, and what served before goes on.
  - A run that was cut is finished by the next one. Replicas that run already stay.
author:
  - The hitless maintainers (@hitless)
options:
  app:
    description: Name of the app.
    type: str
    required: true
  deployment:
    description: Id of the deployment that holds the app's lock.
    type: str
    required: true
  release:
    description: Id of the release. It differs from O(deployment) in a rollback and in a restart.
    type: str
    required: true
  reuse:
    description: Run the release as its folder on the host says, and ignore the options below.
    type: bool
    default: false
  artifact:
    description: Digest of the artifact. Required unless O(reuse=true).
    type: str
  services:
    description: The resolved services by name.
    type: dict
    default: {}
  mounts:
    description: Name of the kept folder by the path in the app that it is mounted at.
    type: dict
    default: {}
  env:
    description:
      - The app's variables.
      - A JSON object in a text. The action plugin takes a dictionary as well.
      - C(PORT) and C(HOST) are left out with a warning, since every replica has its own.
    type: str
    default: ""
  plan_env:
    description: The variables that the app's language needs. Those in O(env) win.
    type: dict
    default: {}
  secret_names:
    description: Names of the variables in O(env) whose values are masked in every log.
    type: list
    elements: str
    default: []
  runtime:
    description: What runs the replicas.
    type: str
    choices: [systemd]
    default: systemd
attributes:
  check_mode:
    description: Says that the replicas would be started, and starts none.
    support: full
  diff_mode:
    description: Shows the replicas.
    support: full
"""

EXAMPLES = r"""
- name: Start the new replicas
  hitless.paas.release:
    app: shop
    deployment: "20261121080000"
    release: "20261121080000"
    artifact: "{{ begun.artifact }}"
    services: "{{ begun.plan.services }}"
    mounts: "{{ begun.plan.mounts }}"
    env: "{{ hitless_env }}"
    plan_env: "{{ begun.plan.env }}"
    secret_names: "{{ hitless_secret_names }}"

- name: Start the replicas of an older release
  hitless.paas.release:
    app: shop
    deployment: "20261121090000"
    release: "20261121080000"
    reuse: true
"""

RETURN = r"""
replicas:
  description: The replicas by service, with C(n), C(unit), C(address) and C(port); the last two are null for a worker.
  returned: success
  type: dict
  sample: {web: [{n: 1, unit: hitless-shop.web.20261121080000.1.service, address: 127.0.0.1, port: 20001}]}
deployment:
  description: The record of the deployment.
  returned: always
  type: dict
diff:
  description: The replicas before and after.
  returned: success
  type: dict
events:
  description: What happened, as events.
  returned: always
  type: list
  elements: dict
error:
  description:
    - The error. C(code) is V(unhealthy), V(artifact_missing), V(release_missing), V(mount_missing), V(ports_taken), V(runtime_failed) or V(config_invalid).
    - The C(details) of V(unhealthy) hold C(log_tail) and, for each replica, C(reason), C(answer) and C(listens_on).
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hitless.paas.plugins.module_utils._arguments import OPTIONS, REQUIRED_IF
from ansible_collections.hitless.paas.plugins.module_utils._fleet import Fleet, by_service
from ansible_collections.hitless.paas.plugins.module_utils._release_folder import ReleaseFolder, prepare
from ansible_collections.hitless.paas.plugins.module_utils._runtime import runtime
from ansible_collections.hitless.paas.plugins.module_utils._step_module import run_step


def _report(record, replica, answer):
    """A health event; a replica without a port goes by the name of its unit."""
    endpoint = "%s:%d" % (replica.address, replica.port) if replica.port else replica.unit
    record.emit("health", endpoint=endpoint, result="pass" if answer.ok else "fail", detail=answer.detail)


def release(record, paths, args):
    """Start the replicas, and return what they are once they are healthy."""
    record.move("DEPLOYING")
    with record.phase("start"):
        changed = prepare(record, paths, args)
        folder = ReleaseFolder(paths, args["release"])
        fleet = Fleet(runtime(args["runtime"]), args["app"], args["deployment"], args["release"], folder.read(), folder.secrets())
        changed = fleet.start() or changed
    with record.phase("health"):
        fleet.wait(lambda replica, answer: _report(record, replica, answer))
    record["services"] = by_service(fleet.replicas)
    replicas = {name: service["replicas"] for name, service in record["services"].items()}
    units = "".join(replica.unit + "\n" for replica in fleet.replicas)
    return {"changed": changed, "replicas": replicas, "diff": {"before": "" if changed else units, "after": units}}


def main():
    module = AnsibleModule(argument_spec=OPTIONS["release"], supports_check_mode=True, required_if=REQUIRED_IF["release"])
    if module.check_mode:
        diff = {"before": "", "after": "the replicas of release %s\n" % module.params["release"]}
        module.exit_json(changed=True, replicas={}, deployment={}, events=[], diff=diff)
    run_step(module, lambda record, paths: release(record, paths, module.params))


if __name__ == "__main__":
    main()
