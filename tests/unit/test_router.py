# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the driver and the route decide, as tables."""

from __future__ import annotations

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._haproxy import counters_of, may_be_asked, next_health, plan_sync, state_of
from ansible_collections.hitless.paas.plugins.module_utils._haproxy_socket import Process, Workers, parse_map, parse_sessions, parse_version, parse_workers
from ansible_collections.hitless.paas.plugins.module_utils._route import difference, next_cut, sick, web_services
from ansible_collections.hitless.paas.plugins.module_utils._router import Counters, LiveEndpoint

A, B = ("127.0.0.1", 1, 100), ("127.0.0.1", 2, 100)


@pytest.mark.parametrize(
    ("wanted", "running", "plan"),
    [
        ({}, {}, ([], [], [])),
        ({"a": A}, {"a": A}, ([], [], [])),
        ({"a": A}, {}, (["a"], [], [])),
        ({}, {"a": A}, ([], [], ["a"])),
        ({"a": A}, {"a": A[:2] + (0,)}, ([], ["a"], [])),
        ({"a": A}, {"a": B}, (["a"], [], ["a"])),
        ({"a": A, "b": B}, {"b": B, "c": B}, (["a"], [], ["c"])),
    ],
)
def test_sync_does_what_is_missing_and_no_more(wanted, running, plan):
    assert plan_sync(wanted, running) == plan


@pytest.mark.parametrize(
    ("status", "check", "state"),
    [
        ("UP", "L7OK", "up"),
        ("UP", "* L7OK", "up"),
        ("UP", "L4OK", "up"),
        ("UP 1/3", "INI", "checking"),
        ("UP 2/3", "L7STS", "checking"),
        ("DOWN", "L4CON", "down"),
        ("DOWN 1/2", "L7OK", "down"),
        ("MAINT", "", "down"),
        ("DRAIN", "L7OK", "up"),
        ("no check", "", "checking"),
    ],
)
def test_the_state_of_a_server(status, check, state):
    assert state_of(status, check) == state


def test_counters_come_from_the_row_of_the_backend():
    server = {"svname": "x-1", "req_tot": "9"}
    backend = {"svname": "BACKEND", "req_tot": "7", "econ": "1", "eresp": "2", "wretr": "3", "wredis": "1", "hrsp_5xx": ""}
    assert counters_of([server, backend]) == Counters(7, 3, 0, 4, 0)
    assert counters_of([]) == Counters(0, 0, 0, 0, 0)


SHOW_PROC = """#<PID>          <type>          <reloads>       <uptime>        <version>
27211           master          1 [failed: 2]   0d00h24m23s     2.6.12-1+deb12u4
# workers
10669           worker          0               0d00h00m01s     2.6.12-1+deb12u4
# old workers
27325           worker          1               1d02h24m23s     2.6.12-1+deb12u4
# programs

"""


def test_workers_are_told_from_those_that_a_reload_replaced():
    assert parse_workers(SHOW_PROC) == Workers((Process(10669, 1, False), Process(27325, 95063, True)), 1, 2)


@pytest.mark.parametrize(
    ("processes", "asked"),
    [
        ([Process(1, 5, False)], False),
        ([Process(1, 5, False), Process(2, 100, True)], True),
        ([Process(1, 60, False), Process(2, 100, True)], True),
        ([Process(1, 67, False), Process(2, 100, True)], False),
        ([Process(2, 100, True)], True),
        ([], False),
    ],
)
def test_a_replaced_worker_is_asked_no_longer_than_its_idle_connections_live(processes, asked):
    assert may_be_asked(Workers(tuple(processes), 1, 0), 65) is asked


SHOW_SESS = """0x1a: [21/Nov/2026:09:36:47.412083] id=16 proto=tcpv4 source=127.0.0.1:1
  frontend=http (id=2 mode=http), listener=? (id=1) addr=127.0.0.1:2
  backend=shop.web (id=4 mode=http) addr=127.0.0.1:3
  server=20261121000001-1 (id=1) addr=127.0.0.1:4
  txn=0x1 flags=0x803000 meth=1 status=101 req.st=MSG_TUNNEL rsp.st=MSG_TUNNEL req.f=0x4c rsp.f=0x00
0x1b: [21/Nov/2026:09:36:47.412083] id=17 proto=tcpv4 source=127.0.0.1:1
  backend=shop.web (id=4 mode=http) addr=127.0.0.1:3
  server=20261121000002-1 (id=1) addr=127.0.0.1:4
  txn=0x1 flags=0x803000 meth=1 status=-1 req.st=MSG_DONE rsp.st=MSG_RPBEFORE req.f=0x4c rsp.f=0x00
0x1c: [21/Nov/2026:09:36:47.413467] id=18 proto=unix_stream source=unix:1
  backend=<NONE> (id=-1 mode=-)
  server=<NONE> (id=-1)

"""


