# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every app of examples/, built from the ordinary package registries and served: as it is, and after a change of its code alone."""

from __future__ import annotations

import http.client
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, App

Events = list[dict[str, Any]]


@dataclass(frozen=True)
class Answer:
    """What the router gave."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass(frozen=True)
class Ask:
    """A request, and the answer that it must get.

    Args:
        body: a regular expression that is found in the body.
        type: how the content type begins.
    """

    path: str
    status: int = 200
    body: str = ""
    type: str = ""


@dataclass(frozen=True)
class Example:
    """A row of the table.

    Args:
        name: of the folder in examples/, without ``hello-``.
        plan: what the plan says of it.
        asks: requests beside /version and /healthz, which every example answers.
        version: the file that says which version the code is.
        check: looks further, after each of the two deployments.
    """

    name: str
    plan: dict[str, Any]
    asks: tuple[Ask, ...]
    version: str = "VERSION"
    check: Callable[[App, int], None] | None = None


def get(app: App, path: str) -> Answer:
    """One request to the app through the router."""
    connection = http.client.HTTPConnection("127.0.0.1", app.host.http_port, timeout=60)
    try:
        connection.request("GET", path, headers={"Host": app.domain, "Accept-Encoding": "identity"})
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode("utf-8"))
    finally:
        connection.close()


def asset(page: str, pattern: str, kind: str) -> Callable[[App, int], None]:
    """The page names a file by ``pattern``, and that file is served."""

    def check(app: App, _deployments: int) -> None:
        body = get(app, page).body
        named = re.search(pattern, body)
        assert named, body
        answer = get(app, named[1])
        assert (answer.status, answer.headers["content-type"].split(";")[0]) == (200, kind)
        assert answer.body

    return check


def django_keeps_its_database(app: App, deployments: int) -> None:
    asset("/", r'href="(/static/guestbook/style\.[0-9a-f]+\.css)"', "text/css")(app, deployments)
    assert json.loads(get(app, "/visits").body) == {"visits": deployments}


def a_worker_runs(app: App, deployments: int) -> None:
    assert sorted(unit.split(".")[1] for unit in app.units()) == ["web", "worker"]
    worker = next(unit for unit in app.units() if ".worker." in unit)
    assert f"worker {deployments} started" in app.host.sh(f"journalctl -q -o cat -u {worker}")


def both_services_answer(app: App, deployments: int) -> None:
    assert sorted(unit.split(".")[1] for unit in app.units()) == ["api", "web"]
    port = app.records()[0]["services"]["api"]["replicas"][0]["port"]
    assert app.host.sh(f"curl -fsS http://127.0.0.1:{port}/version") == "api 1\n"


PAGE = r"(?s)<h1>.*<!-- -->{0}</h1>|<h1>Hello from [\w.]+ {0}</h1>"

EXAMPLES = (
    Example("flask", {"language": "python", "framework": "flask", "package_manager": "pip"}, (Ask("/", body='"version":"{0}"'), Ask("/none", 404))),
    Example("fastapi", {"language": "python", "framework": "fastapi", "package_manager": "pip"}, (Ask("/", body='"version":"{0}"'), Ask("/none", 404))),
    Example(
        "django",
        {"language": "python", "framework": "django", "package_manager": "pip"},
        (Ask("/", body=PAGE, type="text/html"), Ask("/none", 404)),
        check=django_keeps_its_database,
    ),
    Example("node", {"language": "node", "framework": "express", "package_manager": "npm"}, (Ask("/", body='"version":"{0}"'), Ask("/none", 404))),
    Example(
        "nextjs",
        {"language": "node", "framework": "next", "package_manager": "npm"},
        (Ask("/", body=PAGE, type="text/html"), Ask("/none", 404)),
        check=asset("/", r'src="(/_next/static/[^"]+\.js)"', "application/javascript"),
    ),
    Example(
        "vite",
        {"language": "node", "framework": "vite", "spa": True, "output": "dist"},
        (Ask("/", body="<h1>Hello from Vite</h1>"), Ask("/no/such/file", body="<h1>Hello from Vite</h1>", type="text/html")),
        version="public/version",
        check=asset("/about", r'src="(/assets/[^"]+\.js)"', "application/javascript"),
    ),
    Example(
        "astro",
        {"language": "node", "framework": "astro", "spa": False, "output": "dist"},
        (Ask("/", body=PAGE), Ask("/about/", body="<h1>About</h1>"), Ask("/none", 404, body="no such page")),
    ),
    Example("nestjs", {"language": "node", "framework": "nestjs"}, (Ask("/", body='"version":"{0}"', type="application/json"), Ask("/none", 404))),
    Example(
        "sveltekit",
        {"language": "node", "framework": "sveltekit"},
        (Ask("/", body=PAGE), Ask("/none", 404)),
        check=asset("/", r'import\("\.?(/_app/immutable/entry/start[^"]+\.js)"\)', "text/javascript"),
    ),
    Example("go", {"language": "go", "package_manager": "go"}, (Ask("/", body="Hello from Go {0}"),)),
    Example("rust", {"language": "rust", "package_manager": "cargo"}, (Ask("/", body="Hello from Rust {0}"), Ask("/none", 404))),
    Example("rack", {"language": "ruby", "framework": "rack"}, (Ask("/", body="Hello from Rack {0}"), Ask("/none", 404))),
    Example(
        "php",
        {"language": "php"},
        (Ask("/", body="Hello from PHP {0}"), Ask("/style.css", body="system-ui", type="text/css"), Ask("/none", 404), Ask("/.env", 403)),
    ),
    Example("static", {"language": "static"}, (Ask("/", body="<h1>Hello</h1>"), Ask("/style.css", type="text/css"), Ask("/none", 404)), version="version"),
    Example(
        "monorepo",
        {"language": "node", "framework": "express"},
        (Ask("/", body="Hello from two services {0}"),),
        version="web/VERSION",
        check=both_services_answer,
    ),
    Example("procfile", {"hooks": {"pre_deploy": "python3 release.py"}}, (Ask("/", body='"version": "{0}"'),), check=a_worker_runs),
)


@dataclass(frozen=True)
class Manager:
    """An example installed by another package manager than its own: files put in place of those that name its packages."""

    name: str
    example: str
    files: dict[str, str]


_FLASK = 'requires-python = ">=3.11"\ndependencies = ["flask==3.1.0", "gunicorn==23.0.0"]\n'
_PROJECT = '[project]\nname = "hello"\nversion = "1.0.0"\n' + _FLASK


def _node(manager: str) -> dict[str, str]:
    package = {"name": "hello", "private": True, "packageManager": manager, "scripts": {"start": "node server.js"}, "dependencies": {"express": "4.21.2"}}
    return {"package.json": json.dumps(package)}


MANAGERS = (
    Manager("uv", "flask", {"pyproject.toml": _PROJECT + "\n[tool.uv]\npackage = false\n"}),
    Manager("pdm", "flask", {"pyproject.toml": _PROJECT + "\n[tool.pdm]\ndistribution = false\n"}),
    Manager("pipenv", "flask", {"Pipfile": '[packages]\nflask = "==3.1.0"\ngunicorn = "==23.0.0"\n'}),
    Manager("yarn", "node", _node("yarn@1.22.22")),
    Manager("pnpm", "node", _node("pnpm@9.15.9")),
    Manager("bun", "node", _node("bun@1.2.23")),
)
_NAMING_PACKAGES = ("requirements.txt", "package.json", "package-lock.json")


def put(app: App, name: str, without: tuple[str, ...] = ()) -> None:
    """Copy an example into the app's folder, with its hitless.yml led to the test's host."""
    shutil.copytree(ROOT / "examples" / f"hello-{name}", app.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules", *without))
    given = app.folder / "hitless.yml"
    own = yaml.safe_load(given.read_text()) if given.exists() else {}
    app.settings.pop("services")
    app.settings.update({**own, "app": app.name})
    given.write_text(yaml.safe_dump(app.settings, sort_keys=False))


def deploy(app: App) -> Events:
    """Deploy what is in the app's folder, which must work; its events."""
    code, events = app.hitless("deploy")
    assert code == 0, [event.get("line") or event for event in events if event["event"] in ("log", "failed")][-30:]
    return events


