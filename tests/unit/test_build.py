# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import copy
import fnmatch
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hitless.paas.plugins.module_utils import _build_plan as plan_of
from ansible_collections.hitless.paas.plugins.module_utils import _build_runner
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.module_utils._runtime import Replica, parse_unit_name
from ansible_collections.hitless.paas.plugins.module_utils._staged import complete
from ansible_collections.hitless.paas.plugins.plugin_utils import _upload as upload
from ansible_collections.hitless.paas.plugins.plugin_utils._build_log import LogFollower, batches
from ansible_collections.hitless.paas.plugins.plugin_utils._connection import from_ssh_on

BUILD: dict[str, Any] = {
    "install": "npm ci", "build": "npm run build", "pre": None, "post": None, "lockfiles": ["package-lock.json"], "dependency_dirs": ["node_modules"],
    "toolchain": ["nodejs"], "build_env": ["VITE_*"], "memory": 2**30, "cpu": 1.5, "timeout": 60.0, "network": True, "output": None, "builder": "native",
}  # fmt: skip
PLAN: dict[str, Any] = {"build": BUILD, "env": {"A": "1"}, "mounts": {"/app/up": "up"}, "services": {"web": {"command": "x"}}}
LOCK = {"package-lock.json": "aa"}


def changed(path: str, value: object) -> dict[str, Any]:
    plan = copy.deepcopy(PLAN)
    *parents, last = path.split(".")
    here = plan
    for parent in parents:
        here = here[parent]
    here[last] = value
    return plan


@pytest.mark.parametrize(
    ("path", "value"), [("build.install", "x"), ("build.build", "x"), ("build.post", "x"), ("build.toolchain", []), ("env", {}), ("mounts", {})]
)
def test_artifact_digest_changes_with_what_goes_into_it(path: str, value: object) -> None:
    assert plan_of.artifact_digest("s", changed(path, value), {}) != plan_of.artifact_digest("s", PLAN, {})


@pytest.mark.parametrize(("path", "value"), [("build.timeout", 1), ("build.memory", 1), ("services", {}), ("build.cpu", None)])
def test_artifact_digest_stays_with_what_does_not(path: str, value: object) -> None:
    assert plan_of.artifact_digest("s", changed(path, value), {}) == plan_of.artifact_digest("s", PLAN, {})


def test_artifact_digest_and_variables() -> None:
    base = plan_of.artifact_digest("s", PLAN, {})
    assert plan_of.artifact_digest("s", PLAN, {"OTHER": "1"}) == base
    assert plan_of.artifact_digest("s", PLAN, {"VITE_A": "1"}) != base
    assert plan_of.artifact_digest("t", PLAN, {}) != base


@pytest.mark.parametrize(
    ("build", "base_env", "env", "lock", "versions", "same"),
    [
        ({}, {}, {}, LOCK, {"nodejs": "18"}, True),
        ({"build": "other", "timeout": 1.0}, {}, {"X": "1"}, LOCK, {"nodejs": "18"}, True),
        ({"install": "npm i"}, {}, {}, LOCK, {"nodejs": "18"}, False),
        ({"pre": "x"}, {}, {}, LOCK, {"nodejs": "18"}, False),
        ({}, {"A": "1"}, {}, LOCK, {"nodejs": "18"}, False),
        ({}, {}, {"VITE_A": "1"}, LOCK, {"nodejs": "18"}, False),
        ({}, {}, {}, {"package-lock.json": "bb"}, {"nodejs": "18"}, False),
        ({}, {}, {}, LOCK, {"nodejs": "20"}, False),
    ],
)
def test_layer_digest(build: dict[str, Any], base_env: dict[str, str], env: dict[str, str], lock: dict[str, str], versions: dict[str, str], same: bool) -> None:
    base = plan_of.layer_digest(BUILD, {}, {}, LOCK, {"nodejs": "18"})
    assert (plan_of.layer_digest({**BUILD, **build}, base_env, env, lock, versions) == base) is same


@pytest.mark.parametrize("change", [{"install": None}, {"dependency_dirs": []}])
def test_no_layer_without_what_makes_one(change: dict[str, Any]) -> None:
    assert plan_of.layer_digest({**BUILD, **change}, {}, {}, LOCK, {}) is None
    assert plan_of.layer_digest(BUILD, {}, {}, {}, {}) is None


def test_lines_of_a_step_go_together_in_order_and_bounded() -> None:
    taken = [("pre", "a"), ("pre", "b"), ("build", "c"), *(("build", "x" * 1000) for _ in range(120)), ("post", "")]
    made = batches(taken)
    assert [(step, line) for step, lines in made for line in lines] == taken
    assert [step for step, _lines in made] == ["pre", "build", "build", "build", "post"]
    assert batches([]) == []


