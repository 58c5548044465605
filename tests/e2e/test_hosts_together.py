# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One target of two hosts: a deployment takes place on both or on none."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import App, Host, made_host

# The app does not start where /etc/sick is, and ends three seconds after its start where /etc/tired is.
COMMAND = "test ! -e /etc/sick && if [ -e /etc/tired ]; then exec timeout 3 python3 server.py; else exec python3 server.py; fi"
WEB = {"web": {"command": COMMAND, "health": {"deadline": "10s"}}}


@pytest.fixture(scope="session")
def other(state: Path, tmp_path_factory: pytest.TempPathFactory, host: Host) -> Iterator[Host]:
    """A second server, which takes the key of the first."""
    with made_host("other", state, tmp_path_factory) as made:
        made.sh(f"echo '{host.key.with_suffix('.pub').read_text().strip()}' >> /root/.ssh/authorized_keys")
        yield made


@pytest.fixture
def app(new_app: Callable[[], App], host: Host, other: Host) -> Iterator[App]:
    """An app on both hosts."""
    made = new_app()
    made.settings["targets"]["prod"]["hosts"].append(f"root@127.0.0.1:{other.port}")
    made.settings["services"] = WEB
    yield made
    for one in (host, other):
        one.sh("rm -f /etc/sick /etc/tired")


def served(app: App, host: Host) -> str:
    """What a host's router answers under the app's name."""
    connection = http.client.HTTPConnection("127.0.0.1", host.http_port, timeout=30)
    try:
        connection.request("GET", "/", headers={"Host": app.domain})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def replicas(app: App, host: Host) -> int:
    """How many replicas run there."""
    return len(host.sh(f"systemctl list-units --plain --no-legend --state=active 'hitless-{app.name}.*'").splitlines())


def test_a_deployment_has_one_id_and_one_last_event_and_its_hook_runs_once(app: App, host: Host, other: Host) -> None:
    last = app.deploy("1", hooks={"pre_deploy": "echo ran >> /app/data/hooks"}, mounts={"/app/data": "data"})
    assert (served(app, host), served(app, other)) == ("1", "1")
    _code, events = app.hitless("events")
    ids = [[record["id"] for record in event["data"]["deployments"]] for event in events if event["event"] == "info"]
    assert ids == [[last["release"]]] * 2
    ran = [one.sh(f"cat /srv/{app.name}/shared/data/hooks 2>/dev/null || true") for one in (host, other)]
    assert "".join(ran) == "ran\n"


def test_a_host_on_which_it_does_not_start_keeps_every_host_from_switching(app: App, host: Host, other: Host) -> None:
    app.deploy("1")
    other.sh("touch /etc/sick")
    app.write("2")
    code, events = app.hitless("deploy")
    assert (code, events[-1]["event"], events[-1]["rolled_back"]) == (1, "failed", True)
    assert not [event for event in events if event["event"] == "switch"]
    assert (served(app, host), served(app, other)) == ("1", "1")
    assert (replicas(app, host), replicas(app, other)) == (1, 1)
    other.sh("rm /etc/sick")
    app.deploy("2")
    assert (served(app, host), served(app, other)) == ("2", "2")


def test_a_host_that_turns_sick_after_the_switch_takes_every_host_back(app: App, host: Host, other: Host) -> None:
    app.deploy("1")
    other.sh("touch /etc/tired")
    app.write("2", services={"web": {**WEB["web"], "bake": "6s"}})
    code, events = app.hitless("deploy")
    assert (code, events[-1]["event"], events[-1]["rolled_back"]) == (1, "failed", True)
    assert {event["host"] for event in events if event["event"] == "switch"} == {f"127.0.0.1-{one.port}" for one in (host, other)}
    assert (served(app, host), served(app, other)) == ("1", "1")
    assert (replicas(app, host), replicas(app, other)) == (1, 1)


def test_a_failed_hook_stops_the_deployment_on_every_host_before_any_traffic_moves(app: App, host: Host, other: Host) -> None:
    app.deploy("1")
    app.write("2", hooks={"pre_deploy": "exit 3"})
    code, events = app.hitless("deploy")
    assert (code, events[-1]["phase"]) == (1, "pre_deploy")
    assert not [event for event in events if event["event"] == "switch"]
    assert (served(app, host), served(app, other)) == ("1", "1")
    for one in (host, other):
        assert not one.sh(f"cat /var/lib/hitless/{app.name}/lock 2>/dev/null || true")
