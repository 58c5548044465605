# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One translation for all: tables of results, and real runs through ansible-playbook and ansible-runner."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import ansible_runner
import pytest
from ansible_collections.hitless.paas.plugins.plugin_utils import _events
from ansible_collections.hitless.paas.plugins.plugin_utils._translate import EVENT_PREFIX, Translator
from jsonschema import Draft202012Validator

VALIDATOR = Draft202012Validator(_events.schema())
HERE = Path(__file__).parent
ANSIBLE_PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"
DEPLOYED = {
    "event": "deployed",
    "status": "RUNNING",
    "release": "20261121080000",
    "seconds": 2.5,
    "requests": {"sent": 3, "failed": 0, "held": 1, "cut": 0},
    "changed": True,
}


def _line(**event):
    return EVENT_PREFIX + json.dumps({"time": _events.now(), "host": "h1", "app": "shop", "target": "prod", "deployment": None, **event})


def _typed(code, **details):
    return {"error": {"code": "x", "message": "it broke", "hint": "do this", "details": details, "exit": code}}


def _valid(events):
    for event in events:
        VALIDATOR.validate(event)
    return events


def test_schema_is_a_schema():
    Draft202012Validator.check_schema(_events.schema())
    assert set(_events.schema()["$defs"]) == set(_events.KINDS)


@pytest.mark.parametrize("kind", _events.KINDS)
def test_every_kind_has_the_schema_s_fields(kind):
    rule = _events.schema()["$defs"][kind]
    assert list(_events.parse({"event": kind})) == list(rule["properties"])
    assert ["event", *rule["required"]] == list(rule["properties"])


def test_lines_that_come_together_are_events_of_their_own():
    odd = ["a", "", "ends of lines for some: \x85 \u2028", "b"]
    text = _line(event="log", stream="build", lines=odd)
    shown = {"event": "verbose", "stdout": re.sub("[\x85\u2028]", lambda end: "\\u%04x" % ord(end[0]), text)}
    events = _valid(Translator().feed_runner(shown))
    assert [(event["seq"], event["line"]) for event in events] == list(enumerate(odd, 1))
    assert "lines" not in events[0]


def test_lines_become_numbered_events_without_duplicates():
    translator = Translator()
    running = {"event": "phase", "name": "build", "state": "running", "seconds": 0.0}
    lines = [
        _line(**running),
        "TASK [x]",
        _line(**running),
        _line(event="log", stream="build", line="a"),
        _line(event="log", stream="build", line="a"),
        EVENT_PREFIX + "{broken",
        _line(event="new"),
    ]
    events = _valid([event for line in lines for event in translator.feed_line(line)] + translator.finish(0))
    assert [(event["seq"], event["event"]) for event in events] == [(1, "phase"), (2, "log"), (3, "log"), (4, "deployed")]
    assert translator.finish(0) == []


@pytest.mark.parametrize("changed", [True, False])
def test_a_run_that_says_nothing_at_its_end_says_whether_it_changed_anything(changed):
    translator = Translator()
    translator.feed_runner({"event": "runner_on_ok", "event_data": {"res": {"changed": changed}}})
    translator.feed_runner({"event": "runner_on_ok", "event_data": {"res": {"changed": False}}})
    (last,) = _valid(translator.finish(0))
    assert (last["event"], last["changed"]) == ("deployed", changed)


def test_last_events_of_several_hosts_become_one():
    translator = Translator()
    for host, took in (("h1", 2.5), ("h2", 4.0)):
        assert translator.feed_line(_line(**{**DEPLOYED, "host": host, "seconds": took})) == []
    (last,) = _valid(translator.finish(0))
    assert (last["seconds"], last["requests"]["sent"], last["host"], translator.exit_code) == (4.0, 6, None, 0)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("ssh: connect to host 1.2.3.4 port 22: Connection refused", "refuses the connection"),
        ("ssh: connect to host 1.2.3.4 port 22: Connection timed out", "does not answer"),
        ("Permission denied (publickey,password).", "refuses the login"),
        ("@@@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @@@ Host key verification failed.", "another host key"),
        ("ssh: Could not resolve hostname shop-dev: Name or service not known", "cannot be resolved"),
        ("ssh: connect to host 1.2.3.4 port 22: No route to host", "no route"),
        ("something new", "something new"),
    ],
)
def test_unreachable_is_one_sentence(text, part):
    translator = Translator("shop", "prod")
    translator.feed_unreachable("h1", {"msg": "Failed to connect to the host via ssh: " + text, "unreachable": True})
    (last,) = _valid(translator.finish(4))
    assert part in last["reason"]
    assert (last["exit"], translator.exit_code, last["rolled_back"], last["host"]) == (4, 4, False, "h1")
    assert "\n" not in last["reason"]


