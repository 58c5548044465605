# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Node, Bun and Deno apps: frameworks, package managers, workspaces, and how they start without any of them at run time."""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import dataclass
from typing import Any

from ._plan import Plan, move, steps
from ._tree import Files, items, table, unreadable
from ._versions import pinned, set_version

# Programs that come from the npm registry and not from the distribution are put here, in the app's own folder.
TOOLS = ".hitless"
_TOOLS_BIN = f"{TOOLS}/node_modules/.bin"


@dataclass(frozen=True)
class Framework:
    """An entry of the table.

    Args:
        package: the dependency that gives it away.
        build: used when package.json has no build script.
        start: the production start; None for a site of files, or when package.json must say it.
        output: the folder that a site of files is built into.
        spa: whether unknown paths get index.html.
        build_env: patterns of variables that the framework compiles into its result.
        dev: first words of a start script that is a development server or the framework's default, and is replaced.
    """

    name: str
    package: str
    build: str | None = None
    start: str | None = None
    output: str | None = None
    spa: bool = False
    build_env: tuple[str, ...] = ()
    dev: tuple[str, ...] = ()


# In this order: what is built on something else comes before it.
FRAMEWORKS = (
    Framework("next", "next", "next build", "next start -H 127.0.0.1 -p $PORT", build_env=("NEXT_PUBLIC_*",), dev=("next",)),
    Framework(
        "nuxt",
        "nuxt",
        "nuxt build",
        "env NITRO_HOST=127.0.0.1 NITRO_PORT=$PORT node .output/server/index.mjs",
        build_env=("NUXT_*",),
        dev=("nuxt", "node .output"),
    ),
    Framework(
        "tanstack-start",
        "@tanstack/react-start",
        "vite build",
        "env HOST=127.0.0.1 node .output/server/index.mjs",
        build_env=("VITE_*",),
        dev=("vite", "vinxi", "node .output"),
    ),
    Framework("solid-start", "@solidjs/start", "vinxi build", "env HOST=127.0.0.1 node .output/server/index.mjs", build_env=("VITE_*",), dev=("vinxi",)),
    Framework(
        "react-router",
        "@react-router/serve",
        "react-router build",
        "env HOST=127.0.0.1 react-router-serve ./build/server/index.js",
        build_env=("VITE_*",),
        dev=("react-router",),
    ),
    Framework(
        "remix",
        "@remix-run/serve",
        "remix vite:build",
        "env HOST=127.0.0.1 remix-serve ./build/server/index.js",
        build_env=("VITE_*",),
        dev=("remix vite:dev", "remix dev"),
    ),
    Framework("sveltekit", "@sveltejs/kit", "vite build", "env HOST=127.0.0.1 node build", build_env=("VITE_*", "PUBLIC_*"), dev=("vite",)),
    Framework("astro", "astro", "astro build", output="dist", build_env=("PUBLIC_*",), dev=("astro",)),
    Framework("gatsby", "gatsby", "gatsby build", output="public", build_env=("GATSBY_*",), dev=("gatsby",)),
    Framework("docusaurus", "@docusaurus/core", "docusaurus build", output="build", dev=("docusaurus",)),
    Framework("vitepress", "vitepress", "vitepress build", output=".vitepress/dist", dev=("vitepress",)),
    Framework("eleventy", "@11ty/eleventy", "eleventy", output="_site", dev=("eleventy", "npx @11ty/eleventy", "npx eleventy")),
    Framework("nestjs", "@nestjs/core", "nest build", "node dist/main", dev=("nest start",)),
    Framework("angular", "@angular/core", "ng build", output="dist", spa=True, build_env=("NG_APP_*",), dev=("ng",)),
    Framework(
        "create-react-app", "react-scripts", "react-scripts build", output="build", spa=True, build_env=("REACT_APP_*",), dev=("react-scripts", "craco start")
    ),
    Framework("vue-cli", "@vue/cli-service", "vue-cli-service build", output="dist", spa=True, build_env=("VUE_APP_*",), dev=("vue-cli-service",)),
    Framework("express", "express"),
    Framework("fastify", "fastify"),
    Framework("koa", "koa"),
    Framework("hono", "hono"),
    Framework("hapi", "@hapi/hapi"),
    Framework("elysia", "elysia"),
    Framework("vite", "vite", "vite build", output="dist", spa=True, build_env=("VITE_*",), dev=("vite",)),
    Framework("parcel", "parcel", "parcel build", output="dist", spa=True, dev=("parcel",)),
)
_SERVER_FILES = (
    "server.js",
    "server.mjs",
    "server.cjs",
    "index.js",
    "index.mjs",
    "app.js",
    "app.mjs",
    "main.js",
    "src/server.js",
    "src/index.js",
    "src/app.js",
    "src/main.js",
)
_WATCHERS = re.compile(
    r"^(?:npx\s+)?(?:nodemon|node-dev|supervisor)\s+(?:--exec\s+\S+\s+)?(?:-\S+\s+)*"
    r"|(?<=node )--watch(?:-path=\S+)?\s+|(?<=tsx )watch\s+|(?<=bun )(?:--hot|--watch)\s+"
)
_LOCKS = (
    ("package-lock.json", "npm"),
    ("npm-shrinkwrap.json", "npm"),
    ("yarn.lock", "yarn"),
    ("pnpm-lock.yaml", "pnpm"),
    ("bun.lock", "bun"),
    ("bun.lockb", "bun"),
)


