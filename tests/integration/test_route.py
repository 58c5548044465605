# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole switchover, with real traffic through a real HAProxy. Replicas live in this process: no systemd runs here."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._domain_book import DomainBook
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.module_utils._route import Switchover, difference
from conftest import lead, wait_until
from loadgen import Load

HEALTH = {"type": "http", "path": "/healthz", "interval": 0.2, "timeout": 1.0, "successes": 1, "failures": 2, "deadline": 5.0}
SERVICE = {"type": "web", "health": HEALTH, "drain": 10.0, "long_lived_drain": 0.5, "stop_timeout": 1.0, "bake": 0.0}
WEBSOCKET = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13"


class Replicas:
    """A runtime of apps in this process: ``{(service, deployment, n): App or None}``; None stands for a worker."""

    def __init__(self):
        self.running = {}
        self.stopped = []

    def list(self, app):
        return sorted((_Replica(*key) for key in self.running), key=lambda replica: (replica.deployment, replica.service, replica.n))

    def remove(self, replicas):
        for replica in replicas:
            app = self.running.pop((replica.service, replica.deployment, replica.n))
            if app:
                app.stop()
            self.stopped.append((replica.service, replica.deployment))


class _Replica:
    def __init__(self, service, deployment, n):
        self.service, self.deployment, self.n = service, deployment, n


@pytest.fixture
def world(haproxy, apps):
    return World(haproxy, apps)


class World:
    """One app on one host, deployed to by ``deploy``."""

    def __init__(self, haproxy, apps):
        self.haproxy, self.apps, self.runtime, self.events, self.last = haproxy, apps, Replicas(), [], None

    def start(self, number, replicas=1):
        """Start the replicas of a deployment, as the step before the route does."""
        deployment = "%014d" % (20261121000000 + number)
        started = []
        for n in range(1, replicas + 1):
            app = self.apps("v%d" % number)
            self.runtime.running["web", deployment, n] = app
            started.append({"n": n, "address": "127.0.0.1", "port": app.port})
        self.runtime.running["worker", deployment, 1] = None
        return deployment, started

    def deploy(
        self, number, service=None, hosts=("shop.localhost",), replicas=1, app="shop", during=None, healthy=True, preview=None, secured=(), tls_port=None
    ):
        """The whole route of one deployment. Returns how many requests were cut."""
        deployment, started = self.start(number, replicas)
        self.runtime.running["web", deployment, 1].healthy = healthy
        paths = AppPaths(app, str(Path(self.haproxy.layout.folder) / "root"))
        ports = (self.haproxy.port, tls_port or self.haproxy.https_port)
        steps = Switchover(app, deployment, self.haproxy.router, self.runtime, DomainBook(paths, self.haproxy.router, lambda: set(secured)), self.note, ports)
        services = {"web": dict(SERVICE, **(service or {})), "worker": {"type": "worker", "stop_timeout": 1.0}}
        plan = steps.plan(services, {"web": started, "worker": [{"n": 1, "address": None, "port": None}]}, list(hosts), ["10.0.0.9"], preview)
        steps.switch(plan)
        before = steps.counters(plan)
        steps.check(plan)
        if during:
            during(deployment)
        steps.bake(plan, before)
        cut = steps.drain(plan, plan.old)
        steps.retire(plan, self.last)
        self.last = deployment
        self.requests = difference(before, steps.counters(plan))
        return cut

    def note(self, event, **fields):
        self.events.append(dict(fields, event=event))

    def served(self, host="shop.localhost"):
        return Counter(self.haproxy.get("/", host)[1].rsplit("\n", 1)[-1] for _ in range(8))

    def backends(self):
        return {endpoint.name for endpoint in self.haproxy.router.endpoints("shop", "web")}


