# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import http.server
import threading

import pytest
from ansible_collections.hitless.paas.plugins.module_utils import _health
from ansible_collections.hitless.paas.plugins.module_utils._health import Answer, Progress, Watch, explain, is_expected, next_delay, probe_http, wait
from ansible_collections.hitless.paas.plugins.module_utils._runtime import Replica, State

HEALTH = {"type": "http", "path": "/", "expect": "200-399", "interval": 1.0, "timeout": 1.0, "successes": 1, "failures": 3, "deadline": 10.0}
WEB = Replica("shop", "web", "20261121080000", 1, "127.0.0.1", 20001)
OTHER = WEB._replace(n=2, port=20002)
WORKER = Replica("shop", "worker", "20261121080000", 1)
GOOD, BAD = Answer(True, "HTTP 200"), Answer(False, "HTTP 500")
RUNNING = State("running", 7)


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        assert seconds > 0
        self.now += seconds


def watch(checks, states=None, answers=None):
    """The outcome of ``wait`` for scripts: callables of the seconds since the start. Returns (found, seconds, reports)."""
    clock, reports = Clock(), []
    states = states or {}
    answers = answers or {}

    def look(replicas):
        return {replica: states.get(replica, lambda _now: RUNNING)(clock.now - 100) for replica in replicas}

    def probe(replicas):
        return {replica: answers.get(replica, lambda _now: GOOD)(clock.now - 100) for replica in replicas}

    found = wait(Watch(checks, look, probe, lambda replica, answer: reports.append((replica.n, answer.ok)), clock, clock.sleep))
    return found, clock.now - 100, reports


def healthy(found, checks):
    return [_health.is_healthy(found[replica], health) for replica, health in checks.items()]


def test_a_replica_that_answers_at_once_costs_no_wait():
    found, seconds, reports = watch({WEB: HEALTH})
    assert (healthy(found, {WEB: HEALTH}), seconds, reports) == ([True], 0.0, [(1, True)])


def test_a_late_one_is_found_soon_after_it_came():
    checks = {WEB: HEALTH, OTHER: HEALTH}
    found, seconds, reports = watch(checks, answers={OTHER: lambda now: GOOD if now > 0.3 else _health.NOT_LISTENING})
    assert healthy(found, checks) == [True, True]
    assert 0.3 < seconds < 0.6
    assert reports == [(1, True), (2, True)]


def test_passes_in_a_row_are_an_interval_apart():
    checks = {WEB: {**HEALTH, "successes": 3}}
    found, seconds, _reports = watch(checks)
    assert (healthy(found, checks), seconds) == ([True], 2.0)


@pytest.mark.parametrize(("successes", "end"), [(1, 0.0), (2, 10.0)])
def test_flapping_is_no_row_of_passes(successes, end):
    checks = {WEB: {**HEALTH, "successes": successes}}
    answers = iter([GOOD, BAD] * 1000)
    found, seconds, _reports = watch(checks, answers={WEB: lambda _now: next(answers)})
    assert (healthy(found, checks), seconds) == ([successes == 1], end)


def test_an_answer_is_reported_when_it_changes_only():
    checks = {WEB: HEALTH}
    _found, seconds, reports = watch(checks, answers={WEB: lambda _now: BAD})
    assert (seconds, reports) == (10.0, [(1, False)])


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (State("failed", None, "exit status 1", 4), "web replica 1 ended with exit status 1"),
        (State("exited", None, "signal 9"), "web replica 1 ended with signal 9"),
        (State("absent"), "web replica 1 ended"),
        (State("starting", None, "exit status 3", 3), "web replica 1 ended with exit status 3, and was started again 3 times"),
    ],
)
def test_an_end_for_good_ends_the_wait_at_once(state, reason):
    checks = {WEB: HEALTH, OTHER: HEALTH}
    found, seconds, _reports = watch(checks, states={WEB: lambda _now: state})
    assert seconds == 0.0
    assert explain(WEB, found[WEB], HEALTH, []) == reason


