#!/usr/bin/python
# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host
short_description: Check a host and make it ready for deployments
version_added: 0.1.0
description:
  - Looks at the operating system, systemd, Python, the ports 80 and 443, the disk and the memory of a host, and refuses one that cannot be used
    before anything on it is changed.
  - Installs what is missing and sets up HAProxy. An C(haproxy.cfg) that is there is kept as C(haproxy.cfg.before-hitless).
author:
  - The hitless maintainers (@hitless)
options:
  state:
    description:
      - With V(checked) nothing is changed.
      - With V(created) the host is marked as usable.
      - With V(configured) the host is ready for deployments. A host whose marker says so already is not looked at any further.
    type: str
    choices: [checked, created, configured]
    default: checked
  force:
    description: With O(state=configured), look at everything again whatever the marker says.
    type: bool
    default: false
attributes:
  check_mode:
    description: Says what would change.
    support: full
  diff_mode:
    description: Shows what would be installed, and the files before and after.
    support: full
"""

EXAMPLES = r"""
- name: Make the host ready
  hitless.paas.host:
    state: configured
"""

RETURN = r"""
host:
  description: What is known of the host.
  returned: success
  type: dict
  contains:
    configured:
      description: Whether the host is ready for deployments.
      type: bool
      sample: true
    digest:
      description: Names what a host is configured to by this version of the collection.
      type: str
      sample: "sha256:3f4a"
    facts:
      description: What was found, sizes in bytes; empty when the marker made looking unnecessary.
      type: dict
      sample: {os: {id: debian, version: "12"}, init: systemd, systemd: 252, python: [3, 11, 2], ports: {}, disk_free: 82000000000, memory: 2000000000}
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hitless.paas.plugins.module_utils import _host_setup
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._host_checks import gather, refusal
from ansible_collections.hitless.paas.plugins.module_utils._host_config import config_digest
from ansible_collections.hitless.paas.plugins.module_utils._marker import mark, marked
from ansible_collections.hitless.paas.plugins.module_utils._paths import MARKER_CONFIGURED, MARKER_CREATED

ARGUMENTS = {
    "state": {"type": "str", "choices": ["checked", "created", "configured"], "default": "checked"},
    "force": {"type": "bool", "default": False},
}


def checked_facts():
    """The facts of this host; HitlessError when it cannot be used."""
    facts = gather()
    error = refusal(facts, _host_setup.is_router_ours() and _host_setup.is_router_running())
    if error:
        raise error
    return facts


def create(digest, check_mode):
    """Mark the host as usable; returns the differences."""
    if os.path.exists(MARKER_CREATED):
        return []
    if not check_mode:
        mark(MARKER_CREATED, digest)
    return [{"prepared": "make %s\n" % MARKER_CREATED}]


def configure(digest, check_mode):
    """Make the host ready; returns the differences."""
    found = _host_setup.differences()
    was_finished = marked(MARKER_CONFIGURED) == digest
    if not was_finished:
        found.append({"prepared": "make %s\n" % MARKER_CONFIGURED})
    if not check_mode:
        _host_setup.configure(was_finished)
        if not was_finished:
            mark(MARKER_CONFIGURED, digest)
    return found


def work(params, check_mode):
    """The module's results."""
    digest = config_digest()
    configured = marked(MARKER_CONFIGURED) == digest
    if params["state"] == "configured" and configured and not params["force"]:
        return {"changed": False, "diff": [], "host": {"configured": True, "digest": digest, "facts": {}}}
    facts = checked_facts()
    steps = {"checked": lambda *_unused: [], "created": create, "configured": configure}
    diff = steps[params["state"]](digest, check_mode)
    ready = configured or (params["state"] == "configured" and not check_mode)
    return {"changed": bool(diff), "diff": diff, "host": {"configured": ready, "digest": digest, "facts": facts}}


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = work(module.params, module.check_mode)
    except HitlessError as error:
        module.fail_json(**error.as_result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
