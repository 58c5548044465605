# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Procfile: the services that it names replace those that were detected."""

from __future__ import annotations

import re

from ._plan import Plan, Service
from ._tree import Files, unreadable

_LINE = re.compile(r"([A-Za-z0-9_-]+)\s*:\s*(.+)")


def read_procfile(files: Files) -> dict[str, str]:
    """Process types of the Procfile in its order; ``{}`` when there is none."""
    found: dict[str, str] = {}
    for number, line in enumerate(files.text("Procfile").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if not match:
            raise unreadable("Procfile", f"line {number} is not `name: command`")
        if match[1] in found:
            raise unreadable("Procfile", f"line {number} names {match[1]} a second time")
        found[match[1]] = match[2].strip()
    return found


def use_processes(plan: Plan, processes: dict[str, str], file: str) -> None:
    """Let named processes (a Procfile's, heroku.yml's) replace the plan's services; ``release`` becomes the pre_deploy hook."""
    release = processes.get("release")
    if release:
        plan.hooks["pre_deploy"] = release
        plan.because("pre_deploy", release, file)
    services = {service_name(name): command for name, command in processes.items() if name != "release"}
    if not services:
        return
    plan.services = {name: Service("web" if name == "web" else "worker", command) for name, command in services.items()}
    for name, command in services.items():
        plan.because("start" if name == "web" else f"start {name}", command, file)


def service_name(name: str) -> str:
    """A process name as a service name: ``clock_2`` becomes ``clock-2``."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
