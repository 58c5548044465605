#!/usr/bin/python
# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: steps
short_description: Run several steps of a deployment one after another
version_added: 0.1.0
description:
  - Runs steps that follow each other on one host, without coming back to the controller between them. The first that fails is the last.
  - Each does exactly what its own module does, and its events are shown as they happen.
  - On several hosts some steps must have ended on all of them before the next one begins on any; there, use the modules of the steps.
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
  steps:
    description:
      - The steps in their order. Each is a dictionary with one entry, the options by the name of the step's module.
      - It can be C(hook) (see M(hitless.paas.hook)), C(release) (see M(hitless.paas.release)), C(route) (see M(hitless.paas.route)),
        and C(deployment) with C(state=finished) (see M(hitless.paas.deployment)).
      - O(app) and O(deployment) hold for all of them. An option that is null is as good as left out, and so is a hook without a command.
    type: list
    elements: dict
    required: true
attributes:
  check_mode:
    description: Says what would change, as each of the modules does.
    support: full
  diff_mode:
    description: Shows that of the last step that has one.
    support: full
seealso:
  - module: hitless.paas.hook
  - module: hitless.paas.release
  - module: hitless.paas.route
  - module: hitless.paas.deployment
"""

# The work is done by the action plugin of the same name.
EXAMPLES = r"""
- name: Start the new replicas, move the traffic to them, and stop the old ones
  hitless.paas.steps:
    app: shop
    deployment: "20261121080000"
    steps:
      - release:
          release: "20261121080000"
          artifact: "{{ begun.artifact }}"
          services: "{{ begun.plan.services }}"
      - route:
          services: "{{ begun.plan.services }}"
          domains: [shop.example.com]
      - deployment:
          state: finished
"""

RETURN = r"""
deployment:
  description: The record of the deployment after the last step.
  returned: always
  type: dict
  sample: {id: "20261121080000", status: RUNNING}
uncovered:
  description: Names that are to have a certificate and have none yet.
  returned: when there was a step C(route), and not in check mode
  type: list
  elements: str
  sample: [shop.example.com]
events:
  description: What happened in all of the steps, in order.
  returned: always
  type: list
  elements: dict
"""
