# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a release: everything that its replicas run with, so that a rollback needs nothing else."""

from __future__ import annotations

import os
import pwd
import re

from ansible_collections.hitless.paas.plugins.module_utils import _env
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import fsync_dir, read_json, symlink_atomic, write_atomic, write_json
from ansible_collections.hitless.paas.plugins.module_utils._paths import APP_MOUNT, app_user

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*\Z")
_DIGEST = re.compile(r"[0-9a-f]{8,128}\Z")
# Each replica gets its own.
_OURS = ("PORT", "HOST")


def environments(env, plan_env, services):
    """The variables by the name of the file that they are written to: what the language needs, then the app's, then a service's own."""
    files = {"env": dict(plan_env, **env)}
    files.update({"env." + name: services[name]["env"] for name in services if services[name].get("env")})
    return {name: {key: str(value) for key, value in values.items() if key not in _OURS} for name, values in files.items()}


def ignored(env, services):
    """A warning for each variable that the app sets in vain."""
    where = [("env", env)] + [("services.%s.env" % name, services[name].get("env") or {}) for name in sorted(services)]
    message = "%s sets %s, which every replica gets a value of its own for; it was left out"
    return [message % (place, name) for place, given in where for name in _OURS if name in given]


class ReleaseFolder:
    """``releases/<release>`` of one app.

    Args:
        paths: AppPaths.
        release: its id.
    """

    def __init__(self, paths, release):
        self._paths = paths
        self._release = release
        self._folder = paths.release(release)
        self._facts = os.path.join(self._folder, "release.json")

    def read(self):
        """What the release runs: the dict that ``write`` was given. Raises HitlessError ``release_missing``."""
        facts = read_json(self._facts)
        if facts is None:
            message = "release %s of %s is not on this host any more (no %s); nothing was changed" % (self._release, self._paths.app, self._facts)
            raise HitlessError("release_missing", message, "deploy again, or name another release")
        self._check_artifact(facts["artifact"])
        return facts

    def write(self, facts, env, plan_env):
        """Put the release on disk; true when that changed something. ``release.json`` comes last: with it the folder is whole.

        Args:
            facts: ``artifact``, ``services``, ``mounts``, ``secret_names`` and ``digests``.
            env: the app's variables.
            plan_env: the variables that its language needs.
        """
        self._check_artifact(facts["artifact"])
        os.makedirs(self._folder, mode=0o755, exist_ok=True)
        files = {name: _env.environment_file(values) for name, values in environments(env, plan_env, facts["services"]).items()}
        facts = dict(facts, v=1, id=self._release)
        if read_json(self._facts) == facts and all(self._text(name) == text for name, text in files.items()):
            return False
        for name, text in files.items():
            write_atomic(os.path.join(self._folder, name), text, 0o600)
        symlink_atomic("../../artifacts/" + facts["artifact"], os.path.join(self._folder, "app"))
        write_json(self._facts, facts)
        fsync_dir(self._paths.releases)
        return True

    def secrets(self):
        """The values that must never be shown."""
        names = (read_json(self._facts) or {}).get("secret_names", [])
        env = _env.parse(self._text("env"))
        return [env[name] for name in names if name in env]

    def _text(self, name):
        try:
            with open(os.path.join(self._folder, name), encoding="utf-8", newline="") as stream:
                return stream.read()
        except FileNotFoundError:
            return ""

    def _check_artifact(self, digest):
        if not _DIGEST.match(digest) or not os.path.isdir(self._paths.artifact(digest)):
            message = "the artifact %s of %s is not on this host; nothing was started" % (digest, self._paths.app)
            raise HitlessError("artifact_missing", message, "build it: hitless deploy --force")


def _mount_point(artifact, path):
    """The folder in the artifact that a mount covers. Systemd would follow a link there, so there must be none."""
    folder = os.path.realpath(artifact) + path[len(APP_MOUNT) :]
    return folder if os.path.isdir(folder) and os.path.realpath(folder) == os.path.normpath(folder) else None


def check_mounts(artifact, mounts):
    """Raise HitlessError when ``mounts`` cannot be bound over the frozen tree ``artifact``."""
    for path, name in sorted(mounts.items()):
        if not path.startswith(APP_MOUNT + "/") or ".." in path.split("/") or not _NAME.match(name):
            message = "the mount %r: %r is not a folder below /app and a plain name; nothing was started" % (path, name)
            raise HitlessError("config_invalid", message, "look at `mounts` in hitless.yml")
        if _mount_point(artifact, path) is None:
            message = "the build has no folder %s for the mount of that name to cover; nothing was started" % path
            raise HitlessError("mount_missing", message, "build again: hitless deploy --force")


def make_shared(paths, mounts):
    """Make the folders that the mounts keep, owned by the app's user; true when there was something to make."""
    missing = [name for name in sorted(set(mounts.values())) if not os.path.isdir(os.path.join(paths.shared, name))]
    if not missing:
        return False
    user = pwd.getpwnam(app_user(paths.app))
    os.makedirs(paths.shared, mode=0o755, exist_ok=True)
    for name in missing:
        folder = os.path.join(paths.shared, name)
        os.mkdir(folder, 0o750)
        os.chown(folder, user.pw_uid, user.pw_gid)
    fsync_dir(paths.shared)
    return True


def prepare(record, paths, args):
    """Put the release of a step on disk, ready to run; true when that changed something. Both the pre-deploy hook and the start need it.

    Args:
        record: the deployment's record.
        args: parameters of the module; with ``reuse`` the folder stays as it is.
    """
    folder = ReleaseFolder(paths, args["release"])
    changed = False
    if not args.get("reuse"):
        facts = {name: args[name] for name in ("artifact", "services", "mounts", "secret_names")}
        env = _env.from_json(args["env"])
        changed = folder.write(dict(facts, digests=record["digests"]), env, args["plan_env"])
        for message in ignored(env, args["services"]) if changed else ():
            record.emit("warning", message=message, hint="Remove it from hitless.yml or .env.")
    facts = folder.read()
    check_mounts(paths.artifact(facts["artifact"]), facts["mounts"])
    return make_shared(paths, facts["mounts"]) or changed
