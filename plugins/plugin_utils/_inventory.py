# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From settings to the hosts of an Ansible inventory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.hitless.paas.plugins.plugin_utils._config import Settings, host_parts
from ansible_collections.hitless.paas.plugins.plugin_utils._targets import PYTHON, connection_vars

_SSH_ARGS = "-o ControlMaster=auto -o ControlPersist=600s"
_CHECKING = {True: "yes", False: "no", "accept-new": "accept-new"}


@dataclass(frozen=True)
class Host:
    """One host of the inventory."""

    name: str
    variables: dict[str, Any]


def hosts_of(settings: Settings, created: Mapping[str, Any] | None, is_root: bool) -> list[Host]:
    """The hosts of the target.

    Args:
        created: what ``load_target`` says of the target; None before it was created, and then its host has no connection yet.
        is_root: whether this process is root's, which decides about sudo on this very machine.
    """
    about = {
        "hitless_app": settings.app,
        "hitless_target": settings.target,
        "hitless_settings": settings.as_dict(),
        "hitless_env": dict(settings.env),
        "hitless_secret_names": list(settings.secret_names),
        "hitless_missing_secrets": list(settings.missing_secrets),
    }
    return [Host(name, {**about, **connection}) for name, connection in _connections(settings, created, is_root)]


def _connections(settings: Settings, created: Mapping[str, Any] | None, is_root: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    provider = settings.provider
    if provider["name"] != "byos":
        yield f"{settings.app}-{settings.target}", _created(dict(created)) if created else {}
        return
    addresses = [host_parts(text)[1] for text in provider["hosts"]]
    for text, address in zip(provider["hosts"], addresses, strict=True):
        # Servers behind one address differ in their ports.
        name = f"{address}-{host_parts(text)[2] or provider['port']}" if addresses.count(address) > 1 else address
        yield name, _local(is_root) if text in ("localhost", "local") else _login(_byos(provider, text))


def _created(target: dict[str, Any]) -> dict[str, Any]:
    return {**_login(connection_vars(target)), "hitless_http_port": target["http_port"], "hitless_https_port": target["https_port"]}


def _local(is_root: bool) -> dict[str, Any]:
    return {"ansible_connection": "local", "ansible_python_interpreter": PYTHON, "ansible_pipelining": True, "ansible_become": not is_root}


def _byos(provider: Mapping[str, Any], text: str) -> dict[str, Any]:
    user, host, port = host_parts(text)
    variables = {
        "ansible_host": host,
        "ansible_port": port or provider["port"],
        "ansible_user": user or provider["user"],
        "ansible_ssh_common_args": f"-oStrictHostKeyChecking={_CHECKING[provider['host_key_checking']]}",
        "ansible_python_interpreter": PYTHON,
    }
    return {**variables, "ansible_ssh_private_key_file": provider["key"]} if provider["key"] else variables


def _login(variables: Mapping[str, Any]) -> dict[str, Any]:
    """What every SSH host gets: one connection for all tasks, modules through its pipe."""
    return {
        "ansible_connection": "ssh",
        "ansible_ssh_args": _SSH_ARGS,
        "ansible_pipelining": True,
        "ansible_become": variables["ansible_user"] != "root",
        **variables,
    }
