# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HAProxy driver against a real HAProxy and real traffic."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from conftest import endpoint, lead, wait_until
from loadgen import Load

HEALTH = {"health": {"type": "http", "path": "/healthz", "interval": 0.2, "timeout": 1.0, "successes": 1, "failures": 2}}


def serve(haproxy, *endpoints, host="shop.localhost"):
    """Bring a first deployment up."""
    router = haproxy.router
    first = endpoints[0]
    router.ensure_backend(first.app, first.service, dict(HEALTH, deployment=first.deployment))
    router.add_endpoints(endpoints)
    router.enable(endpoints)
    lead(router, host, first.backend)
    wait_up(haproxy, endpoints)


def wait_up(haproxy, endpoints):
    names = {e.name for e in endpoints}
    wait_until(lambda: {e.name for e in haproxy.router.endpoints(endpoints[0].app, "web") if e.state == "up"} >= names, what="the endpoints' health")


def replace(haproxy, old, new):
    """One switch with all that belongs to it."""
    haproxy.router.add_endpoints([new])
    wait_up(haproxy, [new])
    haproxy.router.switch([new], [old])
    wait_until(lambda: not haproxy.router.in_flight([old])[old] and not haproxy.router.stale(), 20, "the drain")
    haproxy.router.remove_endpoints([old])


def wait_served(results, version):
    """Wait until every client is past the switch: the last 100 answers came from ``version``."""
    served = results.versions[version]
    wait_until(lambda: results.versions[version] > served + 100, what="the load on %s" % version)
    assert results.timeline[-1][1] == version


def test_no_request_fails_over_repeated_switches(haproxy, apps):
    old_app = apps("v0")
    old = endpoint(old_app, 0)
    serve(haproxy, old)
    load = Load(("127.0.0.1", haproxy.port), "shop.localhost", clients=30, pause=0.01)
    with load.running(delay=0.02) as results:
        wait_served(results, "v0")
        for number in range(1, 9):
            app = apps("v%d" % number)
            new = endpoint(app, number)
            replace(haproxy, old, new)
            wait_served(results, "v%d" % number)
            old_app.stop()
            old, old_app = new, app
    assert results.failures == {}
    assert set(results.versions) == {"v%d" % number for number in range(9)}


def test_only_the_new_version_is_served_after_a_switch(haproxy, apps):
    old, new = endpoint(apps("old"), 1), endpoint(apps("new"), 2)
    serve(haproxy, old)
    haproxy.router.add_endpoints([new])
    wait_up(haproxy, [new])
    assert {haproxy.get("/")[1][-3:] for _ in range(10)} == {"old"}
    haproxy.router.switch([new], [old])
    assert {haproxy.get("/")[1][-3:] for _ in range(10)} == {"new"}
    haproxy.router.switch([old], [new])
    assert {haproxy.get("/")[1][-3:] for _ in range(10)} == {"old"}


def test_a_request_in_flight_finishes_on_the_old_release(haproxy, apps):
    old, new = endpoint(apps("old"), 1), endpoint(apps("new"), 2)
    serve(haproxy, old)
    answers = []
    slow = threading.Thread(target=lambda: answers.append(haproxy.get("/slow/1.0")))
    slow.start()
    wait_until(lambda: haproxy.router.in_flight([old])[old] == 1, what="the slow request")
    replace(haproxy, old, new)
    slow.join(10)
    assert answers[0][0] == 200
    assert answers[0][1].endswith("old")


def cut_on_old(haproxy, apps, request):
    """What the client of a slow request on the old release gets when it is cut after a switch."""
    old, new = endpoint(apps("old"), 1), endpoint(apps("new"), 2)
    serve(haproxy, old)
    with haproxy.connect(request) as link:
        wait_until(lambda: haproxy.router.in_flight([old])[old] == 1, what="the slow request")
        haproxy.router.add_endpoints([new])
        haproxy.router.switch([new], [old])
        assert haproxy.router.cut([old]) == 1
        wait_until(lambda: haproxy.router.in_flight([old])[old] == 0, what="the end of it")
        return link.recv(4096)


def test_a_cut_request_that_may_not_be_repeated_fails(haproxy, apps):
    answer = cut_on_old(haproxy, apps, "POST /slow/3 HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 0\r\n\r\n")
    assert b"200 OK" not in answer


