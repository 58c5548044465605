# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wished of an app's names, what the router is told of it, and what is refused."""

from __future__ import annotations

import pytest
from ansible_collections.hitless.paas.plugins.module_utils import _domains
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._router import Domain, Endpoint, refuse_taken


def wish(name, source="config", **more):
    return _domains.checked(dict(more, name=name), source)


def wishes(*given):
    return _domains.by_key(given)


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("Shop.Example.COM.", {"name": "shop.example.com", "path": "/", "service": None, "redirect_to": None, "tls": True, "hsts": None}),
        ("bücher.example.com", {"name": "xn--bcher-kva.example.com", "tls": True}),
        ("*.Example.com", {"name": "*.example.com", "tls": False}),
        ("shop.test", {"tls": False}),
        ("localhost", {"tls": False}),
        ("203.0.113.7", {"tls": False}),
        ({"name": "a.com", "path": "/api/"}, {"path": "/api"}),
        ({"name": "a.com", "path": "/a/b_c~1.d-e"}, {"path": "/a/b_c~1.d-e"}),
        ({"name": "a.com", "path": ""}, {"path": "/"}),
        ({"name": "a.com", "redirect_to": "B.com."}, {"redirect_to": "b.com"}),
        ({"name": "a.com", "redirect_to": "https://B.com/"}, {"redirect_to": "https://b.com"}),
        ({"name": "a.com", "redirect_to": "http://b.com:8080/x/y/"}, {"redirect_to": "http://b.com:8080/x/y"}),
        ({"name": "a.com", "redirect_to": "https://[2001:db8::1]:8443"}, {"redirect_to": "https://[2001:db8::1]:8443"}),
        ({"name": "a.com", "tls": False}, {"tls": False}),
        ({"name": "a.test", "tls": True, "hsts": 300}, {"tls": True, "hsts": 300}),
        ({"name": "*.a.com", "certificate": {"challenge": "dns-01"}}, {"tls": True}),
        ({"name": "a.test", "certificate": {"server": "https://ca.test/dir"}}, {"tls": True}),
        ({"name": "*.a.test", "certificate": {"server": "https://ca.test/dir"}}, {"tls": False}),
        ({"name": "127.0.0.1", "certificate": {"server": "https://ca.test/dir"}}, {"tls": False}),
        ({"name": "a.test", "certificate": {"own": True}}, {"tls": True}),
    ],
)
def test_a_wish_has_one_form(given, parts):
    found = _domains.checked(given, "config")
    assert {key: found[key] for key in parts} == parts


@pytest.mark.parametrize(
    "given",
    [
        {"name": "a.com", "path": "api"},
        {"name": "a.com", "path": "/a b"},
        {"name": "a.com", "path": "/a/../b"},
        {"name": "a.com", "path": "/./"},
        {"name": "a.com", "path": "//"},
        {"name": "a.com", "path": "/a//b"},
        {"name": "a.com", "path": "/a\n"},
        {"name": "a.com", "path": "/a;b"},
        {"name": "a.com", "path": "/%61"},
        {"name": "a.com", "path": "/a|b"},
        {"name": "a.com", "path": "/" + "a" * 300},
        {"name": "a.com", "path": ["/a"]},
        {"name": "a.com", "redirect_to": "ftp://b.com"},
        {"name": "a.com", "redirect_to": "javascript:alert(1)"},
        {"name": "a.com", "redirect_to": "//b.com"},
        {"name": "a.com", "redirect_to": "https://"},
        {"name": "a.com", "redirect_to": "https://user@b.com"},
        {"name": "a.com", "redirect_to": "https://b.com:99999"},
        {"name": "a.com", "redirect_to": "https://b.com/?q=1"},
        {"name": "a.com", "redirect_to": "https://b.com/#x"},
        {"name": "a.com", "redirect_to": "https://b.com/%0d%0aX:y"},
        {"name": "a.com", "redirect_to": "https://b.com\r\nX: y"},
        {"name": "a.com", "redirect_to": "*.b.com"},
        {"name": "a.com", "redirect_to": "b.com", "service": "web"},
        {"name": "a.com", "service": "Web"},
        {"name": "a.com", "service": "web|s"},
        {"name": "a.com", "hsts": -1},
        {"name": "a.com", "hsts": 10**10},
        {"name": "a.com", "hsts": "1; includeSubDomains"},
        {"name": "a.com", "hsts": True},
        {"name": "a.com", "hsts": 300, "tls": False},
        {"name": "a.com", "color": "red"},
        {"name": "*.a.com", "tls": True},
        {"path": "/"},
        {},
    ],
    ids=repr,
)
def test_what_cannot_be_wished_is_refused(given):
    with pytest.raises(HitlessError) as refused:
        _domains.checked(given, "config")
    assert refused.value.code == "config_invalid"