@pytest.mark.parametrize(
    ("results", "rc", "code", "rolled_back", "part"),
    [
        ([_typed(2)], 2, 2, False, "it broke"),
        ([_typed(3)], 2, 3, False, "it broke"),
        ([_typed(1)], 2, 1, True, "it broke"),
        ([_typed(1), _typed(1)], 2, 5, False, "cleaning up failed"),
        ([_typed(1), {"msg": "fail of the rescue"}], 2, 1, True, "it broke"),
        ([{"msg": "no such file"}], 2, 1, True, '"Do it" failed on h1: no such file'),
        ([{"msg": "MODULE FAILURE\nSee stdout/stderr", "module_stderr": "Traceback (most recent call last):\n  boom"}], 2, 1, True, "unexpected way"),
        ([{"msg": "Missing sudo password"}], 2, 4, False, "sudo asks for a password"),
        ([{"msg": "x", "module_stderr": "/bin/sh: 1: /usr/bin/python3: not found"}], 2, 4, False, "no /usr/bin/python3"),
        ([], 99, 130, False, "interrupted"),
        ([], 5, 2, False, "status 5"),
        ([], 1, 1, True, "status 1"),
    ],
)
def test_failures_have_an_exit_code_and_a_reason(results, rc, code, rolled_back, part):
    translator = Translator("shop", "prod")
    for result in results:
        translator.feed_failed("h1", "Do it", result)
    (last,) = _valid(translator.finish(rc))
    assert (last["event"], last["exit"], last["rolled_back"]) == ("failed", code, rolled_back)
    assert part in last["reason"]
    assert "Traceback" not in json.dumps(last)


def test_what_the_rescue_says_wins_over_the_failed_task():
    translator = Translator()
    translator.feed_line(_line(event="phase", name="health", state="running", seconds=0.0))
    translator.feed_failed("h1", "Start", _typed(1, log_tail=["boom"]))
    translator.feed_line(_line(event="failed", phase="health", reason="not healthy", hint=None, rolled_back=True, log_tail=[], exit=1))
    (last,) = _valid(translator.finish(2))
    assert (last["phase"], last["reason"], last["hint"], last["log_tail"], last["rolled_back"]) == ("health", "not healthy", "do this", ["boom"], True)


PLAY = """
- hosts: hitless
  gather_facts: false
  tasks:
    - name: Begin
      say:
        app: shop
        deployment: "20261121080000"
        result:
          changed: true
          events:
            - {event: phase, name: prepare, state: running, seconds: 0.0}
            - {event: log, stream: build, line: "token is {{ hitless_env.TOKEN }} {{ '{{' }} 日本"}
            - {event: phase, name: prepare, state: done, seconds: 0.5}
    - name: End
      say: {app: shop, deployment: "20261121080000", result: %s}
"""
GOOD = json.dumps({"changed": True, "events": [DEPLOYED]})
BROKE = "{{ hitless_env.TOKEN }} broke"
BAD = json.dumps({"failed": True, "msg": BROKE, "error": {"code": "x", "message": BROKE, "hint": "h", "details": {}, "exit": 1}})


@pytest.fixture
def run_folder(tmp_path):
    (tmp_path / "hitless.yml").write_text("plugin: hitless.paas.hitless\napp: shop\nsecrets: [TOKEN]\ntargets: {prod: {hosts: [localhost]}}\n")
    return tmp_path


