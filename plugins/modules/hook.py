#!/usr/bin/python
# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: hook
short_description: Run a command of an app once in a deployment
version_added: 0.1.0
description:
  - Runs a command in the sandbox of the new release, with its files, mounts and variables, in a systemd unit of its own.
  - Writes what it prints to C(/var/log/hitless/<app>/<deployment>/<name>.log), with the values of secrets masked.
  - A command that fails before the switch fails the deployment while nothing has changed for anybody.
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
  name:
    description: Which hook it is.
    type: str
    choices: [pre_deploy, post_deploy]
    required: true
  command:
    description: What to run, in a shell in C(/app). Nothing is done when it is empty.
    type: str
  timeout:
    description: Seconds until the command is killed with all that it started.
    type: float
    default: 600.0
  release:
    description: Id of the release.
    type: str
    required: true
  artifact:
    description: Digest of the artifact.
    type: str
    required: true
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
    type: str
    default: ""
  plan_env:
    description: The variables that the app's language needs. Those in O(env) win.
    type: dict
    default: {}
  secret_names:
    description: Names of the variables in O(env) whose values are masked in the log.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Runs nothing.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Run the pre-deploy hook
  hitless.paas.hook:
    app: shop
    deployment: "20261121080000"
    name: pre_deploy
    command: "{{ begun.plan.hooks.pre_deploy }}"
    timeout: "{{ begun.plan.hooks.timeout }}"
    release: "20261121080000"
    artifact: "{{ begun.artifact }}"
    services: "{{ begun.plan.services }}"
    mounts: "{{ begun.plan.mounts }}"
    env: "{{ hitless_env }}"
    plan_env: "{{ begun.plan.env }}"
    secret_names: "{{ hitless_secret_names }}"
  run_once: true
"""

RETURN = r"""
log:
  description: The file on the host that has the whole output; null when nothing was run.
  returned: success
  type: str
  sample: /var/log/hitless/shop/20261121080000/pre_deploy.log
deployment:
  description: The record of the deployment.
  returned: always
  type: dict
events:
  description: What happened, as events; among them the last 200 lines of output.
  returned: always
  type: list
  elements: dict
error:
  description: The error. C(code) is V(hook_failed), and its C(details) hold C(log_tail).
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hitless.paas.plugins.module_utils._arguments import OPTIONS
from ansible_collections.hitless.paas.plugins.module_utils._hook import run_hook
from ansible_collections.hitless.paas.plugins.module_utils._step_module import run_step


def main():
    module = AnsibleModule(argument_spec=OPTIONS["hook"], supports_check_mode=True)
    if module.check_mode:
        module.exit_json(changed=bool(module.params["command"]), log=None, deployment={}, events=[])
    run_step(module, lambda record, paths: run_hook(record, paths, module.params))


if __name__ == "__main__":
    main()