@dataclass(frozen=True)
class Manager:
    """A package manager, the version asked for, and where its lockfile is."""

    name: str
    version: str | None
    file: str
    lock: str | None = None
    root: str = ""  # how to get from the app's folder to the lockfile's: "" or "../.."


def detect_node(files: Files, distribution: str) -> Plan | None:
    """The plan of an app with a package.json, or of a lone server.js; None when the folder is neither."""
    if not files.has("package.json"):
        return _lone_server(files)
    package = files.json("package.json")
    plan = _new(package, files, distribution)
    packages = _packages(package)
    framework = next((entry for entry in FRAMEWORKS if entry.package in packages), None)
    if framework is None and (package.get("workspaces") or files.has("pnpm-workspace.yaml")) and _program(files, package) is None:
        return _workspace_member(files, plan, package, distribution)
    if framework:
        plan.framework = framework.name
        plan.build_env = list(framework.build_env)
        plan.because("framework", framework.name, "package.json")
    manager = find_manager(files, package)
    _build(files, plan, package, framework)
    _install(files, plan, package, manager)
    _start(files, plan, package, packages, framework)
    return plan


def _lone_server(files: Files) -> Plan | None:
    server = files.first("server.js", "server.mjs", "index.mjs", "index.js", "app.js")
    if server is None or files.has("index.html"):
        return None
    plan = Plan("node", toolchain=["nodejs"], env={"NODE_ENV": "production"})
    plan.because("language", "node", server)
    _serve_file(files, plan, server)
    return plan


def _new(package: dict[str, Any], files: Files, distribution: str) -> Plan:
    plan = Plan("node", toolchain=["nodejs", "npm"], env={"NODE_ENV": "production"})
    plan.because("language", "node", "package.json")
    plan.path("node_modules/.bin", _TOOLS_BIN)
    engine = table(package, "volta").get("node") or table(package, "engines").get("node")
    set_version(plan, "node", pinned(files, "node") or ((str(engine), "package.json") if engine else None), distribution)
    return plan


def _packages(package: dict[str, Any]) -> dict[str, str]:
    return {**table(package, "devDependencies"), **table(package, "dependencies")}


def _scripts(package: dict[str, Any]) -> dict[str, str]:
    scripts = table(package, "scripts")
    return {str(name): str(command) for name, command in scripts.items()}


