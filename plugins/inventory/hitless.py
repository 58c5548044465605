# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""hitless.yml as an inventory source."""

from __future__ import annotations

DOCUMENTATION = r"""
name: hitless
short_description: Reads hitless.yml
version_added: 0.1.0
author:
  - The hitless maintainers (@hitless)
description:
  - Takes the hosts of one target of a C(hitless.yml) and gives them the settings of the app.
  - The target is the extra variable C(target) or C(hitless_target), else the environment variable E(HITLESS_TARGET), else the only target.
  - Values of secrets may come in the extra variable C(hitless_secrets), a dictionary, for example from a file of Ansible Vault.
  - Paths in the file are relative to its folder, or to the extra variable C(hitless_folder).
  - The hosts are in the groups C(hitless) and C(hitless_<target>), with C(-) in the target's name as C(_).
  - A file that cannot be used ends the run with status 2, because Ansible would go on without hosts and report success.
notes:
  - With C(plugin=hitless.paas.hitless) in the file nothing has to be enabled.
    Without it, put C(hitless.paas.hitless) first in E(ANSIBLE_INVENTORY_ENABLED).
options:
  plugin:
    description: Name of this plugin.
    type: str
    choices: [hitless.paas.hitless]
requirements:
  - jsonschema
"""

EXAMPLES = r"""
# hitless.yml
plugin: hitless.paas.hitless
app: shop
targets:
  prod: {hosts: [203.0.113.7], user: root}

# ansible-playbook -i hitless.yml hitless.paas.deploy -e target=prod
"""

import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.release import __version__ as ansible_version
from ansible.utils.unsafe_proxy import wrap_var
from ansible.utils.vars import load_extra_vars
from ansible_collections.hitless.paas.plugins.module_utils._errors import EXIT_CONFIG, HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils._config import NAMES, Settings, load
from ansible_collections.hitless.paas.plugins.plugin_utils._inventory import Host, hosts_of
from ansible_collections.hitless.paas.plugins.plugin_utils._targets import load_target

# From 2.19 on Ansible renders only what it trusts; before, a value such as {{ x }} would be rendered.
_RENDERS_ALL = tuple(int(part) for part in ansible_version.split(".")[:2]) < (2, 19)


_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Have the kernel end this ansible-playbook when the `hitless` that started it is killed: nobody would be left to see it or to stop it."""
    if sys.platform == "linux" and os.environ.get("HITLESS_RUN"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class InventoryModule(BaseInventoryPlugin):  # type: ignore[misc]
    """One target of one hitless.yml."""

    NAME = "hitless.paas.hitless"

    def verify_file(self, path: str) -> bool:
        """Whether ``path`` is a hitless.yml."""
        return super().verify_file(path) and os.path.basename(path) in NAMES

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Put the hosts of the target into the inventory."""
        super().parse(inventory, loader, path, cache)
        end_with_parent()
        try:
            settings = self._load(path, load_extra_vars(loader))
            created = None if settings.provider["name"] == "byos" else load_target(settings.app, settings.target)
        except HitlessError as error:
            self._end(error)
        except ValueError as error:
            self._end(HitlessError("config_invalid", f"{error}; nothing was changed", hint="hitless create"))
        for host in hosts_of(settings, created, os.geteuid() == 0):
            self._add(host, settings)

    def _load(self, path: str, extra: Mapping[str, Any]) -> Settings:
        target = extra.get("target") or extra.get("hitless_target") or os.environ.get("HITLESS_TARGET") or None
        secrets = extra.get("hitless_secrets") or {}
        if not isinstance(secrets, Mapping):
            raise HitlessError("config_invalid", "the extra variable hitless_secrets is not a dictionary; nothing was changed", hint="write it as NAME: value")
        folder = extra.get("hitless_folder")
        checked = os.environ.get("HITLESS_CHECKED")
        return load(Path(path), str(target) if target else None, secrets=secrets, folder=str(folder) if folder else None, checked=checked)

    def _end(self, error: HitlessError) -> None:
        """End the run: an exception would become a warning, and a deployment to no host would report success."""
        for message in [entry["message"] for entry in error.details.get("errors", ())] or [error.message]:
            self.display.error(message, wrap_text=False)
        if error.hint:
            self.display.display(f"hint: {error.hint}", stderr=True)
        raise SystemExit(EXIT_CONFIG)

    def _add(self, host: Host, settings: Settings) -> None:
        self.inventory.add_host(host.name)
        for group in ("hitless", "hitless_" + settings.target.replace("-", "_")):
            self.inventory.add_group(group)
            self.inventory.add_host(host.name, group=group)
        for name, value in host.variables.items():
            self.inventory.set_variable(host.name, name, wrap_var(value) if _RENDERS_ALL else value)
