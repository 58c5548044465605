"""The lock, the record, the history, the repair: what must be right when a run dies."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._begin import config_digest, env_digest, is_same
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._history import keep_set, prune_plan, rollback_target
from ansible_collections.hitless.paas.plugins.module_utils._lock import Lock
from ansible_collections.hitless.paas.plugins.module_utils._names import check_name, new_deployment_id
from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.module_utils._record import Record
from ansible_collections.hitless.paas.plugins.module_utils._repair import repair_action

ME = {"id": "laptop/1", "pid": 1}


@pytest.fixture
def paths(tmp_path):
    paths = AppPaths("shop", str(tmp_path))
    os.makedirs(paths.deployments)
    return paths


def history(text):
    """Records by shorthand, oldest first: ``1g`` was good, ``2f`` failed, ``3g>1`` ran release 1 again, ``4g*`` is running."""
    records = []
    for word in text.split():
        own, _, other = word.rstrip("*").partition(">")
        status = "RUNNING" if word.endswith("*") else ("STOPPED" if "g" in own else "FAILED")
        records.append({"id": own[:-1], "release": other or own[:-1], "good": "g" in own, "status": status})
    return records


@pytest.mark.parametrize(
    ("records", "on_disk", "wanted", "expected"),
    [
        ("1g 2g*", "1 2", None, "1"),
        ("1g 2g 3g*", "1 2 3", None, "2"),
        ("1g 2f 3g*", "1 2 3", None, "1"),
        ("1g 2f 3f 4g* 5f", "1 2 3 4 5", None, "1"),
        ("1g 2g 3g>1*", "1 2", None, "2"),
        ("1g 2g 3g*", "1 3", None, "1"),
        ("1g 2g 3g*", "1 2 3", "1", "1"),
        ("1g 2g 3g>1 4g>2*", "1 2", "3", "1"),
        ("1g 2g*", "1 2", "2", HitlessError),
        ("1g 2f 3g*", "1 2 3", "2", HitlessError),
        ("1g 2g*", "2", "1", HitlessError),
        ("1g*", "1", None, HitlessError),
        ("1f 2g*", "1 2", None, HitlessError),
        ("", "", None, HitlessError),
    ],
)
def test_rollback_target(records, on_disk, wanted, expected):
    if expected is HitlessError:
        with pytest.raises(HitlessError) as caught:
            rollback_target(history(records), set(on_disk.split()), wanted)
        assert caught.value.code == "rollback_impossible"
        assert caught.value.hint
    else:
        assert rollback_target(history(records), set(on_disk.split()), wanted) == expected


@pytest.mark.parametrize(
    ("records", "keep", "pinned", "kept"),
    [
        ("1g 2g 3g 4f 5f 6f 7f 8f 9f 10g 11g 12g*", 3, "", "10 11 12"),
        ("1g 2g 3g 4f 5f 6f 7f 8f 9f 10g 11g 12g*", 4, "", "3 10 11 12"),
        ("1g 2g 3g>1*", 2, "", "1 2"),
        ("1g 2g 3g 4g*", 1, "", "3 4"),
        ("1g 2g 3g 4g*", 2, "1", "1 3 4"),
        ("1f 2f", 3, "", ""),
        ("", 3, "", ""),
    ],
)
def test_keep_set(records, keep, pinned, kept):
    assert keep_set(history(records), keep, pinned.split()) == set(kept.split())


@pytest.mark.parametrize(
    ("kept", "releases", "artifacts", "artifact_of", "expected"),
    [
        ("3 2", "1 2 3", "a b c", {"1": "a", "2": "b", "3": "c"}, (["1"], ["a"])),
        ("3 2", "1 2 3", "a b", {"1": "a", "2": "a", "3": "b"}, (["1"], [])),
        ("", "1 2 3", "a b c", {"1": "a", "2": "b", "3": "c"}, ([], [])),
        ("3 2", "1 2 3", "a b c", {"1": "a", "3": "c"}, (["1"], [])),
        ("9", "1", "a", {"1": "a"}, (["1"], ["a"])),
    ],
)
def test_prune_plan(kept, releases, artifacts, artifact_of, expected):
    assert tuple(prune_plan(set(kept.split()), releases.split(), artifacts.split(), artifact_of)) == expected


@pytest.mark.parametrize(
    ("dead", "live", "routed", "alive", "action"),
    [
        ("2", "1", "1", "1", "undo"),
        ("2", "1", "1", "1 2", "undo"),
        ("2", "1", "2", "1 2", "back"),
        ("2", "1", "1 2", "1 2", "back"),
        ("2", "1", "2", "2", "finish"),
        ("2", None, "2", "2", "finish"),
        ("2", None, "", "2", "undo"),
        ("2", "1", "2", "1", "undo"),
    ],
)
def test_what_is_done_about_a_dead_run(dead, live, routed, alive, action):
    assert repair_action(dead, live, set(routed.split()), set(alive.split())) == action


@pytest.mark.parametrize("name", ["a", "shop", "shop-2", "a" * 24])
def test_good_names(name):
    assert check_name("app", name) == name


@pytest.mark.parametrize("name", ["", "Shop", "2shop", "shop-", "a--b", "a" * 25, "a.b", "a/b", "../a", "a\n", "ä", None, 7])
def test_bad_names(name):
    with pytest.raises(HitlessError) as caught:
        check_name("app", name)
    assert caught.value.exit == 2


def test_an_id_that_is_taken_moves_on():
    now = datetime(2026, 12, 31, 23, 59, 58)
    assert new_deployment_id(set(), now) == "20261231235958"
    assert new_deployment_id({"20261231235958", "20261231235959"}, now) == "20270101000000"


def test_second_run_is_refused_with_who_and_which(paths):
    Lock(paths).acquire("20261121080000", "ann@laptop", ME, 60.0)
    with pytest.raises(HitlessError) as caught:
        Lock(paths).acquire("20261121080001", "bob@desk", ME, 60.0)
    error = caught.value
    assert error.exit == 3
    assert "ann@laptop" in error.message
    assert "20261121080000" in error.message
    assert Lock(paths).is_ours("20261121080000")


def test_an_expired_lease_is_taken_over(paths):
    Lock(paths).acquire("20261121080000", "ann@laptop", ME, 60.0)
    os.utime(paths.lock, (0, 0))
    Lock(paths).acquire("20261121080001", "bob@desk", ME, 60.0)
    assert Lock(paths).is_ours("20261121080001")


def test_a_touch_renews_the_lease(paths):
    Lock(paths).acquire("20261121080000", "ann@laptop", ME, 60.0)
    os.utime(paths.lock, (0, 0))
    subprocess.run(["touch", "-c", paths.lock], check=True)
    with pytest.raises(HitlessError):
        Lock(paths).acquire("20261121080001", "bob@desk", ME, 60.0)


def test_only_the_named_deployment_can_be_stolen_from(paths):
    Lock(paths).acquire("20261121080000", "ann@laptop", ME, 60.0)
    with pytest.raises(HitlessError):
        Lock(paths).acquire("20261121080002", "bob@desk", ME, 60.0, steal="20261121080001")
    Lock(paths).acquire("20261121080002", "bob@desk", ME, 60.0, steal="20261121080000")
    assert Lock(paths).is_ours("20261121080002")


def test_a_lock_that_is_not_ours_is_not_released(paths):
    Lock(paths).acquire("20261121080000", "ann@laptop", ME, 60.0)
    Lock(paths).release("20261121080001")
    assert Lock(paths).is_ours("20261121080000")
    Lock(paths).release("20261121080000")
    assert Lock(paths).holder() is None


def test_one_of_many_processes_gets_the_lock(paths):
    code = (
        "import sys\n"
        "from ansible_collections.hitless.paas.plugins.module_utils import _lock, _paths, _errors\n"
        "try:\n"
        "    _lock.Lock(_paths.AppPaths('shop', sys.argv[1])).acquire(sys.argv[2], 'x', {}, 60.0)\n"
        "except _errors.HitlessError:\n"
        "    sys.exit(3)\n"
    )
    root = paths.state[: -len("/var/lib/hitless/shop")]
    runs = [
        subprocess.Popen([sys.executable, "-c", code, root, "2026112108000%d" % n], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        for n in range(4)
    ]
    assert sorted(run.wait() for run in runs) == [0, 3, 3, 3]


def test_a_record_that_cannot_be_read_stops_nothing(paths):
    Record.create(paths, "20261121080000", target="prod").save()
    with open(paths.record("20261121080001"), "w") as stream:
        stream.write('{"id": "2026')
    assert [record.id for record in Record.all(paths)] == ["20261121080000"]


def test_a_phase_that_raises_is_recorded_as_failed(paths):
    record = Record.create(paths, "20261121080000", target="prod")
    with pytest.raises(KeyError), record.phase("health"):
        raise KeyError("x")
    assert [(phase["name"], phase["state"]) for phase in record["phases"]] == [("health", "failed")]
    assert [(event["event"], event["state"]) for event in record.events] == [("phase", "failed")]


@pytest.mark.parametrize(
    ("old", "new"), [("RUNNING", "FAILED"), ("FAILED", "RUNNING"), ("STOPPED", "RUNNING"), ("CANCELLED", "DEPLOYING"), ("RUNNING", "CANCELLED")]
)
def test_a_finished_deployment_stays_finished(paths, old, new):
    record = Record.create(paths, "20261121080000", status=old)
    with pytest.raises(HitlessError):
        record.move(new)
    assert record["status"] == old


def test_records_share_nothing(paths):
    first, second = (Record.create(paths, deployment) for deployment in ("20261121080000", "20261121080001"))
    first["phases"].append("x")
    first["requests"]["sent"] = 7
    assert second["phases"] == []
    assert second["requests"]["sent"] == 0


def test_what_makes_two_deployments_the_same():
    app = {"services": {"web": {"replicas": 1}}, "mounts": {}, "domains": []}
    digests = {"env": env_digest({"A": "1"}, b"k"), "config": config_digest(app)}
    live = {"artifact": "a", "digests": digests}
    assert is_same(live, digests, "a")
    assert not is_same(live, digests, "b")
    assert not is_same(live, {**digests, "env": env_digest({"A": "2"}, b"k")}, "a")
    assert not is_same(live, {**digests, "config": config_digest({**app, "domains": ["x.example"]})}, "a")
    assert not is_same(None, digests, "a")