def find_manager(files: Files, package: dict[str, Any]) -> Manager:
    """The package manager: packageManager decides, then the nearest lockfile, here or above; npm if there is none."""
    for where, folder in [("", files), *files.above()]:
        top = package if not where else folder.json("package.json")
        found = _manager_in(folder, top, where)
        if found:
            return found
    return Manager("npm", None, "package.json")


def _manager_in(folder: Files, package: dict[str, Any], where: str) -> Manager | None:
    locks = {name: lock for lock, name in reversed(_LOCKS) if folder.has(lock)}
    prefix = f"{where}/" if where else ""
    match = re.match(r"(npm|yarn|pnpm|bun)@([\d.]+)?", str(package.get("packageManager", "")))
    if match:
        return Manager(match[1], match[2], f"{prefix}package.json", locks.get(match[1]), where)
    if not locks:
        return None
    if len(locks) > 1:
        names = " and ".join(sorted(locks.values()))
        raise unreadable(names, "they are lockfiles of different package managers; remove the others, or name one in packageManager in package.json")
    name, lock = next(iter(locks.items()))
    return Manager(name, None, prefix + lock, lock, where)


def _install(files: Files, plan: Plan, package: dict[str, Any], manager: Manager) -> None:
    plan.package_manager = manager.name
    plan.because("package manager", manager.name, manager.file)
    root = files.at(manager.root) if not manager.root else next(folder for where, folder in files.above() if where == manager.root)
    # A workspace is shared: what one member does without, another may build with.
    plan.install_root = manager.root
    plan.install = _install_command(root, plan, manager, everything=plan.build is not None or bool(manager.root))
    prefix = f"{manager.root}/" if manager.root else ""
    plan.lockfiles = [prefix + manager.lock] if manager.lock else ["package.json"]
    plan.lockfiles += [prefix + path for path in (".npmrc", ".yarnrc.yml", "pnpm-workspace.yaml") if root.has(path)]
    plan.dependency_dirs.append("node_modules")
    if manager.root:
        plan.dependency_dirs.append(f"{prefix}node_modules")
        plan.path(f"{prefix}node_modules/.bin", f"{prefix}{_TOOLS_BIN}")
    elif package.get("workspaces") or root.has("pnpm-workspace.yaml"):
        plan.dependency_dirs += [f"{member}/node_modules" for member in members(files, package)]
        plan.lockfiles += [f"{member}/package.json" for member in members(files, package)]


def _install_command(root: Files, plan: Plan, manager: Manager, everything: bool) -> str:
    """Install exactly what is locked; development packages only where there is something to build."""
    locked = manager.lock is not None
    if manager.name == "npm":
        verb = "npm ci" if locked else "npm install --no-save"
        return f"{verb} {'--include=dev' if everything else '--omit=dev'} --no-audit --no-fund"
    if manager.name == "pnpm":
        version = manager.version or _pnpm_version(root)
        pick = "--prod=false" if everything else "--prod"
        return f"{_fetch(plan, f'pnpm@{version}')} && pnpm install {'--frozen-lockfile ' if locked else ''}{pick}"
    if manager.name == "bun":
        pick = "" if everything else " --production"
        return f"{_fetch(plan, f'bun@{manager.version or 1}')} && env NODE_ENV=development bun install{' --frozen-lockfile' if locked else ''}{pick}"
    return _yarn(root, plan, manager, everything)


def _fetch(plan: Plan, program: str) -> str:
    folder = posixpath.normpath(f"{plan.install_root}/{TOOLS}") if plan.install_root else TOOLS
    if folder not in plan.dependency_dirs:
        plan.dependency_dirs.append(folder)
    return f"npm install --prefix {TOOLS} --no-audit --no-fund {program}"


def _pnpm_version(root: Files) -> str:
    match = re.search(r"^lockfileVersion:\s*'?(\d+)", root.text("pnpm-lock.yaml"), re.MULTILINE)
    return {"5": "7", "6": "8"}.get(match[1] if match else "", "9")


