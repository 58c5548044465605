# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Go, Rust, .NET and Elixir: compiled in the build, started as a program of their own."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import Any

from ._plan import Plan, steps
from ._tree import Files, items, table
from ._versions import pinned, set_version

_PROGRAM = ".hitless/bin/web"
# The names that tell the server among several programs.
_SERVER_NAMES = ("server", "web", "api", "app", "http", "httpd", "main")


def detect_go(files: Files, distribution: str) -> Plan | None:
    """A Go module or workspace: its main package, at the top or in cmd/."""
    marker = files.first("go.mod", "go.work") or ("main.go" if "package main" in files.text("main.go") else None)
    if marker is None:
        return None
    # gcc and libc6-dev: before Go 1.20 even net/http is linked through cgo, and fails to build where there is no compiler.
    plan = Plan("go", toolchain=["golang-go", "gcc", "libc6-dev", "ca-certificates", "git"], package_manager="go")
    plan.because("language", "go", marker)
    match = re.search(r"^go\s+(\d[\w.]*)", files.text(marker), re.MULTILINE)
    set_version(plan, "go", pinned(files, "go") or ((f">={match[1]}", marker) if match else None), distribution)
    frameworks = {"gin-gonic/gin": "gin", "labstack/echo": "echo", "gofiber/fiber": "fiber", "go-chi/chi": "chi", "gorilla/mux": "gorilla"}
    plan.framework = next((name for module, name in frameworks.items() if f"github.com/{module}" in files.text("go.mod")), None)
    plan.lockfiles = [path for path in ("go.sum", "go.mod", "go.work", "go.work.sum") if files.has(path)]
    module = re.search(r"^module\s+(\S+)", files.text("go.mod"), re.MULTILINE)
    mains = _go_mains(files)
    folder = _one_program(mains, posixpath.basename(module[1]) if module else "")
    if folder is None:
        plan.build = "mkdir -p bin && go build -trimpath -o bin/ ./..." if mains else None
        plan.no_start(_which(mains, "package main, in the folder itself or in cmd/"))
        return plan
    target = "." if folder in ("", ".") else f"./{folder}"
    # The module and build caches live in the HOME of builds and are kept there.
    plan.build = f"go build -trimpath -o {_PROGRAM} {shlex.quote(target if marker != 'main.go' else 'main.go')}"
    plan.because("build", f"package main in {target}", f"{folder}/main.go".lstrip("/"))
    plan.web(_PROGRAM, f"{folder}/main.go".lstrip("/"))
    return plan


def _go_mains(files: Files) -> list[str]:
    uses = re.findall(r"^\s*(?:use\s+)?\./([\w./-]+)", files.text("go.work"), re.MULTILINE)
    patterns = ["*.go", "cmd/*.go", "cmd/*/*.go", "cmd/*/*/*.go", *(f"{use}/*.go" for use in uses), *(f"{use}/cmd/*/*.go" for use in uses)]
    sources = [path for path in files.glob(*patterns) if not path.endswith("_test.go")]
    folders = dict.fromkeys(posixpath.dirname(path) for path in sources if re.search(r"^package main\b", files.text(path), re.MULTILINE))
    return [""] if "" in folders else list(folders)


def _one_program(found: list[str], name: str) -> str | None:
    """The only program, or the one that is named as the project or as a server; None when nothing tells."""
    if len(found) == 1:
        return found[0]
    for wanted in (name, *_SERVER_NAMES):
        named = [path for path in found if posixpath.basename(path) == wanted]
        if len(named) == 1:
            return named[0]
    return None


def _which(found: list[str], what: str) -> str:
    if not found:
        return f"a {what}"
    return f"a Procfile that says which of {', '.join(sorted(found))} is started"


def detect_rust(files: Files, distribution: str) -> Plan | None:
    """A Cargo package or workspace: its binary."""
    if not files.has("Cargo.toml"):
        return None
    cargo = files.toml("Cargo.toml")
    plan = Plan("rust", toolchain=["cargo", "rustc", "build-essential", "pkg-config", "libssl-dev"], package_manager="cargo")
    plan.because("language", "rust", "Cargo.toml")
    channel = table(files.toml("rust-toolchain.toml"), "toolchain").get("channel")
    package: dict[str, Any] = table(cargo, "package")
    least = package.get("rust-version") if isinstance(package.get("rust-version"), str) else None
    set_version(
        plan,
        "rust",
        pinned(files, "rust") or ((str(channel), "rust-toolchain.toml") if channel else (f">={least}", "Cargo.toml") if least else None),
        distribution,
    )
    dependencies = table(cargo, "dependencies")
    plan.framework = next(
        (name for crate, name in (("axum", "axum"), ("actix-web", "actix"), ("rocket", "rocket"), ("warp", "warp"), ("poem", "poem")) if crate in dependencies),
        None,
    )
    if plan.framework == "rocket":
        plan.env["ROCKET_ADDRESS"] = "127.0.0.1"
    plan.lockfiles = [path for path in ("Cargo.lock", "Cargo.toml") if files.has(path)]
    bins = _rust_bins(files, cargo)
    program = str(package.get("default-run") or "") or _one_program(bins, str(package.get("name", "")))
    locked = " --locked" if files.has("Cargo.lock") else ""
    if program is None:
        plan.build = f"cargo build --release{locked}" if bins else None
        plan.no_start(_which(bins, "src/main.rs"))
        return plan
    target = '"$HOME"/.hitless-target'
    plan.build = steps(
        f"cargo build --release{locked} --bin {shlex.quote(program)} --target-dir {target}", f"install -D {target}/release/{shlex.quote(program)} {_PROGRAM}"
    )
    plan.because("build", f"binary {program}", "Cargo.toml")
    prefix = "env ROCKET_PORT=$PORT " if plan.framework == "rocket" else ""
    plan.web(prefix + _PROGRAM, "Cargo.toml")
    return plan


