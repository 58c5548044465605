# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done with an app: hitless.yml over Procfile over detection."""

from __future__ import annotations

import copy
import shlex
from collections.abc import Mapping
from typing import Any

from ansible_collections.hitless.paas.plugins.module_utils._domains import refuse_services
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils._detect import Plan, Tree, combine, detect, move
from ansible_collections.hitless.paas.plugins.plugin_utils._service_steps import steps_of_services
from ansible_collections.hitless.paas.plugins.plugin_utils._tools import tool_of, with_tool

# What a service that hitless.yml does not name runs with; the same as the defaults of hitless.yml.
_SERVICE = {
    "type": "web", "command": None, "root": None, "replicas": 1, "strategy": "blue_green", "resources": {"memory": None, "cpu": None},
    "drain": 30.0, "long_lived_drain": 5.0, "stop_timeout": 10.0, "bake": 0.0, "env": {},
}  # fmt: skip
_HEALTH = {
    "type": "http", "path": "/", "command": None, "expect": "200-399", "interval": 1.0, "timeout": 5.0,
    "successes": 1, "failures": 3, "start_period": 0.0, "deadline": 60.0,
}  # fmt: skip
_BUILT_ELSEWHERE = ("dockerfile", "image", "nixpacks", "railpack")


def plan_app(settings: Mapping[str, Any], tree: Tree, distribution: str | None = None) -> Plan:
    """The plan of an app: one detection for the top folder and one for each folder that a service names with ``root``.

    Args:
        settings: docs/architecture.md, Settings.
        tree: the source tree; ``FolderTree(settings["source"])`` for a folder.
        distribution: of the hosts (``debian-12``), for warnings about versions.
    """
    services: Mapping[str, Mapping[str, Any]] = settings.get("services") or {}
    roots = list(dict.fromkeys(str(service.get("root") or "") for service in services.values())) or [""]
    plans = []
    for root in roots:
        here = {name: service for name, service in services.items() if str(service.get("root") or "") == root}
        plan = detect(tree, _overrides(settings, root, here, distribution))
        _pick(plan, here, shared=len(roots) > 1)
        plans.append(move(plan, root) if root else plan)
    folders = [_folder(root, plan) for root, plan in zip(roots, plans, strict=True)]
    whole = combine(plans)
    whole.folders = folders
    return whole


def _folder(root: str, plan: Plan) -> dict[str, Any]:
    return {"root": root, "install": plan.install, "build": plan.build, "dependency_dirs": list(plan.dependency_dirs)}


def _overrides(settings: Mapping[str, Any], root: str, services: Mapping[str, Mapping[str, Any]], distribution: str | None) -> dict[str, Any]:
    build: Mapping[str, Any] = settings.get("build") or {}
    return {
        "root": root,
        "commands": {name: service["command"] for name, service in services.items() if service.get("command")},
        "builder": build.get("builder"),
        "runtime": settings.get("runtime"),
        "distribution": distribution,
    }


def _pick(plan: Plan, services: Mapping[str, Mapping[str, Any]], shared: bool) -> None:
    """Name the services of a folder as hitless.yml names them: its only web service is what detection calls web."""
    web = [name for name, service in services.items() if service.get("type") != "worker"]
    if len(web) == 1 and web[0] not in plan.services and "web" in plan.services:
        plan.services = {web[0] if name == "web" else name: service for name, service in plan.services.items()}
    if services and shared:
        plan.services = {name: service for name, service in plan.services.items() if name in services}


