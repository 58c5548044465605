"""What the controller remembers of its servers."""

from __future__ import annotations

import json
import shlex

import pytest
from ansible_collections.hitless.paas.plugins.plugin_utils import _targets

TARGET = {
    "v": 1,
    "provider": "docker",
    "host": "127.0.0.1",
    "port": 2222,
    "user": "root",
    "http_port": 8080,
    "https_port": 8443,
    "container": "hitless-shop-dev",
}


def save(home, content):
    folder = _targets.target_folder("shop", "dev", str(home))
    folder.mkdir(parents=True)
    (folder / "target.json").write_text(content, encoding="utf-8")


def test_a_target_that_was_never_created_is_none(tmp_path):
    assert _targets.load_target("shop", "dev", str(tmp_path)) is None


def test_a_saved_target_comes_back_with_its_folder(tmp_path):
    save(tmp_path, json.dumps(TARGET))
    assert _targets.load_target("shop", "dev", str(tmp_path)) == {**TARGET, "folder": str(tmp_path / "hitless" / "shop" / "dev")}


@pytest.mark.parametrize("content", ["{", "[]", '{"v": 2}'])
def test_a_file_that_is_not_ours_is_named(tmp_path, content):
    save(tmp_path, content)
    with pytest.raises(ValueError, match=r"target\.json"):
        _targets.load_target("shop", "dev", str(tmp_path))


def test_the_state_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert _targets.target_folder("shop", "dev") == tmp_path / "hitless" / "shop" / "dev"


def test_only_the_known_key_is_trusted_even_in_a_folder_with_spaces():
    connection = _targets.connection_vars({**TARGET, "folder": "/home/a b/100%"})
    words = shlex.split(connection["ansible_ssh_common_args"])
    assert '-oUserKnownHostsFile="/home/a b/100%%/known_hosts"' in words
    assert "-oStrictHostKeyChecking=yes" in words
    assert (connection["ansible_host"], connection["ansible_port"], connection["ansible_user"]) == ("127.0.0.1", 2222, "root")
    assert connection["ansible_ssh_private_key_file"] == "/home/a b/100%/id_ed25519"