def test_steps_are_in_order() -> None:
    build = {**BUILD, "pre": "a", "post": "z"}
    assert [step["name"] for stage in ("install", "build") for step in plan_of.steps_of(build, stage)] == ["pre", "install", "build", "post"]


STEPS = {
    "install": [{"name": "install.a", "command": "i", "kept": True}, {"name": "install.b", "command": "j", "kept": False}],
    "build": [{"name": "build", "command": "x", "kept": True}, {"name": "build.b", "command": "y", "kept": False}],
}


@pytest.mark.parametrize(
    ("steps", "restored", "install", "build"),
    [
        ({}, False, ["pre", "install"], ["build", "post"]),
        ({}, True, [], ["build", "post"]),
        (STEPS, False, ["pre", "install.a", "install.b"], ["build", "build.b", "post"]),
        (STEPS, True, ["install.b"], ["build", "build.b", "post"]),
        ({"build": STEPS["build"]}, False, ["pre", "install"], ["build", "build.b", "post"]),
    ],
)
def test_services_have_steps_of_their_own(steps: dict[str, Any], restored: bool, install: list[str], build: list[str]) -> None:
    order = {**BUILD, "pre": "a", "post": "z", "steps": steps}
    assert [step["name"] for step in plan_of.steps_of(order, "install", restored)] == install
    assert [step["name"] for step in plan_of.steps_of(order, "build")] == build


def test_a_step_of_a_service_has_the_network_of_its_stage() -> None:
    order = {**BUILD, "steps": STEPS, "network": {"install": False}}
    assert [plan_of.has_network(order, name) for name in ("install.a", "build.b")] == [False, True]


def test_a_build_sees_build_time_variables_only() -> None:
    env = plan_of.step_env("shop", PLAN, {"VITE_A": "1", "DATABASE_URL": "x"})
    assert (env["VITE_A"], env["A"], env["HOME"]) == ("1", "1", "/srv/shop/cache/home")
    assert "DATABASE_URL" not in env


@pytest.mark.parametrize(("app", "other"), [("shop", "shop-eu"), ("shop", "build-shop"), ("build-shop", "shop"), ("shop", "sho")])
def test_units_of_one_app_never_match_another(app: str, other: str) -> None:
    assert fnmatch.fnmatch(plan_of.unit_name(app, "20261121080000"), plan_of.unit_pattern(app))
    assert not fnmatch.fnmatch(plan_of.unit_name(other, "20261121080000"), plan_of.unit_pattern(app))
    for service in ("web", "build"):
        replica = Replica(app, service, "20261121080000", 1)
        assert not fnmatch.fnmatch(replica.unit, plan_of.unit_pattern(app))
        assert not fnmatch.fnmatch(replica.unit, plan_of.unit_pattern(other))


def test_a_build_is_no_replica() -> None:
    assert parse_unit_name(plan_of.unit_name("shop", "20261121080000")) is None


def test_sandbox() -> None:
    pairs = plan_of.sandbox(AppPaths("shop"), "20261121080000", BUILD, network=False)
    for pair in [
        ("User", "hitless-shop"),
        ("MemoryMax", "1073741824"),
        ("CPUQuota", "150%"),
        ("RuntimeMaxSec", "60"),
        ("PrivateNetwork", "yes"),
        ("TemporaryFileSystem", "/srv:ro"),
    ]:
        assert pair in pairs
    assert ("PrivateNetwork", "yes") not in plan_of.sandbox(AppPaths("shop"), "20261121080000", BUILD)


@pytest.mark.parametrize(("network", "install", "build"), [
    (True, [(["pre", "install"], True)], [(["build", "post"], True)]),
    (False, [(["pre", "install"], False)], [(["build", "post"], False)]),
    ({"install": True, "build": False, "hooks": True}, [(["pre", "install"], True)], [(["build"], False), (["post"], True)]),
    ({"hooks": False}, [(["pre"], False), (["install"], True)], [(["build"], True), (["post"], False)]),
])  # fmt: skip
def test_steps_that_share_a_unit_have_the_same_network(network: Any, install: Any, build: Any) -> None:
    order = {**BUILD, "pre": "a", "post": "z", "network": network}
    for stage, expected in (("install", install), ("build", build)):
        assert [([step["name"] for step in steps], allowed) for steps, allowed in plan_of.groups_of(order, stage)] == expected


def test_the_time_and_the_place_of_each_step() -> None:
    marks = [{"step": "pre", "state": "running", "offset": 5}, {"step": "pre", "state": "done", "code": 0, "seconds": 1.5, "offset": 9},
             {"step": "install", "state": "running", "offset": 9}, {"step": "install", "state": "failed", "code": 3, "seconds": 2.0, "offset": 20}]  # fmt: skip
    expected = [("pre", "done", 1.5, 5, 9), ("install", "failed", 2.0, 9, 20)]
    assert [tuple(step.values()) for step in plan_of.timed_steps(marks)] == expected
    assert plan_of.timed_steps(marks[:1]) == []