def _rust_bins(files: Files, cargo: dict[str, Any]) -> list[str]:
    found = [str(entry["name"]) for entry in items(cargo, "bin") if isinstance(entry, dict) and "name" in entry]
    if "package" in cargo:
        name = str(cargo["package"].get("name", ""))
        if files.has("src/main.rs") and not any(entry.get("path", "src/main.rs") == "src/main.rs" for entry in items(cargo, "bin")):
            found.append(name)
        found += [posixpath.basename(path).removesuffix(".rs") for path in files.glob("src/bin/*.rs")]
        found += [path.split("/")[2] for path in files.glob("src/bin/*/main.rs")]
    for pattern in items(table(cargo, "workspace"), "members"):
        for path in files.glob(f"{str(pattern).rstrip('/')}/Cargo.toml"):
            member = files.at(posixpath.dirname(path))
            found += _rust_bins(member, member.toml("Cargo.toml"))
    return list(dict.fromkeys(found))


def detect_dotnet(files: Files, distribution: str) -> Plan | None:
    """An ASP.NET project."""
    projects = files.glob("*.csproj", "*.fsproj", "*/*.csproj", "*/*.fsproj", "src/*/*.csproj", "src/*/*.fsproj")
    if not projects:
        return None
    web = [path for path in projects if "Microsoft.NET.Sdk.Web" in files.text(path)]
    plan = Plan("dotnet", framework="aspnet" if web else None, package_manager="nuget")
    plan.because("language", "dotnet", projects[0])
    match = re.search(r"<TargetFrameworks?>\s*net(\d+\.\d+)", files.text((web or projects)[0]))
    version = match[1] if match else "8.0"
    set_version(plan, "dotnet", (version, (web or projects)[0]), distribution)
    plan.need(f"dotnet-sdk-{version}")
    if distribution.startswith("debian"):
        plan.warn(f"{distribution} has no .NET packages: dotnet-sdk-{version} must be put on the host before (Microsoft's repository, or mise).")
    plan.env.update({"DOTNET_CLI_TELEMETRY_OPTOUT": "1", "DOTNET_NOLOGO": "1", "ASPNETCORE_ENVIRONMENT": "Production", "DOTNET_gcServer": "0"})
    plan.lockfiles = [path for path in ("packages.lock.json", *projects) if files.has(path)]
    if not web:
        plan.no_start("a project with the SDK Microsoft.NET.Sdk.Web")
        return plan
    if len(web) > 1:
        plan.no_start(f"services.<name>.root to hitless.yml, because {' and '.join(web)} are both web projects")
        return plan
    name = re.search(r"<AssemblyName>\s*([\w.-]+)", files.text(web[0]))
    assembly = name[1] if name else posixpath.basename(web[0]).rpartition(".")[0]
    plan.build = f"dotnet publish {shlex.quote(web[0])} --configuration Release --output .hitless/publish"
    plan.because("build", "dotnet publish", web[0])
    plan.web(f"dotnet {shlex.quote(f'.hitless/publish/{assembly}.dll')} --urls http://127.0.0.1:$PORT", web[0])
    return plan


def detect_elixir(files: Files, distribution: str) -> Plan | None:
    """A Mix project, run as a release."""
    if not files.has("mix.exs"):
        return None
    mix = files.text("mix.exs")
    plan = Plan("elixir", toolchain=["elixir", "erlang", "git", "build-essential"], package_manager="mix")
    plan.because("language", "elixir", "mix.exs")
    match = re.search(r'elixir:\s*"([^"]+)"', mix)
    set_version(plan, "elixir", pinned(files, "elixir") or ((match[1], "mix.exs") if match else None), distribution)
    phoenix = "{:phoenix," in mix
    if phoenix:
        plan.framework = "phoenix"
        plan.because("framework", "phoenix", "mix.exs")
    # Two replicas run side by side, so a release must not take the node's name.
    plan.env.update({"MIX_ENV": "prod", "LANG": "C.UTF-8", "RELEASE_DISTRIBUTION": "none", "RELEASE_TMP": "/tmp"})
    if phoenix:
        plan.env["PHX_SERVER"] = "true"
    plan.install = "mix local.hex --force && mix local.rebar --force && mix deps.get --only prod"
    plan.lockfiles = [path for path in ("mix.lock", "mix.exs") if files.has(path)]
    plan.dependency_dirs = ["deps"]
    assets = "mix assets.deploy" if '"assets.deploy"' in mix else "mix phx.digest" if phoenix and files.glob("assets/*", "priv/static/*") else None
    plan.build = steps("mix compile", assets, "mix release --overwrite")
    plan.because("build", "mix release", "mix.exs")
    release = re.search(r"releases:\s*\[\s*(\w+):", mix) or re.search(r"app:\s*:(\w+)", mix)
    if release:
        plan.web(f"_build/prod/rel/{release[1]}/bin/{release[1]} start", "mix.exs")
    else:
        plan.no_start("`app: :name` in mix.exs")
    return plan
