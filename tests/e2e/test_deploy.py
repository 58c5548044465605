# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the command that a person types to the bytes that are served."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import App, until
from loadgen import Load

CRASHES = "import sys; sys.exit(3)"


def web(**options: object) -> dict[str, object]:
    return {"web": {"command": "python3 server.py", "health": {"deadline": "20s"}, **options}}


def descendants(pid: int) -> list[int]:
    """Every process below ``pid``; Ansible runs in a session of its own."""
    children = [int(child) for thread in Path(f"/proc/{pid}/task").glob("*/children") for child in thread.read_text().split()]
    return children + [below for child in children for below in descendants(child)]


def in_flight(app: App) -> bool:
    """Whether a connection to the app's replica is open."""
    port = app.host.sh(f"grep -ho '127.0.0.1:2[0-9]*' /etc/haproxy/hitless/apps/{app.name}.cfg | head -n 1").strip().rpartition(":")[2]
    return bool(app.host.sh(f"ss -Htn state established '( dport = :{port} )'").strip())


def test_keep_alive_clients_lose_nothing_through_deploys_and_a_rollback(app: App) -> None:
    app.deploy("1")
    with Load(("127.0.0.1", app.host.http_port), app.domain, clients=20, pause=0.02).running() as seen:
        app.deploy("2", services=web(replicas=2))
        app.deploy("3")
        code, _events = app.hitless("rollback")
        assert code == 0
        served = seen.versions["2"]
        until(lambda: seen.versions["2"] > served + 100)
        assert seen.timeline[-1][1] == "2"
    assert dict(seen.failures) == {}
    assert set(seen.versions) == {"1", "2", "3"}


def test_failed_releases_count_for_nothing_when_old_ones_go(app: App) -> None:
    good = [app.deploy(str(number), keep_releases=3)["release"] for number in range(1, 4)]
    for number in range(6):
        app.write(f"broken {number}", services=web(command=f"python3 -c '{CRASHES}'"))
        assert app.hitless("deploy")[0] == 1
    good += [app.deploy(str(number), services=web())["release"] for number in range(4, 7)]
    kept = app.host.sh(f"ls /srv/{app.name}/releases").split()
    assert kept == good[-3:]
    assert app.get() == (200, "6")
    code, events = app.hitless("rollback", "--to", good[-3])
    assert (code, app.get()) == (0, (200, "4")), events[-1]


def test_the_version_served_follows_deploy_rollback_and_roll_forward(app: App) -> None:
    served = []
    first = app.deploy("1")["release"]
    served.append(app.get())
    second = app.deploy("2")["release"]
    served.append(app.get())
    for to in (None, second, first):
        code, events = app.hitless("rollback", *(("--to", to) if to else ()))
        assert code == 0, events[-1]
        assert not [event for event in events if event["event"] == "phase" and event["name"] in ("upload", "install", "build")]
        served.append(app.get())
    assert served == [(200, "1"), (200, "2"), (200, "1"), (200, "2"), (200, "1")]
    code, events = app.hitless("rollback", "--to", first)
    assert (code, events[-1]["event"]) == (1, "failed")
    assert "live already" in events[-1]["reason"]


def test_rollback_with_nothing_to_go_back_to_says_so(app: App) -> None:
    app.deploy("1")
    code, events = app.hitless("rollback")
    assert (code, events[-1]["event"]) == (1, "failed")
    assert "no earlier release" in events[-1]["reason"]
    assert app.get() == (200, "1")


def test_rollback_restores_the_env_of_its_release_and_skips_what_never_was_healthy(app: App) -> None:
    app.deploy("1", env={"COLOUR": "red"})
    app.deploy("2", env={"COLOUR": "blue"})
    app.write("3", services=web(command=f'python3 -c "{CRASHES}"'))
    assert app.hitless("deploy")[0] == 1
    assert app.get("/env/COLOUR") == (200, "blue")
    assert app.hitless("rollback")[0] == 0
    assert app.get("/env/COLOUR") == (200, "red")


def test_a_crash_on_start_changes_neither_what_is_served_nor_what_is_recorded(app: App) -> None:
    app.deploy("1")
    units, live = app.units(), app.records()[0]
    app.write("2", services=web(command=f'python3 -c "{CRASHES}"'))
    code, events = app.hitless("deploy")
    assert code == 1
    assert (events[-1]["event"], events[-1]["phase"], events[-1]["rolled_back"]) == ("failed", "health", True)
    assert "exit status 3" in events[-1]["reason"]
    assert app.get() == (200, "1")
    assert app.units() == units
    assert app.records()[1] == live