def test_deploys_under_load_fail_no_request_and_stop_what_was_replaced(world):
    world.deploy(1, replicas=2)
    load = Load(("127.0.0.1", world.haproxy.port), "shop.localhost", clients=30, pause=0.01)
    with load.running(delay=0.02) as results:
        for number in range(2, 6):
            served = results.sent
            wait_until(lambda served=served: results.sent > served + 100, what="the load")
            world.deploy(number, replicas=2)
    assert results.failures == {}
    assert set(world.served()) == {"v5"}
    assert [service for service, _deployment in world.runtime.stopped] == ["web", "web", "worker"] * 4
    assert len(world.runtime.running) == 3


def test_the_old_release_is_stopped_after_its_last_request(world):
    world.deploy(1)
    answers = []
    slow = threading.Thread(target=lambda: answers.append(world.haproxy.get("/slow/1.0")))
    slow.start()
    wait_until(lambda: world.haproxy.router.endpoints("shop", "web")[0].in_flight == 1, what="the slow request")
    assert world.deploy(2) == 0
    slow.join(10)
    assert answers[0][1].endswith("v1")
    drained = [event["in_flight"] for event in world.events if event["event"] == "drain"]
    assert drained[-2:] == [1, 0]


def test_a_request_that_outlives_the_drain_is_cut_and_counted(world):
    world.deploy(1)
    with world.haproxy.connect("POST /slow/30 HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 0\r\n\r\n") as link:
        wait_until(lambda: world.haproxy.router.endpoints("shop", "web")[0].in_flight == 1, what="the slow request")
        assert world.deploy(2, {"drain": 0.5}) == 1
        assert b"200 OK" not in link.recv(4096)
    assert "were cut" in [event for event in world.events if event["event"] == "warning"][-1]["message"]


def test_a_websocket_does_not_hold_the_drain_beyond_its_own_limit(world):
    world.deploy(1)
    with world.haproxy.connect("GET /ws HTTP/1.1\r\nHost: shop.localhost\r\n%s\r\n\r\n" % WEBSOCKET) as link:
        assert b"101" in link.recv(1024)
        assert world.deploy(2, {"drain": 3600.0, "long_lived_drain": 0.3}) == 0
        assert link.recv(1024) == b""


def test_a_replica_that_turns_sick_after_the_switch_sends_the_route_back(world):
    world.deploy(1)

    def sicken(deployment):
        world.runtime.running["web", deployment, 1].healthy = False

    with pytest.raises(HitlessError) as failed:
        world.deploy(2, {"bake": 20.0}, during=sicken)
    assert failed.value.code == "sick_after_switch"
    assert failed.value.exit == 1
    assert set(world.served()) == {"v1"}
    assert world.backends() == {"20261121000001-1"}
    assert [(event["from"], event["to"]) for event in world.events if event["event"] == "switch"][-1] == tuple(
        ["127.0.0.1:%d" % world.runtime.running["web", deployment, 1].port] for deployment in ("20261121000002", "20261121000001")
    )


def test_a_replica_that_dies_during_the_bake_fails_no_repeatable_request(world):
    world.deploy(1)
    with Load(("127.0.0.1", world.haproxy.port), "shop.localhost", clients=10, pause=0.05).running() as results:
        wait_until(lambda: results.sent > 50, what="the load")

        def fail(deployment):
            world.runtime.running["web", deployment, 1].healthy = False

        with pytest.raises(HitlessError):
            world.deploy(2, {"bake": 20.0}, during=fail)
        served = results.versions["v1"]
        wait_until(lambda: results.versions["v1"] > served + 50, what="the old release")
    assert set(world.served()) == {"v1"}


def test_a_replica_that_is_never_healthy_leaves_the_old_one_serving(world):
    world.deploy(1)
    with pytest.raises(HitlessError) as failed:
        world.deploy(2, {"health": dict(HEALTH, deadline=1.0)}, healthy=False)
    assert failed.value.code == "sick_in_router"
    assert set(world.served()) == {"v1"}
    assert world.backends() == {"20261121000001-1"}


def test_an_app_without_domains_answers_to_the_hosts_own_names(world):
    world.deploy(1, hosts=())
    for host in ("localhost", "127.0.0.1", "shop.localhost", "10.0.0.9"):
        assert set(world.served(host)) == {"v1"}
    World(world.haproxy, world.apps).deploy(2, hosts=(), app="blog")
    assert set(world.served("blog.localhost")) == {"v2"}
    assert set(world.served("localhost")) == {"v1"}


