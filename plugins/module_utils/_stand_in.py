# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module of this collection on a host from the library that is kept there, instead of from a payload that is sent and unpacked each time.

In the library this file is ``ansible/module_utils/basic.py``: it stands in for the real one, for modules that use nothing of it but
``AnsibleModule``, ``params``, ``check_mode``, ``exit_json`` and ``fail_json``. The arguments were checked on the controller, with the real one.
Beyond those it has ``tell``, and it runs several modules one after another. Each line on stdout is a JSON object: ``{"event": {...}}`` as it happens, and
``{"result": {...}, "told": <how many of its events were told before>}`` at the end of each module.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

_MODULES = "ansible_collections.hitless.paas.plugins.modules."
_call = {}


def _say(**line):
    """Say one line; returns False when nobody listens any more, for the controller died. A step goes on to its end all the same."""
    try:
        sys.stdout.write("\n%s\n" % json.dumps(line))
        sys.stdout.flush()
    except BrokenPipeError:
        _call["unheard"] = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return "unheard" not in _call


class AnsibleModule:
    """A module's view of its call: ``params`` (dict, defaults filled in) and ``check_mode`` (bool)."""

    def __init__(self, argument_spec, supports_check_mode=False, **_checked_on_the_controller):
        self.params = _call["params"]
        self.check_mode = _call["check_mode"]
        self._told = 0

    def tell(self, event, is_kept=True):
        """Say that something happened, at once. What is kept is among the events of the result as well."""
        self._told += is_kept
        _say(event=event)

    def exit_json(self, **result):
        """Answer, and end."""
        self._end(result, 0)

    def fail_json(self, msg, **result):
        """Answer that it failed, and end."""
        self._end(dict(result, failed=True, msg=msg), 1)

    def _end(self, result, status):
        result.setdefault("changed", False)
        _call["goes_on"] = _say(result=result, told=self._told) and not status
        raise SystemExit(0 if _call["goes_on"] else 1)


def main():
    """Run the modules that the JSON object on stdin names, up to the first that fails: ``{"calls": [{"module", "params"}], "check_mode"}``."""
    request = json.load(sys.stdin)
    for call in request["calls"]:
        _call.update(call, check_mode=request["check_mode"])
        try:
            importlib.import_module(_MODULES + call["module"]).main()
        except SystemExit:
            if not _call["goes_on"]:
                raise
