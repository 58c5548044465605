# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upload the source and build it on the host, and show the output line by line while the build's unit runs."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.hitless.paas.plugins.module_utils._build_plan import unit_name
from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.plugin_utils._build_log import LogFollower, batches, poll_script
from ansible_collections.hitless.paas.plugins.plugin_utils._events import now
from ansible_collections.hitless.paas.plugins.plugin_utils._remote import RemoteStep, locked_script
from ansible_collections.hitless.paas.plugins.plugin_utils._uploader import upload

_POLL = 0.3


class ActionModule(RemoteStep):
    """See the module of the same name. Each run of the module goes on until it must wait for a unit."""

    module = "build"
    _supports_check_mode = True

    def steps_on_host(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Upload, run the module, follow what it started, and so on until it is done."""
        args = dict(self._task.args)
        args["upload"] = self._upload(args)
        follower = LogFollower()
        result = self.run_module(args, task_vars)
        while result.get("waiting") and not result.get("failed"):
            self._follow(args, follower)
            result = self.run_module(args, task_vars)
        return result

    def _upload(self, args: dict[str, Any]) -> dict[str, Any] | None:
        """Upload the source if there is a folder to take it from; the phase for the record and the names of the files."""
        folder = args.pop("folder", None)
        if self._task.check_mode:
            return None
        began, started = now(), time.monotonic()
        sent, names = 0, None
        if folder:
            self.emit("phase", name="upload", state="running", seconds=0.0)
            sent, names = upload(self._connection, self._task_host, args["app"], args["deployment"], str(folder), args["source"])
        phase = {"name": "upload", "state": "done" if folder else "skipped", "seconds": round(time.monotonic() - started, 3)}
        self.emit("phase", **phase, detail={"bytes": sent})
        return {"phase": {**phase, "started": began, "finished": now(), "bytes": sent}, "names": names}

    def _follow(self, args: dict[str, Any], follower: LogFollower) -> None:
        """Show the log until the unit has ended and all of its output was shown."""
        paths = AppPaths(args["app"])
        deployment = str(args["deployment"])
        unit, log, status = unit_name(args["app"], deployment), paths.log(deployment, "build"), paths.building(deployment) + "/status"
        while True:
            answer = self.shell(locked_script(paths.state, deployment, poll_script(unit, status, log, follower.offset)))
            for stream, lines in batches(follower.feed(answer)):
                self.emit("log", stream=stream, lines=lines)
            if follower.has_more:
                continue
            if not follower.is_running:
                return
            time.sleep(_POLL)