@pytest.mark.parametrize(
    ("current", "config", "defaults", "found"),
    [
        ((), (), ("shop.localhost",), {"shop.localhost": "default"}),
        ((), ("a.com",), ("shop.localhost",), {"a.com": "config"}),
        ((("a.com", "config"), ("b.com", "command")), ("c.com",), (), {"b.com": "command", "c.com": "config"}),
        ((("a.com", "config"), ("b.com", "command")), (), ("shop.localhost",), {"b.com": "command", "shop.localhost": "default"}),
        ((("shop.localhost", "default"),), ("a.com",), (), {"a.com": "config"}),
        ((("a.com", "command"),), ("a.com",), (), {"a.com": "config"}),
    ],
)
def test_hitless_yml_is_had_and_the_commands_names_stay(current, config, defaults, found):
    known = wishes(*(wish(*pair) for pair in current))
    synced = _domains.synced(known, [wish(name) for name in config], defaults)
    assert {key: one["from"] for key, one in synced.items()} == found


def test_a_command_adds_and_changes_its_own_and_not_what_hitless_yml_says():
    current = wishes(wish("a.com"), wish("b.com", "command"))
    changed = _domains.added(current, [wish("b.com", "command", redirect_to="a.com"), wish("a.com", "command", path="/api", service="api")])
    assert sorted(changed) == ["a.com", "a.com/api", "b.com"]
    assert changed["b.com"]["redirect_to"] == "a.com"
    assert _domains.added(current, [wish("a.com", "command")]) == current
    with pytest.raises(HitlessError, match="in hitless.yml"):
        _domains.added(current, [wish("a.com", "command", tls=False)])


@pytest.mark.parametrize(
    ("names", "path", "left"),
    [
        (["a.com"], None, ["b.com"]),
        (["A.com."], "/", ["a.com/api", "b.com"]),
        (["a.com"], "/api/", ["a.com", "b.com"]),
        (["a.com", "b.com"], None, []),
        (["c.com"], None, ["a.com", "a.com/api", "b.com"]),
    ],
)
def test_names_are_removed_whole_or_by_path(names, path, left):
    current = wishes(wish("a.com"), wish("a.com", path="/api"), wish("b.com"))
    assert sorted(_domains.removed(current, names, path)) == left


@pytest.mark.parametrize(
    "given",
    [
        [("a.com", "a.com")],
        [("a.com", "https://a.com/x")],
        [("a.com", "b.com"), ("b.com", "a.com")],
        [("a.com", "b.com"), ("b.com", "https://c.com"), ("c.com", "a.com")],
    ],
)
def test_redirects_in_a_circle_are_refused(given):
    with pytest.raises(HitlessError, match="redirected to itself"):
        _domains.refuse_loops(wishes(*(wish(name, redirect_to=target) for name, target in given)))


def test_the_router_is_told_of_services_redirects_and_tls():
    asked = wishes(
        wish("a.com", hsts=300),
        wish("b.com", tls=False),
        wish("x.b.com", path="/api", service="api"),
        wish("old.com", redirect_to="a.com"),
        wish("plain.com", redirect_to="b.com"),
    )
    assert _domains.domains_of("shop", asked, ["api", "web"], {"a.com", "b.com", "*.b.com"}) == {
        "a.com": Domain("a.com", "shop", service="web", https=True, hsts=300),
        "b.com": Domain("b.com", "shop", service="web"),
        "x.b.com/api": Domain("x.b.com", "shop", "/api", "api", https=True),
        "old.com": Domain("old.com", "shop", redirect_to="https://a.com"),
        "plain.com": Domain("plain.com", "shop", redirect_to="b.com"),
    }


