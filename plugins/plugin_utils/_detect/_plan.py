# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What detection says of a source tree."""

from __future__ import annotations

import posixpath
import shlex
from dataclasses import dataclass, field
from typing import Any

# Variables that hold several folders; of two plans both count.
_PATHS = ("PATH", "PYTHONPATH")


@dataclass
class Service:
    """One process type.

    Args:
        type: ``web``, ``worker`` or ``static``.
        command: shell, run in /app; None for a static site, or when nothing says how it starts.
        missing: what to add so that it can start, when there is no command.
        output: the folder that a static site serves.
        spa: whether a static site answers unknown paths with its index.html.
    """

    type: str
    command: str | None
    missing: str | None = None
    output: str | None = None
    spa: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The service in a plan; a static one says what it serves."""
        served = {"output": self.output, "spa": self.spa} if self.type == "static" else {}
        return {"type": self.type, "command": self.command, **served}


@dataclass
class Plan:
    """A plan in the making; ``as_dict`` is what crosses to the other parts (docs/architecture.md, Plan)."""

    language: str
    version: str | None = None
    framework: str | None = None
    package_manager: str | None = None
    builder: str = "native"
    toolchain: list[str] = field(default_factory=list)
    install: str | None = None
    build: str | None = None
    lockfiles: list[str] = field(default_factory=list)
    dependency_dirs: list[str] = field(default_factory=list)
    build_env: list[str] = field(default_factory=list)
    output: str | None = None
    spa: bool = False
    services: dict[str, Service] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    hooks: dict[str, str] = field(default_factory=dict)
    why: list[dict[str, str | None]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    folders: list[dict[str, Any]] = field(default_factory=list)  # of the app and of its services: root, install, build, dependency_dirs; in order
    install_root: str = ""  # where the install command runs, seen from the app: a workspace is installed from its own top

    def because(self, what: str, value: str, file: str | None) -> None:
        """Record a decision and the file that made it; a later one on the same thing replaces it."""
        self.why = [reason for reason in self.why if reason["what"] != what]
        self.why.append({"what": what, "is": value, "file": file})

    def need(self, *packages: str) -> None:
        """Add Debian packages that must be on the host."""
        self.toolchain.extend(package for package in packages if package not in self.toolchain)

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)

    def web(self, command: str, file: str | None) -> None:
        """The web service and what decided its command."""
        self.services["web"] = Service("web", command)
        self.because("start", command, file)

    def static(self, output: str, file: str | None, spa: bool = False) -> None:
        """The web service is a folder of files."""
        self.output, self.spa = output, spa
        self.services["web"] = Service("static", None, output=output, spa=spa)
        self.because("output", output, file)

    def no_start(self, missing: str) -> None:
        """The app is recognised, but nothing says how it starts."""
        self.services["web"] = Service("web", None, missing)

    def path(self, *folders: str) -> None:
        """Put folders of /app first in PATH."""
        current = self.env.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        self.env["PATH"] = ":".join([f"/app/{folder}" for folder in folders] + [current])

    def startable(self) -> bool:
        """Whether every service can be started as it is."""
        return bool(self.services) and all(service.command or service.type == "static" for service in self.services.values())

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain, JSON-able data."""
        services = {name: service.as_dict() for name, service in self.services.items()}
        plain = {name: value for name, value in vars(self).items() if name not in ("services", "install_root")}
        copied = {name: value.copy() if isinstance(value, (list, dict)) else value for name, value in plain.items()}
        return {**copied, "services": services}


def steps(*commands: str | None) -> str | None:
    """Shell commands that run one after another until one fails; None if there are none."""
    given = [command for command in commands if command]
    return " && ".join(given) or None


def inside(folder: str, command: str | None) -> str | None:
    """``command`` run in a sub-folder, leaving the shell where it is."""
    return f"(cd {shlex.quote(folder)} && {command})" if command and folder not in ("", ".") else command


def move(plan: Plan, folder: str) -> Plan:
    """The plan of a sub-folder as one that runs at the top."""

    def joined(path: str) -> str:
        return posixpath.normpath(f"{folder}/{path}")

    plan.install = inside(joined(plan.install_root), plan.install)
    plan.build = inside(folder, plan.build)
    plan.install_root = ""
    plan.lockfiles = [joined(path) for path in plan.lockfiles]
    plan.dependency_dirs = list(dict.fromkeys(joined(path) for path in plan.dependency_dirs))
    plan.output = joined(plan.output) if plan.output else None
    for service in plan.services.values():
        service.command = f"cd {shlex.quote(folder)} && {service.command}" if service.command else None
        service.output = joined(service.output) if service.output else None
    plan.env = {name: _moved(value, folder) for name, value in plan.env.items()}
    plan.why = [{**reason, "file": joined(reason["file"]) if reason["file"] else None} for reason in plan.why]
    return plan


def _moved(value: str, folder: str) -> str:
    parts = value.split(":")
    return ":".join(posixpath.normpath(f"/app/{folder}{part.removeprefix('/app')}") if part == "/app" or part.startswith("/app/") else part for part in parts)


def combine(plans: list[Plan]) -> Plan:
    """One plan of several, each already seen from the top; the first one gives the language."""
    whole = plans[0]
    for plan in plans[1:]:
        whole.install = steps(*dict.fromkeys([whole.install, plan.install]))
        whole.build = steps(*dict.fromkeys([whole.build, plan.build]))
        whole.need(*plan.toolchain)
        for mine, theirs in (
            (whole.lockfiles, plan.lockfiles),
            (whole.dependency_dirs, plan.dependency_dirs),
            (whole.build_env, plan.build_env),
            (whole.warnings, plan.warnings),
        ):
            mine.extend(item for item in theirs if item not in mine)
        whole.services.update(plan.services)
        whole.hooks = {**plan.hooks, **whole.hooks}
        joined = {name: _joined(whole.env.get(name, ""), value) for name, value in plan.env.items() if name in _PATHS}
        whole.env = {**plan.env, **whole.env, **joined}
        whole.why += plan.why
    return whole


def _joined(mine: str, theirs: str) -> str:
    parts = list(dict.fromkeys([part for part in mine.split(":") if part] + theirs.split(":")))
    return ":".join(sorted(parts, key=lambda part: not part.startswith("/app")))
