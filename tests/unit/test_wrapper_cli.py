# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line without a run: usage, configuration, files."""

from __future__ import annotations

import json
import sys

import pytest
from ansible_collections.hitless.paas.plugins.plugin_utils import _events
from jsonschema import Draft202012Validator

from hitless import _api, _cli, _collection, _run
from hitless._errors import InstallationError
from hitless._events import make
from hitless._info import info_lines
from hitless._project import open_project


@pytest.fixture
def shop(tmp_path, monkeypatch):
    folder = tmp_path / "My_Shop"
    folder.mkdir()
    (folder / "index.html").write_text("hello")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("HITLESS_TARGET", raising=False)
    return folder


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["deploi"], 2, "No such command"),
        (["deploy", "--wat"], 2, "No such option"),
        (["deploy", "--wait", "-1"], 2, "not in the range"),
        (["completion", "tcsh"], 2, "tcsh"),
        (["deploy", "--target", "prod"], 2, "there is no target prod"),
        (["deploy", "--file", "none.yml"], 2, "none.yml"),
        (["rollback"], 2, "has no server yet"),
        (["status"], 2, "has no server yet"),
        (["destroy"], 2, "nobody can be asked"),
    ],
)
def test_wrong_use_is_exit_2_in_words_and_in_json(shop, capsys, monkeypatch, arguments, code, said):
    monkeypatch.setattr(sys, "stdin", (shop / "index.html").open())
    assert _cli.main(arguments) == code
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    if arguments[0] != "completion":
        assert _cli.main([*arguments, "--json"]) == code
        event = json.loads(capsys.readouterr().out)
        Draft202012Validator(_events.schema()).validate(event)
        assert (event["event"], event["exit"], said in event["reason"]) == ("failed", 2, True)


def test_a_wrong_file_says_every_error_with_its_line(shop, capsys):
    (shop / "hitless.yml").write_text("app: shop\nfoo: 1\nkeep_releases: many\n")
    assert _cli.main(["plan"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "hitless.yml line 2: foo" in line]
    assert [line for line in lines if "hitless.yml line 3: keep_releases" in line]
    assert lines[-1].startswith("hint: ")


def test_what_is_assumed_is_said_on_stderr_only(shop, capsys):
    assert _cli.main(["plan", "--json"]) == 0
    shown = capsys.readouterr()
    event = json.loads(shown.out)
    assert (event["what"], event["app"], event["target"]) == ("plan", "my-shop", "dev")
    assert 'the app is called "my-shop"' in shown.err


def test_init_writes_what_plan_assumed_and_replaces_nothing_unasked(shop, capsys):
    before = open_project()
    assert _cli.main(["init"]) == 0
    after = open_project()
    assert (after.file, after.settings.values) == (shop / "hitless.yml", before.settings.values)
    (shop / "hitless.yml").write_text("app: mine\n")
    assert _cli.main(["init"]) == 2
    assert (shop / "hitless.yml").read_text() == "app: mine\n"
    assert _cli.main(["init", "--force"]) == 0
    assert open_project().app == "my-shop"


def test_an_assumed_app_gets_an_inventory_that_knows_its_folder(shop, tmp_path):
    path, variables = open_project().inventory(tmp_path)
    assert (path, variables) == (tmp_path / "hitless.yml", {"hitless_folder": str(shop)})
    assert not (shop / "hitless.yml").exists()


def test_a_first_deploy_to_a_local_server_makes_it(shop):
    assert _api.starting_verb("deploy", open_project()) == "up"
    (shop / "hitless.yml").write_text("app: shop\ntargets: {prod: {hosts: [203.0.113.7]}}\n")
    assert _api.starting_verb("deploy", open_project()) == "deploy"


def test_options_of_a_domain_become_variables_of_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"path": "/api", "service": None, "certificate": {"email": "a@b.c", "staging": False}, "certificate_file": "own.pem", "key_file": None}
    found = {name: value for name, value in _api.domain_options("a.com", tls=False, **given).items() if value is not None}
    assert found == {
        "domain_names": ["a.com"],
        "domain_tls": "no",
        "domain_path": "/api",
        "domain_certificate": {"email": "a@b.c"},
        "domain_certificate_file": str(tmp_path / "own.pem"),
    }


