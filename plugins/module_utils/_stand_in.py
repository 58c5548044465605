# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module of this collection on a host from the library that is kept there, instead of from a payload that is sent and unpacked each time.

In the library this file is ``ansible/module_utils/basic.py``: it stands in for the real one, for modules that use nothing of it but
``AnsibleModule``, ``params``, ``check_mode``, ``exit_json`` and ``fail_json``. The arguments were checked on the controller, with the real one.
"""

from __future__ import annotations

import importlib
import json
import sys

_MODULES = "ansible_collections.hitless.paas.plugins.modules."
_request = {}


class AnsibleModule:
    """A module's view of its call: ``params`` (dict, defaults filled in) and ``check_mode`` (bool)."""

    def __init__(self, argument_spec, supports_check_mode=False, **_checked_on_the_controller):
        self.params = _request["params"]
        self.check_mode = _request["check_mode"]

    def exit_json(self, **result):
        """Answer, and end."""
        self._end(result, 0)

    def fail_json(self, msg, **result):
        """Answer that it failed, and end."""
        self._end(dict(result, failed=True, msg=msg), 1)

    @staticmethod
    def _end(result, status):
        result.setdefault("changed", False)
        sys.stdout.write("\n%s\n" % json.dumps(result))
        sys.stdout.flush()
        raise SystemExit(status)


def main():
    """Run the module that the JSON object on stdin names: ``{"module", "params", "check_mode"}``."""
    _request.update(json.load(sys.stdin))
    importlib.import_module(_MODULES + _request["module"]).main()
