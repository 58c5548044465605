# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run several steps of a deployment on the host, one after another, without coming back between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils._step import Call, StepAction

_MODULES = ("hook", "release", "route", "deployment")
_FIRST_PHASES = {"release": "start", "route": "switch"}


def call_of(step: Any, common: Mapping[str, Any]) -> Call | None:
    """The module and the arguments of one step; None of a hook without a command.

    Args:
        step: the step's arguments by its name.
        common: the arguments that every step has.
    """
    name = str(next(iter(step))) if isinstance(step, dict) and len(step) == 1 else ""
    args = dict(step[name] or {}) if name in _MODULES else {}
    if name not in _MODULES or (name == "deployment" and args.get("state") != "finished"):
        message = f"{step!r:.80} is no step that can be run here; nothing was changed."
        raise HitlessError("usage", message, "Give each of steps one of: hook, release, route, or deployment with state: finished.")
    if name == "hook" and not args.get("command"):
        return None
    return name, {**common, **{key: value for key, value in args.items() if value is not None}}


class ActionModule(StepAction):
    """See the module of the same name."""

    _supports_check_mode = True

    def step(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the steps; what they return is merged, and a later one wins."""
        args = self._task.args
        common = {name: args.get(name) for name in ("app", "deployment")}
        calls = [call for call in (call_of(step, common) for step in args.get("steps") or ()) if call]
        if not calls:
            raise HitlessError("usage", "There is no step to run; nothing was changed.", "Give steps.")
        module, first = calls[0]
        name = first.get("name") or _FIRST_PHASES.get(module)
        if name:
            self.emit("phase", name=name, state="running", seconds=0.0)
        results = self.run_modules(calls, task_vars)
        merged = {key: value for result in results for key, value in result.items()}
        events = [event for result in results for event in result.get("events", ())]
        return {**merged, "changed": any(result.get("changed") for result in results), "events": events}
