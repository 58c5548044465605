# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the new replicas and wait until they are healthy."""

from __future__ import annotations

from ansible_collections.hitless.paas.plugins.plugin_utils._step import StepAction


class ActionModule(StepAction):
    """See the module of the same name."""

    module = "release"
    phases = ("start", "health")
    _supports_check_mode = True
