# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan as people read it: what, value, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.hitless.paas.plugins.plugin_utils._builders import builder_fault, why_builder
from ansible_collections.hitless.paas.plugins.plugin_utils._tools import tool_said

# Rows of the table that come from the build, in this order, and the decisions that explain them.
_BUILD_ROWS = (("install", "package manager"), ("build", "build"), ("output", "output"), ("toolchain", ""), ("lockfiles", ""))


def plan_table(plan: Mapping[str, Any], app: Mapping[str, Any], asked: str | None = None) -> list[dict[str, str]]:
    """Rows of ``hitless plan``.

    Args:
        plan: ``Plan.as_dict()``.
        app: what ``resolve`` made of it.
        asked: the builder that the settings name.

    Returns:
        One row a fact, each with ``what``, ``value`` and ``why`` (the file that decided, or where else it comes from).
    """
    rows = [_row(plan, what, plan[what.replace(" ", "_")], what) for what in ("language", "version", "framework", "package manager")]
    rows.append({"what": "builder", "value": app["build"]["builder"], "why": why_builder(asked, plan)})
    for key, reason in _BUILD_ROWS:
        steps = app["build"]["steps"].get(key)
        rows += [_step_row(plan, step, reason) for step in steps] if steps else [_build_row(plan, app["build"], key, reason)]
    if app["build"].get("tool"):
        rows.append({"what": "mise", "value": tool_said(app["build"]["tool"]), "why": _file(plan, "version")})
    rows += [_service_row(plan, name, service) for name, service in app["services"].items()]
    for name in ("pre_deploy", "post_deploy"):
        command = app["hooks"].get(name)
        rows.append({"what": name, "value": command or "", "why": _file(plan, name) if command == plan["hooks"].get(name) else "hitless.yml"})
    fault = builder_fault(app["build"]["builder"], app.get("runtime"))
    rows += [{"what": "warning", "value": f"{fault} A deploy is refused.", "why": ""}] if fault else []
    rows += [{"what": "warning", "value": warning, "why": ""} for warning in plan["warnings"]]
    return [row for row in rows if row["value"]]


def plan_lines(rows: list[dict[str, str]]) -> list[str]:
    """The rows as aligned text."""
    what = max((len(row["what"]) for row in rows), default=0)
    return [f"{row['what']:<{what}}  {_first_line(row['value'])}" + (f"  ({row['why']})" if row["why"] else "") for row in rows]


def _first_line(value: str) -> str:
    # A generated script is part of some builds; nobody wants to read it in a table.
    lines = value.splitlines()
    return value if len(lines) < 2 else f"{lines[0]} … ({len(lines)} lines)"


def _row(plan: Mapping[str, Any], what: str, value: object, reason: str) -> dict[str, str]:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")
    return {"what": what, "value": text, "why": _file(plan, reason)}


def _build_row(plan: Mapping[str, Any], build: Mapping[str, Any], key: str, reason: str) -> dict[str, str]:
    row = _row(plan, key, build[key], reason)
    return row if build[key] == plan[key] else {**row, "why": "hitless.yml"}


def _step_row(plan: Mapping[str, Any], step: Mapping[str, Any], reason: str) -> dict[str, str]:
    stage = step["name"].partition(".")[0]
    folder = next((folder for folder in plan["folders"] if folder[stage] == step["command"]), None)
    return {"what": step["name"], "value": step["command"], "why": _file_in(plan, reason, folder["root"]) if folder else "hitless.yml"}


def _file_in(plan: Mapping[str, Any], what: str, root: str) -> str:
    """The file of the folder that decided; a workspace's is above it."""
    files = [str(reason["file"] or "") for reason in plan["why"] if reason["what"] == what]
    return next((file for file in files if not root or file.startswith(root + "/")), _file(plan, what))


def _service_row(plan: Mapping[str, Any], name: str, service: Mapping[str, Any]) -> dict[str, str]:
    detected = plan["services"].get(name, {})
    what = f"service {name} ({service['type']})"
    if service["type"] == "static":
        fallback = ", unknown paths get index.html" if service["spa"] else ""
        return {"what": what, "value": f"files of {service['output']}{fallback}", "why": _file(plan, "output")}
    found = service["command"] == detected.get("command")
    why = _file(plan, "start" if name == "web" else f"start {name}") if found else "hitless.yml"
    return {"what": what, "value": service["command"] or "what the image starts", "why": why}


def _file(plan: Mapping[str, Any], what: str) -> str:
    return next((str(reason["file"] or "") for reason in plan["why"] if reason["what"] == what), "")
