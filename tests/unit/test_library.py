# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The library: every step's module runs from it where there is no Ansible, and answers as it does under Ansible."""

from __future__ import annotations

import importlib
import io
import json
import pkgutil
import subprocess
import sys
import tarfile

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.hitless.paas.plugins import action
from ansible_collections.hitless.paas.plugins.module_utils._arguments import OPTIONS
from ansible_collections.hitless.paas.plugins.plugin_utils import _library
from ansible_collections.hitless.paas.plugins.plugin_utils._step import Said, StepAction, unexpected_end

ACTIONS = [importlib.import_module(f"{action.__name__}.{found.name}").ActionModule for found in pkgutil.iter_modules(action.__path__)]
MODULES = sorted({one.module for one in ACTIONS if issubclass(one, StepAction) and hasattr(one, "module")})


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    with tarfile.open(fileobj=io.BytesIO(_library.archive())) as tar:
        tar.extractall(folder, filter="data")
    return folder


def run(library, *calls):
    """Run modules from the library: ``(what they said, how the process ended)``."""
    request = json.dumps({"calls": [{"module": name, "params": params} for name, params in calls], "check_mode": False})
    done = subprocess.run([sys.executable, "-I", "-S", library / "run.py"], input=request, capture_output=True, text=True, timeout=60)
    said = Said(lambda **event: None, lambda result, told: None)
    for line in done.stdout.splitlines():
        said.take(line)
    return said, {"rc": done.returncode, "stdout": done.stdout, "stderr": done.stderr}


def test_every_step_is_there():
    assert {"build", "deployment", "deployment_info", "hook", "release", "route"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_refuses_a_bad_name_of_an_app_in_its_own_words(library, name):
    spec = OPTIONS[name]
    needed = {key: option for key, option in spec.items() if option.get("required")}
    given = {key: {} if option["type"] == "dict" else [] if option["type"] == "list" else "20261121080000" for key, option in needed.items()}
    choices = {key: option["choices"][0] for key, option in needed.items() if "choices" in option}
    checked = ArgumentSpecValidator(spec).validate({**given, **choices, "app": "../shop"})
    assert checked.error_messages == []
    result = run(library, (name, checked.validated_parameters))[0].results[-1]
    assert (result["failed"], result["error"]["code"]) == (True, "config_invalid")
    assert "'../shop' is no name for an app" in result["msg"]


def test_a_step_that_breaks_says_so_and_one_that_cannot_begin_says_nothing(library):
    said, done = run(library, ("deployment", {}))
    broken = unexpected_end(done, said.began, "somewhere")
    assert broken["failed"]
    assert "ended unexpectedly: KeyError" in broken["msg"]
    assert unexpected_end({"rc": 1, "stdout": "", "stderr": "sudo: a password is required"}, False, "somewhere") is None
    assert "exit status -9" in unexpected_end({"rc": -9, "stdout": "", "stderr": ""}, True, "somewhere")["msg"]


def test_no_module_runs_after_one_that_failed(library):
    bad, worse = ({"app": app, "deployment": "20261121080000", "state": "finished"} for app in ("../bad", "../worse"))
    said, done = run(library, ("deployment", bad), ("deployment", worse))
    assert done["rc"] == 1
    assert ["'../bad'" in result["msg"] for result in said.results] == [True]


_TELLS = """
import sys
sys.path.insert(0, {library!r})
from ansible.module_utils import basic
basic._call.update(params={{}}, check_mode=False)
sys.stdin.read()
module = basic.AnsibleModule({{}})
module.tell({{"event": "status"}})
module.exit_json()
"""


def status_of(words, request, is_heard):
    """How a process ends whose output is read, or is not."""
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if not is_heard:
            process.stdout.close()
        process.stdin.write(request)
        process.stdin.close()
        if is_heard:
            process.stdout.read()
    return process.returncode


@pytest.mark.parametrize(("is_heard", "status"), [(True, 0), (False, 1)])
def test_no_module_runs_after_the_controller_died(library, is_heard, status):
    calls = [{"module": "deployment", "params": {"app": "shop", "deployment": "20261121080000", "state": "finished"}}] * 2
    assert status_of([sys.executable, "-I", "-S", library / "run.py"], json.dumps({"calls": calls, "check_mode": True}), is_heard) == status
    assert status_of([sys.executable, "-I", "-S", "-c", _TELLS.format(library=str(library))], "", is_heard) == status


def test_each_event_is_passed_on_once_and_what_a_login_shell_prints_never():
    events, answers = [], []
    said = Said(lambda **event: events.append(event), lambda result, told: answers.append((result, told)))
    for line in ("Welcome!", '{"not": "it"}', "7", "", '{"event": {"event": "phase", "name": "start"}}', '{"result": {"changed": false}, "told": 1}'):
        said.take(line)
    assert (events, answers) == ([{"event": "phase", "name": "start"}], [({"changed": False}, 1)])
    assert (said.results, said.began, said.failed) == ([{"changed": False}], True, False)
