#!/usr/bin/python
# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
short_description: Say what an app is and what a deploy would do with it
version_added: 0.1.0
description:
  - Detects language, framework, package manager, commands and services from the files of the app, and merges C(hitless.yml) over them.
  - Runs on the controller alone and changes nothing; no host is contacted.
author:
  - The hitless maintainers (@hitless)
options:
  settings:
    description:
      - The settings of the app, as the inventory plugin reads them from C(hitless.yml).
    type: dict
    required: true
  origin:
    description:
      - What is planned instead of the source in O(settings), a folder, an archive, a git URL,
        or a dictionary with C(git) and what else C(source) in C(hitless.yml) has.
    type: raw
  ref:
    description:
      - Branch, tag or commit of a git source, over that of O(settings).
    type: str
  builder:
    description:
      - The builder, over that of O(settings).
    type: str
    choices: [auto, native, dockerfile, image, nixpacks, railpack]
  distribution:
    description:
      - The distribution of the hosts, for warnings about versions, for example V(debian-12).
    type: str
  show:
    description:
      - Whether to print the plan as a table.
    type: bool
    default: true
attributes:
  check_mode:
    description: Can run in check mode and returns the same as without it.
    support: full
  diff_mode:
    description: Returns what changed.
    support: N/A
    details: Nothing is changed.
  action:
    description: Has an action plugin, so that parts run on the controller.
    support: full
seealso:
  - module: ansible.builtin.debug
"""

EXAMPLES = r"""
- name: Say what would be deployed
  hitless.paas.plan:
    settings: "{{ hitless_settings }}"
  register: plan
"""

RETURN = r"""
plan:
  description: What detection says of the source tree.
  returned: success
  type: dict
  sample: {"language": "python", "framework": "flask", "package_manager": "pip", "builder": "native"}
app:
  description: The plan with C(hitless.yml) merged over it, which is what a deploy does.
  returned: success
  type: dict
  sample: {"services": {"web": {"type": "web", "command": "gunicorn --bind 127.0.0.1:$PORT app:app"}}}
rows:
  description: The table that was shown.
  returned: success
  type: list
  elements: dict
  sample: [{"what": "framework", "value": "flask", "why": "requirements.txt"}]
error:
  description: Why there is no plan.
  returned: failure
  type: dict
  sample: {"code": "plan_unknown", "message": "Nothing in the folder says what kind of app it is.", "hint": "Add a Procfile.", "details": {}, "exit": 2}
"""
