# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person sees, as tables of events and the text they become."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from hitless import _picture
from hitless._errors import ConfigError
from hitless._events import failure, make
from hitless._info import info_lines
from hitless._view import drawn

REQUESTS = {"sent": 12345, "failed": 0, "held": 2, "cut": 0}
DEPLOYED = {"status": "RUNNING", "url": "http://127.0.0.1:8080", "release": "20261121080000", "seconds": 7.44, "requests": REQUESTS, "changed": True}
FAILED = {"phase": "health", "reason": "web did not become healthy", "hint": "hitless logs", "rolled_back": True, "log_tail": ["boom"], "exit": 1}


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def _picture_of(*events, verb="deploy", after=0.0):
    clock = Clock()
    picture = _picture.Picture(verb, "shop", "prod", clock)
    for kind, body in events:
        picture.take(make(kind, "prod", "shop", **body))
    clock.now += after
    return picture


def _text(*events, width=80, **more):
    return _picture.plain(_picture_of(*events, **more).rows(width))


def _phase(name, state, seconds=0.0, host=None):
    return "phase", {"name": name, "state": state, "seconds": seconds, "host": host}


def test_phases_are_aligned_and_the_running_one_counts():
    assert _text(_phase("lock", "running"), _phase("lock", "done", 0.04), _phase("install", "skipped"), _phase("build", "running"), after=12.34) == [
        "shop → prod · deploy",
        "  ✓ lock            0.0 s",
        "  – install       skipped",
        "  ⠸ build          12.3 s",
    ]


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        ([("health", {"endpoint": "a:1", "result": "fail", "detail": "refused"})], "0/1 healthy · refused"),
        ([("health", {"endpoint": "a:1", "result": "fail"}), ("health", {"endpoint": "a:1", "result": "pass", "detail": "200"})], "1/1 healthy"),
        ([("switch", {"service": "web", "from": ["a:1"], "to": ["a:2", "a:3"]})], "web to a:2, a:3"),
        ([("drain", {"endpoint": "a:1", "in_flight": 3})], "3 in flight on a:1"),
        ([("drain", {"endpoint": "a:1", "in_flight": 0})], "nothing in flight"),
    ],
)
def test_a_phase_says_what_it_sees(events, shown):
    name = events[0][0]
    assert _text(_phase(name, "running"), *events)[1].endswith(f"0.0 s  {shown}")


def test_a_phase_ends_when_it_has_ended_on_all_hosts():
    events = [_phase("build", "running", host="a"), _phase("build", "running", host="b"), _phase("build", "done", 1.0, "a")]
    assert _text(*events, after=2.0)[1] == "  ⠋ build           2.0 s  1/2 hosts"
    assert _text(*events, _phase("build", "done", 3.0, "b"))[1] == "  ✓ build           3.0 s  2/2 hosts"
    assert _text(*events, _phase("build", "failed", 3.0, "b"))[1].startswith("  ✗ build")


def test_between_phases_the_task_is_shown_that_goes_on():
    picture = _picture_of(_phase("lock", "done", 0.1), after=2.0)
    picture.doing = "Prepare the host"
    assert _picture.plain(picture.rows(80))[2:] == ["  ⠋ Prepare the host · 2.0 s"]


@pytest.mark.parametrize(("last", "mark"), [(("deployed", {**DEPLOYED, "changed": False}), "✓"), (("failed", FAILED), "✗")])
def test_no_phase_goes_on_after_the_end(last, mark):
    assert _text(_phase("lock", "running"), last, after=9.0)[1] == f"  {mark} lock            0.0 s"


def test_the_last_lines_of_a_build_are_shown_while_it_goes_on():
    logs = [("log", {"stream": "build", "line": f"line {number}"}) for number in range(20)]
    shown = _text(_phase("build", "running"), *logs)
    assert shown[2:] == [f"  │ line {number}" for number in range(12, 20)]
    assert not any("line" in row for row in _text(_phase("build", "running"), *logs, ("deployed", DEPLOYED)))


def test_success_ends_with_where_it_is_and_what_was_counted():
    assert _text(("deployed", DEPLOYED))[2:] == [
        "✓ Deployed shop to prod in 7.4 s",
        "  url      http://127.0.0.1:8080",
        "  release  20261121080000",
        "  requests 12,345 sent, 0 failed, 2 held",
    ]