def test_an_app_on_the_wrong_port_is_told_both_ports(app: App) -> None:
    wrong = "import http.server; http.server.HTTPServer(('127.0.0.1', 8123), http.server.BaseHTTPRequestHandler).serve_forever()"
    app.write("1", services=web(command=f'python3 -c "{wrong}"', health={"deadline": "3s"}))
    code, events = app.hitless("deploy")
    assert code == 1
    assert "127.0.0.1:8123" in events[-1]["reason"]
    assert "127.0.0.1:2" in events[-1]["reason"]
    assert app.units() == []


def test_the_same_again_does_nothing_and_force_builds_nothing(app: App) -> None:
    first = app.deploy("1")
    again = app.deploy("1")
    assert (again["changed"], again["release"]) == (False, first["release"])
    assert len(app.records()) == 1
    code, events = app.hitless("deploy", "--force")
    assert code == 0
    assert events[-1]["release"] != first["release"]
    skipped = {event["name"] for event in events if event["event"] == "phase" and event["state"] == "skipped"}
    assert {"install", "build", "freeze"} <= skipped


def test_a_request_in_flight_finishes_on_the_old_version(app: App) -> None:
    app.deploy("1")
    answers: list[tuple[int, str]] = []
    slow = threading.Thread(target=lambda: answers.append(app.get("/slow/4")))
    slow.start()
    until(lambda: in_flight(app))
    app.deploy("2")
    slow.join()
    assert answers == [(200, "1")]
    assert app.get() == (200, "2")


def test_a_request_that_outlives_the_drain_is_cut_and_counted(app: App) -> None:
    app.deploy("1", services=web(drain="1s", stop_timeout="2s"))
    slow = threading.Thread(target=lambda: app.get("/slow/20"))
    slow.start()
    until(lambda: in_flight(app))
    last = app.deploy("2", services=web(drain="1s", stop_timeout="2s"))
    slow.join()
    assert last["requests"]["cut"] == 1
    assert app.get() == (200, "2")


def test_a_second_run_is_refused_and_another_app_is_not(app: App, new_app: Callable[[], App]) -> None:
    app.deploy("1")
    app.write("2", services=web(command="sleep 600", health={"deadline": "60s"}))
    run = app.start("deploy")
    until(lambda: "20" in app.host.sh(f"cat /var/lib/hitless/{app.name}/lock 2>/dev/null || true"))
    code, events = app.hitless("deploy")
    assert code == 3
    assert "deployment 20" in events[-1]["reason"]
    assert "@" in events[-1]["reason"]
    other = new_app()
    other.deploy("1")
    assert other.get() == (200, "1")
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(60) == 130
    assert app.get() == (200, "1")


def is_in(app: App, phase: str) -> bool:
    """Whether the newest deployment is in a phase. Starting takes a moment only: just past it will do."""
    if phase == "build":
        return app.host.sh(f"systemctl list-units --plain --no-legend --state=active 'hitless-{app.name}.*build*'") != ""
    return app.phase() in {"start": ("start", "health")}.get(phase, (phase,))


SLOW_BOOT = web(command="sleep 3; exec python3 server.py")


@pytest.mark.parametrize(
    ("phase", "settings"),
    [
        ("build", {"build": {"build": "sleep 5"}}),
        ("start", {"services": SLOW_BOOT}),
        ("health", {"services": SLOW_BOOT}),
        ("bake", {"services": web(bake="5s")}),
        ("drain", {}),
    ],
)
def test_a_killed_controller_stops_nothing_and_the_next_deploy_works(app: App, phase: str, settings: dict[str, object]) -> None:
    app.deploy("1")
    answers: list[tuple[int, str]] = []
    slow = threading.Thread(target=lambda: answers.append(app.get("/slow/12")))
    if phase == "drain":
        slow.start()
        until(lambda: in_flight(app))
    app.write("2", **settings)
    run = app.start("deploy")
    until(lambda: is_in(app, phase))
    for process in [run.pid, *descendants(run.pid)]:
        os.kill(process, signal.SIGKILL)
    run.wait()
    assert app.get() in ([(200, "1"), (200, "2")] if phase in ("bake", "drain") else [(200, "1")])
    app.deploy("3", services=web(), build={})
    assert app.get() == (200, "3")
    assert len(app.units()) == 1
    assert [record["status"] for record in app.records()].count("RUNNING") == 1
    if phase == "drain":
        slow.join()
        assert answers == [(200, "1")]


