# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of every action plugin of a deployment: it runs the module of the same name and says what happens."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

EVENT_PREFIX = "@hitless "


def now() -> str:
    """The time in UTC as ISO 8601 with milliseconds and Z."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class StepAction(ActionBase):  # type: ignore[misc]
    """Runs a step's module and emits its events.

    Class attributes:
        phases: the phases of the step; the first is announced before the module runs.
    """

    phases: tuple[str, ...] = ()

    def emit(self, event: str, **fields: Any) -> None:
        """Show one event as one line that the translator picks up, from whichever process this is."""
        line = {"event": event, "time": now(), "host": self._task_host, "app": self._task.args.get("app"), "deployment": self._task.args.get("deployment"), **fields}
        Display().display(EVENT_PREFIX + json.dumps(line, ensure_ascii=False, sort_keys=True))

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Announce the first phase, run the step, then emit what the module reports."""
        task_vars = task_vars or {}
        self._task_host = task_vars.get("inventory_hostname")
        result: dict[str, Any] = super().run(tmp, task_vars)
        result.update(self.step(task_vars))
        for event in result.get("events", ()):
            self.emit(**event)
        return result

    def step(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """What the step does; by default: announce the first phase and run the module of the same name."""
        if self.phases:
            self.emit("phase", name=self.phases[0], state="running", seconds=0.0)
        return self.run_module(self._task.args, task_vars)

    def run_module(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module of this step on the host with ``args``.

        ``env`` goes as JSON text: of a hidden dictionary Ansible hides every value wherever it appears in a result, and a value such as ``1`` is everywhere.
        """
        if isinstance(args.get("env"), dict):
            args = {**args, "env": json.dumps(args["env"]) if args["env"] else ""}
        result: dict[str, Any] = self._execute_module(module_name=self._task.action, module_args=args, task_vars=task_vars)
        return result
