# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy's files: nothing hostile gets in, what is written can be read back, and HAProxy itself accepts it."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._haproxy_config import (
    Layout,
    parse_app,
    parse_domains,
    render_app,
    render_challenges,
    render_domains,
    render_main,
    says_more,
)
from ansible_collections.hitless.paas.plugins.module_utils._router import Domain

SERVER = {"address": "127.0.0.1", "port": 20001, "weight": 100}
GOOD = {"health": {"type": "http", "path": "/healthz"}, "servers": {"20261121080000-1": SERVER}}

ACCEPTED = {
    "one service": {"web": GOOD},
    "no server yet": {"web": dict(GOOD, servers={})},
    "several services": {"web": GOOD, "api": GOOD, "a": GOOD},
    "two deployments": {"web": dict(GOOD, servers={"20261121080000-1": SERVER, "20261121090000-1": dict(SERVER, port=20002, weight=0)})},
    "IPv6": {"web": dict(GOOD, servers={"20261121080000-1": dict(SERVER, address="2001:db8::1")})},
    "tcp": {"web": dict(GOOD, health={"type": "tcp"})},
    "a command": {"web": dict(GOOD, health={"type": "command"})},
    "a path with a query": {"web": dict(GOOD, health={"path": "/health?full=1&x=$y%20z", "expect": "200-299,401"})},
    "slow": {"web": dict(GOOD, health={"interval": 30.0, "timeout": 0.5, "successes": 3, "failures": 10})},
    "many": {"web": dict(GOOD, servers={"20261121080000-%d" % n: dict(SERVER, port=20000 + n) for n in range(1, 65)})},
}


@pytest.fixture
def layout(tmp_path):
    for name in ("apps", "maps", "certs"):
        (tmp_path / name).mkdir()
    pair = ["-keyout", tmp_path / "certs/key.pem", "-out", tmp_path / "certs/cert.pem"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x", *pair], check=True, capture_output=True
    )
    (tmp_path / "certs/default.pem").write_text((tmp_path / "certs/key.pem").read_text() + (tmp_path / "certs/cert.pem").read_text())
    (tmp_path / "certs/list").write_text("%s/certs/default.pem\n" % tmp_path)
    (tmp_path / "maps/domains.map").write_text(render_domains({}))
    (tmp_path / "maps/challenges.map").write_text(render_challenges({}))
    return Layout(config=str(tmp_path / "haproxy.cfg"), folder=str(tmp_path), admin_socket=str(tmp_path / "a.sock"), master_socket=str(tmp_path / "m.sock"))


def complaint(layout, app_text=None):
    """What HAProxy says against the files, without addresses of the machine: the empty text when it accepts them."""
    with open(layout.config, "w") as stream:
        stream.write(render_main(layout))
    if app_text is not None:
        with open(layout.apps + "/shop.cfg", "w") as stream:
            stream.write(app_text)
    done = subprocess.run(["haproxy", "-c", "-f", layout.config, "-f", layout.apps], capture_output=True, text=True)
    return "" if done.returncode == 0 and "WARNING" not in done.stderr else done.stdout + done.stderr


@pytest.mark.parametrize("changes", [{}, {"https": ()}, {"http": ("*:80", "[::]:80"), "https": ("*:443", "[::]:443")}, {"user": None, "chroot": None}])
def test_haproxy_accepts_the_main_file(layout, changes):
    assert complaint(layout._replace(**changes)) == ""


@pytest.mark.parametrize("services", ACCEPTED.values(), ids=ACCEPTED)
def test_haproxy_accepts_an_apps_file_that_can_be_read_back(layout, services):
    text = render_app("shop", services)
    assert parse_app(text) == services
    assert complaint(layout, text) == ""


_TWO = {"web": dict(GOOD, servers={"20261121080000-1": SERVER, "20261121090000-1": dict(SERVER, port=20002, weight=0)})}


@pytest.mark.parametrize(
    ("before", "after", "more"),
    [
        ({"web": GOOD}, _TWO, True),
        (_TWO, {"web": GOOD}, False),
        (_TWO, {"web": dict(_TWO["web"], servers={name: dict(server, weight=7) for name, server in _TWO["web"]["servers"].items()})}, False),
        ({"web": GOOD}, {"web": dict(GOOD, servers={"20261121080000-1": dict(SERVER, port=20009)})}, True),
        ({"web": GOOD}, {"web": dict(GOOD, health={"type": "tcp"})}, False),
        ({"web": GOOD}, {"web": dict(GOOD, health={"path": "/other"})}, True),
    ],
)
def test_haproxy_is_asked_about_a_file_only_when_it_says_more_than_before(before, after, more):
    assert says_more(render_app("shop", before), render_app("shop", after)) is more


def test_a_server_is_written_with_all_that_it_needs():
    lines = render_app("shop", {"web": GOOD}).splitlines()
    assert "backend shop.web" in lines
    assert "    server 20261121080000-1 127.0.0.1:20001 check inter 1000ms fastinter 200ms downinter 50ms rise 1 fall 3 weight 100" in lines