def test_a_crash_while_real_traffic_is_watched_goes_back_by_itself(app: App) -> None:
    app.deploy("1", mounts={"/app/data": "data"})
    units = app.units()
    crashes = "python3 server.py & while [ ! -e data/crash ]; do sleep 0.1; done; kill $!; exit 3"
    app.write("2", services=web(command=crashes, bake="60s"))
    run = app.start("deploy")
    until(lambda: app.phase() == "bake" and app.get() == (200, "2"))
    app.host.sh(f"touch /srv/{app.name}/shared/data/crash")
    assert run.stdout
    last = json.loads(run.stdout.read().splitlines()[-1])
    assert run.wait() == 1
    assert (last["event"], last["phase"], last["rolled_back"]) == ("failed", "bake", True)
    assert app.get() == (200, "1")
    assert app.units() == units


def test_the_router_and_the_host_may_restart(app: App) -> None:
    app.deploy("1")
    app.deploy("2")
    app.host.sh("systemctl restart haproxy")
    until(lambda: app.get() == (200, "2"))
    subprocess.run(["docker", "restart", app.host.container], check=True, capture_output=True)
    until(lambda: app.answers() == (200, "2"))


def test_no_healthy_replica_is_503_not_404(app: App) -> None:
    app.deploy("1")
    for unit in app.units():
        app.host.sh(f"systemctl stop {unit}")
    until(lambda: app.get()[0] == 503)


def test_every_byte_of_a_variable_arrives_and_a_secret_is_nowhere(app: App) -> None:
    odd = "a 'b' \"c\" $HOME %n \\ 日本 🎉\nsecond line"
    secret = "s3cr3t-value-of-the-test"
    app.write("1", env={"ODD": odd}, secrets=["TOKEN"])
    code, events = app.hitless("deploy", env={"TOKEN": secret})
    assert code == 0, events[-1]
    assert app.get("/env/ODD") == (200, odd)
    assert app.get("/env/TOKEN") == (200, secret)
    assert secret not in repr(events)
    readable = app.host.sh(f"find /srv /etc /var/lib/hitless /var/log /run -xdev -type f -perm -o+r -exec grep -l {secret} {{}} + 2>/dev/null || true")
    assert readable == ""
    assert secret not in app.host.sh("ps axww; journalctl --no-pager -q")


def test_what_a_hook_writes_is_shown_while_it_runs(app: App) -> None:
    app.deploy("1", mounts={"/app/kept": "kept"})
    waits = "seq 20000; echo ready; until [ -e /app/kept/go ]; do sleep 0.1; done; echo end"
    app.write("2", hooks={"pre_deploy": waits, "timeout": "60s"}, mounts={"/app/kept": "kept"})
    run = app.start("deploy")
    assert run.stdout
    lines = []
    for event in map(json.loads, run.stdout):
        if event["event"] == "log" and event["stream"] == "pre_deploy":
            lines.append(event["line"])
            if event["line"] == "ready":
                app.host.sh(f"touch /srv/{app.name}/shared/kept/go")
    assert run.wait(60) == 0
    assert lines == [*map(str, range(1, 20001)), "ready", "end"]
    assert app.get() == (200, "2")


def test_a_failing_pre_deploy_hook_moves_no_traffic(app: App) -> None:
    app.deploy("1", hooks={"pre_deploy": "true"})
    app.write("2", hooks={"pre_deploy": "echo no luck; exit 7"})
    code, events = app.hitless("deploy")
    assert code == 1
    assert events[-1]["phase"] == "pre_deploy"
    assert "7" in events[-1]["reason"]
    assert not [event for event in events if event["event"] == "switch"]
    assert app.get() == (200, "1")


def test_a_mount_keeps_its_data_and_a_release_is_read_only(app: App) -> None:
    write = "mkdir -p data; echo kept >> data/file; touch new 2>/dev/null && echo writable >> data/file; exec python3 server.py"
    app.deploy("1", services=web(command=write), mounts={"/app/data": "data"})
    app.deploy("2")
    assert app.host.sh(f"cat /srv/{app.name}/shared/data/file").split() == ["kept", "kept"]


def test_a_wrong_key_of_the_configuration_is_named_with_its_line(app: App) -> None:
    app.write("1")
    (app.folder / "hitless.yml").write_text("app: shop\nservices:\n  web: {replica: 2}\n")
    code, events = app.hitless("deploy")
    assert code == 2
    assert "hitless.yml" in events[-1]["reason"]
    assert "3" in events[-1]["reason"]
    assert "replica" in events[-1]["reason"]


@pytest.mark.parametrize("login", ["root@127.0.0.1:1", "nobody@127.0.0.1:{port}"])
def test_a_host_that_cannot_be_logged_in_to_is_exit_4(app: App, login: str) -> None:
    app.settings["targets"]["prod"]["hosts"] = [login.format(port=app.host.port)]
    app.write("1")
    code, events = app.hitless("deploy")
    assert (code, events[-1]["event"]) == (4, "failed")
