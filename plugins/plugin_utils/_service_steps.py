# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that install and build an app's services, each as a step of its own."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def steps_of_services(stage: str, given: str | None, services: Mapping[str, Mapping[str, Any]], folders: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The steps of ``stage`` (``install`` or ``build``) in the order of the services; the same command runs once.

    Args:
        given: ``build.<stage>`` of hitless.yml: it replaces what detection found everywhere; "" runs nothing.
        services: of hitless.yml; ``build.<stage>`` of one replaces what detection found for its folder.
        folders: ``folders`` of the plan.

    Returns:
        ``name`` (the stage, with a dot and the service for a service's), ``command``, and ``kept``: whether all that it makes is in the dependency folders.
    """
    steps: list[dict[str, Any]] = [] if given is None else [{"name": stage, "command": given, "kept": True}]
    for folder in folders:
        here = {name: service for name, service in services.items() if str(service.get("root") or "") == folder["root"]}
        steps += _steps_of_folder(stage, given is None, here, folder)
    once: dict[str, dict[str, Any]] = {}
    for step in steps:
        if step["command"]:
            once.setdefault(step["command"], step)
    return list(once.values())


def _steps_of_folder(stage: str, detected: bool, services: Mapping[str, Mapping[str, Any]], folder: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    root = folder["root"]
    own = {name: command for name, service in services.items() if (command := (service.get("build") or {}).get(stage)) is not None}
    # The top folder is the app's: a service without a folder of its own adds to it and replaces nothing.
    if detected and not (root and own):
        name = f"{stage}.{next(iter(services), root)}" if root else stage
        yield {"name": name, "command": folder[stage], "kept": True}
    for name, command in own.items():
        yield {"name": f"{stage}.{name}", "command": _inside(root, command), "kept": bool(root and folder["dependency_dirs"])}


def _inside(root: str, command: str) -> str:
    # A step ends at the first command that fails, so nothing of it runs elsewhere when the folder is gone.
    return f"cd {shlex.quote(root)}; {command}" if root and command else command