@pytest.mark.parametrize(
    ("verb", "changed", "said"),
    [
        ("deploy", False, "✓ Nothing to do: shop on prod is up to date"),
        ("up", True, "✓ Deployed shop to prod in 3.0 s"),
        ("rollback", True, "✓ Rolled shop back on prod in 3.0 s"),
        ("create", True, "✓ Created prod in 3.0 s"),
        ("configure", False, "✓ prod is configured already"),
        ("destroy", True, "✓ Destroyed prod in 3.0 s"),
    ],
)
def test_each_verb_says_what_it_did(verb, changed, said):
    body = {"status": None, "url": None, "release": None, "seconds": 0.0, "requests": {}, "changed": changed}
    clock = Clock()
    picture = _picture.Picture(verb, "shop", "prod", clock)
    clock.now += 3.0
    picture.take(make("deployed", "prod", "shop", **body))
    clock.now += 9.0
    assert _picture.plain(picture.rows(80))[-1] == said


def test_failure_ends_with_the_log_the_reason_and_the_hint():
    picture = _picture_of(("failed", {**FAILED, "deployment": "20261121080000"}))
    assert _picture.plain(picture.rows(34))[2:] == [
        "  │ boom",
        "✗ Failed in health: web did not",
        "  become healthy",
        "  hint: hitless logs",
    ]


def test_nothing_wider_than_a_narrow_terminal_and_no_colour_where_none_is_wanted(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    out = io.StringIO()
    console = Console(file=out, width=60, height=40, force_terminal=True, highlight=False, markup=False)
    log = ("log", {"stream": "build", "line": "x" * 300})
    console.print(drawn(_picture_of(_phase("build", "running"), log, ("warning", {"message": "word " * 40, "hint": "word " * 40})), console))
    lines = [_picture.clean(line) for line in out.getvalue().splitlines()]
    assert max(map(len, lines)) <= 60
    assert "…" in lines[2]
    assert "\x1b[3" not in out.getvalue()


def test_what_goes_on_now_stays_on_a_short_terminal():
    console = Console(file=io.StringIO(), width=60, height=6, force_terminal=True)
    events = [_phase(f"p{number}", "done") for number in range(20)]
    texts = [str(text) for text in drawn(_picture_of(*events, _phase("build", "running")), console).renderables]
    assert (len(texts), texts[0][:4], texts[-1][:9]) == (5, "shop", "  ⠋ build")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[32mgreen\x1b[0m", "green"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link", "link"),
        ("10%\r50%\r100%", "100%"),
        ("done\r", "done"),
        ("a\tb", "a   b"),
        ("bell\x07 del\x7f c1\x9b2J", "bell del c12J"),
        ("\u202eevil", "evil"),
        ("日本語 🚀", "日本語 🚀"),
    ],
)
def test_output_of_an_app_cannot_command_the_terminal(raw, shown):
    assert _picture.clean(raw) == shown


@pytest.mark.parametrize(("value", "text"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (60, "1 m 00 s"), (3725, "62 m 05 s")])
def test_durations(value, text):
    assert _picture.seconds(value) == text


def test_ascii_terminals_get_ascii():
    picture = _picture_of(_phase("build", "running"), ("log", {"stream": "build", "line": "a…"}))
    assert all(line.isascii() for line in _picture.plain(picture.rows(80), ascii_only=True))


def test_answers_for_people():
    status = {
        "current": {"release": "20261121080000", "status": "RUNNING", "source": {"commit": "0123456789abcdef", "message": "Fix it"}, "urls": ["http://x"]}
    }
    assert info_lines(make("info", what="status", data=status)) == [
        "serves    20261121080000",
        "status    RUNNING",
        "commit    012345678 Fix it",
        "url       http://x",
    ]
    assert info_lines(make("info", what="events", data={"phases": [{"name": "build", "state": "done", "seconds": 1.25, "started": None}]})) == [
        "PHASE  STATE  SECONDS  STARTED",
        "build  done   1.2      -",
    ]


def test_a_run_that_cannot_begin_is_one_event():
    event = failure(ConfigError("no", "hint")).as_dict()
    assert (event["event"], event["seq"], event["reason"], event["hint"], event["exit"]) == ("failed", 1, "no", "hint", 2)