def test_one_restart_is_forgiven_and_takes_back_the_passes():
    checks = {WEB: {**HEALTH, "successes": 2}}
    found, seconds, _reports = watch(checks, states={WEB: lambda now: RUNNING._replace(restarts=int(now >= 1.0))})
    assert (healthy(found, checks), seconds) == ([True], 2.0)


def test_a_healthy_one_that_ends_while_others_start_fails():
    checks = {WEB: HEALTH, OTHER: HEALTH}
    ends = {WEB: lambda now: RUNNING if now < 1 else State("failed", None, "exit status 1", 5)}
    found, _seconds, _reports = watch(checks, states=ends, answers={OTHER: lambda now: GOOD if now > 5 else BAD})
    assert healthy(found, checks) == [False, False]
    assert found[WEB].doomed


def test_a_worker_is_healthy_once_it_has_lived_for_an_interval():
    checks = {WORKER: HEALTH}
    found, seconds, reports = watch(checks, answers={WORKER: lambda _now: None})
    assert (healthy(found, checks), reports) == ([True], [(1, True)])
    assert 1.0 <= seconds < 1.5


def test_a_worker_that_ends_at_once_is_not():
    checks = {WORKER: HEALTH}
    dies = {WORKER: lambda now: RUNNING if now < 0.2 else State("starting", None, "exit status 1", int(1 + now / 1.2))}
    found, _seconds, _reports = watch(checks, states=dies, answers={WORKER: lambda _now: None})
    assert "exit status 1" in found[WORKER].doomed


@pytest.mark.parametrize(
    ("answer", "ports", "text"),
    [
        (_health.NOT_LISTENING, ["127.0.0.1:8000"], "web replica 1 was expected to listen on 127.0.0.1:20001 but listens on 127.0.0.1:8000"),
        (_health.NOT_LISTENING, [], "web replica 1 was expected to listen on 127.0.0.1:20001 but listens on no port"),
        (BAD, ["127.0.0.1:20001"], "web replica 1 was not healthy within 10 s; its last answer was: HTTP 500"),
    ],
)
def test_a_failure_is_explained(answer, ports, text):
    assert explain(WEB, Progress(answer=answer), HEALTH, ports) == text


@pytest.mark.parametrize(
    ("status", "expect", "answer"),
    [(200, "200-399", True), (399, "200-399", True), (404, "200-399", False), (204, "200,204", True), (201, "200,204", False), (302, "200,301-302", True)],
)
def test_expected_statuses(status, expect, answer):
    assert is_expected(status, expect) is answer


@pytest.mark.parametrize(
    ("progress", "seconds"), [(Progress(), 0.05), (Progress(probes=3), 0.05 * 1.4**3), (Progress(probes=50), 1.0), (Progress(passes=1), 1.0)]
)
def test_delays_grow_to_the_interval(progress, seconds):
    assert next_delay(progress, HEALTH) == pytest.approx(seconds)


class _Odd(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/garbage":
            self.wfile.write(b"\x00\xff no http at all\r\n\r\n")
            return
        self.send_response(302 if self.path == "/redirect" else 200)
        self.send_header("Location", "http://127.0.0.1:1/never")
        self.end_headers()

    def log_message(self, *words):
        """Say nothing."""


@pytest.fixture
def odd():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Odd)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield WEB._replace(port=server.server_port)
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("path", "ok"), [("/", True), ("/redirect", True), ("/garbage", False), ("/a b\r\nX: y", False), ("/ä", False)])
def test_http_answers(odd, path, ok):
    assert probe_http(odd, {**HEALTH, "path": path}).ok is ok


def test_nobody_listens(odd):
    free = odd._replace(port=1)
    assert probe_http(free, HEALTH) == _health.probe_tcp(free, HEALTH) == _health.NOT_LISTENING
