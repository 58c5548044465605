#!/usr/bin/python
# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: source
short_description: Upload the source of an app to a host
version_added: 0.1.0
description:
  - Makes C(/var/lib/hitless/<app>/staged/<digest>) on the host hold the files of a folder on the controller.
  - Only differences to the newest source on the host travel, by rsync over the task's own connection. An upload that is cut leaves a folder
    that ends in C(.partial), from which the next one goes on.
  - Files that C(.gitignore) or C(.hitlessignore) name are left out, and so are C(.git), C(.env), C(node_modules), C(.venv), C(__pycache__) and C(hitless.yml).
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
  folder:
    description: Folder on the controller that holds the source.
    type: path
    required: true
  digest:
    description: Digest (sha256, hexadecimal) that the source had when the deployment began. If it has changed since, nothing is uploaded.
    type: str
    required: true
  ready:
    description: Whether the host has this source, or what is built from it, already. Nothing is done then.
    type: bool
    default: false
attributes:
  check_mode:
    description: Says whether something would be uploaded, and uploads nothing.
    support: full
  diff_mode:
    description: No diff is given.
    support: none
"""

EXAMPLES = r"""
- name: Upload the source
  hitless.paas.source:
    app: shop
    deployment: "20261121080000"
    folder: "{{ hitless_settings.source }}"
    digest: "{{ begun.deployment.source.digest }}"
    ready: "{{ begun.artifact_ready or begun.source_ready }}"
"""

RETURN = r"""
upload:
  description: The phase C(upload) for the record of the deployment; null in check mode.
  returned: success
  type: dict
  contains:
    name:
      description: Always C(upload).
      type: str
      sample: upload
    state:
      description: C(done) or C(skipped).
      type: str
      sample: done
    started:
      description: Time in UTC.
      type: str
      sample: "2026-11-21T08:00:00.000Z"
    finished:
      description: Time in UTC.
      type: str
      sample: "2026-11-21T08:00:00.412Z"
    seconds:
      description: How long it took.
      type: float
      sample: 0.412
    bytes:
      description: Bytes sent.
      type: int
      sample: 18230
events:
  description: What happened, as events.
  returned: success
  type: list
  elements: dict
error:
  description: The error.
  returned: failure
  type: dict
  sample: {code: source_changed, message: The source changed while it was deployed., hint: Deploy again., details: {}, exit: 1}
"""

# The work is done by the action plugin of the same name.
