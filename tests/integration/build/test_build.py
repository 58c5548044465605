# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from .conftest import Server

EXAMPLES = Path(__file__).parents[3] / "examples"
SHELL_APP = {"Procfile": "web: ./run\n", "run": "#!/bin/sh\n"}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    for name, text in SHELL_APP.items():
        (folder / name).write_text(text)
    return folder


def example(name: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLES / name, tmp_path / name))


def failed(run: Any) -> dict[str, Any]:
    """The error of a run that failed."""
    assert run.code != 0, run.text
    start = run.text.index("FAILED! => ") + len("FAILED! => ")
    error: dict[str, Any] = json.JSONDecoder().raw_decode(run.text[start:])[0]["error"]
    return error


def leftovers(server: Server) -> str:
    return server.sh(
        "ls -A /srv/shop/artifacts | grep building || true; systemctl list-units --all --no-legend 'hitless-shop.*'; pgrep -u hitless-shop -a || true"
    )


@pytest.mark.parametrize(("name", "command"), [("hello-flask", ".venv/bin/python -c 'import flask, gunicorn'"), ("hello-node", "node --check server.js")])
def test_example_is_built_once_and_code_alone_installs_nothing(name: str, command: str, server: Server, tmp_path: Path) -> None:
    folder = example(name, tmp_path)
    first = server.build(folder).ok()
    assert first.phases() == {"upload": "done", "install": "done", "build": "skipped", "freeze": "done"}
    assert first.log("install")
    server.sh("mkdir -p /app && mount --bind %s /app && cd /app && %s; code=$?; umount /app; exit $code" % (first.artifact, command))
    (folder / "VERSION").write_text("2\n")
    second = server.build(folder).ok()
    assert second.phases() == {"upload": "done", "install": "skipped", "build": "skipped", "freeze": "done"}
    assert [event for event in second.events if event["event"] == "log"] == []
    assert server.sh("cat %s/VERSION" % second.artifact) == "2"
    third = server.build(folder).ok()
    assert third.phases() == {"upload": "done", "install": "skipped", "build": "skipped", "freeze": "skipped"}
    assert leftovers(server) == ""


def test_artifact_is_frozen_and_mounts_are_there(server: Server, app: Path) -> None:
    (app / "private").write_text("x")
    run = server.build(app, {"build": "umask 077; mkdir -p out; echo made > out/file"}, mounts={"/app/data/up": "up"}).ok()
    assert server.sh("find %s ! -user root -o -perm /222 ! -type l" % run.artifact) == ""
    assert server.sh("setpriv --reuid hitless-shop --regid hitless-shop --clear-groups cat %s/out/file" % run.artifact) == "made"
    assert server.sh("ls -d %s/data/up" % run.artifact)


def test_a_layer_can_be_replaced_by_a_build_but_not_changed(server: Server, app: Path) -> None:
    (app / "lock").write_text("1")
    build = {"install": "mkdir -p deps/sub; echo one > deps/a; echo one > deps/sub/b", "lockfiles": ["lock"], "dependency_dirs": ["deps"]}
    server.build(app, build).ok()
    (app / "run").write_text("#!/bin/sh\n# 2\n")
    change = "echo x >> deps/a && exit 9; rm deps/a; echo two > deps/a; rm -r deps/sub; touch deps/new"
    second = server.build(app, {**build, "build": change}).ok()
    assert second.phases()["install"] == "skipped"
    assert server.sh("cat %s/deps/a" % second.artifact) == "two"
    (app / "run").write_text("#!/bin/sh\n# 3\n")
    third = server.build(app, build).ok()
    assert third.phases()["install"] == "skipped"
    assert server.sh("cd %s/deps; cat a sub/b; ls" % third.artifact).split() == ["one", "one", "a", "sub"]


def test_steps_run_in_order_in_a_sandbox(server: Server, app: Path) -> None:
    looks = "id -un; pwd; ls /srv; cat /etc/hitless/secret || echo hidden; "
    looks += "ls /var/lib/hitless || echo hidden; touch /usr/x || echo read-only; env | grep -c OTHER || true; echo $VITE_A"
    build = {"pre": "echo pre", "install": "echo install", "build": looks, "post": "echo post", "build_env": ["VITE_*"]}
    run = server.build(app, build, env={"VITE_A": "shown-to-the-build", "OTHER": "not-shown"}).ok()
    assert [run.log(step) for step in ("pre", "install", "post")] == [["pre"], ["install"], ["post"]]
    lines = [line for line in run.log("build") if not line.startswith(("cat:", "ls:", "touch:"))]
    assert lines == ["hitless-shop", "/app", "shop", "hidden", "hidden", "read-only", "0", "***"]
    assert "shown-to-the-build" not in run.text
    assert "shown-to-the-build" not in server.sh("cat /var/log/hitless/shop/%s/build.log" % server.deployment)


def test_without_network(server: Server, app: Path) -> None:
    run = server.build(app, {"build": "cat /proc/net/dev", "network": False}).ok()
    assert [line.split(":")[0].strip() for line in run.log("build") if ":" in line] == ["lo"]


