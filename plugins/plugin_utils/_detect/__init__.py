# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detection: what an app is and what will be done with it, from its files alone.

``detect(tree, overrides)`` is pure over a tree of files. Each language is one entry of ``APPS`` or ``SITES``, with tables of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError

from ._compiled import detect_dotnet, detect_elixir, detect_go, detect_rust
from ._jvm import detect_jvm
from ._node import detect_bun, detect_deno, detect_node
from ._others import dockerfile_of, has_others, use_others
from ._php import detect_php
from ._plan import Plan, Service, combine, move
from ._procfile import read_procfile, use_processes
from ._python import complete_python, detect_python
from ._ruby import detect_ruby
from ._sites import detect_hugo, detect_jekyll, detect_mkdocs, detect_sphinx
from ._static import detect_html, detect_staticfile
from ._tree import Files, FolderTree, MemoryTree, Tree
from ._versions import DEFAULT_DISTRIBUTION

__all__ = ["FolderTree", "MemoryTree", "Plan", "Service", "Tree", "combine", "detect", "move"]

Detector = Callable[[Files, str], Plan | None]

# Programs that run; and what makes or is a folder of files, which counts only when no program does.
APPS: tuple[Detector, ...] = (
    detect_python, detect_ruby, detect_php, detect_go, detect_rust, detect_jvm, detect_dotnet, detect_elixir, detect_deno, detect_bun, detect_node,
)  # fmt: skip
SITES: tuple[Detector, ...] = (detect_hugo, detect_jekyll, detect_mkdocs, detect_sphinx)

LOOKED_FOR = (
    "requirements.txt, pyproject.toml, Pipfile, manage.py (Python)", "package.json, server.js (Node, Bun)", "deno.json (Deno)", "Gemfile, config.ru (Ruby)",
    "composer.json, index.php (PHP)", "go.mod, main.go (Go)", "Cargo.toml (Rust)", "pom.xml, build.gradle (Java, Kotlin)", "*.csproj (.NET)",
    "mix.exs (Elixir)",
    "hugo.toml, _config.yml, mkdocs.yml, conf.py (site generators)", "index.html, Staticfile (files)", "Dockerfile", "Procfile",
)  # fmt: skip
# The program that a command starts with tells the language when several would do.
_PROGRAMS = {
    "python": ("python", "python3", "gunicorn", "uvicorn", "hypercorn", "daphne", "waitress-serve", "uwsgi", "celery", "flask", "streamlit", "fastapi"),
    "node": ("node", "npm", "npx", "yarn", "pnpm", "next", "nuxt", "tsx", "ts-node"),
    "ruby": ("bundle", "ruby", "rails", "puma", "rackup", "unicorn"),
    "php": ("php",), "java": ("java", "mvn"), "kotlin": ("java",), "deno": ("deno",), "bun": ("bun", "bunx"),
    "elixir": ("mix", "elixir"), "dotnet": ("dotnet",),
}  # fmt: skip
_IMAGE_BUILDERS = ("dockerfile", "image", "nixpacks", "railpack")


@dataclass(frozen=True)
class Known:
    """What is known before the tree is read; the ``overrides`` of ``detect``."""

    root: str = ""
    commands: Mapping[str, str] = field(default_factory=dict)
    builder: str | None = None
    runtime: str | None = None
    distribution: str | None = None

    @property
    def distribution_name(self) -> str:
        return self.distribution or DEFAULT_DISTRIBUTION


def detect(tree: Tree, overrides: Mapping[str, Any] | None = None) -> Plan:
    """The plan of a source tree.

    Args:
        tree: the source.
        overrides: what is known already, every key optional: ``root`` (sub-folder of the service), ``commands`` (service name -> command of hitless.yml;
            what has one needs no other), ``builder`` and ``runtime`` of hitless.yml, ``distribution`` of the hosts (``debian-12``).

    Raises:
        HitlessError: ``plan_unknown``, when nothing is recognised, two answers are equally good, or nothing says how the app starts.
    """
    known = Known(**dict(overrides or {}))
    files = Files(tree, known.root or "")
    if known.root and not files.paths:
        raise HitlessError(
            "plan_unknown",
            f"The folder {known.root}, named by root in hitless.yml, is not in the source. Nothing was changed.",
            hint="Correct root in hitless.yml.",
        )
    processes = read_procfile(files)
    plan = _native(files, known, processes)
    plan = _with_dockerfile(files, known, plan)
    if plan is None:
        if not (processes or known.commands or has_others(files) or known.builder in _IMAGE_BUILDERS):
            raise _nothing(files, known)
        plan = Plan("shell")
        plan.because("language", "shell", "Procfile" if processes else None)
    use_others(files, plan, known.distribution_name)
    use_processes(plan, processes, "Procfile")
    if known.builder in _IMAGE_BUILDERS:
        plan.builder = str(known.builder)
        plan.because("builder", plan.builder, "hitless.yml")
    if plan.language == "python":
        complete_python(files, plan, [*processes.values(), *known.commands.values()])
    _check_start(files, known, plan)
    return plan


