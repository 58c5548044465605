# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the host names of an app, and give the answer as an event."""

from __future__ import annotations

from typing import Any

from ansible_collections.hitless.paas.plugins.plugin_utils._step import StepAction


class ActionModule(StepAction):
    """See the module of the same name."""

    module = "domain_info"

    def step(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module; its answer is one event."""
        result = self.run_module(self._task.args, task_vars)
        if not result.get("failed"):
            self.emit("info", what="domains", data={"domains": result["domains"]})
        return result
