# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lead host names to an app: the module of the same name does it, and its events are shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.modules import domain
from ansible_collections.hitless.paas.plugins.plugin_utils._step import StepAction


class ActionModule(StepAction):
    """See the module of the same name."""

    module = domain

    def step(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module; files on this side are read here."""
        args = dict(self._task.args)
        for name in ("certificate", "key"):
            path = args.pop(name + "_file", None)
            if path:
                args[name + "_pem"] = _read(str(path))
        return self.run_module(args, task_vars)


def _read(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not PEM text"
        raise HitlessError("config_invalid", f"{path} cannot be read: {why}; nothing was changed", f"ls -l {path}") from error
