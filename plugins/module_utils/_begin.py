# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The begin of a deployment: the app's user and folders, the lock, repair, and the decision what there is to do."""

from __future__ import annotations

import grp
import hashlib
import hmac
import json
import os
import pwd
import secrets
import shutil
import subprocess
import time
from datetime import datetime, timezone

from ansible_collections.hitless.paas.plugins.module_utils._build_plan import artifact_digest
from ansible_collections.hitless.paas.plugins.module_utils._domains import checked
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import read_json, write_atomic
from ansible_collections.hitless.paas.plugins.module_utils._history import rollback_target, running
from ansible_collections.hitless.paas.plugins.module_utils._host_config import config_digest as host_digest
from ansible_collections.hitless.paas.plugins.module_utils._lock import Lock, heartbeat, step
from ansible_collections.hitless.paas.plugins.module_utils._marker import marked
from ansible_collections.hitless.paas.plugins.module_utils._names import agreed_id, new_deployment_id
from ansible_collections.hitless.paas.plugins.module_utils._paths import MARKER_CONFIGURED, app_user
from ansible_collections.hitless.paas.plugins.module_utils._record import Record, now
from ansible_collections.hitless.paas.plugins.module_utils._release_folder import ReleaseFolder
from ansible_collections.hitless.paas.plugins.module_utils._repair import Host, repair
from ansible_collections.hitless.paas.plugins.module_utils._router import refuse_taken
from ansible_collections.hitless.paas.plugins.module_utils._toolchain import of_host

_KEY = "/var/lib/hitless/key"
# Room that a build and a release need at least, beside the source itself: bytes.
_SPARE_DISK = 256 * 1024**2


def canonical(value):
    """One text for equal JSON values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def config_digest(app):
    """The digest (sha256, hex) of the part of a resolved app that matters after its build."""
    parts = {name: app.get(name) for name in ("services", "hooks", "mounts", "domains", "env", "runtime", "router")}
    return hashlib.sha256(canonical(parts).encode("utf-8", "surrogateescape")).hexdigest()


def env_digest(env, key):
    """The digest of the variables, keyed so that nobody without the host's ``key`` can try values against it."""
    return hmac.new(key, canonical(env).encode("utf-8", "surrogateescape"), "sha256").hexdigest()


def needed_disk(source_bytes, artifact_bytes):
    """The free bytes that a deployment needs where the app's artifacts are.

    Args:
        source_bytes: size of the source, which is there as uploaded and as built at the same time.
        artifact_bytes: size of the artifact that runs now: the best guess at what the next one adds.
    """
    return _SPARE_DISK + 2 * source_bytes + artifact_bytes


def is_same(live, digests, artifact):
    """Whether the deployment ``live`` (a record's dictionary) already runs exactly this."""
    return bool(live) and live["artifact"] == artifact and all(live["digests"].get(name) == digests[name] for name in ("env", "config"))


def check_configured():
    """HitlessError ``not_configured`` unless the configure of this version ran on this host."""
    if not os.path.exists(MARKER_CONFIGURED):
        raise HitlessError("not_configured", "This host was not configured yet (no %s); nothing was changed." % MARKER_CONFIGURED, "hitless configure")
    if marked(MARKER_CONFIGURED) != host_digest():
        raise HitlessError("not_configured", "This host was configured by another version of hitless; nothing was changed.", "hitless configure")


def check_disk(paths, needed):
    """HitlessError ``disk_low`` unless every disk that the app is on has ``needed`` free bytes."""
    for path in (paths.srv, paths.state):
        free = shutil.disk_usage(path).free
        if free < needed:
            message = "The disk of %s has %d MB free and this deployment needs %d MB; nothing was uploaded." % (path, free >> 20, needed >> 20)
            details = {"path": path, "free": free, "needed": needed}
            raise HitlessError("disk_low", message, "Free some space, or lower keep_releases and deploy again.", details)


