# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds that are ended, and hosts without room."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import App, until

FORKS = (
    "(setsid sh -c 'while :; do sleep 1; done' &); (nohup sleep 600 >/dev/null 2>&1 &); python3 -c 'import os, time; os.fork() or os.setsid(); time.sleep(600)'"
)


def events_until(run: subprocess.Popen[str], is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    assert run.stdout
    for line in run.stdout:
        event: dict[str, Any] = json.loads(line)
        if is_it(event):
            return event
    raise AssertionError("the run ended before")


def processes(app: App) -> str:
    return app.host.sh(f"pgrep -u hitless-{app.name} -a || true").strip()


def leftovers(app: App) -> str:
    units = app.host.sh(f"systemctl list-units --all --plain --no-legend 'hitless-{app.name}.*build*'")
    return units + app.host.sh(f"ls -A /srv/{app.name}/artifacts | grep building || true; ls /var/lib/hitless/{app.name}/lock 2>/dev/null || true")


@pytest.mark.parametrize(("phase", "build"), [("install", {"install": FORKS}), ("build", {"build": FORKS})])
def test_cancel_ends_every_process_of_a_build(phase: str, build: dict[str, str], app: App) -> None:
    app.deploy("1")
    serving = processes(app)
    app.write("2", build=build)
    run = app.start("deploy")
    events_until(run, lambda event: event["event"] == "phase" and (event["name"], event["state"]) == (phase, "running"))
    until(lambda: processes(app).count("sleep") >= 2)
    code, events = app.hitless("cancel")
    assert code == 0, events[-1]
    assert run.communicate(timeout=60)[0]
    assert run.returncode == 130
    assert processes(app) == serving
    assert leftovers(app) == ""
    assert app.get() == (200, "1")
    assert [record["status"] for record in app.records()] == ["CANCELLED", "RUNNING"]
    app.deploy("3", build={})
    assert app.get() == (200, "3")


def test_what_has_ended_cannot_be_cancelled(app: App) -> None:
    first = app.deploy("1")["release"]
    for words in ((), (first,)):
        code, events = app.hitless("cancel", *words)
        assert code != 0
        assert events[-1]["event"] == "failed"
    assert app.get() == (200, "1")
    assert [record["status"] for record in app.records()] == ["RUNNING"]


@pytest.fixture
def full_disk(app: App) -> Iterator[Callable[[int], None]]:
    """Makes the app's folder a file system with few megabytes left; what is there already stays to be seen."""

    def make(megabytes: int) -> None:
        app.host.sh(
            f"mkdir -p /srv/{app.name}; mount -t tmpfs -o size={megabytes}m,mode=750 tmpfs /srv/{app.name}; chgrp hitless-{app.name} /srv/{app.name} || true"
        )

    yield make
    app.host.sh(f"umount -l /srv/{app.name}")


def test_a_disk_without_room_is_refused_before_the_upload(app: App, full_disk: Callable[[int], None]) -> None:
    full_disk(100)
    app.write("1")
    code, events = app.hitless("deploy")
    assert code == 1
    assert "100 MB free" in events[-1]["reason"]
    assert "nothing was uploaded" in events[-1]["reason"]
    assert not [event for event in events if event["event"] == "phase" and event["name"] in ("upload", "build", "start")]
    assert app.host.sh(f"ls -A /var/lib/hitless/{app.name}/staged") == ""
    assert app.units() == []


def test_a_disk_that_fills_up_in_a_build_fails_the_deployment_and_the_next_one_works(app: App, full_disk: Callable[[int], None]) -> None:
    full_disk(300)
    app.deploy("1")
    app.write("2", build={"build": "head -c 400000000 /dev/zero > large"})
    code, events = app.hitless("deploy")
    assert code == 1
    assert (events[-1]["phase"], events[-1]["rolled_back"]) == ("build", True)
    assert "disk of the host is full" in events[-1]["reason"]
    assert app.get() == (200, "1")
    assert leftovers(app) == ""
    app.deploy("3", build={})
    assert app.get() == (200, "3")


def test_the_record_has_the_time_of_each_step(app: App) -> None:
    app.deploy("1", build={"pre": "echo before", "build": "echo code", "post": "echo after"})
    newest = app.records()[0]["id"]
    record = json.loads(app.host.sh(f"cat /var/lib/hitless/{app.name}/deployments/{newest}.json"))
    steps = {step["name"]: step["state"] for phase in record["phases"] for step in phase.get("steps", ())}
    assert steps == {"pre": "done", "build": "done", "post": "done"}
    code, events = app.hitless("logs", "--phase", "pre")
    assert code == 0
    assert next(event["data"]["lines"] for event in events if event["event"] == "info") == ["before"]


def test_a_service_has_a_build_step_of_its_own(app: App) -> None:
    web = next(iter(app.settings["services"]))
    services = {**app.settings["services"], web: {**app.settings["services"][web], "build": {"build": "echo mine"}}}
    app.deploy("1", services=services)
    code, events = app.hitless("logs", "--phase", f"build.{web}")
    assert code == 0
    assert next(event["data"]["lines"] for event in events if event["event"] == "info") == ["mine"]
    code, events = app.hitless("logs", "--phase", "build.../x")
    assert code == 2
    code, events = app.hitless("plan")
    assert code == 0
    assert "echo mine" in json.dumps(events)