def _yarn(root: Files, plan: Plan, manager: Manager, everything: bool) -> str:
    berry = root.has(".yarnrc.yml") or "__metadata:" in root.text("yarn.lock") or (manager.version or "1")[0] != "1"
    if not berry:
        frozen = " --frozen-lockfile" if manager.lock else ""
        return f"{_fetch(plan, f'yarn@{manager.version or 1}')} && yarn install{frozen} --production={'false' if everything else 'true'}"
    # node_modules, because what plug'n'play resolves lies in the HOME of the build, which is not there at run time.
    settings = f"env YARN_NODE_LINKER=node-modules YARN_ENABLE_TELEMETRY=0{'' if manager.lock else ' YARN_ENABLE_IMMUTABLE_INSTALLS=false'}"
    checked_in = re.search(r"^yarnPath:\s*[\"']?([^\s\"']+)", root.text(".yarnrc.yml"), re.MULTILINE)
    if checked_in:
        return f"{settings} node {shlex.quote(checked_in[1])} install"
    return f"{_fetch(plan, f'@yarnpkg/cli-dist@{manager.version or 4}')} && {settings} yarn install{' --immutable' if manager.lock else ''}"


def _build(files: Files, plan: Plan, package: dict[str, Any], framework: Framework | None) -> None:
    if _scripts(package).get("build"):
        plan.build = "npm run build"
        plan.because("build", _scripts(package)["build"], "package.json")
    elif framework and framework.build:
        plan.build = framework.build
        plan.because("build", framework.build, "package.json")


def _start(files: Files, plan: Plan, package: dict[str, Any], packages: dict[str, str], framework: Framework | None) -> None:
    special = _SPECIAL.get(framework.name) if framework else None
    if special and special(files, plan, package, packages):
        return
    script = start_script(package)
    if framework and (framework.start or framework.output):
        custom = script and not script.startswith(framework.dev) and not _is_static_server(script)
        if custom and (framework.start or not _is_dev(script or "")):
            plan.web(script or "", "package.json")
        elif framework.start:
            plan.web(framework.start, "package.json")
        else:
            plan.static(_output(files, framework), "package.json", framework.spa)
        return
    program = _program(files, package)
    if program is None:
        plan.no_start("a start script in package.json, or a server.js")
    elif program[0] == "script":
        plan.web(program[1], "package.json")
        _check_port(files, plan, program[1])
    else:
        _serve_file(files, plan, program[1])
    _bun_at_run_time(plan)


def start_script(package: dict[str, Any]) -> str | None:
    """The start script as a command that needs no package manager: other scripts are put in its place, watchers are taken out."""
    scripts = _scripts(package)
    name = next((name for name in ("start:prod", "start:production", "start", "serve:prod") if scripts.get(name)), None)
    if name is None:
        return None
    command = _expand(scripts, scripts[name], depth=3)
    before = _expand(scripts, scripts.get(f"pre{name}", ""), depth=3)
    if "npm_package_" in command:
        return f"npm run --silent {name}"
    return steps(before if before and not re.search(r"\bbuild\b|\btsc\b", before) else None, command)


def _expand(scripts: dict[str, str], command: str, depth: int) -> str:
    match = re.fullmatch(r"(?:npm|pnpm|yarn|bun)\s+(?:run\s+)?(?:--silent\s+|-s\s+)?([\w:.-]+)", command.strip())
    if match and depth and match[1] in scripts:
        return _expand(scripts, scripts[match[1]], depth - 1)
    parts = [part.strip() for part in command.split("&&")]
    if len(parts) > 1:
        # "npm run build && node dist": the build has been done, and /app is read-only.
        kept = [part for part in parts if not re.match(r"(?:npm|pnpm|yarn|bun)\s+(?:run\s+)?build\b|tsc\b|npx tsc\b", part)]
        return " && ".join(_expand(scripts, part, depth - 1) if depth else part for part in kept)
    watched = _WATCHERS.sub("", command.strip())
    if watched != command.strip() and re.match(r"[\w./-]+\.[cm]?js\b|\.(?:\s|$)", watched):
        return f"node {watched}"
    return watched