@pytest.mark.parametrize(
    ("build", "words", "phase"),
    [
        ({"install": "echo why >&2; exit 3"}, "`echo why >&2; exit 3` (install) ended with exit status 3", "install"),
        ({"build": "sh -c 'kill -SEGV $$'"}, "ended with exit status 139", "build"),
        ({"build": "sleep 600", "timeout": 2.0}, "did not end within 2 seconds and was killed", "build"),
        ({"build": "python3 -c 'x = bytearray(400 * 2**20)'", "memory": 64 * 2**20}, "ran out of memory: it was killed at the cap of 64 MiB", "build"),
        ({"build": "echo 'write: No space left on device'; exit 1"}, "because the disk of the host is full", "build"),
        ({"install": "read answer && echo got it"}, "(install) ended with exit status 1", "install"),
        ({"build": "(setsid sh -c 'sleep 600' &); (setsid sleep 600 &); exit 4"}, "ended with exit status 4", "build"),
    ],
)
def test_build_that_breaks_says_why_and_leaves_nothing(build: dict[str, Any], words: str, phase: str, server: Server, app: Path) -> None:
    run = server.build(app, {**build, "post": "true"})
    error = failed(run)
    assert error["code"] == "build_failed"
    assert words in error["message"]
    assert error["details"]["phase"] == phase
    assert leftovers(server) == ""
    assert server.sh("ls -d %s || true" % run.artifact) == ""


def test_failure_brings_the_last_50_lines(server: Server, app: Path) -> None:
    error = failed(server.build(app, {"build": "seq 1 200; exit 1"}))
    assert error["details"]["log_tail"] == [str(number) for number in range(151, 201)]


def test_a_process_left_behind_is_gone_before_the_freeze(server: Server, app: Path) -> None:
    run = server.build(app, {"build": "(setsid sh -c 'while :; do date >> /app/late; sleep 0.05; done' &) ; sleep 0.2; echo end"}).ok()
    assert run.log("build") == ["end"]
    assert leftovers(server) == ""


def test_odd_output_arrives_in_order_and_bounded(server: Server, app: Path) -> None:
    script = "printf 'bad \\377 byte\\n'; seq 1 30000; head -c 100000000 /dev/zero | tr '\\0' x | fold -w 200; echo; echo the end"
    run = server.build(app, {"build": script}).ok()
    lines = run.log("build")
    assert lines[0] == "bad \ufffd byte"
    assert lines[1:30001] == [str(number) for number in range(1, 30001)]
    assert lines[-1] == "the end"
    assert any("left out here" in line for line in lines)
    assert int(server.sh("stat -c %%s /var/log/hitless/shop/%s/build.log" % server.deployment)) < 22 * 2**20


def test_lines_arrive_while_the_step_runs(server: Server, app: Path) -> None:
    run = server.start(app, {"build": "while ! [ -e /app/go ]; do sleep 0.1; done; echo first; while ! [ -e /app/on ]; do sleep 0.1; done; echo second"})
    tree = "/srv/shop/artifacts/.building-%s/tree" % server.deployment
    for event in run.lines():
        if event["event"] == "phase" and (event["name"], event["state"]) == ("build", "running"):
            server.sh("touch %s/go" % tree)
        if event["event"] == "log" and event["line"] == "first":
            server.sh("touch %s/on" % tree)  # had the line waited for the end of the step, the step would never end
    assert run.ok().log("build") == ["first", "second"]


def test_missing_toolchain_is_installed_first(server: Server, app: Path) -> None:
    server.sh("apt-get remove -y -q bc >/dev/null 2>&1 || true")
    run = server.build(app, {"build": "echo 6*7 | bc", "toolchain": ["bc"]}).ok()
    assert run.log("toolchain")
    assert run.log("build") == ["42"]


# --- upload --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["root", "deployer"])
def test_upload_moves_only_differences(user: str, server: Server, app: Path) -> None:
    for number in range(20):
        (app / ("file%d" % number)).write_bytes(bytes([number]) * 100_000)
    (app / "gone").mkdir()
    (app / "gone" / "x").touch()
    (app / "turns").write_text("file")
    (app / "new\nline").write_text("odd")
    (app / "link").symlink_to("run")
    first = server.build(app, user=user).ok()
    shutil.rmtree(app / "gone")
    (app / "turns").unlink()
    (app / "turns").mkdir()
    (app / "turns" / "y").touch()
    (app / "file1").write_bytes(b"z" * 100_000)
    second = server.build(app, user=user).ok()
    sent = [
        event["detail"]["bytes"]
        for run in (first, second)
        for event in run.events
        if event["event"] == "phase" and event["name"] == "upload" and event["state"] == "done"
    ]
    assert 100_000 < sent[1] < 110_000
    names = server.sh("cd %s && find . -mindepth 1 ! -path './file*' -printf '%%P|'" % second.artifact)
    assert sorted(names.strip("|").split("|")) == ["Procfile", "link", "new\nline", "run", "turns", "turns/y"]
    assert server.sh("head -c 3 %s/file1" % second.artifact) == "zzz"


def test_same_size_and_time_is_no_reason_to_keep_a_file(server: Server, app: Path) -> None:
    (app / "data").write_text("one")
    os.utime(app / "data", (1, 1))
    server.build(app).ok()
    (app / "data").write_text("two")
    os.utime(app / "data", (1, 1))
    assert server.sh("cat %s/data" % server.build(app).ok().artifact) == "two"


def test_upload_that_was_cut_is_finished_by_the_next(server: Server, app: Path) -> None:
    (app / "data").write_text("right")
    run = server.start(app)
    partial = "/var/lib/hitless/shop/staged/%s.partial" % run.values["source"]
    server.sh("mkdir -p %s/sub && cd %s && echo wrong > data && touch sub/junk" % (partial, partial))
    run.wait()
    assert server.sh("cat %s/data; echo; ls -A %s" % (run.ok().artifact, run.artifact)).split() == ["right", "Procfile", "data", "run"]


def test_a_run_that_lost_its_lock_stops(server: Server, app: Path) -> None:
    run = server.start(app)
    server.sh("""printf '{"deployment": "20991231235959"}' > /var/lib/hitless/shop/lock""")
    run.wait()
    assert failed(run)["code"] == "lock_lost"
