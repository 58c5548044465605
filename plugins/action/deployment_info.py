# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a host what it runs, and give the answer as an event; or follow what its replicas write."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.hitless.paas.plugins.module_utils._arguments import OPTIONS
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._names import check_name
from ansible_collections.hitless.paas.plugins.plugin_utils._journal import news_script, parse_news
from ansible_collections.hitless.paas.plugins.plugin_utils._remote import RemoteStep

_POLL = 0.3


class ActionModule(RemoteStep):
    """See the module of the same name."""

    module = "deployment_info"

    def steps_on_host(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module; its answer is one event."""
        args = self.checked_args(OPTIONS["deployment_info"])
        if args["follow"]:
            self._follow(args)
        result = self.run_module(self._task.args, task_vars)
        if not result.get("failed"):
            self.emit("info", what=args["what"], data=result["data"])
        return result

    def _follow(self, args: dict[str, Any]) -> None:
        """Show each line as it comes, until the run is ended from outside."""
        if args["what"] != "logs" or args["deployment"] or args["phase"]:
            raise HitlessError("usage", "What the replicas write is all that can be followed; nothing was shown.", "hitless logs --follow")
        app, cursor = check_name("app", args["app"]), None
        while True:
            lines, cursor = parse_news(self.shell(news_script(app, cursor, args["lines"])), cursor)
            for service, line in lines:
                self.emit("log", stream=service, line=line)
            time.sleep(_POLL)
