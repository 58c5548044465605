# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Emits the events that it is given, then waits for a file where one is named, then returns the result that it is given."""

from __future__ import annotations

import os
import time

from ansible_collections.hitless.paas.plugins.plugin_utils._step import StepAction


class ActionModule(StepAction):
    def step(self, task_vars):
        for event in self._task.args.get("events", ()):
            self.emit(**event)
        while self._task.args.get("until") and not os.path.exists(self._task.args["until"]):
            time.sleep(0.05)
        return dict(self._task.args.get("result", {}))