def test_a_cut_request_that_may_be_repeated_is_asked_of_the_new_release(haproxy, apps):
    answer = cut_on_old(haproxy, apps, "GET /slow/3 HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    assert answer.endswith(b"new")


def upgraded(haproxy):
    words = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13"
    link = haproxy.connect("GET /ws HTTP/1.1\r\nHost: shop.localhost\r\n%s\r\n\r\n" % words)
    assert b"101" in link.recv(1024)
    link.sendall(b"hello")
    assert link.recv(16) == b"hello"
    return link


def test_a_websocket_is_told_from_a_request_and_ended_alone(haproxy, apps):
    old = endpoint(apps("old"), 1)
    serve(haproxy, old)
    with upgraded(haproxy) as link, haproxy.connect("GET /slow/2 HTTP/1.1\r\nHost: shop.localhost\r\n\r\n") as slow:
        wait_until(lambda: haproxy.router.in_flight([old])[old] == 2, what="both")
        assert haproxy.router.long_lived([old]) == {old: 1}
        assert haproxy.router.cut([old], long_lived_only=True) == 1
        assert link.recv(16) == b""
        assert b"200 OK" in slow.recv(1024)


def test_no_healthy_replica_is_503_not_404(haproxy, apps):
    app = apps("v1")
    serve(haproxy, endpoint(app, 1))
    app.healthy = False
    wait_until(lambda: haproxy.get("/")[0] == 503, what="the 503")
    assert "X-Hitless-Router: no-replica".lower() in haproxy.get("/")[1].lower()
    app.healthy = True
    wait_until(lambda: haproxy.get("/")[0] == 200, what="the recovery")


def test_a_restart_comes_back_the_same(haproxy, apps):
    old, new = endpoint(apps("old"), 1), endpoint(apps("new"), 2)
    serve(haproxy, old)
    replace(haproxy, old, new)
    before = [e[:3] + (e.weight,) for e in haproxy.router.endpoints("shop", "web")]
    haproxy.stop()
    haproxy.start()
    assert [e[:3] + (e.weight,) for e in haproxy.router.endpoints("shop", "web")] == before
    assert haproxy.get("/")[1].endswith("new")
    assert haproxy.router.sync("shop") is False


def test_sync_repairs_what_is_missing_and_what_is_too_much(haproxy, apps):
    one, two, extra = endpoint(apps("v1"), 1, 1), endpoint(apps("v1"), 1, 2), endpoint(apps("extra"), 9)
    serve(haproxy, one, two)
    haproxy.router._delete("shop.web", two.name)
    haproxy.router._add("shop.web", extra.name, extra, 100, HEALTH["health"])
    haproxy.router._admin.tell(["del map %s shop.localhost/" % haproxy.layout.domains_map])
    assert haproxy.router.sync("shop") is True
    assert {e.name for e in haproxy.router.endpoints("shop", "web")} == {one.name, two.name}
    assert haproxy.get("/")[0] == 200
    assert haproxy.router.sync("shop") is False


def test_one_apps_broken_file_blocks_no_other(haproxy, apps):
    shop, blog = endpoint(apps("shop"), 1), endpoint(apps("blog"), 1, name="blog")
    serve(haproxy, shop)
    path = Path(haproxy.layout.apps) / "shop.cfg"
    path.write_text("backend shop.web\n    nonsense\n")
    serve(haproxy, blog, host="blog.localhost")
    assert haproxy.get("/", "blog.localhost")[1].endswith("blog")
    assert haproxy.get("/", "shop.localhost")[1].endswith("shop")


def test_a_bad_value_never_lands(haproxy, apps):
    shop = endpoint(apps("shop"), 1)
    serve(haproxy, shop)
    before = (Path(haproxy.layout.apps) / "shop.cfg").read_text()
    with pytest.raises(HitlessError) as refused:
        haproxy.router.add_endpoints([shop._replace(n=2, address="127.0.0.1:80\n    bad")])
    assert refused.value.code == "router_config"
    assert (Path(haproxy.layout.apps) / "shop.cfg").read_text() == before


def test_two_apps_cannot_claim_one_name(haproxy, apps):
    shop, blog = endpoint(apps("shop"), 1), endpoint(apps("blog"), 1, name="blog")
    serve(haproxy, shop, host="www.example.com")
    with pytest.raises(HitlessError) as refused:
        serve(haproxy, blog, host="www.example.com")
    assert refused.value.code == "name_taken"
    assert "shop" in refused.value.message
    assert haproxy.get("/", "www.example.com")[1].endswith("shop")
    haproxy.router.remove_app("shop")
    lead(haproxy.router, "www.example.com", blog.backend)
    wait_until(lambda: haproxy.get("/", "www.example.com")[1].endswith("blog"), what="the name's new app")


@pytest.mark.parametrize("host", ["shop.localhost", "SHOP.localhost", "shop.localhost.", "shop.localhost:8080", "Shop.LocalHost.:80"])
def test_a_name_is_found_in_every_way_of_writing_it(haproxy, apps, host):
    serve(haproxy, endpoint(apps("v1"), 1))
    assert haproxy.get("/", host)[0] == 200


@pytest.mark.parametrize("host", ["other.localhost", "localhost", "shop.localhost.evil.com", "x.shop.localhost", "shop.web", "hitless-unknown", ""])
def test_an_unknown_name_gets_no_apps_page(haproxy, apps, host):
    serve(haproxy, endpoint(apps("v1"), 1))
    status, answer = haproxy.get("/", host)
    assert status == 404
    assert "v1" not in answer


def test_a_clients_word_on_where_it_comes_from_is_dropped(haproxy, apps):
    serve(haproxy, endpoint(apps("v1"), 1))
    names = ("X-Forwarded-For", "X_Forwarded_For", "Forwarded", "X-Real-IP", "Proxy", "x-forwarded-anything")
    lies = "X-Forwarded-Proto: https\r\n" + "".join("%s: 6.6.6.6\r\n" % name for name in names)
    answer = haproxy.get("/headers", headers=lies)[1].lower()
    assert "6.6.6.6" not in answer
    assert "x-forwarded-for: 127.0.0.1" in answer
    assert "x-forwarded-proto: http\r\n" in answer


def test_an_event_stream_is_not_buffered(haproxy, apps):
    serve(haproxy, endpoint(apps("v1"), 1))
    with haproxy.connect("GET /sse HTTP/1.1\r\nHost: shop.localhost\r\nAccept: text/event-stream\r\n\r\n", timeout=5) as link:
        seen = b""
        while b"data: 3" not in seen:
            seen += link.recv(4096)
        assert b"data: 900" not in seen


def test_an_upload_is_not_buffered(haproxy, apps):
    app = apps("v1")
    serve(haproxy, endpoint(app, 1))
    size = 8 * 1024 * 1024
    with haproxy.connect("POST /upload HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: %d\r\n\r\n" % size) as link:
        link.sendall(b"x" * (size // 2))
        wait_until(lambda: app.uploaded == size // 2, what="the first half at the app")
        link.sendall(b"x" * (size // 2))
        assert b"200 OK" in link.recv(1024)


def test_a_reload_fails_no_request_and_the_old_worker_is_waited_for(haproxy, apps):
    shop, blog = endpoint(apps("shop"), 1), endpoint(apps("blog"), 1, name="blog")
    serve(haproxy, shop)
    with Load(("127.0.0.1", haproxy.port), "shop.localhost", clients=20, pause=0.01).running(delay=0.02) as results:
        wait_until(lambda: results.sent > 200, what="the load")
        serve(haproxy, blog, host="blog.localhost")
        wait_until(lambda: not haproxy.router.stale(), 20, "the old worker's end")
        served = results.sent
        wait_until(lambda: results.sent > served + 200, what="the load")
    assert results.failures == {}


def test_a_router_that_is_down_is_named(haproxy, apps):
    serve(haproxy, endpoint(apps("v1"), 1))
    haproxy.stop()
    with pytest.raises(HitlessError) as refused:
        haproxy.router.endpoints("shop", "web")
    assert refused.value.code == "router_down"
    assert "systemctl" in refused.value.hint
    haproxy.start()


def test_counters_know_what_the_router_had_to_refuse(haproxy, apps):
    app = apps("v1")
    serve(haproxy, endpoint(app, 1))
    before = haproxy.router.counters("shop", "web")
    for _ in range(5):
        haproxy.get("/")
    app.stop()
    haproxy.get("/")
    after = haproxy.router.counters("shop", "web")
    assert after.sent - before.sent == 6
    assert after.failed - before.failed == 1
