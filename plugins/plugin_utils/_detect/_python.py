# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python apps: what installs them, what serves them, and which object is served."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from ._plan import Plan, steps
from ._tree import Files, items, table, unreadable
from ._versions import pinned, set_version

_VENV = "python3 -m venv .venv"
_PIP = ".venv/bin/pip install --disable-pip-version-check"
# A package manager lives outside of the app's environment, so that the two never share a dependency.
_TOOLS = '"$HOME"/.hitless-tools'
_REQUIREMENTS = (
    "requirements.txt",
    "requirements/production.txt",
    "requirements/prod.txt",
    "requirements/base.txt",
    "requirements-prod.txt",
    "requirements/requirements.txt",
)
# Debian packages that the source distributions of some packages are compiled against.
_HEADERS = {
    "psycopg2": ("gcc", "python3-dev", "libpq-dev"),
    "mysqlclient": ("gcc", "python3-dev", "default-libmysqlclient-dev", "pkg-config"),
    "uwsgi": ("gcc", "python3-dev"),
}


@dataclass(frozen=True)
class Framework:
    """An entry of the table: the package that gives a framework away, and how its apps are served."""

    name: str
    package: str
    serve: str  # wsgi, asgi, streamlit, gradio or script
    constructor: str = ""


# In this order: what is built on something else comes before it.
FRAMEWORKS = (
    Framework("django", "django", "wsgi"),
    Framework("streamlit", "streamlit", "streamlit"),
    Framework("gradio", "gradio", "gradio"),
    Framework("fastapi", "fastapi", "asgi", "FastAPI"),
    Framework("litestar", "litestar", "asgi", "Litestar"),
    Framework("quart", "quart", "asgi", "Quart"),
    Framework("starlette", "starlette", "asgi", "Starlette"),
    Framework("blacksheep", "blacksheep", "asgi", "Application"),
    Framework("dash", "dash", "wsgi", "Dash"),
    Framework("flask", "flask", "wsgi", "(?:Flask|APIFlask)"),
    Framework("falcon", "falcon", "wsgi", r"falcon\.(?:App|API)"),
    Framework("bottle", "bottle", "wsgi", r"(?:bottle\.)?(?:Bottle|default_app)"),
    Framework("pyramid", "pyramid", "wsgi", r"config\.make_wsgi_app"),
    Framework("sanic", "sanic", "script"),
    Framework("aiohttp", "aiohttp", "script"),
    Framework("tornado", "tornado", "script"),
)
_ENTRY_NAMES = ("wsgi.py", "asgi.py", "app.py", "main.py", "application.py", "server.py", "api.py", "web.py", "run.py", "index.py")
_ENTRIES = (*_ENTRY_NAMES, "streamlit_app.py")


def detect_python(files: Files, distribution: str) -> Plan | None:
    """The plan of a Python app, or None when the folder is none."""
    marker = files.first(*_REQUIREMENTS, "pyproject.toml", "Pipfile", "setup.py", "setup.cfg", "uv.lock", "poetry.lock", "manage.py")
    entries = [path for path in _ENTRIES if files.has(path)]
    if marker is None and not entries:
        return None
    plan = Plan("python", toolchain=["python3", "python3-venv"], env={"PYTHONUNBUFFERED": "1"})
    plan.because("language", "python", marker or entries[0])
    plan.path(".venv/bin")
    set_version(plan, "python", pinned(files, "python") or _declared_version(files), distribution)
    packages = _packages(files)
    _install(files, plan)
    _framework(files, plan, packages)
    for name, debian in _HEADERS.items():
        if name in packages:
            plan.need(*debian)
    return plan