def _is_dev(command: str) -> bool:
    return bool(
        re.match(r"(?:npx\s+)?(?:vite|webpack(?:-dev-server)?|parcel|ng serve|react-scripts|next dev|nuxt dev|astro (?:dev|preview)|gulp|grunt)\b", command)
    )


def _is_static_server(command: str) -> bool:
    return bool(re.match(r"(?:npx\s+)?(?:serve|http-server|live-server|sirv|static-server|vite preview)\b", command))


def _program(files: Files, package: dict[str, Any]) -> tuple[str, str] | None:
    """What starts a plain app: ("script", command) or ("file", path)."""
    script = start_script(package)
    if script and not _is_dev(script):
        return "script", script
    main = str(package.get("main") or "").removeprefix("./")
    built = bool(_scripts(package).get("build"))
    if main and (files.has(main) or (built and main.startswith(("dist/", "build/", "lib/", "out/")))):
        return "file", main
    if main and files.has(f"{main}.js"):
        return "file", f"{main}.js"
    server = files.first(*_SERVER_FILES)
    return ("file", server) if server else None


def _serve_file(files: Files, plan: Plan, file: str) -> None:
    plan.web(f"node {shlex.quote(file)}", file if files.has(file) else "package.json")
    _check_port(files, plan, f"node {file}")


def _check_port(files: Files, plan: Plan, command: str) -> None:
    """Say now what would be found out by a failed health check: the app opens a port of its own choice."""
    match = re.fullmatch(r"node (?:-\S+ )*([\w./-]+?\.[cm]?js)", command)
    text = files.text(match[1]) if match else ""
    if match and re.search(r"\.listen\(\s*\d+", text) and "PORT" not in text:
        plan.warn(f"{match[1]} listens on a fixed port and never reads PORT: use process.env.PORT.")


def _bun_at_run_time(plan: Plan) -> None:
    service = plan.services.get("web")
    if service and service.command and re.match(r"bunx?\s", service.command):
        plan.language = "bun"
        plan.because("language", "bun", "package.json")
        if TOOLS not in plan.dependency_dirs:
            plan.install = steps(plan.install, _fetch(plan, "bun@1"))


def _config(files: Files, name: str) -> str:
    path = files.first(*(f"{name}.{extension}" for extension in ("js", "ts", "mjs", "mts", "cjs")))
    return files.text(path) if path else ""


def _output(files: Files, framework: Framework) -> str:
    text = _config(files, f"{framework.name}.config") + (_config(files, "vue.config") if framework.name == "vue-cli" else "")
    match = re.search(r"""\b(?:outDir|outputDir)\s*:\s*["'](?:\./)?([\w./-]+)["']""", text)
    return match[1].rstrip("/") if match else framework.output or "dist"


def _next(files: Files, plan: Plan, package: dict[str, Any], packages: dict[str, str]) -> bool:
    plan.env["NEXT_TELEMETRY_DISABLED"] = "1"
    match = re.search(r"""\boutput\s*:\s*["'](export|standalone)["']""", _config(files, "next.config"))
    if match and match[1] == "export":
        plan.static("out", "next.config")
        return True
    if match:
        copy = "cp -R .next/static .next/standalone/.next/static" + (
            " && cp -R public .next/standalone/public" if any(path.startswith("public/") for path in files.paths) else ""
        )
        plan.build = steps(plan.build, copy)
        plan.web("env HOSTNAME=127.0.0.1 node .next/standalone/server.js", "next.config")
    return bool(match)


def _nuxt(files: Files, plan: Plan, package: dict[str, Any], packages: dict[str, str]) -> bool:
    build = _scripts(package).get("build", "")
    if "generate" in build or re.search(r"\bssr\s*:\s*false", _config(files, "nuxt.config")):
        if "generate" not in build:
            plan.build = "nuxt generate"
        plan.static(".output/public", "package.json" if "generate" in build else "nuxt.config", spa=True)
        return True
    return False