def test_without_a_live_certificate_a_name_stays_plain():
    assert _domains.domains_of("shop", wishes(wish("a.com", hsts=300)), ["web"], set())["a.com"] == Domain("a.com", "shop", service="web")


@pytest.mark.parametrize(
    ("name", "secured", "covered"),
    [
        ("a.com", {"a.com"}, True),
        ("x.a.com", {"a.com"}, False),
        ("x.a.com", {"*.a.com"}, True),
        ("x.y.a.com", {"*.a.com"}, False),
        ("a.com", {"*.a.com"}, False),
        ("*.a.com", {"*.a.com"}, True),
        ("*.a.com", {"*.com", "a.com"}, False),
    ],
)
def test_which_names_a_certificate_stands_for(name, secured, covered):
    assert _domains.is_covered(name, secured) is covered


@pytest.mark.parametrize(
    "given",
    [
        {"color": "red"},
        {"email": 7},
        {"email": "-x"},
        {"email": "a\nb"},
        {"server": "--dir"},
        {"challenge": "tls-alpn-01"},
        {"name": "a b"},
        {"own": "yes"},
        {"eab_key": "secret"},
    ],
    ids=repr,
)
def test_what_a_certificate_cannot_have_is_refused(given):
    with pytest.raises(HitlessError) as refused:
        wish("a.com", certificate=given)
    assert refused.value.code == "config_invalid"


def test_options_that_say_nothing_are_not_kept():
    assert wish("b.com", certificate={"own": True, "email": "a@b.c", "server": "https://ca.test/dir"})["certificate"] == {"own": True}
    given = {"email": "a@b.c", "server": None, "staging": False, "challenge": "http-01", "dns_auth_hook": "", "name": "A.com."}
    assert wish("b.com", certificate=given)["certificate"] == {"email": "a@b.c", "name": "a.com"}


def test_certificates_that_are_missing_are_asked_for_once_with_all_their_names():
    shared = {"certificate": {"name": "a.com"}}
    asked = wishes(
        wish("a.com", path="/x", **shared),
        wish("b.com", **shared),
        wish("c.com", **shared),
        wish("d.com"),
        wish("own.com", certificate={"own": True}),
        wish("e.test"),
    )
    lacking = _domains.lacking(asked, {"c.com"})
    assert {name: [one["name"] for one in group] for name, group in lacking.items()} == {"a.com": ["a.com", "b.com"], "d.com": ["d.com"]}
    assert _domains.certificate_names("a.com", asked) == ["a.com", "b.com", "c.com"]
    assert _domains.lacking(asked, {"a.com", "b.com", "c.com", "d.com"}) == {}


def test_a_certificate_goes_with_the_last_of_its_names():
    before = wishes(wish("a.com"), wish("b.com", certificate={"name": "a.com"}), wish("c.com"), wish("d.com", tls=False))
    assert _domains.orphaned(before, _domains.removed(before, ["a.com"])) == []
    assert _domains.orphaned(before, _domains.removed(before, ["a.com", "b.com", "d.com"])) == ["a.com"]
    assert _domains.orphaned(before, before) == []


KNOWN = {
    "a.com": Domain("a.com", "shop", service="web"),
    "gone.com": Domain("gone.com", "shop", service="web"),
    "b.com": Domain("b.com", "blog", service="web"),
    "1.shop.p.com": Domain("1.shop.p.com", "shop", service="web", server="20261121080000-1"),
}


def test_only_what_differs_is_changed_and_previews_are_left_alone():
    wanted = {"a.com": KNOWN["a.com"], "c.com": Domain("c.com", "shop", service="web")}
    assert _domains.changes("shop", KNOWN, wanted) == ([wanted["c.com"]], ["gone.com"])
    assert _domains.changes("shop", KNOWN, {"a.com": KNOWN["a.com"]._replace(https=True)}).put == [KNOWN["a.com"]._replace(https=True)]


