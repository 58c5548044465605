"""The lock, the record, the history, the repair: what must be right when a run dies."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from datetime import datetime

import pytest
from ansible_collections.hitless.paas.plugins.action.deployment import is_dead, machine_id
from ansible_collections.hitless.paas.plugins.module_utils._begin import check_disk, config_digest, env_digest, is_same, releases_on_disk
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import write_json
from ansible_collections.hitless.paas.plugins.module_utils._finish import prune
from ansible_collections.hitless.paas.plugins.module_utils._history import keep_set, prune_plan, rollback_target
from ansible_collections.hitless.paas.plugins.module_utils._lock import Lock, flock_holders, interrupt_step, is_valid, step
from ansible_collections.hitless.paas.plugins.module_utils._names import agreed_id, check_name, new_deployment_id
from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.module_utils._record import Record
from ansible_collections.hitless.paas.plugins.module_utils._repair import Standing, repair_action, strays, take_over
from ansible_collections.hitless.paas.plugins.module_utils._step_module import host_error

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


def standing(text):
    return Standing(*(word in text.split() for word in Standing._fields))


@pytest.mark.parametrize(
    ("dead", "live", "action"),
    [
        ("", "alive whole routed", "undo"),
        ("alive", "alive whole routed", "undo"),
        ("alive whole", "alive whole routed", "undo"),
        ("alive whole routed", "alive whole routed", "undo"),
        ("alive whole routed", "alive whole", "undo"),
        # The old replicas are being stopped, or one of them is broken: all new requests go where all is well.
        ("alive whole routed", "alive", "finish"),
        ("alive whole routed", "", "finish"),
        # Not all is well, but nothing else is left.
        ("alive routed", "", "finish"),
        ("alive routed", "alive", "undo"),
        # It never got a request, so whether it can answer one is unknown.
        ("alive whole", "", "undo"),
        ("alive whole", "alive routed", "undo"),
        # Nobody routes to workers.
        ("alive whole portless", "alive whole portless", "undo"),
        ("alive whole portless", "alive portless", "finish"),
        ("alive whole portless", "", "finish"),
        ("alive portless", "", "undo"),
        ("routed", "", "undo"),
    ],
)
def test_what_is_done_about_a_dead_run(dead, live, action):
    assert repair_action(standing(dead), standing(live)) == action


@pytest.mark.parametrize(
    ("present", "routed", "known", "live", "expected"),
    [
        ("1 2", "2", "1 2", "2", "1"),
        ("1 2", "1 2", "1 2", "2", "1"),
        ("1 2", "1 2", "2", "2", ""),
        ("1 2", "2", "2", "2", "1"),
        ("1", "1", "", None, ""),
        ("1", "", "", None, ""),
        ("1", "", "1", None, "1"),
        ("2", "2", "1 2", "2", ""),
    ],
)
def test_what_must_not_be_on_the_host(present, routed, known, live, expected):
    assert strays(set(present.split()), set(routed.split()), set(known.split()), live) == expected.split()


@pytest.mark.parametrize("name", ["a", "shop", "shop-2", "a" * 24])
def test_good_names(name):
    assert check_name("app", name) == name


@pytest.mark.parametrize("name", ["", "Shop", "2shop", "shop-", "a--b", "a" * 25, "a.b", "a/b", "../a", "a\n", "ä", None, 7])
def test_bad_names(name):
    with pytest.raises(HitlessError) as caught:
        check_name("app", name)
    assert caught.value.exit == 2


@pytest.mark.parametrize(
    ("taken", "given"),
    [
        (set(), "20261231235958"),
        ({"20261231235958", "20261231235959"}, "20270101000000"),
        ({"20261231235955"}, "20261231235958"),
        ({"20270101000200", ".removed-20280101000000"}, "20270101000201"),
    ],
)
def test_an_id_is_the_hosts_second_and_later_than_any_before(taken, given):
    assert new_deployment_id(taken, datetime(2026, 12, 31, 23, 59, 58)) == given


def test_a_host_takes_the_id_of_the_first_host_only_as_its_newest():
    assert agreed_id(set(), "20261231235958") == "20261231235958"
    assert agreed_id({"20261231235957"}, "20261231235958") == "20261231235958"
    for newest in ("20261231235958", "20261231235959"):
        with pytest.raises(HitlessError, match=newest) as caught:
            agreed_id({"20261231235957", newest}, "20261231235958")
        assert "nothing was changed" in caught.value.message


def take(paths, deployment, **options):
    return Lock(paths).acquire(lambda: deployment, "%s@laptop" % deployment, ME, 60.0, **options)


def test_second_run_is_refused_with_who_and_which(paths):
    assert take(paths, "20261121080000") == "20261121080000"
    with pytest.raises(HitlessError) as caught:
        take(paths, "20261121080001")
    error = caught.value
    assert error.exit == 3
    assert "20261121080000@laptop" in error.message
    assert "deployment 20261121080000" in error.message
    assert "hitless cancel" in error.hint
    assert Lock(paths).is_ours("20261121080000")


def test_no_run_gets_the_lock_of_another_by_having_its_id(paths):
    take(paths, "20261121080000")
    with pytest.raises(HitlessError):
        take(paths, "20261121080000")


def test_an_expired_lease_is_taken_over(paths):
    take(paths, "20261121080000")
    os.utime(paths.lock, (0, 0))
    take(paths, "20261121080001")
    assert Lock(paths).is_ours("20261121080001")


@pytest.mark.parametrize(
    ("age", "valid"),
    [(0, True), (59, True), (60, True), (61, False), (1e9, False), (-1, True), (-3600, False)],
)
def test_how_long_a_lease_counts(age, valid):
    assert is_valid(age, 60.0) is valid


def test_a_touch_renews_the_lease(paths):
    take(paths, "20261121080000")
    os.utime(paths.lock, (0, 0))
    subprocess.run(["touch", "-c", paths.lock], check=True)
    with pytest.raises(HitlessError):
        take(paths, "20261121080001")


def test_a_lock_is_not_renewed_by_one_who_lost_it(paths):
    take(paths, "20261121080000")
    os.utime(paths.lock, (0, 0))
    Lock(paths).renew("20261121080001")
    assert not Lock(paths).holder()["valid"]
    Lock(paths).renew("20261121080000")
    assert Lock(paths).holder()["valid"]


def test_only_the_named_deployment_can_be_stolen_from(paths):
    take(paths, "20261121080000")
    with pytest.raises(HitlessError):
        take(paths, "20261121080002", steal="20261121080001")
    take(paths, "20261121080002", steal="20261121080000")
    assert Lock(paths).is_ours("20261121080002")


def test_a_lock_that_is_not_ours_is_not_released(paths):
    take(paths, "20261121080000")
    Lock(paths).release("20261121080001")
    assert Lock(paths).is_ours("20261121080000")
    Lock(paths).release("20261121080000")
    assert Lock(paths).holder() is None


@pytest.mark.parametrize("content", ["", "null", "[]", "{}", '{"deployment": "1", "owner": "a", "since": "b", "lease": "long"}'])
def test_a_lock_file_that_says_nothing_protects_nobody(paths, content):
    with open(paths.lock, "w") as stream:
        stream.write(content)
    assert Lock(paths).holder() is None
    take(paths, "20261121080001")


def process(paths, code, *words):
    """A process of its own that runs ``code`` with ``lock`` and ``paths``; it says "ready" on a line when the code says so."""
    modules = "from ansible_collections.hitless.paas.plugins.module_utils import _lock, _paths, _errors\n"
    begin = "import sys, time\n" + modules + "paths = _paths.AppPaths('shop', sys.argv[1])\n"
    root = paths.state[: -len("/var/lib/hitless/shop")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", begin + code, root, *words], env=env, stdout=subprocess.PIPE, text=True)


def test_one_of_many_processes_gets_the_lock(paths):
    code = "try:\n    _lock.Lock(paths).acquire(lambda: sys.argv[2], 'x', {}, 60.0)\nexcept _errors.HitlessError:\n    sys.exit(3)\n"
    runs = [process(paths, code, "2026112108000%d" % n) for n in range(4)]
    assert sorted(run.wait() for run in runs) == [0, 3, 3, 3]


HOLD_STEP = (
    "_lock.Lock(paths).acquire(lambda: '20261121080000', 'x', {}, 0.3)\n"
    "with _lock.step(paths), _lock.heartbeat(_lock.Lock(paths), '20261121080000'):\n"
    "    print('ready', flush=True)\n"
    "    time.sleep(600)\n"
)


def test_a_killed_run_is_taken_over_when_its_lease_ends_and_not_before(paths):
    run = process(paths, HOLD_STEP)
    assert run.stdout.readline() == "ready\n"
    # Several leases long, the one who works keeps the lock.
    with pytest.raises(HitlessError):
        take(paths, "20261121080001", wait=1.0)
    run.kill()
    run.wait()
    take(paths, "20261121080002", wait=30.0)
    with step(paths, wait=0.0):
        assert Lock(paths).is_ours("20261121080002")


def test_a_step_that_still_works_is_waited_for(paths):
    run = process(paths, HOLD_STEP)
    assert run.stdout.readline() == "ready\n"
    with pytest.raises(HitlessError) as caught, step(paths, wait=0.2):
        pass
    assert caught.value.code == "locked"
    with step(paths, wait=30.0, on_busy=interrupt_step):
        assert run.wait(30) == -signal.SIGTERM


def test_nobody_is_interrupted_by_an_id_that_was_left_behind(paths):
    bystander = process(paths, "print('ready', flush=True)\ntime.sleep(600)\n")
    bystander.stdout.readline()
    with open(paths.step_lock, "w") as stream:
        stream.write("%d\n" % bystander.pid)
    with open(paths.step_lock) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        interrupt_step(held.fileno())
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_holders_by_the_kernels_table():
    rows = ("1: FLOCK  ADVISORY  WRITE 812", "2: POSIX  ADVISORY  WRITE 813", "2: -> FLOCK  ADVISORY  WRITE 814")
    table = "".join(row + " fe:00:4711 0 EOF\n" for row in rows) + "3: FLOCK  ADVISORY  WRITE 815 fe:00:47 0 EOF\n"
    assert flock_holders(table, 4711) == {812}
    assert flock_holders("", 4711) == set()


def test_a_record_that_cannot_be_read_stops_nothing(paths):
    Record.create(paths, "20261121080000", target="prod").save()
    with open(paths.record("20261121080001"), "w") as stream:
        stream.write('{"id": "2026')
    with open(paths.record("20261121080002"), "w") as stream:
        stream.write("null")
    assert [record.id for record in Record.all(paths)] == ["20261121080000"]
    with pytest.raises(ValueError, match="20261121080001"):
        Record.all(paths, strict=True)
    with pytest.raises(HitlessError):
        Record.load(paths, "20261121080002")


def test_a_phase_is_on_disk_while_it_lasts(paths):
    record = Record.create(paths, "20261121080000")
    record.save()
    with record.phase("switch"):
        phases = Record.load(paths, record.id)["phases"]
    assert [(phase["name"], phase["state"]) for phase in phases] == [("switch", "running")]


@pytest.fixture
def releases(paths):
    """``releases(text)`` writes records by the shorthand of ``history`` and a folder and an artifact for each release."""

    def write(text):
        for values in history(text):
            values.update({name: "%014d" % int(values[name]) for name in ("id", "release")})
            record = Record.create(paths, values.pop("id"), **values)
            record.save()
            folder, artifact = paths.release(record["release"]), paths.artifact("a" + record["release"])
            os.makedirs(folder, exist_ok=True)
            os.makedirs(artifact, exist_ok=True)
            write_json(folder + "/release.json", {"artifact": "a" + record["release"]})
            write_json(artifact + ".json", {})

    return write


def on_disk(paths):
    return sorted(int(name) for name in os.listdir(paths.releases)), sorted(int(name[1:]) for name in os.listdir(paths.artifacts) if not name.endswith(".json"))


def test_three_good_six_failed_three_good_keep_three(paths, releases):
    releases("1g 2g 3g 4f 5f 6f 7f 8f 9f 10g 11g 12g*")
    prune(paths, 3)
    assert on_disk(paths) == ([10, 11, 12], [10, 11, 12])
    assert sorted(os.listdir(paths.artifacts))[1::2] == ["a%014d.json" % n for n in (10, 11, 12)]


def test_a_record_that_cannot_be_read_prunes_nothing(paths, releases):
    releases("1g 2g 3g 4g*")
    with open(paths.record("%014d" % 3), "w") as stream:
        stream.write("{")
    with pytest.raises(ValueError, match="3.json"):
        prune(paths, 1)
    assert on_disk(paths) == ([1, 2, 3, 4], [1, 2, 3, 4])


def test_what_an_earlier_prune_left_half_removed_goes(paths, releases):
    releases("1g 2g*")
    os.makedirs(paths.artifacts + "/.removed-a/sub")
    os.makedirs(paths.releases + "/.removed-1")
    prune(paths, 2)
    assert on_disk(paths) == ([1, 2], [1, 2])


def test_a_release_without_its_facts_cannot_be_gone_back_to(paths, releases):
    releases("1g 2g 3g*")
    os.unlink(paths.release("%014d" % 1) + "/release.json")
    write_json(paths.release("%014d" % 2) + "/release.json", ["x"])
    assert releases_on_disk(paths) == {"%014d" % 3: "a%014d" % 3}


def test_the_later_of_two_runs_is_what_runs(paths, releases):
    releases("1g* 2g 3f")
    record = Record.load(paths, "%014d" % 3)
    record["status"] = "DEPLOYING"
    take_over(record, paths)
    assert [(known["status"], known["good"]) for known in Record.all(paths)] == [("STOPPED", True), ("STOPPED", True), ("RUNNING", True)]
    assert os.readlink(paths.current) == "releases/%014d" % 3


def test_a_phase_that_raises_is_recorded_as_failed(paths):
    record = Record.create(paths, "20261121080000", target="prod")
    with pytest.raises(KeyError), record.phase("health"):
        raise KeyError("x")
    assert [(phase["name"], phase["state"]) for phase in record["phases"]] == [("health", "failed")]
    assert [(event["event"], event["state"]) for event in record.events] == [("phase", "running"), ("phase", "failed")]


@pytest.mark.parametrize(
    ("old", "new"),
    [("RUNNING", "FAILED"), ("FAILED", "RUNNING"), ("STOPPED", "RUNNING"), ("CANCELLED", "DEPLOYING"), ("RUNNING", "CANCELLED")],
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


def test_a_disk_without_room_is_refused(paths):
    os.makedirs(paths.srv)
    check_disk(paths, 1)
    with pytest.raises(HitlessError) as caught:
        check_disk(paths, 1 << 62)
    assert caught.value.code == "disk_low"
    assert "nothing was uploaded" in caught.value.message


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "disk_low"), (errno.EROFS, "host_failed")])
def test_what_the_host_refuses_is_said_in_a_sentence(number, code):
    error = host_error(OSError(number, os.strerror(number), "/srv/shop"))
    assert error.code == code
    assert "/srv/shop" in error.message


def test_a_run_is_dead_when_its_process_of_this_machine_has_ended():
    run = subprocess.Popen(["sleep", "600"])
    controller = {"id": machine_id(), "pid": run.pid}
    assert not is_dead(controller)
    assert not is_dead({**controller, "id": "another/1"})
    run.kill()
    os.waitid(os.P_PID, run.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(controller)  # a zombie: nobody asked how it ended
    run.wait()
    assert is_dead(controller)
    assert not is_dead({**controller, "id": "another/1"})
    assert not is_dead({})