def _declared_version(files: Files) -> tuple[str, str] | None:
    pyproject = files.toml("pyproject.toml")
    wanted = table(pyproject, "project").get("requires-python") or table(table(table(pyproject, "tool"), "poetry"), "dependencies").get("python")
    if wanted:
        return str(wanted), "pyproject.toml"
    requires = table(files.toml("Pipfile"), "requires")
    wanted = requires.get("python_full_version") or requires.get("python_version")
    return (str(wanted), "Pipfile") if wanted else None


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _packages(files: Files) -> dict[str, str]:
    """Names of the packages that the app asks for, each with the file that says so."""
    found: dict[str, str] = {}
    for path in [*_REQUIREMENTS, *files.glob("requirements*.txt", "requirements/*.txt")]:
        for name in re.findall(r"^\s*([A-Za-z0-9][\w.-]*)", files.text(path), re.MULTILINE):
            found.setdefault(_normal(name), path)
        for extras in re.findall(r"^\s*[\w.-]+\[([^\]]+)\]", files.text(path), re.MULTILINE):
            _add_extras(found, extras, path)
    pyproject = files.toml("pyproject.toml")
    for requirement in items(table(pyproject, "project"), "dependencies"):
        match = re.match(r"\s*([\w.-]+)(?:\[([^\]]+)\])?", str(requirement))
        if match:
            found.setdefault(_normal(match[1]), "pyproject.toml")
            _add_extras(found, match[2] or "", "pyproject.toml")
    for name in table(table(table(pyproject, "tool"), "poetry"), "dependencies"):
        found.setdefault(_normal(name), "pyproject.toml")
    for name in table(files.toml("Pipfile"), "packages"):
        found.setdefault(_normal(name), "Pipfile")
    for name in re.findall(r"""["']([A-Za-z][\w.-]*)\s*(?:[<>=~!\[][^"']*)?["']""", files.text("setup.py")):
        found.setdefault(_normal(name), "setup.py")
    return found


def _add_extras(found: dict[str, str], extras: str, file: str) -> None:
    # fastapi[standard] brings uvicorn with it.
    if "standard" in extras.split(",") or "all" in extras.split(","):
        found.setdefault("uvicorn", file)


def manager(files: Files) -> tuple[str, str] | None:
    """The package manager and the file that decides it; None when nothing is to be installed."""
    locks = [(lock, name) for lock, name in (("uv.lock", "uv"), ("poetry.lock", "poetry"), ("pdm.lock", "pdm"), ("Pipfile.lock", "pipenv")) if files.has(lock)]
    if len(locks) > 1:
        raise unreadable(
            " and ".join(lock for lock, _by in locks), "they are lockfiles of different package managers, and only one can install the app; remove the others"
        )
    if locks:
        return locks[0][1], locks[0][0]
    requirements = files.first(*_REQUIREMENTS)
    if requirements:
        return "pip", requirements
    tools = table(files.toml("pyproject.toml"), "tool")
    for name in ("poetry", "pdm", "uv"):
        if name in tools:
            return name, "pyproject.toml"
    if files.has("Pipfile"):
        return "pipenv", "Pipfile"
    project = files.first("pyproject.toml", "setup.py", "setup.cfg")
    if project == "pyproject.toml" and not files.toml(project).get("project") and not files.toml(project).get("build-system"):
        return None
    return ("pip", project) if project else None


def _install(files: Files, plan: Plan) -> None:
    found = manager(files)
    if found is None:
        return
    plan.dependency_dirs = [".venv"]
    plan.package_manager, decider = found
    plan.because("package manager", plan.package_manager, decider)
    commands = {"pip": _install_pip, "uv": _install_uv, "poetry": _install_poetry, "pdm": _install_pdm, "pipenv": _install_pipenv}
    plan.install = steps(_VENV, *commands[plan.package_manager](files, decider))
    locks = {"uv": "uv.lock", "poetry": "poetry.lock", "pdm": "pdm.lock", "pipenv": "Pipfile.lock"}
    named = [locks.get(plan.package_manager, ""), decider, "Pipfile" if plan.package_manager == "pipenv" else "pyproject.toml"]
    included = list(files.glob("requirements*.txt", "requirements/*.txt")) if plan.package_manager == "pip" else []
    plan.lockfiles = [path for path in dict.fromkeys([*named, *included]) if files.has(path)]
    if files.has("src/__init__.py") is False and any(path.startswith("src/") and path.endswith(".py") for path in files.paths):
        plan.env["PYTHONPATH"] = "/app/src:/app"


def _install_pip(files: Files, decider: str) -> list[str]:
    if decider.endswith(".txt"):
        return [f"{_PIP} -r {decider}"]
    # Editable: the environment is kept between deploys, and the code must not be frozen into it.
    return [f"{_PIP} -e ."]


def _tool(name: str, extra: str = "") -> str:
    return f"python3 -m venv {_TOOLS}/{name} && {_TOOLS}/{name}/bin/pip install --quiet --disable-pip-version-check {shlex.quote(name + extra)}"


def _in_venv(command: str) -> str:
    return f'env VIRTUAL_ENV="$PWD/.venv" PATH="$PWD/.venv/bin:$PATH" {command}'