def _react_router(files: Files, plan: Plan, package: dict[str, Any], packages: dict[str, str]) -> bool:
    if re.search(r"\bssr\s*:\s*false", _config(files, "react-router.config") + _config(files, "vite.config")):
        plan.static("build/client", "react-router.config", spa=True)
        return True
    return False


def _sveltekit(files: Files, plan: Plan, package: dict[str, Any], packages: dict[str, str]) -> bool:
    config = _config(files, "svelte.config")
    if "adapter-static" in config or ("@sveltejs/adapter-static" in packages and "adapter-node" not in config):
        fallback = bool(re.search(r"\bfallback\s*:", config))
        plan.static("build", "svelte.config.js", spa=fallback)
        return True
    if "@sveltejs/adapter-node" not in packages:
        plan.no_start(
            "@sveltejs/adapter-node (a server) or @sveltejs/adapter-static (files) in package.json and svelte.config.js; "
            "adapter-auto makes nothing that a server can start"
        )
        return True
    return False


def _astro(files: Files, plan: Plan, package: dict[str, Any], packages: dict[str, str]) -> bool:
    plan.env["ASTRO_TELEMETRY_DISABLED"] = "1"
    if "@astrojs/node" in packages:
        plan.web("env HOST=127.0.0.1 node ./dist/server/entry.mjs", "package.json")
        return True
    return False


def _angular(files: Files, plan: Plan, package: dict[str, Any], packages: dict[str, str]) -> bool:
    plan.env["NG_CLI_ANALYTICS"] = "false"
    projects = table(files.json("angular.json"), "projects")
    apps = {name: project for name, project in projects.items() if project.get("projectType", "application") == "application"}
    if len(apps) != 1:
        plan.no_start("exactly one application in angular.json, or services in hitless.yml that say which one")
        return True
    name, project = next(iter(apps.items()))
    target = table(table(project, "architect") or table(project, "targets"), "build")
    options = table(target, "options")
    path = options.get("outputPath")
    base = str(path.get("base", f"dist/{name}") if isinstance(path, dict) else path or f"dist/{name}").strip("/")
    if options.get("server") and options.get("ssr"):
        plan.web(f"node {shlex.quote(f'{base}/server/server.mjs')}", "angular.json")
        return True
    modern = str(target.get("builder", "")).endswith((":application", ":browser-esbuild")) and not (isinstance(path, dict) and path.get("browser") == "")
    plan.static(f"{base}/browser" if modern and str(target.get("builder")).endswith(":application") else base, "angular.json", spa=True)
    return True


def _vitepress(files: Files, plan: Plan, package: dict[str, Any], packages: dict[str, str]) -> bool:
    if files.glob("docs/.vitepress/*"):
        plan.build = plan.build if _scripts(package).get("build") else "npm run docs:build" if _scripts(package).get("docs:build") else "vitepress build docs"
        plan.static("docs/.vitepress/dist", "docs/.vitepress")
        return True
    return False


def _remix(files: Files, plan: Plan, package: dict[str, Any], packages: dict[str, str]) -> bool:
    if not files.glob("vite.config.*"):
        plan.web("env HOST=127.0.0.1 remix-serve ./build/index.js", "package.json")
        return True
    return False


# What a framework's own configuration decides, beyond the table.
_SPECIAL = {
    "next": _next, "nuxt": _nuxt, "react-router": _react_router, "remix": _remix, "sveltekit": _sveltekit, "astro": _astro,
    "angular": _angular, "vitepress": _vitepress,
}  # fmt: skip


def members(files: Files, package: dict[str, Any]) -> list[str]:
    """Folders of the packages of a workspace."""
    patterns = items(package, "workspaces") or items(table(package, "workspaces"), "packages")
    patterns = [*patterns, *items(files.yaml("pnpm-workspace.yaml"), "packages")]
    cleaned = [str(pattern).removeprefix("./").rstrip("/").replace("**", "*") for pattern in patterns if not str(pattern).startswith("!")]
    return [path.removesuffix("/package.json") for path in files.glob(*(f"{pattern}/package.json" for pattern in cleaned))]


