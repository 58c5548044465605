# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One target of two hosts: they go to the next version together, or stay together on the one before."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import App, Host, made_host

WEB = {"command": "sh -c '[ ! -e /etc/fail-here ] || exit 3; exec python3 server.py'", "health": {"deadline": "20s"}}


@dataclass(frozen=True)
class Pair:
    """Two servers that one key logs in to, by address."""

    addresses: tuple[str, str]
    hosts: tuple[Host, Host]

    def served(self, app: App) -> list[tuple[int, str]]:
        """What each of them answers."""
        return [ask(address, app.domain) for address in self.addresses]

    def replicas(self, app: App) -> list[int]:
        """How many replicas run on each of them."""
        listed = [host.sh(f"systemctl list-units --plain --no-legend --state=active 'hitless-{app.name}.*'") for host in self.hosts]
        return [len(lines.splitlines()) for lines in listed]

    def deployments(self, app: App) -> list[list[str]]:
        """The ids of the deployments on each of them."""
        return [host.sh(f"ls /var/lib/hitless/{app.name}/deployments").split() for host in self.hosts]


def ask(address: str, domain: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address, 80, timeout=20)
    try:
        connection.request("GET", "/", headers={"Host": domain})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def address(container: str) -> str:
    words = ["docker", "inspect", "--format", "{{.NetworkSettings.IPAddress}}", container]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def pair(state: Path, host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with made_host("second", state, tmp_path_factory) as second:
        second.sh(f"echo '{host.key.with_suffix('.pub').read_text().strip()}' >> /root/.ssh/authorized_keys")
        yield Pair((address(host.container), address(second.container)), (host, second))


@pytest.fixture
def both(new_app: Callable[[], App], pair: Pair) -> App:
    """An app whose target is both hosts."""
    app = new_app()
    app.settings["targets"]["prod"]["hosts"] = list(pair.addresses)
    app.settings["services"] = {"web": WEB}
    return app


def test_two_hosts_get_one_deployment_and_one_last_event(both: App, pair: Pair) -> None:
    both.write("1", hooks={"pre_deploy": "date +%N >> log/hooks"}, mounts={"/app/log": "log"})
    code, events = both.hitless("deploy")
    assert code == 0, events[-1]
    assert [event["event"] for event in events if event["event"] in ("deployed", "failed")] == ["deployed"]
    assert pair.served(both) == [(200, "1"), (200, "1")]
    first, second = pair.deployments(both)
    assert first == second
    assert events[-1]["deployment"] + ".json" in first
    hooks = [host.sh(f"cat /srv/{both.name}/shared/log/hooks 2>/dev/null || true") for host in pair.hosts]
    assert len("".join(hooks).split()) == 1
    both.deploy("2")
    assert pair.replicas(both) == [1, 1]
    assert both.hitless("rollback")[0] == 0
    assert pair.served(both) == [(200, "1"), (200, "1")]


def test_one_sick_host_stops_the_switch_on_all(both: App, pair: Pair) -> None:
    both.deploy("1")
    both.write("2")
    pair.hosts[1].sh("touch /etc/fail-here")
    code, events = both.hitless("deploy")
    pair.hosts[1].sh("rm /etc/fail-here")
    last = events[-1]
    assert (code, last["event"], last["phase"], last["rolled_back"]) == (1, "failed", "health", True)
    assert last["host"] == pair.addresses[1]
    assert "exit status 3" in last["reason"]
    assert not [event for event in events if event["event"] == "switch"]
    assert pair.served(both) == [(200, "1"), (200, "1")]
    assert pair.replicas(both) == [1, 1]
    both.deploy("3")
    assert pair.served(both) == [(200, "3"), (200, "3")]


def test_a_host_that_has_switched_goes_back_when_another_cannot(both: App, pair: Pair, new_app: Callable[[], App]) -> None:
    both.deploy("1")
    other = new_app()
    other.settings["targets"]["prod"]["hosts"] = [pair.addresses[1]]
    other.deploy("1")
    # The name is free when the deployment begins, and the other app takes it on the second host before the switch.
    name = f"www.{both.name}.test"
    waits = "echo ready; until [ -e /app/kept/go ]; do sleep 0.1; done"
    both.write("2", domains=[both.domain, name], hooks={"pre_deploy": waits, "timeout": "120s"}, mounts={"/app/kept": "kept"})
    run = both.start("deploy")
    assert run.stdout
    events = []
    for event in map(json.loads, run.stdout):
        events.append(event)
        if event["event"] == "log" and event["line"] == "ready":
            assert other.hitless("domain", "add", name, "--no-tls")[0] == 0
            pair.hosts[0].sh(f"touch /srv/{both.name}/shared/kept/go")
    assert (run.wait(60), events[-1]["event"], events[-1]["rolled_back"]) == (2, "failed", True)
    assert f"{name} belongs to the app {other.name}" in events[-1]["reason"]
    assert {event["host"] for event in events if event["event"] == "switch"} == {pair.addresses[0]}
    assert pair.served(both) == [(200, "1"), (200, "1")]
    assert pair.replicas(both) == [1, 1]


def test_an_unreachable_host_leaves_all_as_they_are(both: App, pair: Pair) -> None:
    both.deploy("1")
    both.settings["targets"]["prod"]["hosts"] = [pair.addresses[0], f"{pair.addresses[1]}:1"]
    both.write("2")
    code, events = both.hitless("deploy")
    assert (code, events[-1]["event"]) == (4, "failed")
    assert pair.addresses[1] in events[-1]["reason"]
    assert pair.served(both) == [(200, "1"), (200, "1")]
    assert both.hitless("deploy")[0] == 4


def test_a_host_that_turns_sick_after_the_switch_takes_every_host_back(both: App, pair: Pair) -> None:
    both.deploy("1")
    dies_on_one = "sh -c 'if [ -e /etc/fail-here ]; then exec timeout 4 python3 server.py; fi; exec python3 server.py'"
    both.write("2", services={"web": {**WEB, "command": dies_on_one, "bake": "8s"}})
    pair.hosts[1].sh("touch /etc/fail-here")
    code, events = both.hitless("deploy")
    pair.hosts[1].sh("rm /etc/fail-here")
    assert (code, events[-1]["event"], events[-1]["rolled_back"]) == (1, "failed", True)
    assert {event["host"] for event in events if event["event"] == "switch"} == set(pair.addresses)
    assert pair.served(both) == [(200, "1"), (200, "1")]
    assert pair.replicas(both) == [1, 1]


def test_a_failed_hook_stops_the_deployment_everywhere_before_any_traffic_moves(both: App, pair: Pair) -> None:
    both.deploy("1")
    both.write("2", hooks={"pre_deploy": "exit 3"})
    code, events = both.hitless("deploy")
    assert (code, events[-1]["phase"]) == (1, "pre_deploy")
    assert not [event for event in events if event["event"] == "switch"]
    assert pair.served(both) == [(200, "1"), (200, "1")]
    both.deploy("2", hooks={})
    assert pair.served(both) == [(200, "2"), (200, "2")]
