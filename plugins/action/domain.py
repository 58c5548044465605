# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lead host names to an app: the module of the same name does it, and its events are shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils._step import StepAction


class ActionModule(StepAction):
    """See the module of the same name."""

    module = "domain"

    def step(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module; files on this side are read here."""
        args = dict(self._task.args)
        for name in ("certificate", "key"):
            path = args.pop(name + "_file", None)
            if path:
                args[name + "_pem"] = _read(str(path))
        return self.run_module(_only_what_can_be_seen(args, task_vars), task_vars)


def _only_what_can_be_seen(args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
    """No public certificate authority sees a server in a local container: there TLS has to be asked for, or the authority named."""
    provider = (task_vars.get("hitless_settings") or {}).get("provider") or {}
    helped = args.get("certificate_pem") or (args.get("certificate") or {}).get("server") or (args.get("certificate") or {}).get("own")
    return {**args, "tls": False} if provider.get("name") == "docker" and args.get("tls") is None and not helped else args


def _read(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not PEM text"
        raise HitlessError("config_invalid", f"{path} cannot be read: {why}; nothing was changed", f"ls -l {path}") from error
