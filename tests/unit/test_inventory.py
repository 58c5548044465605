# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""hitless.yml as an inventory, read by the real ansible-inventory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = """\
plugin: hitless.paas.hitless
app: shop
env: {BRACES: "{{ lookup('pipe', 'id') }}"}
secrets: [TOKEN]
targets:
  prod: {hosts: [203.0.113.7, "deploy@app2.example.com:2222", "[2001:db8::1]:2200"], key: ~/.ssh/k}
  behind: {hosts: ["203.0.113.7:2201", "203.0.113.7:2202"]}
  here: {hosts: [local]}
  dev-1: {provider: docker}
"""


def _run(folder: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "ansible-inventory"), "-i", str(folder / "hitless.yml"), "--list", *args]
    return subprocess.run(command, env={**os.environ, "XDG_STATE_HOME": str(folder), **env}, capture_output=True, text=True, check=False)


def _plain(value):
    """Values without the marks that say where they come from."""
    if isinstance(value, dict):
        return value["__ansible_unsafe"] if set(value) == {"__ansible_unsafe"} else {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list) else value


def _inventory(folder: Path, *args: str, **env: str):
    done = _run(folder, *args, **env)
    assert done.returncode == 0, done.stderr
    listed = _plain(json.loads(done.stdout))
    return listed, listed["_meta"]["hostvars"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hitless.yml").write_text(TEXT)
    return tmp_path


def test_hosts_of_the_target_that_an_extra_variable_names(folder):
    listed, hosts = _inventory(folder, "-e", "target=prod", TOKEN="x")
    assert listed["hitless"]["hosts"] == listed["hitless_prod"]["hosts"] == ["203.0.113.7", "app2.example.com", "2001:db8::1"]
    first, second, third = (hosts[name] for name in listed["hitless"]["hosts"])
    assert (first["ansible_host"], first["ansible_port"], first["ansible_user"], first["ansible_become"]) == ("203.0.113.7", 22, "root", False)
    assert (second["ansible_host"], second["ansible_port"], second["ansible_user"], second["ansible_become"]) == ("app2.example.com", 2222, "deploy", True)
    assert (third["ansible_host"], third["ansible_port"]) == ("2001:db8::1", 2200)
    assert first["ansible_ssh_common_args"] == "-oStrictHostKeyChecking=accept-new"
    assert first["ansible_python_interpreter"] == "/usr/bin/python3"
    assert first["ansible_ssh_private_key_file"] == os.path.expanduser("~/.ssh/k")
    assert (first["hitless_app"], first["hitless_target"], first["hitless_settings"]["source"]) == ("shop", "prod", str(folder))
    assert first["hitless_env"] == {"BRACES": "{{ lookup('pipe', 'id') }}", "TOKEN": "x"}
    assert (first["hitless_secret_names"], first["hitless_missing_secrets"]) == (["TOKEN"], [])


def test_hosts_behind_one_address_are_told_apart_by_their_ports(folder):
    _listed, hosts = _inventory(folder, "-e", "target=behind", TOKEN="x")
    assert {name: (host["ansible_host"], host["ansible_port"]) for name, host in hosts.items()} == {
        "203.0.113.7-2201": ("203.0.113.7", 2201),
        "203.0.113.7-2202": ("203.0.113.7", 2202),
    }


def test_target_from_the_environment_and_secrets_from_an_extra_variable(folder):
    _listed, hosts = _inventory(folder, "-e", '{"hitless_secrets": {"TOKEN": "vault"}}', HITLESS_TARGET="here")
    assert hosts["localhost"]["ansible_connection"] == "local"
    assert hosts["localhost"]["ansible_become"] is (os.geteuid() != 0)
    assert hosts["localhost"]["hitless_env"]["TOKEN"] == "vault"


def test_server_that_was_not_created_yet_is_a_host_without_a_login(folder):
    listed, hosts = _inventory(folder, "-e", "target=dev-1")
    assert listed["hitless_dev_1"]["hosts"] == ["shop-dev-1"]
    assert "ansible_host" not in hosts["shop-dev-1"]


def test_created_server_has_its_login(folder):
    (folder / "hitless" / "shop" / "dev-1").mkdir(parents=True)
    (folder / "hitless" / "shop" / "dev-1" / "target.json").write_text(
        json.dumps({"v": 1, "host": "127.0.0.1", "port": 40022, "user": "root", "http_port": 8080, "https_port": 8443})
    )
    _listed, hosts = _inventory(folder, "-e", "target=dev-1")
    assert (hosts["shop-dev-1"]["ansible_host"], hosts["shop-dev-1"]["ansible_port"]) == ("127.0.0.1", 40022)
    assert "StrictHostKeyChecking=yes" in hosts["shop-dev-1"]["ansible_ssh_common_args"]


def test_without_the_plugin_key_it_has_to_be_enabled(folder):
    (folder / "hitless.yml").write_text("app: shop\n")
    _listed, hosts = _inventory(folder, ANSIBLE_INVENTORY_ENABLED="hitless.paas.hitless")
    assert list(hosts) == ["shop-dev"]


@pytest.mark.parametrize(("text", "part"), [(TEXT, "has several (prod, behind, here, dev-1)"), (TEXT + "domain: []\nrouter: x\n", "did you mean domains?")])
def test_file_that_cannot_be_used_ends_the_run(folder, text, part):
    (folder / "hitless.yml").write_text(text)
    done = _run(folder)
    assert done.returncode == 2
    assert part in done.stderr
    assert "Traceback" not in done.stderr
