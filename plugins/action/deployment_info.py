# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a host what it runs, and give the answer as an event."""

from __future__ import annotations

from typing import Any

from ansible_collections.hitless.paas.plugins.modules import deployment_info
from ansible_collections.hitless.paas.plugins.plugin_utils._step import StepAction


class ActionModule(StepAction):
    """See the module of the same name."""

    module = deployment_info

    def step(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module; its answer is one event."""
        result = self.run_module(self._task.args, task_vars)
        if not result.get("failed"):
            self.emit("info", what=self._task.args.get("what", "status"), data=result["data"])
        return result