HOSTILE_NAMES = [
    "",
    "Shop",
    "shop web",
    "shop\n",
    "shop\nbackend x",
    "-shop",
    "shop-",
    "a--b",
    "shop.web",
    "../etc",
    "a" * 40,
    "shöp",
    "%[src]",
    "${HOME}",
    None,
    3,
]
HOSTILE_PATHS = [
    "",
    "healthz",
    "/a b",
    "/a\n",
    "/a\nhttp-check expect status 1",
    "/a'",
    '/a"',
    "/a\\",
    "/a#b",
    "/ü",
    "/a\x00",
    "/" + "a" * 2000,
    None,
    5,
    "http://x/",
]
HOSTILE_ADDRESSES = [
    "",
    "localhost",
    "127.0.0.1:80",
    "127.0.0.1 check",
    "127.0.0.1\n",
    "unix@/x",
    "fd@3",
    "::1 x",
    "%[src]",
    "ipv4@1.2.3.4",
    "2130706433",
    None,
    1,
]
HOSTILE_SERVERS = [
    "",
    "1",
    "20261121080000",
    "20261121080000-",
    "20261121080000-0",
    "20261121080000-1 x",
    "20261121080000-1\n",
    "20261121080000-²",
    "x-1",
    "2026112108000-1",
]


def refused(app="shop", service="web", **changes):
    with pytest.raises(HitlessError) as error:
        render_app(app, {service: dict(GOOD, **changes)})
    assert error.value.code in ("router_config", "config_invalid")


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=repr)
def test_a_hostile_app_name_is_refused(name):
    refused(app=name)


@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES if isinstance(name, str)], ids=repr)
def test_a_hostile_service_name_is_refused(name):
    refused(service=name)


@pytest.mark.parametrize("path", HOSTILE_PATHS, ids=repr)
def test_a_hostile_health_path_is_refused(path):
    refused(health={"path": path})


@pytest.mark.parametrize("address", HOSTILE_ADDRESSES, ids=repr)
def test_a_hostile_address_is_refused(address):
    refused(servers={"20261121080000-1": dict(SERVER, address=address)})


@pytest.mark.parametrize("name", HOSTILE_SERVERS, ids=repr)
def test_a_hostile_server_name_is_refused(name):
    refused(servers={name: SERVER})


@pytest.mark.parametrize(
    ("key", "value"), [("port", 0), ("port", 65536), ("port", "80"), ("port", True), ("weight", -1), ("weight", 257), ("weight", "1 backup")]
)
def test_a_number_out_of_bounds_is_refused(key, value):
    refused(servers={"20261121080000-1": dict(SERVER, **{key: value})})


@pytest.mark.parametrize(
    "health",
    [{"interval": 0}, {"interval": -1}, {"interval": "1s"}, {"interval": float("nan")}, {"interval": float("inf")}, {"timeout": None}]
    + [{"failures": 0}, {"successes": 1.5}, {"expect": "200 rstatus x"}, {"expect": ""}, {"expect": "200-399\n"}],
    ids=repr,
)
def test_an_unusable_health_check_is_refused(health):
    refused(health=health)


@pytest.mark.parametrize("text", ["", "backend x\n", "# state: [1]\n", "# state: {\n"])
def test_a_file_without_state_is_told_from_an_empty_one(text):
    with pytest.raises(ValueError, match=r"."):
        parse_app(text)


DOMAINS = [
    Domain("shop.example.com", "shop", service="web"),
    Domain("shop.example.com", "shop", "/api/v1", "api", https=True, hsts=300),
    Domain("*.example.com", "blog", service="web"),
    Domain("paths.example.com", "blog", "/only", "web"),
    Domain("old.example.com", "shop", redirect_to="https://shop.example.com/new"),
    Domain("20261121080000.shop.preview.example.com", "shop", service="web", server="20261121080000-1"),
    Domain("[2001:db8::1]", "shop", service="web"),
]


def test_the_map_of_names_is_read_as_it_was_written():
    domains = {domain.key: domain for domain in DOMAINS}
    assert parse_domains(render_domains(domains)) == domains


def test_haproxy_accepts_the_map_of_names(layout, tmp_path):
    (tmp_path / "maps/domains.map").write_text(render_domains({domain.key: domain for domain in DOMAINS}))
    assert complaint(layout, render_app("shop", {"web": GOOD})) == ""


def test_a_name_with_paths_alone_is_kept_from_a_wildcard():
    assert "paths.example.com/ blog.||||" in render_domains({DOMAINS[3].key: DOMAINS[3]}).splitlines()


HOSTILE_DOMAINS = [
    {"name": "Shop.example.com"},
    {"name": "shop.example.com\n"},
    {"name": "a b"},
    {"name": "a|b"},
    {"name": "a/b"},
    {"name": "%[src].com"},
    {"name": ""},
    {"name": None},
    {"app": "shop|"},
    {"app": ""},
    {"app": None},
    {"service": "web|s"},
    {"service": "web x"},
    {"service": "w.eb"},
    {"path": ""},
    {"path": "api"},
    {"path": "/api/"},
    {"path": "/a b"},
    {"path": "/a\n"},
    {"path": "/a;b"},
    {"path": "/a|b"},
    {"path": "//"},
    {"path": "/%[src]"},
    {"redirect_to": "a b"},
    {"redirect_to": "a.com\n"},
    {"redirect_to": "https://a.com/x|y"},
    {"redirect_to": "a.com;x"},
    {"redirect_to": "javascript:alert(1)"},
    {"redirect_to": "https://a.com/%[src]"},
    {"redirect_to": "A.com"},
    {"server": "x"},
    {"server": "20261121080000-1|"},
    {"hsts": -1},
    {"hsts": "1; x"},
    {"hsts": True},
    {"hsts": 1.5},
]


@pytest.mark.parametrize("changes", HOSTILE_DOMAINS, ids=repr)
def test_a_hostile_domain_never_gets_into_the_map(changes):
    with pytest.raises(HitlessError) as refused:
        render_domains({"x": DOMAINS[0]._replace(**changes)})
    assert refused.value.code in ("router_config", "config_invalid")
