# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line over real runs: ``hitless`` as it is installed, with small playbooks in the place of the collection's own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.hitless.paas.plugins.plugin_utils import _events
from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent / "wrapper_run"
VALIDATOR = Draft202012Validator(_events.schema())
SECRET = "s3cret-{{ value }}"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site-packages folder as the wheel leaves it, but for the playbooks."""
    site = tmp_path_factory.mktemp("site")
    paas = site / "ansible_collections" / "hitless" / "paas"
    shutil.copytree(ROOT / "wrapper" / "hitless", site / "hitless")
    shutil.copytree(ROOT / "plugins", paas / "plugins")
    shutil.copytree(ROOT / "meta", paas / "meta")
    shutil.copy(ROOT / "galaxy.yml", paas)
    shutil.copytree(HERE / "playbooks", paas / "playbooks")
    shutil.copy(HERE / "action" / "tell.py", paas / "plugins" / "action")
    return site


@pytest.fixture
def shop(tmp_path):
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "hitless.yml").write_text("app: shop\nsecrets: [TOKEN]\ntargets: {prod: {hosts: [localhost]}}\n")
    return shop


@pytest.fixture
def environment(site, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "HITLESS_", "XDG_"))}
    return {**kept, "HOME": str(home), "PYTHONPATH": str(site), "TOKEN": SECRET, "TMPDIR": str(tmp_path)}


@pytest.fixture
def hitless(shop, environment):
    def run(*arguments, **more):
        command = [sys.executable, "-m", "hitless", *arguments]
        return subprocess.run(command, cwd=shop, env={**environment, **more}, capture_output=True, text=True, timeout=60, check=False)

    return run


def _events_of(done):
    events = [json.loads(line) for line in done.stdout.splitlines()]
    for event in events:
        VALIDATOR.validate(event)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    return events


def test_deploy_gives_events_and_nothing_else_on_stdout(hitless, tmp_path):
    done = hitless("deploy", "--json", "--force", "--wait", "3")
    events = _events_of(done)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [(event["event"], event["app"], event["target"]) for event in events] == [(kind, "shop", "prod") for kind in ("phase", "log", "phase", "deployed")]
    assert events[1]["line"] == "forced=True wait=3.0 token=********"
    assert SECRET not in done.stdout + done.stderr
    assert not list(tmp_path.glob("hitless-*"))


def test_without_a_terminal_lines_come_and_a_summary(hitless):
    done = hitless("deploy")
    assert done.returncode == 0
    assert "hitless [localhost] build done (0.5 s)" in done.stdout
    assert done.stdout.rstrip().splitlines()[-4:] == [
        "✓ Deployed shop to prod in 2.5 s",
        "  url      http://127.0.0.1:8080",
        "  release  20261121080000",
        "  requests 3 sent, 0 failed",
    ]


def test_verbose_shows_what_ansible_prints_beside_the_events(hitless):
    done = hitless("deploy", "--json", "--verbose")
    assert "TASK [Tell of the end]" in done.stderr
    assert "TASK" not in done.stdout


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5])
def test_a_step_says_the_exit_code(hitless, code):
    done = hitless("rollback", "--to", str(code), "--json")
    failed = _events_of(done)[-1]
    assert (done.returncode, failed["exit"], failed["reason"], failed["hint"]) == (code, code, "it broke, nothing was changed", "do this")


def test_a_failure_is_a_sentence_and_a_hint(hitless):
    done = hitless("rollback", "--to", "1")
    assert done.stdout.rstrip().splitlines()[-2:] == [
        "✗ Failed in start: it broke, nothing was changed",
        "  hint: do this",
    ]
    assert "Traceback" not in done.stdout + done.stderr


def test_an_unreachable_host_is_exit_4(hitless):
    done = hitless("push", "--json")
    failed = _events_of(done)[-1]
    assert (done.returncode, failed["event"], failed["exit"]) == (4, "failed", 4)
    assert "refuses the connection" in failed["reason"]


def test_a_run_on_no_host_is_no_success(hitless):
    done = hitless("create", "--json")
    assert (done.returncode, _events_of(done)[-1]["reason"]) == (2, "The target prod has no host; nothing was done.")


def test_an_error_before_the_first_task_says_why(hitless):
    done = hitless("destroy", "--yes", "--json")
    assert (done.returncode, _events_of(done)[-1]["reason"]) == (2, "the playbook: hitless.paas.destroy could not be found")


def test_answers_are_tables(hitless):
    assert hitless("ps").stdout.splitlines() == [
        "SERVICE  N  RELEASE         ENDPOINT         STATE    SINCE",
        "web      1  20261121080000  127.0.0.1:20001  running  2026-11-21T08:00:00Z",
    ]
    assert hitless("logs", "--phase", "build").stdout == "listening\nready\n"


def test_a_reader_that_goes_away_ends_no_deployment(shop, environment):
    command = [sys.executable, "-m", "hitless", "deploy", "--json"]
    with subprocess.Popen(command, cwd=shop, env={**environment, "TELL_UNTIL": str(shop / "go")}, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        (shop / "go").touch()
        assert process.wait(30) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_cleans_up_and_says_what_is_left(shop, environment, number):
    command = [sys.executable, "-m", "hitless", "deploy", "--json"]
    with subprocess.Popen(command, cwd=shop, env={**environment, "TELL_UNTIL": str(shop / "never")}, stdout=subprocess.PIPE, text=True) as process:
        assert json.loads(process.stdout.readline())["name"] == "build"
        process.send_signal(number)
        last = json.loads(process.stdout.read().splitlines()[-1])
        assert process.wait(30) == 130
    VALIDATOR.validate(last)
    assert last["reason"] == "Interrupted during build: the deployment was cancelled, and what served before still serves."
    assert (last["exit"], last["rolled_back"]) == (130, True)
    assert (shop / "cancelled").read_text() == "20261121080000"


def test_a_killed_command_takes_its_ansible_along(shop, environment):
    command = [sys.executable, "-m", "hitless", "deploy", "--json"]
    with subprocess.Popen(command, cwd=shop, env={**environment, "TELL_UNTIL": str(shop / "never")}, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        (child,) = _children(process.pid)
        process.kill()
    end = time.monotonic() + 30
    while Path(f"/proc/{child}/cmdline").exists() and Path(f"/proc/{child}/cmdline").read_bytes():
        assert time.monotonic() < end, "ansible-playbook goes on alone"
        time.sleep(0.05)


def _children(pid):
    return [int(one) for thread in Path(f"/proc/{pid}/task").glob("*/children") for one in thread.read_text().split()]


def test_the_background_runs_alone_and_can_be_cancelled(shop, hitless):
    (started,) = _events_of(hitless("deploy", "--detach", "--json", TELL_UNTIL=str(shop / "never")))
    assert started["event"] == "deploying"
    os.kill(started["pid"], 0)
    second = hitless("deploy", "--detach", "--json")
    assert (second.returncode, f"process {started['pid']}" in _events_of(second)[-1]["reason"]) == (3, True)
    done = hitless("cancel", "--json")
    assert (done.returncode, _events_of(done)[-1]["status"]) == (0, "CANCELLED")


def test_an_old_copy_at_home_does_not_win(hitless, environment, site):
    old = Path(environment["HOME"], ".ansible", "collections", "ansible_collections", "hitless", "paas")
    (old / "playbooks").mkdir(parents=True)
    (old / "galaxy.yml").write_text("namespace: hitless\nname: paas\nversion: 0.0.1\n")
    (old / "playbooks" / "deploy.yml").write_text("- hosts: all\n  tasks: [{name: Old, ansible.builtin.fail: {msg: the old copy}}]\n")
    done = hitless("deploy", "--json")
    assert (done.returncode, "the old copy" in done.stdout) == (0, False)


def test_another_copy_on_the_python_path_is_refused(hitless, site, tmp_path):
    other = tmp_path / "other" / "ansible_collections" / "hitless" / "paas"
    shutil.copytree(site / "ansible_collections" / "hitless" / "paas", other)
    done = hitless("plan", "--json", PYTHONPATH=f"{tmp_path / 'other'}:{site}")
    assert (done.returncode, str(other) in _events_of(done)[-1]["reason"]) == (2, True)


def test_the_api_yields_the_same_typed_events(shop, environment):
    program = """
import hitless
events = list(hitless.deploy())
assert [type(event).__name__ for event in events] == ["Phase", "Log", "Phase", "Deployed"], events
assert hitless.result(events).requests["sent"] == 3
try:
    hitless.result(hitless.rollback(to="4"))
except hitless.RunFailed as error:
    assert (error.exit, str(error)) == (4, "it broke, nothing was changed"), error
else:
    raise SystemExit("no RunFailed")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=shop, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_closing_the_events_early_ends_the_run_and_cleans_up(shop, environment):
    program = "import hitless\nevents = hitless.deploy()\nprint(next(events).name)\nevents.close()\n"
    environment["TELL_UNTIL"] = str(shop / "never")
    done = subprocess.run([sys.executable, "-c", program], cwd=shop, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, (shop / "cancelled").exists()) == (0, "build\n", True), done.stderr
