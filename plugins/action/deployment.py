# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Begin and end a deployment: what only the controller knows (source, plan, who runs it) is added here."""

from __future__ import annotations

import getpass
import os
import socket
import time
from pathlib import Path
from typing import Any

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils._builders import refuse_builder
from ansible_collections.hitless.paas.plugins.plugin_utils._detect import FolderTree
from ansible_collections.hitless.paas.plugins.plugin_utils._events import now
from ansible_collections.hitless.paas.plugins.plugin_utils._origin import open_source, overridden
from ansible_collections.hitless.paas.plugins.plugin_utils._resolve import plan_app, resolve
from ansible_collections.hitless.paas.plugins.plugin_utils._source import Source
from ansible_collections.hitless.paas.plugins.plugin_utils._step import StepAction

# The same in every worker of a run, because Ansible imports an action before it forks one for each host; with a process id it names the run.
_BEGAN = time.strftime("%Y%m%d%H%M%S", time.gmtime())
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def machine_id() -> str:
    """What this machine is called in a lock: its name and its present boot, so that a process id means something."""
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else "0"
    return f"{socket.gethostname()}/{boot}"


def is_dead(controller: dict[str, Any]) -> bool:
    """Whether the run that ``controller`` names was one of this machine and has ended."""
    if controller.get("id") != machine_id() or not controller.get("pid"):
        return False
    try:
        os.kill(int(controller["pid"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _is_zombie(int(controller["pid"]))


def _is_zombie(pid: int) -> bool:
    """Whether a process has ended and only waits for its parent to ask how. Where there is no /proc, nobody can tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] == "Z"


def run_process() -> int:
    """The process that lives as long as the run: ansible-playbook, the parent of the worker that this code runs in."""
    return os.getppid()


class ActionModule(StepAction):
    """See the module of the same name."""

    module = "deployment"

    def step(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module with all that begin needs."""
        if self._task.args.get("state") != "begun":
            return self.run_module(self._task.args, task_vars)
        self.emit("phase", name="lock", state="running", seconds=0.0)
        known = self._known() if self._task.args.get("kind", "deploy") == "deploy" else {}
        runner = {"by": f"{getpass.getuser()}@{socket.gethostname()}", "controller": {"id": machine_id(), "pid": run_process()}}
        args = {**self._task.args, **known, **runner}
        for name in ("settings", "origin", "ref", "builder"):
            args.pop(name, None)
        result = self.run_module(args, task_vars)
        holder = ((result.get("error") or {}).get("details") or {}).get("holder")
        if holder and is_dead(holder.get("controller") or {}):
            result = self.run_module({**args, "steal": holder["deployment"]}, task_vars)
        return {**result, "plan": known["plan"], "source": known["source"]} if known else result

    def _known(self) -> dict[str, Any]:
        """The plan and the source of the settings, and how long it took to know them."""
        settings = self._task.args.get("settings")
        if not isinstance(settings, dict):
            raise HitlessError("usage", "settings are needed to begin a deployment; nothing was changed.", "Give settings: {{ hitless_settings }}")
        started, began = now(), time.monotonic()
        settings = overridden(settings, *(self._task.args.get(name) for name in ("origin", "ref", "builder")))
        secrets = self.source_secrets(settings["source"])
        source = open_source(settings["source"], secrets, f"{machine_id()}/{run_process()}/{_BEGAN}")
        for warning in source.warnings:
            self.emit("warning", message=warning, hint=None)
        plan = plan_app(settings, FolderTree(source.folder, source.files)).as_dict()
        for warning in plan["warnings"]:
            self.emit("warning", message=warning, hint=None)
        app = resolve(settings, plan)
        refuse_builder(app)
        seconds = round(time.monotonic() - began, 3)
        planned = {"name": "plan", "state": "done", "started": started, "finished": now(), "seconds": seconds}
        return {"plan": app, "source": _facts(source), "planned": planned, "domains": settings.get("domains") or []}


def _facts(source: Source) -> dict[str, Any]:
    return {"digest": source.digest, "bytes": source.bytes, "folder": source.folder, **source.git}
