# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import socket

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._fleet import by_service, wanted
from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.module_utils._ports import free_ports, is_free
from ansible_collections.hitless.paas.plugins.module_utils._release_folder import ReleaseFolder, check_mounts, environments, ignored
from ansible_collections.hitless.paas.plugins.module_utils._runtime import Replica

DEPLOYMENT = "20261121080000"


@pytest.mark.parametrize(
    ("count", "taken", "used", "start", "ports"),
    [
        (0, set(), set(), 0, []),
        (2, set(), set(), 0, [20000, 20001]),
        (2, {20000}, {20002}, 0, [20001, 20003]),
        (2, set(), set(), 9999, [29999, 20000]),
    ],
)
def test_ports_are_neither_taken_nor_in_use(count, taken, used, start, ports):
    assert free_ports(count, taken, start, lambda port: port not in used) == ports


def test_no_port_left_is_said():
    with pytest.raises(HitlessError) as caught:
        free_ports(1, set(), 0, lambda port: False)
    assert caught.value.code == "ports_taken"


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_somebody_listens_on_is_not_free(address):
    with socket.socket() as server:
        server.bind((address, 0))
        server.listen()
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


def test_replicas_are_planned_and_keep_their_ports_on_a_second_run():
    services = {"web": {"type": "web", "replicas": 3}, "site": {"type": "static", "replicas": 1}, "job": {"type": "worker", "replicas": 2}}
    old = Replica("shop", "web", DEPLOYMENT, 2, "127.0.0.1", 25000)
    found = wanted("shop", DEPLOYMENT, services, [old], lambda count: list(range(20000, 20000 + count)))
    assert [(replica.service, replica.n, replica.address, replica.port) for replica in found] == [
        ("job", 1, None, None),
        ("job", 2, None, None),
        ("site", 1, "127.0.0.1", 20000),
        ("web", 1, "127.0.0.1", 20001),
        ("web", 2, "127.0.0.1", 25000),
        ("web", 3, "127.0.0.1", 20002),
    ]
    assert by_service([old]) == {"web": {"replicas": [{"n": 2, "unit": old.unit, "address": "127.0.0.1", "port": 25000}]}}


def test_variables_of_the_app_win_over_the_languages_and_ports_are_left_out():
    services = {"web": {"env": {"A": 3, "PORT": "1"}}, "job": {"env": {}}}
    env = {"A": "2", "HOST": "x"}
    assert environments(env, {"A": "1", "PATH": "/app/bin"}, services) == {"env": {"A": "2", "PATH": "/app/bin"}, "env.web": {"A": "3"}}
    assert [message.split(",")[0] for message in ignored(env, services)] == [
        "env sets HOST",
        "services.web.env sets PORT",
    ]


@pytest.fixture
def paths(tmp_path):
    found = AppPaths("shop", str(tmp_path))
    os.makedirs(found.artifact("a" * 8) + "/kept")
    return found


FACTS = {"artifact": "a" * 8, "services": {"web": {"env": {"B": "2"}}}, "mounts": {}, "secret_names": ["TOKEN", "GONE"], "digests": {}}


def test_a_release_is_written_once_and_read_back(paths):
    folder = ReleaseFolder(paths, DEPLOYMENT)
    env = {"TOKEN": 'a\n"$b\\', "A": "1"}
    assert folder.write(FACTS, env, {}) is True
    assert folder.write(FACTS, env, {}) is False
    assert folder.read()["services"] == FACTS["services"]
    assert folder.secrets() == [env["TOKEN"]]
    place = paths.release(DEPLOYMENT)
    assert [os.stat(f"{place}/{name}").st_mode & 0o777 for name in ("env", "env.web", "release.json")] == [0o600, 0o600, 0o644]
    assert os.path.isdir(place + "/app/kept")


@pytest.mark.parametrize("change", [{"env": {"A": "2"}}, {"plan_env": {"B": "2"}}, {"facts": {**FACTS, "mounts": {"/app/kept": "kept"}}}])
def test_a_change_is_written(paths, change):
    folder = ReleaseFolder(paths, DEPLOYMENT)
    before = {"facts": FACTS, "env": {"A": "1"}, "plan_env": {}}
    folder.write(**before)
    assert folder.write(**{**before, **change}) is True


def test_a_folder_that_was_cut_is_no_release(paths):
    folder = ReleaseFolder(paths, DEPLOYMENT)
    folder.write(FACTS, {}, {})
    os.unlink(paths.release(DEPLOYMENT) + "/release.json")
    with pytest.raises(HitlessError) as caught:
        folder.read()
    assert caught.value.code == "release_missing"


@pytest.mark.parametrize("digest", ["b" * 8, "../../../etc", ""])
def test_an_artifact_must_be_there(paths, digest):
    with pytest.raises(HitlessError) as caught:
        ReleaseFolder(paths, DEPLOYMENT).write({**FACTS, "artifact": digest}, {}, {})
    assert caught.value.code == "artifact_missing"


@pytest.mark.parametrize(
    ("path", "name", "code"),
    [
        ("/app/none", "kept", "mount_missing"),
        ("/app/link", "kept", "mount_missing"),
        ("/app/out/x", "kept", "mount_missing"),
        ("/data", "kept", "config_invalid"),
        ("/app/../etc", "kept", "config_invalid"),
        ("/app/kept", "../other", "config_invalid"),
        ("/app/kept", "..", "config_invalid"),
        ("/app/kept", "a/b", "config_invalid"),
        ("/app/kept", "", "config_invalid"),
    ],
)
def test_hostile_mounts_are_refused(paths, path, name, code):
    artifact = paths.artifact("a" * 8)
    os.symlink("/etc", artifact + "/link")
    os.symlink("..", artifact + "/out")
    with pytest.raises(HitlessError) as caught:
        check_mounts(artifact, {path: name})
    assert caught.value.code == code


@pytest.mark.parametrize("mounts", [{}, {"/app/kept": "kept"}, {"/app/kept/": "kept.1"}])
def test_good_mounts_pass(paths, mounts):
    check_mounts(paths.artifact("a" * 8), mounts)