def _install_uv(files: Files, _decider: str) -> list[str]:
    frozen = " --frozen" if files.has("uv.lock") else ""
    # Inexact: what is installed beside the lock (a server) stays.
    return [
        _tool("uv"),
        f"env UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=.venv {_TOOLS}/uv/bin/uv sync{frozen} --inexact --no-dev --python .venv/bin/python",
    ]


def _install_poetry(files: Files, _decider: str) -> list[str]:
    pyproject = files.toml("pyproject.toml")
    scripts = table(pyproject, "project").get("scripts") or table(table(pyproject, "tool"), "poetry").get("scripts")
    root = "" if scripts else " --no-root"
    return [_tool("poetry"), _in_venv(f"{_TOOLS}/poetry/bin/poetry install --only main --no-interaction{root}")]


def _install_pdm(files: Files, _decider: str) -> list[str]:
    verb = "sync" if files.has("pdm.lock") else "install"
    # Its extra pins what it was tested with; without it, a later release of one of its own dependencies breaks it.
    return [_tool("pdm", "[locked]"), _in_venv(f"PDM_CHECK_UPDATE=false PDM_IGNORE_SAVED_PYTHON=1 {_TOOLS}/pdm/bin/pdm {verb} --prod --no-self")]


def _install_pipenv(files: Files, _decider: str) -> list[str]:
    verb = "sync" if files.has("Pipfile.lock") else "install --skip-lock"
    return [_tool("pipenv"), _in_venv(f"PIPENV_VERBOSITY=-1 PIPENV_VENV_IN_PROJECT=1 {_TOOLS}/pipenv/bin/pipenv {verb}")]


def _framework(files: Files, plan: Plan, packages: dict[str, str]) -> None:
    framework = next((entry for entry in FRAMEWORKS if entry.package in packages), None)
    manage = files.first("manage.py") or next(iter(files.glob("*/manage.py")), None)
    if manage and "django" in files.text(manage).lower():
        plan.framework = "django"
        plan.because("framework", "django", packages.get("django", manage))
        _django(files, plan, packages, manage)
        return
    if framework and framework.name == "django":
        plan.framework = "django"
        plan.because("framework", "django", packages["django"])
        plan.no_start("a manage.py that sets DJANGO_SETTINGS_MODULE")
        return
    if framework:
        plan.framework = framework.name
        plan.because("framework", framework.name, packages[framework.package])
    _start(files, plan, packages, framework)


def _django(files: Files, plan: Plan, packages: dict[str, str], manage: str) -> None:
    folder = manage.rpartition("/")[0]
    here = files.at(folder) if folder else files
    match = re.search(r"""DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""", files.text(manage))
    project = match[1].split(".")[0] if match else None
    if project is None or not (here.has(f"{project}/wsgi.py") or here.has(f"{project}/asgi.py")):
        plan.no_start(f"a wsgi.py beside the settings that {manage} names ({match[1] if match else 'none are named'})")
        return
    chdir = f" --chdir {shlex.quote(folder)}" if folder else ""
    if "daphne" in packages and here.has(f"{project}/asgi.py"):
        enter = f"cd {shlex.quote(folder)} && " if folder else ""
        plan.web(f"{enter}daphne -b 127.0.0.1 -p $PORT {project}.asgi:application", f"{manage}, {packages['daphne']}")
    elif here.has(f"{project}/wsgi.py"):
        _wsgi(files, plan, packages, f"{project}.wsgi:application", f"{folder}/{project}/wsgi.py".strip("/"), chdir)
    else:
        _asgi(plan, packages, f"{project}.asgi:application", f"{folder}/{project}/asgi.py".strip("/"), folder)
    _collectstatic(files, here, plan, packages, manage, project)


def _collectstatic(files: Files, here: Files, plan: Plan, packages: dict[str, str], manage: str, project: str) -> None:
    settings = [
        path for path in here.glob(f"{project}/settings*.py", f"{project}/settings/*.py") if re.search(r"^\s*STATIC_ROOT\s*=", here.text(path), re.MULTILINE)
    ]
    if not settings:
        return
    plan.build = steps(plan.build, f".venv/bin/python {shlex.quote(manage)} collectstatic --noinput")
    plan.because("build", "collectstatic, because STATIC_ROOT is set", settings[0])
    if "whitenoise" not in packages:
        plan.warn(f"{settings[0]} sets STATIC_ROOT, but nothing serves the collected files: add whitenoise to {packages.get('django', 'the requirements')}.")