def _native(files: Files, known: Known, processes: Mapping[str, str]) -> Plan | None:
    """What the folder is without a Dockerfile: a program that starts, else a site, else files, else a program that lacks its start."""
    name = known.distribution_name
    explicit = detect_staticfile(files, name)
    if explicit:
        return explicit
    found = [plan for detector in APPS if (plan := detector(files, name))]
    command = known.commands.get("web") or processes.get("web") or next(iter(known.commands.values()), None) or next(iter(processes.values()), None)
    if command:
        return _of_command(found, command) or detect_html(files, name)
    starting = _with_assets([plan for plan in found if plan.startable()], found)
    if len(starting) > 1:
        raise _ambiguous(starting, files)
    if starting:
        return starting[0]
    sites = [plan for detector in SITES if (plan := detector(files, name))]
    if len(sites) > 1:
        raise _ambiguous(sites, files)
    if sites:
        return sites[0]
    html = detect_html(files, name)
    # A package.json with neither a framework nor a start is there for tools (a formatter, a linter).
    tools_only = all(plan.language in ("node", "bun") and plan.framework is None for plan in found)
    return html if html and tools_only else found[0] if found else None


def _of_command(found: list[Plan], command: str) -> Plan | None:
    words = [word for word in re.split(r"\s+", command.rpartition("&&")[2].strip()) if word not in ("exec", "env") and "=" not in word]
    program = words[0].rpartition("/")[2] if words else ""
    named = [plan for plan in found if program in _PROGRAMS.get(plan.language, ())]
    return next(iter(named or found), None)


def _with_assets(starting: list[Plan], found: list[Plan]) -> list[Plan]:
    """A package.json beside a program of another language builds its assets, unless it starts a server of its own."""
    backend = [plan for plan in starting if plan.language not in ("node", "bun", "deno")]
    node = next((plan for plan in found if plan.language == "node"), None)
    if len(backend) != 1 or node is None or any(service.type == "web" and service.command for service in node.services.values()):
        return starting
    if node.build is None:
        return backend
    node.services, node.why = {}, [reason for reason in node.why if reason["what"] == "build"]
    for reason in node.why:
        reason["what"] = "assets"
    build = backend[0].build
    backend[0].build = node.build
    node.build = build
    return [combine([backend[0], node])]


def _with_dockerfile(files: Files, known: Known, plan: Plan | None) -> Plan | None:
    """A Dockerfile wins, unless the runtime cannot run images and the app needs none."""
    dockerfile = dockerfile_of(files)
    if dockerfile is None or known.builder not in (None, "auto", "dockerfile"):
        return plan
    if known.builder != "dockerfile" and known.runtime == "systemd" and plan is not None and (plan.startable() or known.commands):
        plan.because("builder", "native: the systemd runtime runs no images, so the Dockerfile is not used", dockerfile)
        return plan
    image = Plan("docker", builder="dockerfile", services={"web": Service("web", None)})
    image.because("builder", "dockerfile", dockerfile)
    return image


def _check_start(files: Files, known: Known, plan: Plan) -> None:
    if plan.startable() or known.commands or plan.builder in _IMAGE_BUILDERS:
        return
    where = f" in {known.root}" if known.root else ""
    kind = f"{plan.language} app" + (f" ({plan.framework})" if plan.framework else "")
    missing = next((service.missing for service in plan.services.values() if service.missing), None) or "a Procfile with a line `web: <command>`"
    raise HitlessError(
        "plan_unknown", f"There is a {kind}{where}, but nothing says how it starts. Nothing was changed.",
        hint=f"Add {missing}; or set services.web.command in hitless.yml.", details={"language": plan.language, "missing": missing, "why": plan.why},
    )  # fmt: skip


def _ambiguous(plans: list[Plan], files: Files) -> HitlessError:
    answers = " and ".join(f"{plan.framework or plan.language} ({plan.why[0]['file']})" for plan in plans)
    return HitlessError(
        "plan_unknown", f"The app could be {answers}, and nothing says which. Nothing was changed.",
        hint="Set services.web.command (or services.<name>.root, for an app in a sub-folder) in hitless.yml, or add a Procfile.",
        details={"answers": [plan.language for plan in plans]},
    )  # fmt: skip


def _nothing(files: Files, known: Known) -> HitlessError:
    folders = [folder for folder in sorted({path.split("/")[0] for path in files.paths if "/" in path})[:50] if _recognised(files.at(folder), known)]
    where = known.root or "the folder"
    hint = (
        f"Name the sub-folder of the app in hitless.yml: services: {{web: {{root: {folders[0]}}}}}."
        if folders
        else "Add one of the files looked for, or a Procfile with a line `web: <command>`."
    )
    return HitlessError(
        "plan_unknown", f"Nothing in {where} says what kind of app it is. Looked for: {'; '.join(LOOKED_FOR)}. Nothing was changed.",
        hint=hint, details={"looked_for": list(LOOKED_FOR), "found_in": folders},
    )  # fmt: skip


def _recognised(files: Files, known: Known) -> bool:
    try:
        plan = _native(files, known, read_procfile(files))
    except HitlessError:
        return False
    return plan is not None and plan.startable()