def installs(events: Events) -> list[tuple[str, float]]:
    """How each install ended, and its seconds."""
    return [(event["state"], event["seconds"]) for event in events if event["event"] == "phase" and event["name"] == "install" and event["state"] != "running"]


def look(app: App, example: Example, deployments: int) -> None:
    """Ask the app everything that the table has."""
    for ask in (Ask("/healthz", body="ok"), Ask("/version", body=r"^{0}\s*$"), *example.asks):
        answer = get(app, ask.path)
        assert answer.status == ask.status, (ask, answer)
        assert re.search(ask.body.replace("{0}", str(deployments)), answer.body), (ask, answer)
        assert answer.headers.get("content-type", "").startswith(ask.type), (ask, answer)
    if example.check:
        example.check(app, deployments)


def plan_of(app: App) -> dict[str, Any]:
    """What the command says that a deploy would do."""
    _code, events = app.hitless("plan")
    return dict(next(event["data"]["plan"] for event in events if event["event"] == "info"))


def deploy_twice(app: App, example: Example) -> None:
    """Deploy the example and then a change of its code alone: both serve, and the second installs nothing."""
    deploy(app)
    look(app, example, 1)
    (app.folder / example.version).write_text("2\n")
    again = deploy(app)
    look(app, example, 2)
    assert installs(again) == [("skipped", 0)]


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.name for example in EXAMPLES])
def test_an_example_is_planned_built_and_served_and_a_change_of_code_installs_nothing(app: App, example: Example) -> None:
    put(app, example.name)
    plan = plan_of(app)
    assert {name: plan.get(name) for name in example.plan} == example.plan
    deploy_twice(app, example)


@pytest.mark.parametrize("manager", MANAGERS, ids=[manager.name for manager in MANAGERS])
def test_a_package_manager_installs_an_example_once(app: App, manager: Manager) -> None:
    put(app, manager.example, without=_NAMING_PACKAGES)
    for name, text in manager.files.items():
        (app.folder / name).write_text(text)
    assert plan_of(app)["package_manager"] == manager.name
    deploy_twice(app, next(example for example in EXAMPLES if example.name == manager.example))


def test_no_example_names_a_registry() -> None:
    locks = [path for path in Path(ROOT / "examples").glob("**/*lock*") if path.is_file()]
    assert locks
    assert [str(path) for path in locks if re.search(r'"resolved"|^\s*(?:url|source) = "https?:', path.read_text(), re.MULTILINE)] == []