def test_sessions_at_a_server_are_found_and_tunnels_known():
    assert parse_sessions(SHOW_SESS) == [("0x1a", "shop.web", "20261121000001-1", True), ("0x1b", "shop.web", "20261121000002-1", False)]
    assert parse_sessions("\n") == []


def test_a_map_is_read():
    assert parse_map("0x56 127.0.0.1 shop.web\n0x57 a.b blog.web\n\n") == {"127.0.0.1": "shop.web", "a.b": "blog.web"}


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Name: HAProxy\nVersion: 2.6.12-1+deb12u4\n", (2, 6)),
        ("Version: 3.0.5\n", (3, 0)),
        ("Version: 2.10-dev\n", (2, 10)),
        ("Unknown command\n", None),
        ("", None),
    ],
)
def test_the_version_is_read(text, version):
    assert parse_version(text) == version


HTTP, OTHER, TCP = {"type": "http", "path": "/", "expect": "200-399"}, {"type": "http", "path": "/x", "expect": "200-399"}, {"type": "tcp"}


@pytest.mark.parametrize(
    ("present", "wanted", "servers", "checked"),
    [
        (HTTP, OTHER, [], "http"),
        (HTTP, HTTP, ["1-1"], "http"),
        (HTTP, OTHER, ["1-1"], "tcp"),
        (HTTP, OTHER, ["1-1", "2-1"], "tcp"),
        (HTTP, OTHER, ["2-1"], "http"),
        (TCP, OTHER, ["2-1"], "http"),
        (TCP, OTHER, ["1-1"], "tcp"),
        (HTTP, TCP, ["1-1"], "tcp"),
    ],
)
def test_an_older_release_is_never_asked_a_question_it_does_not_know(present, wanted, servers, checked):
    assert next_health({"health": present, "servers": dict.fromkeys(servers)}, wanted, "2")["type"] == checked


@pytest.mark.parametrize(
    ("elapsed", "requests", "tunnels", "step"),
    [
        (0, 0, 0, "done"),
        (99, 0, 0, "done"),
        (0, 1, 0, "wait"),
        (29, 1, 0, "wait"),
        (30, 1, 0, "cut"),
        (4, 0, 1, "wait"),
        (5, 0, 1, "cut_long_lived"),
        (5, 1, 1, "cut_long_lived"),
        (30, 1, 1, "cut"),
    ],
)
def test_a_drain_ends_within_its_limits(elapsed, requests, tunnels, step):
    assert next_cut(elapsed, requests, tunnels, 30, 5) == step


def live(name, state):
    return LiveEndpoint(name, "127.0.0.1", 1, state, 100, 0, "Connection refused")


@pytest.mark.parametrize(
    ("sent", "errors", "states", "is_sick"),
    [
        (0, 0, ["up"], False),
        (100, 4, ["up"], False),
        (1000, 40, ["up"], False),
        (50, 5, ["up"], True),
        (0, 0, ["down"], True),
        (0, 0, ["checking"], False),
        (0, 0, ["up", "down"], True),
        (0, 0, [], True),
    ],
)
def test_what_makes_a_new_release_sick(sent, errors, states, is_sick):
    names = ["1-%d" % n for n in range(1, len(states) + 1)]
    assert bool(sick(Counters(sent, 0, 0, 0, errors), [live(*pair) for pair in zip(names, states, strict=True)], names or ["1-1"])) is is_sick


def test_a_router_that_began_anew_counts_from_zero():
    assert difference(Counters(10, 1, 0, 0, 1), Counters(15, 1, 0, 2, 1)) == Counters(5, 0, 0, 2, 0)
    assert difference(Counters(10, 1, 0, 0, 1), Counters(3, 0, 0, 0, 0)) == Counters(3, 0, 0, 0, 0)


def test_the_names_lead_to_web():
    assert web_services({"api": {"type": "web"}, "web": {"type": "static"}, "job": {"type": "worker"}}) == ["web", "api"]
    assert web_services({"b": {}, "a": {}}) == ["a", "b"]
