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
from ansible_collections.hitless.paas.plugins.plugin_utils import _library
from ansible_collections.hitless.paas.plugins.plugin_utils._step import StepAction, parse_result

ACTIONS = [importlib.import_module(f"{action.__name__}.{found.name}").ActionModule for found in pkgutil.iter_modules(action.__path__)]
MODULES = sorted({one.module.__name__.rpartition(".")[2] for one in ACTIONS if issubclass(one, StepAction) and hasattr(one, "module")})


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    with tarfile.open(fileobj=io.BytesIO(_library.archive())) as tar:
        tar.extractall(folder, filter="data")
    return folder


def run(library, module, params):
    request = json.dumps({"module": module, "params": params, "check_mode": False})
    done = subprocess.run([sys.executable, "-I", "-S", library / "run.py"], input=request, capture_output=True, text=True, timeout=60)
    return parse_result({"stdout": done.stdout, "stderr": done.stderr}, "somewhere")


def test_every_step_is_there():
    assert {"build", "deployment", "deployment_info", "hook", "release", "route"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_refuses_a_bad_name_of_an_app_in_its_own_words(library, name):
    spec = importlib.import_module(f"ansible_collections.hitless.paas.plugins.modules.{name}").ARGUMENTS
    needed = {key: option for key, option in spec.items() if option.get("required")}
    given = {key: {} if option["type"] == "dict" else [] if option["type"] == "list" else "20261121080000" for key, option in needed.items()}
    choices = {key: option["choices"][0] for key, option in needed.items() if "choices" in option}
    checked = ArgumentSpecValidator(spec).validate({**given, **choices, "app": "../shop"})
    assert checked.error_messages == []
    result = run(library, name, checked.validated_parameters)
    assert (result["failed"], result["error"]["code"]) == (True, "config_invalid")
    assert "'../shop' is no name for an app" in result["msg"]


def test_a_step_that_breaks_says_so_and_one_that_cannot_begin_says_nothing(library):
    broken = run(library, "deployment", {})
    assert broken["failed"]
    assert "ended unexpectedly: KeyError" in broken["msg"]
    assert parse_result({"stdout": "", "stderr": "sudo: a password is required"}, "somewhere") is None


def test_the_last_line_is_the_answer_whatever_a_login_shell_prints_before():
    assert parse_result({"stdout": 'Welcome!\n{"not": "it"}\n\n{"changed": false}\r\n', "stderr": ""}, "somewhere") == {"changed": False}