def resolve(settings: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[str, Any]:
    """Merge hitless.yml over a plan (``Plan.as_dict()``, whose services already have the Procfile over detection).

    Returns:
        ``app`` of docs/architecture.md: every service has a ``command`` (None only for a static site, and for what an image starts by itself),
        a static one ``output`` and ``spa``; ``build``, ``hooks`` and ``env`` hold the plan's where the settings say nothing.

    Raises:
        HitlessError: ``plan_unknown``, when a service has no command anywhere; ``config_invalid``, when a domain leads to a service that there is not.
    """
    app = {
        key: copy.deepcopy(settings[key])
        for key in ("app", "target", "runtime", "router", "mounts", "domains", "preview_domain", "keep_releases")
        if key in settings
    }
    services = settings.get("services") or {}
    app["build"] = _build(settings.get("build") or {}, services, plan)
    app["services"] = _services(services, plan, app["build"])
    refuse_services(app.get("domains", ()), [name for name, service in app["services"].items() if service["type"] != "worker"])
    app["hooks"] = _hooks(settings.get("hooks") or {}, plan)
    app["env"] = with_tool(plan["env"], app["build"]["tool"])
    return app


def _build(given: Mapping[str, Any], services: Mapping[str, Mapping[str, Any]], plan: Mapping[str, Any]) -> dict[str, Any]:
    build = copy.deepcopy(dict(given))
    if build.get("output") is None:
        build["output"] = plan["output"]
    build["steps"] = {}
    for stage in ("install", "build"):
        steps = steps_of_services(stage, given.get(stage), services, plan["folders"])
        build[stage] = " && ".join(step["command"] for step in steps) or None
        if any(step["name"] != stage for step in steps):
            build["steps"][stage] = steps
    if build.get("builder") in (None, "auto"):
        build["builder"] = plan["builder"]
    for key in ("toolchain", "lockfiles", "dependency_dirs", "build_env"):
        build[key] = list(plan[key])
    build["spa"] = plan["spa"]
    build["tool"] = tool_of(plan["language"], plan["version"])
    return build


def _services(given: Mapping[str, Mapping[str, Any]], plan: Mapping[str, Any], build: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    detected: Mapping[str, Mapping[str, Any]] = plan["services"]
    names = list(given) or list(detected)
    return {name: _service(name, given.get(name), detected.get(name), build) for name in names}


def _service(name: str, given: Mapping[str, Any] | None, found: Mapping[str, Any] | None, build: Mapping[str, Any]) -> dict[str, Any]:
    service = _defaults(found["type"]) if given is None and found else copy.deepcopy(dict(given or {}))
    service.pop("build", None)  # it is among the steps of the build
    command = service.get("command")
    if command is not None:
        service["command"] = f"cd {shlex.quote(service['root'])} && {command}" if service.get("root") else command
    elif found and found["type"] == "static" and service["type"] != "worker":
        service["type"] = "static"
    elif found:
        service["command"] = found["command"]
    if service["type"] == "static":
        service["command"] = None
        service["output"] = build["output"] if not service.get("root") else (found or {}).get("output")
        service["spa"] = bool((found or {}).get("spa"))
    _check(name, service, build)
    return service


def _check(name: str, service: Mapping[str, Any], build: Mapping[str, Any]) -> None:
    if service["type"] == "static":
        if not service["output"]:
            raise HitlessError("plan_unknown", f"Service {name} in hitless.yml is a static site, but nothing says which folder it serves. Nothing was changed.",
                               hint="Set build.output in hitless.yml to the folder that has the index.html.")  # fmt: skip
    elif not service["command"] and build["builder"] not in _BUILT_ELSEWHERE:
        raise HitlessError("plan_unknown", f"Service {name} has no command: hitless.yml, the Procfile and detection give none. Nothing was changed.",
                           hint=f"Set services.{name}.command in hitless.yml, or add a line `{name}: <command>` to the Procfile.")  # fmt: skip


def _defaults(kind: str) -> dict[str, Any]:
    health = {**_HEALTH, "type": "none" if kind == "worker" else "http"}
    return copy.deepcopy({**_SERVICE, "type": kind, "health": health})


def _hooks(given: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[str, Any]:
    hooks = {"pre_deploy": None, "post_deploy": None, "timeout": 600.0, **copy.deepcopy(dict(given))}
    for name, command in plan["hooks"].items():
        if hooks.get(name) is None:
            hooks[name] = command
    return hooks