FAILED = [{"step": "install", "state": "running"}, {"step": "install", "state": "failed", "code": 3}]
RUNNING = FAILED[:1]


@pytest.mark.parametrize(
    ("marks", "unit", "full", "words"),
    [
        (FAILED, {"Result": "exit-code"}, False, "`npm ci` (install) ended with exit status 3."),
        ([*RUNNING, {"step": "install", "state": "failed", "code": -11}], {"Result": "exit-code"}, False, "was killed by signal 11."),
        (RUNNING, {"Result": "oom-kill"}, False, "`npm ci` (install) ran out of memory: it was killed at the cap of 1024 MiB."),
        ([*RUNNING, {"step": "install", "state": "failed", "code": 137, "oom": True}], {"Result": "exit-code"}, False, "it was killed at the cap of 1024 MiB."),
        (RUNNING, {"Result": "timeout"}, False, "did not end within 60 seconds and was killed."),
        (FAILED, {"Result": "exit-code"}, True, "failed because the disk of the host is full."),
        (RUNNING, {"Result": "success"}, False, "was stopped before it ended (success)."),
        ([], {"Result": "exit-code"}, False, "The build was stopped before it ended (exit-code)."),
    ],
)
def test_failure_reason(marks: list[dict[str, Any]], unit: dict[str, str], full: bool, words: str) -> None:
    assert plan_of.failure_reason(marks, unit, BUILD, {"install": "npm ci"}, full).endswith(words)
    assert not plan_of.outcome(marks, unit)


LAYERS = [("a", 5, 1), ("b", 5, 2), ("c", 5, 3)]


@pytest.mark.parametrize(
    ("cap", "keep", "gone"), [(15, "c", []), (10, "c", ["a"]), (5, "c", ["a", "b"]), (0, "c", ["a", "b"]), (10, "a", ["b"]), (0, None, ["a", "b", "c"])]
)
def test_layers_to_prune(cap: int, keep: str | None, gone: list[str]) -> None:
    assert plan_of.layers_to_prune(LAYERS, cap, keep) == gone


# --- the program in the unit ---------------------------------------------------------------------------------------


def run_order(tmp_path: Path, steps: list[tuple[str, str]], cap: int = 10**6, secrets: tuple[str, ...] = ()) -> tuple[int, bytes, list[dict[str, Any]]]:
    order = {"steps": [{"name": name, "command": command} for name, command in steps], "env": dict(os.environ), "secrets": list(secrets), "cap": cap}
    (tmp_path / "order.json").write_text(json.dumps(order))
    with open(tmp_path / "log", "ab") as log, open(tmp_path / "status", "ab") as status:
        code = subprocess.run(
            [sys.executable, "-I", str(_build_runner.__file__), str(tmp_path / "order.json")], stdout=log, stderr=status, check=False
        ).returncode
    return code, (tmp_path / "log").read_bytes(), [json.loads(line) for line in (tmp_path / "status").read_text().splitlines()]


def test_runner_runs_steps_in_order_and_says_how_they_ended(tmp_path: Path) -> None:
    code, log, marks = run_order(tmp_path, [("install", "echo one; echo two >&2"), ("build", "printf three")])
    assert (code, log) == (0, b"one\ntwo\nthree\n")
    assert [(mark["step"], mark["state"]) for mark in marks] == [
        ("install", "running"),
        ("install", "done"),
        ("build", "running"),
        ("build", "done"),
        (None, "done"),
    ]
    assert [mark["offset"] for mark in marks] == [0, 8, 8, 14, 14]


def test_runner_stops_at_the_first_failure(tmp_path: Path) -> None:
    code, log, marks = run_order(tmp_path, [("install", "echo a\nfalse\necho never"), ("build", "echo never")])
    assert (code, log) == (1, b"a\n")
    assert (marks[-1]["step"], marks[-1]["state"], marks[-1]["code"]) == ("install", "failed", 1)


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("printf 'a\\377b\\n'", "a\ufffdb\n".encode()),
        ("read x || echo nothing to read", b"nothing to read\n"),
        ("printf 'key=s3cr3t-value\\n'", b"key=***\n"),
        ("(sleep 60 &) ; echo out", b"out\n"),
    ],
)
def test_runner_takes_what_a_step_does(command: str, shown: bytes, tmp_path: Path) -> None:
    assert run_order(tmp_path, [("build", command)], secrets=("s3cr3t-value",))[:2] == (0, shown)


def test_runner_masks_a_secret_that_comes_in_pieces(tmp_path: Path) -> None:
    command = "printf s3cr; sleep 0.3; printf 't-value; sleep 0.3; echo"
    assert run_order(tmp_path, [("build", command.replace("'", ""))], secrets=("s3crt-value",))[1] == b"***\n"