@pytest.mark.parametrize(
    ("name", "taken"),
    [("a.com", False), ("b.com", True), ("c.com", False), ("*.b.com", False), ("x.w.com", False), ("*.w.com", True)],
)
def test_a_name_belongs_to_one_app_and_an_exact_one_may_be_below_anothers_wildcard(name, taken):
    known = [*KNOWN.values(), Domain("*.w.com", "blog", service="web"), Domain("p.com", "blog", "/only", "web")]
    if not taken:
        refuse_taken(known, "shop", [name])
        return
    with pytest.raises(HitlessError) as refused:
        refuse_taken(known, "shop", [name])
    assert (refused.value.code, refused.value.exit) == ("name_taken", 2)
    assert "blog" in refused.value.message


def test_the_paths_of_one_name_belong_to_one_app():
    wanted = {"p.com/x": Domain("p.com", "shop", "/x", "web")}
    with pytest.raises(HitlessError):
        _domains.changes("shop", {"p.com/y": Domain("p.com", "blog", "/y", "web")}, wanted)


@pytest.mark.parametrize(
    ("taken", "names"),
    [
        ({}, ["shop.localhost", "localhost", "127.0.0.1", "10.0.0.9"]),
        ({"localhost": "blog"}, ["shop.localhost", "127.0.0.1", "10.0.0.9"]),
        ({"localhost": "shop", "127.0.0.1": "shop2"}, ["shop.localhost", "localhost", "10.0.0.9"]),
    ],
)
def test_the_hosts_own_names_go_to_the_first_app_without_domains(taken, names):
    known = {name: Domain(name, app, service="web") for name, app in taken.items()}
    assert _domains.default_wishes("shop", ["10.0.0.9"], known) == names


def test_an_address_that_is_a_usual_name_or_no_name_at_all_is_no_trouble():
    addresses = _domains.usable(["127.0.0.1", "LocalHost", "my_server", "2001:db8::1"])
    assert _domains.default_wishes("shop", addresses, {}) == ["shop.localhost", "localhost", "127.0.0.1", "[2001:db8::1]"]


def test_what_was_wished_is_known_from_the_router_where_it_is_lost():
    adopted = _domains.adopted("shop", KNOWN)
    assert sorted(adopted) == ["a.com", "gone.com"]
    assert _domains.domains_of("shop", adopted, ["web"], set()) == {key: KNOWN[key] for key in adopted}


def test_a_preview_leads_to_one_replica():
    endpoint = Endpoint("shop", "web", "20261121080000", 1, "127.0.0.1", 20001)
    plain = _domains.preview_of(endpoint, "Preview.example.com.", set())
    assert plain == Domain("20261121080000.shop.preview.example.com", "shop", service="web", server="20261121080000-1")
    assert _domains.preview_of(endpoint, "preview.example.com", {"*.shop.preview.example.com"}).https is True


@pytest.mark.parametrize(
    ("domain", "ports", "url"),
    [
        (Domain("a.com", "shop"), (80, 443), "http://a.com"),
        (Domain("a.com", "shop", https=True), (80, 443), "https://a.com"),
        (Domain("a.com", "shop", "/api"), (8080, 8443), "http://a.com:8080/api"),
        (Domain("a.com", "shop", https=True), (8080, 8443), "https://a.com:8443"),
    ],
)
def test_the_address_that_people_type(domain, ports, url):
    assert _domains.url(domain, ports) == url


def test_people_are_told_of_names_that_answer():
    config = [wish("old.com", redirect_to="a.com"), wish("*.a.com"), wish("a.com", path="/api"), wish("a.com")]
    wanted = _domains.domains_of("shop", wishes(*config), ["web"], set())
    assert _domains.best_names(config, ["10.0.0.9"], "shop", wanted) == ["a.com", "a.com/api"]
    local = {name: Domain(name, "shop", service="web") for name in ("shop.localhost", "10.0.0.9")}
    assert _domains.best_names([], ["10.0.0.9"], "shop", local) == ["10.0.0.9"]
    assert _domains.best_names([], ["10.0.0.8"], "shop", local) == ["shop.localhost"]
