# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host names through the interface of a router: whichever one it is, a client sees the same."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._domain_book import DomainBook
from ansible_collections.hitless.paas.plugins.module_utils._domains import checked, wish_key
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.module_utils._router import Domain
from conftest import endpoint, wait_until
from loadgen import Load

HEALTH = {"health": {"type": "http", "path": "/healthz", "interval": 0.2, "timeout": 1.0, "successes": 1, "failures": 2}}


@pytest.fixture(params=["haproxy"])
def proxy(request):
    """Every router: it has ``router``, ``port``, ``start``, ``stop``, ``get``, ``connect``, ``secured`` and ``get_secured``."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def served(proxy, apps):
    """The apps shop (services web and api) and blog, healthy behind the router, without a name yet."""
    for name, service in (("shop", "web"), ("shop", "api"), ("blog", "web")):
        replica = endpoint(apps("%s.%s" % (name, service)), 1, name=name)._replace(service=service)
        proxy.router.ensure_backend(name, service, dict(HEALTH, deployment=replica.deployment))
        proxy.router.add_endpoints([replica])
        proxy.router.enable([replica])
        wait_until(lambda name=name, service=service: proxy.router.endpoints(name, service)[0].state == "up", what="the replica's health")
    return proxy


def answer(proxy, name, path="/", method="GET"):
    """The service that answers, or else the status; of a redirect also where it leads."""
    with proxy.connect("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % (method, path, name)) as link:
        head, _blank, body = b"".join(iter(lambda: link.recv(65536), b"")).decode("latin-1").partition("\r\n\r\n")
    status = int(head.split()[1])
    where = [line.partition(":")[2].strip() for line in head.splitlines() if line.lower().startswith("location:")]
    return body if status == 200 else (status, *where) if where else status


def put(proxy, *domains):
    return proxy.router.change_domains(domains)


def test_the_longest_path_wins_and_ends_at_a_slash(served):
    put(served, Domain("a.test", "shop", service="web"), Domain("a.test", "shop", "/api", "api"), Domain("a.test", "shop", "/api/web", "web"))
    asked = ["/", "/api", "/api/", "/api/x?y=/", "/apix", "/x/api", "/api/web", "/api/web/x", "/api/webx", "/API", "/api?x"]
    found = {path: answer(served, "a.test", path).rpartition(".")[2] for path in asked}
    assert [path for path in asked if found[path] == "api"] == ["/api", "/api/", "/api/x?y=/", "/api/webx", "/api?x"]


def test_an_exact_name_wins_over_a_wildcard_of_one_label(served):
    put(served, Domain("*.a.test", "shop", service="web"), Domain("blog.a.test", "blog", service="web"), Domain("p.a.test", "blog", "/only", "web"))
    names = ["x.a.test", "X.A.Test.", "blog.a.test", "a.test", "x.y.a.test", "p.a.test", "xa.test"]
    found = {name: answer(served, name) for name in names}
    assert found == {**dict.fromkeys(names, 404), "x.a.test": "shop.web", "X.A.Test.": "shop.web", "blog.a.test": "blog.web"}
    assert answer(served, "p.a.test", "/only/x") == "blog.web"


@pytest.mark.parametrize(
    "name", ["", "x", "a.test.evil.com", "evil-a.test", "a.test/x", "a.test@evil.com", "a.test%2f", "shop.web", "hitless-unknown", "1.2.3.4"]
)
def test_an_unknown_name_gets_no_apps_page(served, name):
    put(served, Domain("a.test", "shop", service="web"), Domain("a.test", "shop", "/x", "api"))
    assert answer(served, name) in (400, 404)


@pytest.mark.parametrize(
    ("target", "path", "method", "found"),
    [
        ("b.test", "/p?q=1", "GET", (301, "http://b.test/p?q=1")),
        ("b.test", "/p", "HEAD", (301, "http://b.test/p")),
        ("b.test", "/p", "POST", (308, "http://b.test/p")),
        ("b.test", "//evil.com/x", "GET", (301, "http://b.test//evil.com/x")),
        ("https://b.test", "/", "GET", (301, "https://b.test/")),
        ("https://b.test:8443/x", "/p?q", "PUT", (308, "https://b.test:8443/x/p?q")),
        ("b.test", "/.well-known/acme-challenge/token", "GET", 404),
    ],
)
def test_a_redirect_keeps_the_path_and_lets_a_certificate_authority_ask(served, target, path, method, found):
    put(served, Domain("a.test", "shop", redirect_to=target))
    assert answer(served, "a.test", path, method) == found


def test_plain_requests_are_sent_to_https_but_for_a_certificate_authority(served):
    put(served, Domain("a.test", "shop", service="web", https=True, hsts=300), Domain("b.test", "shop", service="web"))
    assert answer(served, "A.test:8080", "/p?q") == (301, "https://a.test/p?q")
    assert answer(served, "a.test", "/p", "POST") == (308, "https://a.test/p")
    assert answer(served, "a.test", "/.well-known/acme-challenge/token") == "shop.web"
    assert answer(served, "b.test") == "shop.web"
    assert "strict-transport-security" not in served.get("/", "a.test")[1].lower()


def test_every_change_is_made_in_one_go_and_is_known_afterwards(served):
    first, second = Domain("a.test", "shop", service="web"), Domain("b.test", "shop", service="web")
    assert put(served, first, second) is True
    assert put(served, first) is False
    assert served.router.domains() == {"a.test": first, "b.test": second}
    assert served.router.change_domains([first._replace(service="api")], ["b.test"]) is True
    assert (answer(served, "a.test"), answer(served, "b.test")) == ("shop.api", 404)
    assert served.router.change_domains(remove=["b.test"]) is False


def test_a_name_of_another_app_is_refused_and_nothing_is_changed(served):
    put(served, Domain("a.test", "shop", "/x", "web"), Domain("*.w.test", "shop", service="web"))
    for name in ("a.test", "*.w.test"):
        with pytest.raises(HitlessError) as refused:
            put(served, Domain("free.test", "blog", service="web"), Domain(name, "blog", service="web"))
        assert refused.value.code == "name_taken"
        assert refused.value.details == {"name": name, "app": "shop"}
    assert answer(served, "free.test") == 404
    served.router.change_domains(remove=["a.test/x", "*.w.test"])
    put(served, Domain("a.test", "blog", service="web"), Domain("*.w.test", "blog", service="web"))
    assert (answer(served, "a.test"), answer(served, "x.w.test")) == ("blog.web", "blog.web")


def test_a_restart_keeps_every_name(served):
    domains = [Domain("a.test", "shop", service="web"), Domain("a.test", "shop", "/x", "api"), Domain("*.w.test", "blog", service="web")]
    put(served, *domains, Domain("r.test", "blog", redirect_to="a.test"))
    before = [answer(served, *asked) for asked in (("a.test",), ("a.test", "/x"), ("q.w.test",), ("r.test", "/y"))]
    served.stop()
    served.start()
    assert [answer(served, *asked) for asked in (("a.test",), ("a.test", "/x"), ("q.w.test",), ("r.test", "/y"))] == before
    assert before == ["shop.web", "shop.api", "blog.web", (301, "http://a.test/y")]


def test_a_name_of_one_replica_leads_there_alone_and_goes_with_it(served, apps):
    new = endpoint(apps("new"), 2, name="shop")
    served.router.add_endpoints([new])
    put(served, Domain("a.test", "shop", service="web"), Domain("new.test", "shop", service="web", server=new.name))
    assert {answer(served, "a.test") for _ in range(6)} == {"shop.web"}
    assert {answer(served, "new.test") for _ in range(6)} == {"new"}
    served.router.remove_previews("shop", {"20261121000001"})
    served.router.remove_previews("blog", {new.deployment})
    assert answer(served, "new.test") == "new"
    served.router.remove_previews("shop", {new.deployment})
    assert answer(served, "new.test") == 404


def book_of(proxy, app):
    return DomainBook(AppPaths(app, proxy.layout.folder + "/root"), proxy.router)


def test_what_is_wished_survives_the_loss_of_what_is_routed(served):
    for app in ("shop", "blog"):
        wishes = [checked("%s.test" % app, "config"), checked({"name": "%s2.test" % app, "redirect_to": "%s.test" % app}, "command")]
        book_of(served, app).put({wish_key(wish): wish for wish in wishes}, ["web"])
    served.router.change_domains(remove=list(served.router.domains()))
    assert answer(served, "shop.test") == 404
    for app in ("shop", "blog"):
        book = book_of(served, app)
        assert book.put(book.wishes(), book.services()) is True
        assert book.put(book.wishes(), book.services()) is False
    assert (answer(served, "shop.test"), answer(served, "blog.test"), answer(served, "blog2.test")) == ("shop.web", "blog.web", (301, "http://blog.test/"))


def test_a_lost_file_is_written_again_with_the_names_of_every_app(haproxy, apps):
    put(haproxy, Domain("a.test", "shop", service="web"), Domain("b.test", "blog", service="web"))
    path = Path(haproxy.layout.domains_map)
    text = path.read_text()
    path.unlink()
    assert haproxy.router.change_domains() is True
    assert path.read_text() == text
    assert haproxy.router.change_domains() is False


def test_twenty_changes_of_names_fail_no_request(served):
    put(served, Domain("a.test", "shop", service="web"))
    with Load(("127.0.0.1", served.port), "a.test", clients=40, pause=0.01).running(delay=0.02) as results:
        for number in range(20):
            seen = results.sent
            name = "n%d.test" % (number // 4)
            change = number % 4
            if change == 3:
                served.router.change_domains(remove=[name])
            else:
                put(served, (Domain(name, "shop", service="web"), Domain(name, "shop", service="api"), Domain(name, "shop", redirect_to="a.test"))[change])
            assert answer(served, name, "/y") == ("shop.web", "shop.api", (301, "http://a.test/y"), 404)[change]
            wait_until(lambda seen=seen: results.sent > seen + 40, what="the load")
    assert results.failures == {}
    assert set(results.versions) == {"shop.web"}


def test_a_name_answers_over_tls_and_an_unknown_one_is_misdirected(served):
    put(served, Domain("a.test", "shop", service="web"), Domain("r.test", "shop", redirect_to="a.test"))
    assert served.get_secured("/", "a.test")[1].endswith("shop.web")
    assert served.get_secured("/", "b.test")[0] == 421
    status, text = served.get_secured("/p?q", "r.test")
    assert (status, "location: https://a.test/p?q" in text.lower()) == (301, True)


def test_hsts_is_said_over_tls_alone_and_only_where_it_is_asked_for(served):
    put(served, Domain("a.test", "shop", service="web", https=True, hsts=31536000), Domain("b.test", "shop", service="web", https=True))
    put(served, Domain("r.test", "shop", redirect_to="a.test", https=True, hsts=0))
    said = {
        name: [line for line in served.get_secured("/", name)[1].lower().split("\r\n") if line.startswith("strict-")] for name in ("a.test", "b.test", "r.test")
    }
    assert said == {"a.test": ["strict-transport-security: max-age=31536000"], "b.test": [], "r.test": ["strict-transport-security: max-age=0"]}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_current_versions_of_tls_are_spoken_with_forward_secrecy(served, version):
    with served.secured("a.test", minimum_version=version, maximum_version=version) as link:
        cipher, spoken, _bits = link.cipher()
        assert spoken == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
        assert cipher.startswith(("ECDHE-", "DHE-", "TLS_"))
        assert link.compression() is None


def test_strong_ciphers_are_taken(served):
    for cipher in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"):
        with served.secured("a.test", ciphers=cipher, maximum_version=ssl.TLSVersion.TLSv1_2) as link:
            assert link.cipher()[0] == cipher


WEAK = ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES256-SHA", "ECDHE-ECDSA-AES128-CCM8", "ECDHE-ECDSA-NULL-SHA"]


@pytest.mark.parametrize("cipher", WEAK)
def test_a_weak_cipher_is_refused(served, cipher):
    with pytest.raises(ssl.SSLError, match="ALERT_HANDSHAKE_FAILURE"):
        served.secured("a.test", ciphers=cipher + ":@SECLEVEL=0", maximum_version=ssl.TLSVersion.TLSv1_2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_an_old_version_of_tls_is_refused(served, version):
    with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
        served.secured("a.test", ciphers="ALL:@SECLEVEL=0", minimum_version=version, maximum_version=version)


def test_http_2_is_offered_and_no_ticket_is_kept(served):
    with served.secured("a.test", alpn=["h2", "http/1.1"], maximum_version=ssl.TLSVersion.TLSv1_2) as link:
        assert link.selected_alpn_protocol() == "h2"
        assert link.session.has_ticket is False