def test_runner_caps_the_log_and_keeps_its_end(tmp_path: Path) -> None:
    code, log, _marks = run_order(tmp_path, [("build", "seq 1 100000; echo the end")], cap=10_000)
    assert code == 0
    assert log.startswith(b"1\n2\n")
    assert b"bytes of output left out here" in log
    assert log.endswith(b"100000\nthe end\n")
    assert len(log) < 15_000


# --- following the log ---------------------------------------------------------------------------------------------


def answer(unit: str, marks: list[dict[str, Any]], log: bytes) -> str:
    status = "".join(json.dumps(mark) + "\n" for mark in marks).encode()
    return "unit %s\nstatus %s\nlog %s\n" % (unit, base64.b64encode(status).decode(), base64.b64encode(log).decode())


def test_follower_gives_each_line_once_with_its_step() -> None:
    follower = LogFollower()
    install = {"step": "install", "state": "running", "offset": 0}
    build = {"step": "build", "state": "running", "offset": 8}
    assert follower.feed(answer("active", [install], b"one\ntw")) == [("install", "one")]
    assert follower.feed(answer("active", [install, build], "o\nthré".encode()[:-1])) == [("install", "two")]
    assert follower.is_running
    assert follower.feed(answer("inactive", [install, build], "é".encode()[1:] + b"\n")) == [("build", "thré")]
    assert (follower.is_running, follower.offset) == (False, 14)


def test_follower_survives_silence_and_half_written_status() -> None:
    follower = LogFollower()
    assert follower.feed("unit activating\nstatus \nlog \n") == []
    assert follower.is_running
    half = base64.b64encode(b'{"step": "inst').decode()
    assert follower.feed("unit active\nstatus %s\nlog %s\n" % (half, base64.b64encode(b"x\n").decode())) == [("build", "x")]


# --- the upload ----------------------------------------------------------------------------------------------------


def test_rsync_command_local_and_over_ssh() -> None:
    local = upload.rsync_command("/src", "/dst", None, "", ["sudo", "-n"], "true\n")
    assert local[:6] == ["sudo", "-n", "sh", "-c", 'true\nexec rsync "$@"', "rsync"]
    assert local[-2:] == ["/src/", "/dst/"]
    ssh = upload.rsync_command("/src/", "/dst", ["ssh", "-o", 'ControlPath="/a b/%h"', "-o", "Port=2222"], "::1", ["sudo", "-n"], "true\n")
    assert ssh[ssh.index("-e") + 1] == "ssh -o 'ControlPath=\"/a b/%h\"' -o Port=2222"
    assert ssh[-3:] == ["--rsync-path=sudo -n sh -c 'true\nexec rsync \"$@\"' rsync", "/src/", "[::1]:/dst/"]


def test_an_upload_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    partial = tmp_path / "d1.partial"
    odd = os.fsdecode(b"caf\xe9 \n.txt")
    for name in ("a/kept", "a/b/gone", odd):
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        (partial / name).write_text(name, errors="surrogateescape")
    (partial / "link").symlink_to("a")
    with pytest.raises(HitlessError, match="'a/late' did not arrive"):
        complete(str(tmp_path), "d1", ["a/kept", "a/late", "link", odd])
    assert sorted(os.listdir(tmp_path)) == ["d1.partial"]
    for _ in range(2):
        complete(str(tmp_path), "d1", ["a/kept", "link", odd])
        assert sorted(os.listdir(tmp_path)) == ["d1"]
        assert sorted(os.listdir(tmp_path / "d1")) == sorted(["a", odd, "link"])
        assert os.listdir(tmp_path / "d1/a") == ["kept"]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["ssh", "-C"], ["ssh", "-C"]),
        (["sshpass", "-d12", "ssh", "-C"], ["ssh", "-C"]),
        (["/usr/bin/ssh"], ["/usr/bin/ssh"]),
        (["other", "-x"], ["other", "-x"]),
    ],
)
def test_ssh_words(words: list[str], kept: list[str]) -> None:
    assert from_ssh_on(words) == kept


@pytest.mark.parametrize(
    ("code", "complaint", "error"),
    [
        (11, "write failed: No space left on device (28)", "disk_full"),
        (24, "file has vanished", "source_changed"),
        (127, "sh: rsync: not found", "upload_failed"),
        (255, "", "upload_failed"),
    ],
)
def test_upload_errors(code: int, complaint: str, error: str) -> None:
    assert upload.upload_error(code, complaint, "h1").code == error


def test_bytes_sent() -> None:
    assert upload.bytes_sent("a\nTotal bytes sent: 1234\nb") == 1234
    assert upload.bytes_sent("") == 0