@dataclass(frozen=True)
class Entry:
    """An object that a server can serve."""

    file: str
    module: str
    name: str
    constructed: bool
    factory: bool = False


_OBJECT = r"^(?P<name>app|application|api|server|asgi|wsgi|[a-z_]*app)\s*(?::\s*[\w.\[\]]+\s*)?="


def _entries(files: Files, constructor: str) -> list[Entry]:
    """Objects at module level that look like the app, the most conventional file first."""
    packages = sorted({path.split("/")[0] for path in files.glob("*/__init__.py")} - {"tests", "test", "docs", "migrations"})
    candidates = [*_ENTRY_NAMES]
    candidates += [f"{folder}/{name}" for folder in dict.fromkeys(["src", "app", "api", *packages]) for name in (*_ENTRY_NAMES, "__init__.py")]
    candidates += files.glob("src/*/*.py", "*.py")
    found: list[Entry] = []
    for path in dict.fromkeys(candidates):
        entry = _entry(files, path, constructor) if files.has(path) else None
        if entry:
            found.append(entry)
    return found


def _entry(files: Files, path: str, constructor: str) -> Entry | None:
    text = files.text(path)
    src = path.startswith("src/") and not files.has("src/__init__.py")
    dotted = path.removeprefix("src/") if src else path
    module = dotted.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    built = re.search(rf"^(\w+)\s*(?::\s*[\w.\[\]]+\s*)?=\s*(?:\w+\.)*{constructor}\(", text, re.MULTILINE)
    if built:
        return Entry(path, module, built[1], True)
    assigned = re.search(_OBJECT + r"\s*(?:create_app|make_app|get_app|build_app|get_wsgi_application|get_asgi_application)\(", text, re.MULTILINE)
    if assigned:
        return Entry(path, module, assigned["name"], True)
    if re.search(r"^def create_app\((?:\w+(?::[^=,)]+)?=[^,)]+,?\s*)*\)", text, re.MULTILINE):
        return Entry(path, module, "create_app", True, factory=True)
    if re.search(r"^(?:async )?def (?:app|application)\(", text, re.MULTILINE):
        match = re.search(r"^(?:async )?def (app|application)\(", text, re.MULTILINE)
        return Entry(path, module, match[1], True) if match else None
    imported = re.search(r"^from\s+[\w.]+\s+import\s+(?:\w+\s+as\s+|.*\b)?(app|application)\s*$", text, re.MULTILINE)
    return Entry(path, module, imported[1], False) if imported and path.rpartition("/")[2] in _ENTRY_NAMES else None


def _choose(entries: list[Entry]) -> list[Entry]:
    """What could be served: a wsgi.py or asgi.py says so by its name; else the files that build an app. More than one is a question."""
    by_name = [entry for entry in entries if entry.file.rpartition("/")[2] in ("wsgi.py", "asgi.py")]
    if by_name:
        return by_name[:1]
    built = [entry for entry in entries if entry.constructed and not entry.factory] or [entry for entry in entries if entry.constructed]
    if not built:
        return entries[:1]
    depth = min(entry.file.count("/") for entry in built)
    level = [entry for entry in built if entry.file.count("/") == depth]
    return [entry for entry in level if entry.file.rpartition("/")[2] in (*_ENTRY_NAMES, "__init__.py")] or level


def _start(files: Files, plan: Plan, packages: dict[str, str], framework: Framework | None) -> None:
    serve = framework.serve if framework else "plain"
    if serve in ("streamlit", "gradio"):
        _ui(files, plan, serve)
        return
    if serve == "script":
        _script(files, plan, framework.name if framework else "app")
        return
    chosen = _choose(_entries(files, framework.constructor if framework else "(?!)"))
    if len(chosen) > 1:
        names = " and ".join(item.file for item in chosen)
        plan.no_start(f"a wsgi.py, an asgi.py or a Procfile that says which app is served, because {names} each build one")
        return
    if not chosen:
        _script(files, plan, framework.name if framework else "Python app")
        return
    entry = chosen[0]
    target = f"{entry.module}:{entry.name}" + (".server" if framework and framework.name == "dash" else "")
    if serve == "asgi" or (serve == "plain" and re.search(rf"^async def {entry.name}\(", files.text(entry.file), re.MULTILINE)):
        _asgi(plan, packages, target, entry.file, factory=entry.factory)
    else:
        _wsgi(files, plan, packages, f"'{target}()'" if entry.factory else target, entry.file)


