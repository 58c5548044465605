# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A native build on a host. Each call of ``Build.advance`` goes on from where the last one stopped, until it must wait for a unit or is done."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from datetime import datetime, timezone

from ansible_collections.hitless.paas.plugins.module_utils import _build_plan as plan_of
from ansible_collections.hitless.paas.plugins.module_utils import _build_runner
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import fsync_dir, read_json, write_atomic, write_json
from ansible_collections.hitless.paas.plugins.module_utils._layers import DEFAULT_CAP, Layers, inside, run, seal, size_of
from ansible_collections.hitless.paas.plugins.module_utils._paths import APP_MOUNT, AppPaths, app_user
from ansible_collections.hitless.paas.plugins.module_utils._toolchain import install_command, install_env, is_installed, of_host

_LOG_CAP = 20 * 1024**2
_TAIL_LINES = 50
_TAIL_BYTES = 65536
_LITTLE_SPACE = 16 * 1024**2
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+\Z")
_STAGES = ("toolchain", "install", "build", "freeze")


def stop_builds(app, root=""):
    """End every build of an app, running or left by a dead run, and remove what it was working on. What is finished stays."""
    paths = AppPaths(app, root)
    subprocess.run(["systemctl", "stop", plan_of.unit_pattern(app)], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run(["systemctl", "reset-failed", plan_of.unit_pattern(app)], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    leftovers = glob.glob(glob.escape(paths.artifacts) + "/.building-*") + glob.glob(glob.escape(paths.cache) + "/deps/*.partial")
    for leftover in leftovers:
        shutil.rmtree(leftover, ignore_errors=True)
    return leftovers


class Build:
    """One build.

    Args:
        app, deployment: names.
        artifact: digest of what it makes.
        source: digest of the staged source.
        plan: the resolved app (docs/architecture.md, ``app``).
        env: all variables of the app.
        secrets: values that are masked in the log.
    """

    def __init__(self, app, deployment, artifact, source, plan, env, secrets=()):
        self.paths = AppPaths(app)
        self.deployment = deployment
        self.artifact = artifact
        self.source = source
        self.plan = plan
        self.build = plan["build"]
        self.env = env
        self.secrets = list(secrets)
        self.user = app_user(app)
        self.unit = plan_of.unit_name(app, deployment)
        self.work = self.paths.building(deployment)
        self.tree = os.path.join(self.work, "tree")
        self.status = os.path.join(self.work, "status")
        self.log = self.paths.log(deployment, "build")
        self.layers = Layers(self.paths.cache + "/deps", self.build.get("cache") or DEFAULT_CAP)
        self.toolchain = of_host(self.build)
        self.state = read_json(os.path.join(self.work, "state.json")) or {"stage": None, "seen": 0, "phases": []}

    @property
    def is_ready(self):
        """Whether the artifact exists already."""
        return os.path.isdir(self.paths.artifact(self.artifact))

    # --- the order of things -----------------------------------------------------------------------------------------

    def advance(self):
        """Go on; returns the stage whose unit runs now, or None when the artifact is there.

        Raises:
            HitlessError: ``build_failed`` and others; the work folder is gone then.
        """
        try:
            if self.state["stage"] is None:
                self._prepare()
            elif self._end_unit():
                return self.state["stage"]
            return self._next()
        except HitlessError:
            self._remove_work()
            raise
        except OSError as error:
            self._remove_work()
            message = "The build of %s failed on the host: %s. What runs was left as it was." % (self.paths.app, error)
            details = {"log_tail": self.tail(), "phase": self._phase()}
            raise HitlessError("build_failed", message, "Look at the disk of the host, then deploy again.", details) from error

    def _next(self):
        done = self.state["stage"]
        for stage in _STAGES[_STAGES.index(done) + 1 if done else 0 :]:
            self.state.update(stage=stage, started=time.time(), group=0, steps=[])
            if getattr(self, "_start_" + stage)():
                self._save()
                return stage
        return None

    def _save(self):
        write_json(os.path.join(self.work, "state.json"), self.state)

    def _end_unit(self):
        """Take in how the unit ended; true when the stage goes on with another one."""
        marks = self._marks()
        unit = self._unit_facts()
        stage = self.state["stage"]
        self.state["steps"] += self._logged_steps(marks)
        if not plan_of.outcome(marks, unit):
            raise self._failure(marks, unit)
        self._reset_unit()
        self.state["seen"] += len(marks)
        self.state["group"] += 1
        if stage == "toolchain":
            return False
        if self.state["group"] < len(self._groups(stage)):
            self._start_group(stage)
            self._save()
            return True
        self._note(stage, "done", marks[-1]["time"])
        if stage == "install" and self.state.get("layer"):
            self.layers.store(self.state["layer"], self.tree, self.build["dependency_dirs"], self.user)
        return False

    def _note(self, phase, state, ended=None):
        started = self.state["started"]
        ended = ended or time.time()
        seconds = round(ended - started, 3) if state != "skipped" else 0.0
        noted = {"name": phase, "state": state, "started": _iso(started), "finished": _iso(ended), "seconds": seconds}
        steps = [{name: step[name] for name in ("name", "state", "seconds")} for step in self.state["steps"]]
        self.state["phases"].append(dict(noted, steps=steps) if steps else noted)

    def _logged_steps(self, marks):
        """How the steps went; each but ``build`` gets its part of build.log as a log of its own, which may fail as any log may."""
        steps = plan_of.timed_steps(marks)
        for step in steps:
            if step["name"] == "build":
                continue
            try:
                with open(self.log, "rb") as stream:
                    stream.seek(step["from"])
                    write_atomic(self.paths.log(self.deployment, step["name"]), stream.read(step["to"] - step["from"]), 0o640)
            except OSError:
                continue
        return steps

    # --- stages: true when a unit was started -----------------------------------------------------------------------

    def _prepare(self):
        staged = os.path.join(self.paths.staged, self.source)
        if not os.path.isdir(staged):
            message = "The source %s of %s is not on the host; nothing was built." % (self.source[:12], self.paths.app)
            raise HitlessError("source_missing", message, "Deploy again: it will be uploaded.")
        self._remove_work()
        uid, gid = pwd.getpwnam(self.user)[2:4]
        os.makedirs(self.paths.artifacts, exist_ok=True)
        os.makedirs(self.layers.folder, exist_ok=True)
        os.makedirs(os.path.dirname(self.log), mode=0o750, exist_ok=True)
        write_atomic(self.log, "", 0o640)
        os.mkdir(self.work)
        os.mkdir(os.path.join(self.work, "run"), 0o750)
        os.chown(os.path.join(self.work, "run"), 0, gid)
        run("cp", "-a", "--reflink=auto", staged, self.tree)
        run("chown", "-hR", "%s:%s" % (self.user, self.user), self.tree)
        run("chmod", "-R", "u+rwX,go-w,a+rX", self.tree)
        home = self.paths.cache + "/home"
        os.makedirs(home, mode=0o700, exist_ok=True)
        os.chown(home, uid, gid)

    def _start_toolchain(self):
        steps = []
        missing = _missing_packages(self.build.get("toolchain") or ())
        if missing:
            words = "install -q -y --no-install-recommends -- " + " ".join(missing)
            command = "apt-get update -q && apt-get -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 " + words
            steps.append({"name": "toolchain", "command": command})
        if self.toolchain and not is_installed(self.toolchain):
            steps.append({"name": "mise", "command": install_command(self.toolchain)})
        if not steps:
            return False
        env = {"DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root"}
        self._start_unit(steps, dict(env, **install_env()), [], os.path.join(self.work, "run"))
        return True

    def _start_install(self):
        versions = _versions(self.build.get("toolchain") or ())
        if self.toolchain:
            versions["mise"] = self.toolchain["spec"]
        digest = plan_of.layer_digest(self.build, self.plan.get("env") or {}, self.env, self._lockfiles(), versions)
        self.state["layer"] = digest
        if digest and self.layers.restore(digest, self.tree, self.user):
            self.state["restored"] = True
        return self._start_steps("install")

    def _start_build(self):
        return self._start_steps("build")

    def _start_steps(self, stage):
        if not self._groups(stage):
            self._note(stage, "skipped")
            return False
        self._start_group(stage)
        return True

    def _groups(self, stage):
        return plan_of.groups_of(self.build, stage, stage == "install" and bool(self.state.get("restored")))

    def _start_group(self, stage):
        steps, network = self._groups(stage)[self.state["group"]]
        env = plan_of.step_env(self.paths.app, self.plan, self.env)
        self._start_unit(steps, env, plan_of.sandbox(self.paths, self.deployment, self.build, network), plan_of.RUN_MOUNT)

    def _start_freeze(self):
        self._make_mount_points()
        self._finish_tree()
        self._note("freeze", "done")
        return False

    # --- pieces ------------------------------------------------------------------------------------------------------

    def _lockfiles(self):
        found = {}
        for path in self.build.get("lockfiles") or ():
            full = os.path.join(self.tree, path)
            if os.path.isfile(full):
                with open(full, "rb") as stream:
                    found[path] = hashlib.sha256(stream.read()).hexdigest()
        return found

    def _start_unit(self, steps, env, sandbox, run_folder):
        """Start the program that runs ``steps``; ``run_folder`` is where it sees the ``run`` folder."""
        gid = pwd.getpwnam(self.user).pw_gid
        folder = os.path.join(self.work, "run")
        source = _build_runner.__loader__.get_source(_build_runner.__name__)
        order = {"steps": steps, "env": env, "secrets": self.secrets, "cap": _LOG_CAP}
        write_atomic(folder + "/runner.py", source, 0o440, 0, gid)
        write_atomic(folder + "/order.json", json.dumps(order), 0o440, 0, gid)
        self.state["commands"] = {step["name"]: step["command"] for step in steps}
        self._reset_unit()
        words = ["systemd-run", "--quiet", "--no-ask-password", "--unit=" + self.unit, "--description=Build of %s" % self.paths.app]
        for pair in plan_of.run_settings(self.log, self.status) + sandbox:
            words += ["-p", "%s=%s" % pair]
        run(*words, "--", sys.executable, "-I", run_folder + "/runner.py", run_folder + "/order.json")

    def _make_mount_points(self):
        for path in self.plan.get("mounts") or ():
            if path.startswith(APP_MOUNT + "/"):
                relative = os.path.normpath(path[len(APP_MOUNT) + 1 :])
                os.makedirs(os.path.join(self.tree, relative), exist_ok=True)
                if not inside(self.tree, relative):
                    message = "The mount %s cannot be made: a link in the app's files leads elsewhere. What runs was left as it was." % path
                    raise HitlessError("build_failed", message, "Remove the link, or change `mounts` in hitless.yml.", {"phase": "freeze", "log_tail": []})

    def _finish_tree(self):
        """Freeze the tree and give it its name."""
        seal(self.tree)
        plan = {"build": self.build, "env": self.plan.get("env") or {}, "mounts": self.plan.get("mounts") or {}}
        facts = {"v": 1, "digest": self.artifact, "source": self.source, "plan": plan, "built": _iso(time.time())}
        facts.update(seconds=round(sum(phase["seconds"] for phase in self.state["phases"]), 3), bytes=size_of(self.tree))
        write_json(self.paths.artifact(self.artifact) + ".json", facts)
        run("sync", "-f", self.tree)
        os.rename(self.tree, self.paths.artifact(self.artifact))
        fsync_dir(self.paths.artifacts)
        self._remove_work()

    def _remove_work(self):
        if not os.path.isdir(self.work):
            return
        subprocess.run(["systemctl", "stop", self.unit], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._reset_unit()
        shutil.rmtree(self.work, ignore_errors=True)

    def _reset_unit(self):
        subprocess.run(["systemctl", "reset-failed", self.unit], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    # --- how it went -------------------------------------------------------------------------------------------------

    def _marks(self):
        """The status lines of this stage."""
        try:
            with open(self.status, encoding="utf-8") as stream:
                lines = stream.read().splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines if line.endswith("}")][self.state["seen"] :]

    def _unit_facts(self):
        shown = run("systemctl", "show", "-p", "ActiveState,Result,ExecMainStatus", self.unit)
        facts = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        if facts.get("ActiveState") in ("active", "activating", "deactivating"):
            message = "The build of %s still runs in %s; it was stopped." % (self.paths.app, self.unit)
            raise HitlessError("build_failed", message, "Deploy again.", {"phase": self._phase(), "log_tail": self.tail()})
        return facts

    def _phase(self):
        stage = self.state["stage"]
        return "install" if stage in (None, "toolchain") else stage

    def _failure(self, marks, unit):
        tail = self.tail()
        reason = plan_of.failure_reason(marks, unit, self.build, self.state.get("commands") or {}, self._disk_full(tail))
        hint = "The whole output is in %s on the host." % self.log
        return HitlessError("build_failed", reason + " What runs was left as it was.", hint, {"log_tail": tail, "phase": self._phase()})

    def _disk_full(self, tail):
        free = os.statvfs(self.work)
        return free.f_bavail * free.f_frsize < _LITTLE_SPACE or any("No space left on device" in line or "ENOSPC" in line for line in tail)

    def tail(self):
        """The last lines of the log."""
        try:
            with open(self.log, "rb") as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL_BYTES))
                return stream.read().decode("utf-8", "replace").splitlines()[-_TAIL_LINES:]
        except OSError:
            return []


def _versions(packages):
    """Package -> version of those that are installed."""
    if not packages:
        return {}
    words = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n"] + list(packages)
    done = subprocess.run(words, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    return {words[1]: words[2] for words in lines if len(words) == 3 and words[0] == "installed"}


def _missing_packages(packages):
    installed = _versions(packages)
    missing = [package for package in packages if package not in installed]
    for package in missing:
        if not _PACKAGE.match(package):
            message = "%r is not the name of a Debian package; nothing was built." % package
            raise HitlessError("config_invalid", message, "Look at the plan: hitless plan", {"phase": "install"})
    return missing


def _iso(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
