# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Move the traffic to the new replicas: the module of the same name does it, and its events are shown."""

from __future__ import annotations

from typing import Any

from ansible_collections.hitless.paas.plugins.plugin_utils._step import StepAction


class ActionModule(StepAction):
    """See the module of the same name."""

    module = "route"

    def step(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Announce the first phase, and run the module."""
        self.phases = ("drain",) if self._task.args.get("state") == "drained" else ("switch", "bake", "drain")
        return super().step(task_vars)