def artifact_bytes(paths, live):
    """The size of what runs now; 0 when nothing does, or nobody knows."""
    try:
        facts = read_json(paths.artifact(live["artifact"]) + ".json") if live and live["artifact"] else None
    except ValueError:
        return 0
    return int((facts or {}).get("bytes") or 0)


def host_key():
    """The host's secret key for digests of secrets: 32 bytes, made once."""
    try:
        with open(_KEY, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        write_atomic(_KEY, secrets.token_bytes(32), 0o600)
        return host_key()


def make_user(user, home):
    """Make the system user of an app; True when it had to be made."""
    if _has_user(user):
        return False
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", home, "--shell", "/usr/sbin/nologin", user]
    done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8", errors="replace")
    # Two first deployments at once: one makes the user, the other finds it.
    if done.returncode and not _has_user(user):
        raise HitlessError("host_failed", "The user %s could not be made: %s; nothing was changed." % (user, done.stderr.strip()), "hitless deploy")
    return True


def _has_user(user):
    try:
        return bool(pwd.getpwnam(user))
    except KeyError:
        return False


def make_app(paths):
    """Make the app's system user and folders; True when something was made."""
    made = make_user(app_user(paths.app), paths.cache + "/home")
    folders = [(paths.etc, 0o700), (paths.srv, 0o750), (paths.releases, 0o755), (paths.artifacts, 0o755), (paths.cache, 0o755), (paths.shared, 0o755)]
    folders += [(paths.state, 0o700), (paths.deployments, 0o700), (paths.staged, 0o700), (paths.logs, 0o750)]
    for folder, mode in folders:
        if not os.path.isdir(folder):
            os.makedirs(folder, exist_ok=True)
            os.chmod(folder, mode)
            made = True
    # Only root and the app may look into what the app is made of.
    os.chown(paths.srv, 0, grp.getgrnam(app_user(paths.app)).gr_gid)
    return made


def releases_on_disk(paths):
    """{release id: artifact digest} of the releases that are whole on this host."""
    found = {}
    for release in sorted(os.listdir(paths.releases) if os.path.isdir(paths.releases) else ()):
        try:
            artifact = read_json(os.path.join(paths.release(release), "release.json"))["artifact"]
        except (ValueError, TypeError, KeyError):
            # None, or not what was written: it cannot be run.
            continue
        if os.path.isdir(paths.artifact(artifact)):
            found[release] = artifact
    return found


class Begin:
    """The begin of one deployment.

    Args:
        paths: AppPaths.
        order: the module's parameters: ``target``, ``kind``, ``plan`` (the resolved app), ``source``, ``planned``, ``env``, ``by``, ``controller``,
            ``lease``, ``wait``, ``steal``, ``force``, ``to``, ``domains``, ``deployment`` (the id that the first host of several chose, or None).
    """

    def __init__(self, paths, order):
        self.paths = paths
        self.order = order
        self.host = None

    def preview(self):
        """What a real run would do, without writing anything (check mode)."""
        records = [record.values for record in Record.all(self.paths)]
        live = running(records)
        if self.order["kind"] != "deploy":
            return {"action": self.order["kind"], "live": live}
        artifact = self._artifact()
        same = os.path.exists(_KEY) and is_same(live, self._digests(), artifact) and not self.order["force"]
        return {"action": "nothing" if same else "deploy", "live": live}

    def run(self):
        """Take the lock and begin; returns (record or None, the module's result). The lock stays ours unless there is nothing to do."""
        check_configured()
        make_app(self.paths)
        order, lock = self.order, Lock(self.paths)
        phase = {"name": "lock", "state": "done", "started": now()}
        began = time.monotonic()
        deployment = lock.acquire(self._new_id, order["by"], order["controller"], order["lease"], order["wait"], order["steal"])
        try:
            # In this order, for a run that waits for the lock must not keep the steps of the one that holds it from their work.
            with heartbeat(lock, deployment), step(self.paths):
                phase.update(finished=now(), seconds=round(time.monotonic() - began, 3))
                record, result = self._decide(deployment, phase)
        except BaseException:
            lock.release(deployment)
            raise
        if record is None:
            lock.release(deployment)
        return record, dict(result, id=deployment)

    def _new_id(self):
        taken = {record.id for record in Record.all(self.paths)} | set(os.listdir(self.paths.releases))
        wanted = self.order["deployment"]
        return agreed_id(taken, wanted) if wanted else new_deployment_id(taken, datetime.now(timezone.utc))

    def _artifact(self):
        """The name of what this order makes on this host."""
        tool = of_host(self.order["plan"]["build"])
        return artifact_digest(self.order["source"]["digest"], self.order["plan"], self.order["env"], tool["spec"] if tool else None)

    def _digests(self):
        return {
            "source": self.order["source"].get("digest"),
            "env": env_digest(self.order["env"], host_key()),
            "config": config_digest(self.order["plan"]),
        }

    def _decide(self, deployment, lock_phase):
        records = Record.all(self.paths)
        self.host = Host(self.paths)
        record = Record.create(self.paths, deployment, target=self.order["target"], kind=self.order["kind"], by=self.order["by"])
        record.add_phase(lock_phase)
        record.emit("phase", name="lock", state="done", seconds=lock_phase["seconds"])
        record.move("INITIALIZING")
        with record.phase("prepare"):
            live = repair(self.host, records, lambda message: record.emit("warning", message=message, hint=None))
            record["previous"] = live.id if live else None
            result = self._prepare(record, [known.values for known in records], live)
        if self.order["planned"]:
            record.add_phase(self.order["planned"])
            record.emit("phase", name="plan", state="done", seconds=self.order["planned"]["seconds"])
        if result["action"] == "nothing":
            return None, dict(result, events=[event for event in record.events if event["event"] == "warning"])
        record.save()
        return record, result

    def _prepare(self, record, history, live):
        if self.order["kind"] == "deploy":
            return self._deploy(record, live)
        found = releases_on_disk(self.paths)
        if self.order["kind"] == "restart":
            if live is None:
                raise HitlessError("not_running", "%s does not run, so there is nothing to restart; nothing was changed." % self.paths.app, "hitless deploy")
            release = live["release"]
        else:
            release = rollback_target(history, set(found), self.order["to"])
        return self._again(record, release)

    def _deploy(self, record, live):
        order = self.order
        artifact = self._artifact()
        digests = self._digests()
        if not order["force"] and live and is_same(live.values, digests, artifact) and self._serves(live):
            return {"action": "nothing", "running": live.values}
        # The switch would refuse them too, but only after the build.
        refuse_taken(self.host.router.domains().values(), self.paths.app, [checked(given, "config")["name"] for given in order.get("domains") or ()])
        if not os.path.isdir(self.paths.artifact(artifact)):
            check_disk(self.paths, needed_disk(order["source"].get("bytes", 0), artifact_bytes(self.paths, live)))
        source = {name: order["source"].get(name) for name in ("digest", "branch", "commit", "message", "author", "dirty", "url", "ref")}
        record.values.update(release=record.id, artifact=artifact, source=source, digests=digests)
        ready = {
            "artifact_ready": os.path.isdir(self.paths.artifact(artifact)),
            "source_ready": os.path.isdir(os.path.join(self.paths.staged, order["source"]["digest"])),
        }
        return {"action": "deploy", "artifact": artifact, "release": record.id, "reuse": False, "services": order["plan"]["services"], **ready}

    def _again(self, record, release):
        """Begin with what a release of before was made of."""
        facts = ReleaseFolder(self.paths, release).read()
        made = next((known for known in Record.all(self.paths) if known["release"] == release and known["digests"]), None)
        record.values.update(release=release, artifact=facts["artifact"], source=made["source"] if made else {}, digests=made["digests"] if made else {})
        ready = {"artifact_ready": True, "source_ready": True}
        return {"action": "deploy", "artifact": facts["artifact"], "release": release, "reuse": True, "services": facts["services"], **ready}

    def _serves(self, live):
        """Whether every replica that the record names runs, and those that take requests get them."""
        standing = self.host.standing(live)
        return standing.whole and (standing.routed or standing.portless)