def test_a_name_of_another_app_stops_the_route_before_anything_changed(world):
    world.deploy(1, hosts=("www.example.com",))
    with pytest.raises(HitlessError) as failed:
        world.deploy(2, hosts=("WWW.example.com.",), app="blog")
    assert failed.value.code == "name_taken"
    assert world.haproxy.router.backends("blog") == []


def test_a_changed_health_check_never_makes_the_old_release_sick(world):
    world.deploy(1, {"health": dict(HEALTH, path="/old-check")})
    with Load(("127.0.0.1", world.haproxy.port), "shop.localhost", clients=10, pause=0.01).running(delay=0.02) as results:
        wait_until(lambda: results.sent > 100, what="the load")
        world.deploy(2, {"health": dict(HEALTH, path="/new-check")})
        served = results.versions["v2"]
        wait_until(lambda: results.versions["v2"] > served + 50, what="the new release")
    assert results.failures == {}
    assert "/new-check" in Path(world.haproxy.layout.apps, "shop.cfg").read_text()


def seen(world, number):
    """What the preview of a deployment answers, as the version and the status."""
    status, answer = world.haproxy.get("/", "%014d.shop.preview.test" % (20261121000000 + number))
    return status, answer.rsplit("\n", 1)[-1] if status == 200 else None


def test_each_deployment_has_a_name_of_its_own_while_its_replicas_run(world):
    world.deploy(1, preview="Preview.test")
    assert (seen(world, 1), seen(world, 2)[0]) == ((200, "v1"), 404)
    during = []
    world.deploy(2, preview="preview.test", during=lambda _deployment: during.append((seen(world, 1), seen(world, 2))))
    assert during == [((200, "v1"), (200, "v2"))]
    assert (seen(world, 1)[0], seen(world, 2)) == (404, (200, "v2"))


def test_a_preview_never_shows_another_release(world):
    world.deploy(1, preview="preview.test")
    app = world.apps("v2")
    new = world.haproxy.router.configured("shop", "web")
    [old] = new
    endpoint = old._replace(deployment="20261121000002", port=app.port)
    world.haproxy.router.add_endpoints([endpoint])
    lead(world.haproxy.router, "20261121000002.shop.preview.test", "shop.web", server=endpoint.name)
    assert seen(world, 2) == (200, "v2")
    app.healthy = False
    wait_until(lambda: "down" in {live.state for live in world.haproxy.router.endpoints("shop", "web")}, what="the sick replica")
    assert seen(world, 2) == (200, "v2")
    app.stop()
    assert seen(world, 2)[0] == 503
    lead(world.haproxy.router, "20261121000002.shop.preview.test", "shop.web", server="20261121000009-1")
    assert seen(world, 2)[0] == 502


def test_a_deployment_that_makes_itself_sick_loses_its_name_with_its_replicas(world):
    world.deploy(1, preview="preview.test")
    with pytest.raises(HitlessError):
        world.deploy(2, {"bake": 5.0}, preview="preview.test", during=lambda deployment: world.runtime.running["web", deployment, 1].stop())
    assert (seen(world, 1), seen(world, 2)[0]) == ((200, "v1"), 404)


def test_a_name_that_plain_requests_are_sent_to_https_from_is_checked_over_tls(world):
    hosts = ({"name": "shop.example.com"},)
    world.deploy(1, hosts=hosts, secured=["shop.example.com"])
    assert world.haproxy.get("/", "shop.example.com")[0] == 301
    assert world.haproxy.get_secured("/", "shop.example.com")[1].endswith("v1")
    with pytest.raises(HitlessError, match="no answer on 127.0.0.1:1 "):
        world.deploy(2, hosts=hosts, secured=["shop.example.com"], tls_port=1)
    assert world.haproxy.get_secured("/", "shop.example.com")[1].endswith("v1")
