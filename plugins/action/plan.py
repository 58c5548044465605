# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says what an app is and what a deploy would do with it, on the controller alone."""

from __future__ import annotations

import os
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils._origin import overridden, token_of
from ansible_collections.hitless.paas.plugins.plugin_utils._plan_view import plan_lines
from ansible_collections.hitless.paas.plugins.plugin_utils._planning import answer_of

ARGUMENTS = {
    "settings": {"type": "dict", "required": True},
    "origin": {"type": "raw"},
    "ref": {"type": "str"},
    "builder": {"type": "str"},
    "distribution": {"type": "str"},
    "show": {"type": "bool", "default": True},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action of M(hitless.paas.plan): no host is contacted."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Detect, resolve, show the table."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec(ARGUMENTS)
        try:
            settings = overridden(options["settings"], options["origin"], options["ref"], options["builder"])
            known = task_vars or {}
            secrets = token_of(settings["source"], self._templar.template(known.get("hitless_secrets")), known.get("hitless_env"), os.environ)
            answer = answer_of(settings, secrets, options["distribution"])
        except HitlessError as error:
            return {**result, "failed": True, **error.as_result()}
        if options["show"]:
            Display().display("\n".join(plan_lines(answer["rows"])))
        return {**result, "changed": False, **answer}