def test_domains_are_listed_with_where_they_lead_and_who_asked():
    rows = [
        {"url": "https://a.com", "leads_to": "shop.web", "tls": True, "https": True, "from": "config"},
        {"url": "http://b.com", "leads_to": "a.com", "tls": True, "https": False, "from": "command"},
    ]
    lines = info_lines(make("info", "prod", "shop", what="domains", data={"domains": rows}))
    assert [line.split("  ")[0] for line in lines] == ["ADDRESS", "https://a.com", "http://b.com"]
    assert "no certificate yet" in lines[2]
    assert lines[2].endswith("command")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_the_command(shop, capsys, shell):
    assert _cli.main(["completion", shell]) == 0
    assert "_HITLESS_COMPLETE" in capsys.readouterr().out


def test_version_is_galaxy_s(shop, capsys):
    assert _cli.main(["--version"]) == 0
    assert _cli.main(["version"]) == 0
    assert capsys.readouterr().out == f"hitless {_collection.version()}\n" * 2


def test_public_names_are_sorted_and_exist():
    import hitless

    assert hitless.__all__ == sorted(hitless.__all__)
    assert all(hasattr(hitless, name) for name in hitless.__all__)


@pytest.mark.parametrize(
    ("seen", "rc", "message", "code"),
    [
        (_run.Seen(no_hosts=True), 0, "The target prod has no host; nothing was done.", 2),
        (_run.Seen(no_hosts=True, started=True), 0, None, None),
        (_run.Seen(errors=["[ERROR]: no such playbook"]), 1, "no such playbook", 2),
        (_run.Seen(errors=["ERROR! late"], started=True), 1, "late", 1),
        (_run.Seen(errors=["[ERROR]: x"], failed=True), 2, None, None),
        (_run.Seen(), 0, None, None),
    ],
)
def test_a_run_that_ends_without_a_word_gets_one(seen, rc, message, code):
    error = _run.untold(seen, rc, "prod")
    assert (error and error["message"], error and error["exit"]) == (message, code)


@pytest.mark.parametrize(
    ("seen", "cleaned", "said", "rolled_back"),
    [
        (_run.Seen(), None, "Interrupted: no deployment had begun.", True),
        (_run.Seen(phase="build"), True, "Interrupted during build: the deployment was cancelled, and what served before still serves.", True),
        (_run.Seen(phase="build"), False, "Interrupted during build: what served before still serves; what the deployment began", True),
        (_run.Seen(phase="drain", switched=True), False, "Interrupted during drain: the switch had begun and could not be cleaned up", False),
    ],
)
def test_an_interrupted_run_says_what_it_left(seen, cleaned, said, rolled_back):
    error = _run.interrupted(seen, cleaned)
    assert error["message"].startswith(said)
    assert (error["exit"], error["details"]["rolled_back"]) == (130, rolled_back)


def test_a_run_checks_host_keys_and_takes_our_own_collection_first():
    environment = _run.environment({"ANSIBLE_CALLBACKS_ENABLED": "hitless.paas.events,profile_tasks", "ANSIBLE_COLLECTIONS_PATH": "/elsewhere"}, "/cp")
    assert environment["ANSIBLE_HOST_KEY_CHECKING"] == "True"
    assert environment["ANSIBLE_CALLBACKS_ENABLED"] == "profile_tasks"
    assert environment["ANSIBLE_COLLECTIONS_PATH"].split(":") == [str(_collection.root()), "/elsewhere"]
    assert environment["ANSIBLE_SSH_CONTROL_PATH_DIR"] == "/cp"


def test_the_folder_of_connections_is_private_and_short(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    short = tmp_path / "r"
    short.mkdir()
    assert _run.control_dir({"XDG_RUNTIME_DIR": str(short)}) == str(short / "hitless")
    (short / "hitless").chmod(0o755)
    with pytest.raises(InstallationError, match="not a private folder"):
        _run.control_dir({"XDG_RUNTIME_DIR": str(short)})
    long = tmp_path / ("x" * 80)
    long.mkdir()
    assert len(_run.control_dir({"XDG_RUNTIME_DIR": str(long)})) < 40