def _environment(folder):
    path = f"{ANSIBLE_PLAYBOOK.parent}:{os.environ['PATH']}"
    own = {
        "PATH": path,
        "ANSIBLE_ACTION_PLUGINS": str(HERE / "events_run" / "action_plugins"),
        "ANSIBLE_CALLBACKS_ENABLED": "hitless.paas.events",
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }
    return {**os.environ, **own, "HITLESS_EVENTS_FILE": str(folder / "events.jsonl"), "TOKEN": "s3cret-value", "PYTHONUNBUFFERED": "1"}


def _timeless(events):
    return [{key: value for key, value in event.items() if key != "time"} for event in events]


def _failed_line(host, reason, **fields):
    return _line(event="failed", host=host, phase="health", reason=reason, rolled_back=True, exit=1, **fields)


def test_the_host_that_failed_says_why_and_not_those_that_followed_it():
    translator = Translator()
    translator.feed_failed("b", "Start", {"error": {"code": "unhealthy", "message": "b is sick", "hint": None, "details": {}, "exit": 1}})
    translator.feed_line(_failed_line("a", "The deployment failed on b", because_of="b"))
    translator.feed_line(_failed_line("b", "b is sick"))
    last = translator.finish(2)[-1]
    assert (last["host"], last["reason"], last["exit"], last["rolled_back"]) == ("b", "b is sick", 1, True)


def test_the_addresses_of_all_hosts_are_told_once_each():
    translator = Translator()
    for host, urls in (("a", ["http://x", "http://a"]), ("b", ["http://x", "http://b"])):
        translator.feed_line(_line(**{**DEPLOYED, "host": host, "urls": urls}))
    assert _valid(translator.finish(0))[-1]["urls"] == ["http://x", "http://a", "http://b"]


@pytest.mark.parametrize(("end", "last", "rc"), [(GOOD, "deployed", 0), (BAD, "failed", 2)])
def test_callback_and_runner_give_the_same_events(run_folder, end, last, rc):
    (run_folder / "play.yml").write_text(PLAY % end, encoding="utf-8")
    environment = _environment(run_folder)
    command = [str(ANSIBLE_PLAYBOOK), "-i", "hitless.yml", "play.yml"]
    played = subprocess.run(command, cwd=run_folder, env=environment, capture_output=True, text=True, check=False)
    assert played.returncode == rc, played.stdout + played.stderr
    called_back = [json.loads(line) for line in (run_folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]

    (run_folder / "runner").mkdir()
    translator, run = Translator(), []
    runner = ansible_runner.run(
        private_data_dir=str(run_folder / "runner"), playbook=str(run_folder / "play.yml"), inventory=str(run_folder / "hitless.yml"), quiet=True,
        envvars={key: value for key, value in environment.items() if key != "ANSIBLE_CALLBACKS_ENABLED"},
        event_handler=lambda event: run.extend(translator.feed_runner(event)),
    )  # fmt: skip
    run += translator.finish(runner.rc)

    assert _timeless(_valid(called_back)) == _timeless(_valid(run))
    assert [event["event"] for event in run] == ["phase", "log", "phase", last]
    assert {(event["app"], event["target"], event["host"], event["deployment"]) for event in run} == {("shop", "prod", "localhost", "20261121080000")}
    assert "s3cret-value" not in json.dumps(run, ensure_ascii=False) + played.stdout + played.stderr
    assert "********" in json.dumps(run)
    assert EVENT_PREFIX not in played.stdout
    assert "hitless [localhost] prepare done (0.5 s)" in played.stdout


def test_events_that_cannot_be_written_go_to_stdout_and_fail_nothing(run_folder):
    (run_folder / "play.yml").write_text(PLAY % GOOD, encoding="utf-8")
    environment = {**_environment(run_folder), "HITLESS_EVENTS_FILE": str(run_folder / "none" / "events")}
    played = subprocess.run(
        [str(ANSIBLE_PLAYBOOK), "-i", "hitless.yml", "play.yml"], cwd=run_folder, env=environment, capture_output=True, text=True, check=False
    )
    assert played.returncode == 0
    events = [json.loads(line) for line in played.stdout.splitlines() if line.startswith('{"v"')]
    assert _valid(events)[-1]["event"] == "deployed"
    assert "events are not written" in played.stderr