def _workspace_member(files: Files, plan: Plan, package: dict[str, Any], distribution: str) -> Plan:
    """The only member of a workspace that can be started; several are a question for a person."""
    found = {folder: member for folder in members(files, package) if (member := detect_node(files.at(folder), distribution)) and member.startable()}
    if len(found) == 1:
        folder, member = next(iter(found.items()))
        return move(member, folder)
    _install(files, plan, package, find_manager(files, package))
    names = f"because {' and '.join(found)} can each be started" if found else "because no member of the workspace can be started"
    plan.no_start(f"services.<name>.root to hitless.yml, {names}")
    return plan


def detect_deno(files: Files, distribution: str) -> Plan | None:
    """A Deno app: deno.json names its tasks."""
    config = files.first("deno.json", "deno.jsonc", "deno.lock")
    if config is None or files.has("package.json"):
        return None
    plan = Plan("deno", toolchain=["nodejs", "npm"], package_manager="deno")
    plan.because("language", "deno", config)
    plan.path(_TOOLS_BIN)
    plan.env["DENO_DIR"] = f"/app/{TOOLS}/deno"
    plan.env["DENO_NO_UPDATE_CHECK"] = "1"
    wanted = pinned(files, "deno")
    set_version(plan, "deno", wanted, distribution)
    entry = files.first("main.ts", "server.ts", "main.js", "server.js", "mod.ts", "src/main.ts", "src/server.ts", "main.tsx")
    plan.install = steps(_fetch(plan, f"deno@{wanted[0] if wanted else 2}"), f"deno cache {entry}" if entry else None)
    plan.lockfiles = [path for path in (config, "deno.lock") if files.has(path)]
    task = _deno_task(files.text(config), "start") if config != "deno.lock" else None
    listen = "env DENO_SERVE_ADDRESS=tcp:127.0.0.1:$PORT"
    if task and "--watch" not in task:
        plan.web(f"{listen} {task}" if task.startswith("deno ") else f"{listen} deno task start", config)
    elif entry:
        plan.web(f"{listen} deno run --allow-net --allow-env --allow-read {entry}", entry)
    else:
        plan.no_start("a start task in deno.json, or a main.ts")
    if _deno_task(files.text(config), "build"):
        plan.build = "deno task build"
    return plan


def _deno_task(text: str, name: str) -> str | None:
    # deno.jsonc has comments, which no JSON parser of the standard library reads.
    block = re.search(r'"tasks"\s*:\s*\{(.*?)\}', text, re.DOTALL)
    match = re.search(rf'"{name}"\s*:\s*"((?:[^"\\]|\\.)*)"', block[1]) if block else None
    return match[1].replace('\\"', '"') if match else None


def detect_bun(files: Files, distribution: str) -> Plan | None:
    """A Bun app: its lockfile, and an entry that only Bun runs (TypeScript with no start script)."""
    if not files.has("package.json"):
        return None
    package = files.json("package.json")
    manager = find_manager(files, package)
    entry = files.first("index.ts", "server.ts", "src/index.ts", "src/server.ts", "index.tsx")
    module = str(package.get("module") or "")
    entry = module if module.endswith(".ts") and files.has(module) else entry
    packages = _packages(package)
    if (
        manager.name != "bun"
        or start_script(package)
        or entry is None
        or any(framework.start or framework.output for framework in FRAMEWORKS if framework.package in packages)
    ):
        return None
    plan = _new(package, files, distribution)
    plan.language = "bun"
    plan.because("language", "bun", manager.file)
    framework = next((item for item in FRAMEWORKS if item.package in packages), None)
    if framework:
        plan.framework = framework.name
        plan.because("framework", framework.name, "package.json")
    _build(files, plan, package, None)
    _install(files, plan, package, manager)
    plan.web(f"bun run {entry}", entry)
    return plan
