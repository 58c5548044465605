# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Route a deployment: the module of the same name does it, and its events are shown."""

from __future__ import annotations

from typing import Any

from ansible_collections.hitless.paas.plugins.modules import route
from ansible_collections.hitless.paas.plugins.plugin_utils._step import StepAction


class ActionModule(StepAction):
    """Phases switch, bake and drain."""

    module = route
    phases: tuple[str, ...] = ("switch", "bake", "drain")

    def step(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Announce the first phase of the part, and run it."""
        if self._task.args.get("part") == "drain":
            self.phases = ("drain",)
        return super().step(task_vars)
