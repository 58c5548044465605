# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller remembers of a server that it created: where it is and how to log in.

It is a cache: the module ``server`` rebuilds it from the server itself.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from ansible_collections.hitless.paas.plugins.module_utils import _server

VERSION = 1
PYTHON = "/usr/bin/python3"


def target_folder(app: str, target: str, state_home: str | None = None) -> Path:
    """The folder of one target; see ``_server.target_folder``."""
    return Path(_server.target_folder(app, target, state_home))


def load_target(app: str, target: str, state_home: str | None = None) -> dict[str, Any] | None:
    """What ``target.json`` says, with ``folder`` added; None when the target was never created.

    Raises:
        ValueError: the file cannot be understood; the message names it.
    """
    folder = target_folder(app, target, state_home)
    path = folder / "target.json"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(value, dict) or value.get("v") != VERSION:
        raise ValueError(f"{path} is not of version {VERSION}")
    return {**value, "folder": str(folder)}


def connection_vars(target: dict[str, Any]) -> dict[str, Any]:
    """The host vars that make Ansible log in to a loaded target, trusting only the host key that was read from it."""
    folder = Path(target["folder"])
    known_hosts = shlex.quote(f"-oUserKnownHostsFile={ssh_quote(folder / 'known_hosts')}")
    return {
        "ansible_host": target["host"],
        "ansible_port": target["port"],
        "ansible_user": target["user"],
        "ansible_ssh_private_key_file": str(folder / "id_ed25519"),
        "ansible_ssh_common_args": f"{known_hosts} -oGlobalKnownHostsFile=/dev/null -oStrictHostKeyChecking=yes -oIdentitiesOnly=yes",
        "ansible_python_interpreter": PYTHON,
    }


def ssh_quote(path: Path) -> str:
    """``path`` as one word of an ssh option, whatever spaces or percent signs it holds."""
    word = str(path).replace("%", "%%")
    return f'"{word}"' if " " in word else word
