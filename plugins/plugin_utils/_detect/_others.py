# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of other platforms: what they say of commands, versions, packages and variables."""

from __future__ import annotations

from typing import Any

from ._plan import Plan, Service, steps
from ._procfile import use_processes
from ._tree import Files, items, table
from ._versions import set_version

_LANGUAGES = {"nodejs": "node", "golang": "go", "jdk": "java"}


def use_others(files: Files, plan: Plan, distribution: str) -> None:
    """Apply every such file that is there; a later one in this order wins."""
    _captain(files, plan, distribution)
    _app_json(files, plan)
    _heroku(files, plan)
    _railpack(files, plan, distribution)
    _nixpacks(files, plan)


def has_others(files: Files) -> bool:
    """Whether one of them is there and may say how an app starts that nothing else knows."""
    return files.first("captain-definition", "heroku.yml", "railpack.json", "nixpacks.toml") is not None


def dockerfile_of(files: Files) -> str | None:
    """The Dockerfile, by its own name or by what another file calls it."""
    captain = files.json("captain-definition") if files.has("captain-definition") else {}
    named = str(captain.get("dockerfilePath", "")).removeprefix("./")
    build = table(files.yaml("heroku.yml"), "build") if files.has("heroku.yml") else {}
    docker = table(build, "docker")
    web = docker.get("web") if isinstance(docker, dict) else None
    heroku = web.get("dockerfile", "Dockerfile") if isinstance(web, dict) else str(web or "")
    if captain.get("dockerfileLines"):
        return "captain-definition"
    return files.first(*(name for name in (named, heroku) if name), "Dockerfile", "Containerfile")


def _start(plan: Plan, command: object, file: str) -> None:
    if command:
        plan.services["web"] = Service("web", str(command))
        plan.because("start", str(command), file)


def _env(plan: Plan, variables: Any) -> None:
    if isinstance(variables, dict):
        plan.env.update({str(name): str(value) for name, value in variables.items() if value is not None and not isinstance(value, (dict, list))})


def _captain(files: Files, plan: Plan, distribution: str) -> None:
    template = str(files.json("captain-definition").get("templateId") or "")
    name, _slash, version = template.partition("/")
    language = {"python-django": "python", "ruby-rack": "ruby"}.get(name, _LANGUAGES.get(name, name))
    if version and language == plan.language:
        set_version(plan, language, (version, "captain-definition"), distribution)


def _app_json(files: Files, plan: Plan) -> None:
    settings = files.json("app.json")
    variables = table(settings, "env")
    if isinstance(variables, dict):
        _env(plan, {name: value.get("value") if isinstance(value, dict) else value for name, value in variables.items()})
    scripts = table(settings, "scripts")
    dokku = table(scripts, "dokku")
    for theirs, ours in (("predeploy", "pre_deploy"), ("postdeploy", "post_deploy")):
        if dokku.get(theirs):
            plan.hooks[ours] = str(dokku[theirs])
            plan.because(ours, str(dokku[theirs]), "app.json")


def _heroku(files: Files, plan: Plan) -> None:
    settings = files.yaml("heroku.yml") if files.text("heroku.yml").strip() else {}
    run = table(settings, "run")
    processes = {str(name): _words(command) for name, command in run.items()} if isinstance(run, dict) else {}
    release = table(settings, "release")
    if isinstance(release, dict) and release.get("command"):
        commands = release["command"]
        processes["release"] = " && ".join(map(str, commands)) if isinstance(commands, list) else str(commands)
    use_processes(plan, {name: command for name, command in processes.items() if command}, "heroku.yml")
    build = table(settings, "build")
    setup = table(settings, "setup")
    _env(plan, build.get("config") if isinstance(build, dict) else None)
    _env(plan, setup.get("config") if isinstance(setup, dict) else None)


def _words(command: Any) -> str:
    if isinstance(command, dict):
        command = command.get("command", "")
    return " ".join(map(str, command)) if isinstance(command, list) else str(command or "")


def _commands(step: Any, key: str) -> str | None:
    """The shell commands of a step; a copy, a path or "..." (what the tool would do itself) is none."""
    given = step.get(key) if isinstance(step, dict) else None
    words = [item.get("cmd") if isinstance(item, dict) else item for item in ([given] if isinstance(given, str) else items(step, key))]
    return steps(*(str(word) for word in words if word and word != "..."))


def _railpack(files: Files, plan: Plan, distribution: str) -> None:
    settings = files.json("railpack.json")
    named = table(settings, "steps")
    _replace(plan, "install", _commands(named.get("install"), "commands"), "railpack.json")
    _replace(plan, "build", _commands(named.get("build"), "commands"), "railpack.json")
    deploy = table(settings, "deploy")
    _start(plan, deploy.get("startCommand"), "railpack.json")
    _env(plan, deploy.get("variables"))
    plan.need(*map(str, [*items(settings, "buildAptPackages"), *(package for package in items(deploy, "aptPackages") if package != "...")]))
    for name, version in table(settings, "packages").items():
        language = _LANGUAGES.get(name, name)
        if language == plan.language:
            set_version(plan, language, (str(version), "railpack.json"), distribution)


def _nixpacks(files: Files, plan: Plan) -> None:
    settings = files.toml("nixpacks.toml")
    phases = table(settings, "phases")
    _replace(plan, "install", _commands(phases.get("install"), "cmds"), "nixpacks.toml")
    _replace(plan, "build", _commands(phases.get("build"), "cmds"), "nixpacks.toml")
    start = table(settings, "start")
    _start(plan, start.get("cmd"), "nixpacks.toml")
    _env(plan, settings.get("variables"))
    plan.need(*(str(package) for package in items(table(phases, "setup"), "aptPkgs") if package != "..."))
    if [package for package in items(table(phases, "setup"), "nixPkgs") if package != "..."]:
        plan.warn("nixpacks.toml names Nix packages, which the native builder does not have: name the Debian packages in aptPkgs, or use the builder nixpacks.")


def _replace(plan: Plan, step: str, command: str | None, file: str) -> None:
    if command:
        setattr(plan, step, command)
        plan.because(step, command, file)