def _wsgi(files: Files, plan: Plan, packages: dict[str, str], target: str, file: str, chdir: str = "") -> None:
    _alongside(plan, packages, "gunicorn", ("gunicorn", "uwsgi", "waitress"))
    if "gunicorn" not in packages and "waitress" in packages:
        plan.web(f"waitress-serve --listen=127.0.0.1:$PORT {'--call ' if target.endswith('()') else ''}{target}", file)
        return
    if "gunicorn" not in packages and "uwsgi" in packages:
        plan.web(f"uwsgi --master --die-on-term --need-app --http-socket 127.0.0.1:$PORT --module {target}", file)
        return
    # A gunicorn.conf.py decides its own workers; without one, a slow request must not keep a health check waiting.
    threads = "" if files.has("gunicorn.conf.py") else " --threads 4"
    plan.web(f"gunicorn --bind 127.0.0.1:$PORT{threads}{chdir} {target}", file)


def _asgi(plan: Plan, packages: dict[str, str], target: str, file: str, folder: str = "", factory: bool = False) -> None:
    _alongside(plan, packages, "uvicorn", ("uvicorn", "hypercorn", "granian"))
    if "uvicorn" not in packages and "hypercorn" in packages:
        plan.web(f"hypercorn --bind 127.0.0.1:$PORT {target}", file)
        return
    if "uvicorn" not in packages and "granian" in packages:
        plan.web(f"granian --interface asgi --host 127.0.0.1 --port $PORT {target}", file)
        return
    options = (f" --app-dir {shlex.quote(folder)}" if folder else "") + (" --factory" if factory else "")
    plan.web(f"uvicorn --host 127.0.0.1 --port $PORT{options} {target}", file)


def _alongside(plan: Plan, packages: dict[str, str], server: str, known: tuple[str, ...]) -> None:
    """Install a server beside the app's own packages when they have none."""
    given = next((name for name in known if name in packages), None)
    if given:
        plan.because("server", given, packages[given])
        return
    plan.install = steps(plan.install or _VENV, f"{_PIP} {server}")
    plan.dependency_dirs = [".venv"]
    plan.because("server", f"{server}, installed beside the app's packages because they have no server", None)


def complete_python(files: Files, plan: Plan, commands: list[str]) -> None:
    """Give what given commands start: the server that they name, and ``python`` by that name, which Debian does not have."""
    packages = _packages(files)
    for command in commands:
        server = re.match(r"(?:exec\s+|cd\s+\S+\s*&&\s*)*(gunicorn|uvicorn|hypercorn|daphne)\b", command)
        if server and server[1] not in packages and f"{_PIP} {server[1]}" not in (plan.install or ""):
            _alongside(plan, packages, server[1], (server[1],))
        if plan.install is None and re.search(r"(?:^|\s)python\s", command):
            plan.install, plan.dependency_dirs = _VENV, [".venv"]


def _ui(files: Files, plan: Plan, kind: str) -> None:
    names = ("streamlit_app.py", *_ENTRY_NAMES, *files.glob("*.py"))
    file = next((path for path in names if re.search(rf"^\s*(?:import|from)\s+{kind}\b", files.text(path), re.MULTILINE)), None)
    if file is None:
        plan.no_start(f"an app.py that imports {kind}")
    elif kind == "streamlit":
        options = "--server.address 127.0.0.1 --server.port $PORT --server.headless true --server.fileWatcherType none --browser.gatherUsageStats false"
        plan.web(f"env HOME=/tmp streamlit run {file} {options}", file)
    else:
        variables = "HOME=/tmp GRADIO_SERVER_NAME=127.0.0.1 GRADIO_SERVER_PORT=$PORT GRADIO_ANALYTICS_ENABLED=False GRADIO_TEMP_DIR=/tmp/gradio"
        plan.web(f"env {variables} python {file}", file)


def _script(files: Files, plan: Plan, name: str) -> None:
    """A program that opens the port itself: it must read PORT."""
    readers = [path for path in _ENTRY_NAMES if re.search(r"""["']PORT["']""", files.text(path))]
    if readers:
        plan.web(f"python3 {readers[0]}", readers[0])
        return
    plan.no_start(
        f"a file named app.py, main.py or wsgi.py that builds a {name} in a variable named app, or that reads PORT from the environment and serves it"
    )
