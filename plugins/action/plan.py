# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says what an app is and what a deploy would do with it, on the controller alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils._detect import FolderTree
from ansible_collections.hitless.paas.plugins.plugin_utils._plan_view import plan_lines, plan_table
from ansible_collections.hitless.paas.plugins.plugin_utils._resolve import plan_app, resolve


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action of M(hitless.paas.plan): no host is contacted."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Detect, resolve, show the table."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec(
            {"settings": {"type": "dict", "required": True}, "distribution": {"type": "str"}, "show": {"type": "bool", "default": True}},
        )
        try:
            plan, app, rows = plan_of(options["settings"], options["distribution"])
        except HitlessError as error:
            return {**result, "failed": True, **error.as_result()}
        if options["show"]:
            Display().display("\n".join(plan_lines(rows)))
        return {**result, "changed": False, "plan": plan, "app": app, "rows": rows}


def plan_of(settings: dict[str, Any], distribution: str | None) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, str]]]:
    """The plan of the folder that the settings name, what is made of it, and the table."""
    source = Path(settings["source"])
    if not source.is_dir():
        raise HitlessError("source_invalid", f"The source {source} is not a folder. Nothing was changed.", hint="Run the command in the app's folder.")
    plan = plan_app(settings, FolderTree(source), distribution).as_dict()
    app = resolve(settings, plan)
    return plan, app, plan_table(plan, app)
