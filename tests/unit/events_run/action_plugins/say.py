# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says a given list of events as a step of a deployment would."""

from __future__ import annotations

from ansible_collections.hitless.paas.plugins.plugin_utils._step import StepAction


class ActionModule(StepAction):
    """Instead of running a module it returns the result that it is given."""

    phases = ("prepare",)

    def run_module(self, args, task_vars):
        self.emit_all(args["result"])
        return dict(args["result"])
