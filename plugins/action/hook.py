# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command of the app once in a deployment."""

from __future__ import annotations

from typing import Any

from ansible_collections.hitless.paas.plugins.plugin_utils._step import StepAction


class ActionModule(StepAction):
    """See the module of the same name. Its phase is the name of the hook."""

    module = "hook"
    _supports_check_mode = True

    def step(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Announce the hook when there is one, and run it."""
        self.phases = (str(self._task.args.get("name")),) if self._task.args.get("command") else ()
        return super().step(task_vars)
