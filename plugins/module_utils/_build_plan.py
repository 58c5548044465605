# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build is made of: digests, steps, environment, the sandbox, and why it failed. Pure."""

from __future__ import annotations

import fnmatch
import hashlib
import json

from ansible_collections.hitless.paas.plugins.module_utils._paths import APP_MOUNT, AppPaths, app_user

# Inside the unit: where the order and the program that follows it are bound. /srv is an empty folder there.
RUN_MOUNT = "/srv/.build"
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_CA_VARIABLES = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "CARGO_HTTP_CAINFO")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HIDDEN = (
    "/etc/hitless",
    "/var/lib/hitless",
    "/var/log/hitless",
    "/etc/haproxy",
    "/run/haproxy",
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/containerd",
)
_TASKS = 4096
_INSTALL = ("pre", "install")
_BUILD = ("build", "post")
_NETWORK = {"pre": "hooks", "install": "install", "build": "build", "post": "hooks"}


def digest_of(value):
    """sha256 (hex) of a JSON-able value; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()


def build_time_env(build, env):
    """The variables of ``env`` that a build may see: those that a pattern of ``build["build_env"]`` names."""
    patterns = build.get("build_env") or ()
    return {name: value for name, value in env.items() if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)}


def artifact_digest(source, plan, env, tool=None):
    """The name of what a build makes: the digest of all that goes into it.

    Args:
        source: digest of the source.
        plan: the resolved app (docs/architecture.md, ``app``): ``build``, ``env`` and ``mounts`` are read.
        env: all variables of the app; only build-time ones count.
        tool: what mise installs for it (``node@22``), or None for the distribution's own.
    """
    build = plan["build"]
    commands = {name: build.get(name) for name in ("builder", "pre", "install", "build", "post", "output")}
    inputs = {name: sorted(build.get(name) or ()) for name in ("toolchain", "lockfiles", "dependency_dirs")}
    rest = {"env": plan.get("env") or {}, "build_env": build_time_env(build, env), "mounts": sorted(plan.get("mounts") or {})}
    if tool:
        rest["tool"] = tool
    return digest_of(dict(commands, v=1, source=source, **inputs, **rest))


def layer_digest(build, base_env, env, lockfiles, versions):
    """The name of a dependency layer, or None when nothing says which dependencies an install makes.

    Args:
        build: ``app["build"]``.
        base_env: ``app["env"]``.
        env: all variables of the app; only build-time ones count.
        lockfiles: path -> sha256 of each lockfile that exists.
        versions: toolchain package -> its version on this host.
    """
    if not (lockfiles and build.get("install") and build.get("dependency_dirs")):
        return None
    commands = {name: build.get(name) for name in _INSTALL}
    facts = {"lockfiles": lockfiles, "toolchain": versions, "env": base_env, "build_env": build_time_env(build, env)}
    return digest_of(dict(commands, v=1, dirs=sorted(build["dependency_dirs"]), **facts))


def steps_of(build, stage, restored=False):
    """The steps of a stage (``install`` or ``build``): [{"name", "command"}].

    Args:
        build: ``app["build"]``; its ``steps`` are the commands of services, where they have their own.
        stage: the stage.
        restored: whether a layer has brought the dependencies; then only what no layer keeps is left to install.
    """
    steps = []
    for name in _INSTALL if stage == "install" else _BUILD:
        of_services = (build.get("steps") or {}).get(name)
        steps += of_services or [{"name": name, "command": build.get(name)}]
    left = [step for step in steps if step["command"] and not (restored and step.get("kept", True))]
    return [{"name": step["name"], "command": step["command"]} for step in left]


def has_network(build, step):
    """Whether a step may use the network: ``build["network"]`` is true, false, or says so by ``install``, ``build`` and ``hooks``."""
    given = build.get("network", True)
    return given.get(_NETWORK[step.partition(".")[0]], True) if isinstance(given, dict) else bool(given)


def groups_of(build, stage, restored=False):
    """The steps of a stage as those that can share a unit: [(steps, whether they have a network)], in order."""
    groups = []
    for step in steps_of(build, stage, restored):
        network = has_network(build, step["name"])
        if groups and groups[-1][1] == network:
            groups[-1][0].append(step)
        else:
            groups.append(([step], network))
    return groups


def timed_steps(marks):
    """How the steps of a unit went: [{"name", "state", "seconds", "from", "to"}], the last two as bytes of the log.

    Args:
        marks: the lines of the status file.
    """
    begun = {mark["step"]: mark["offset"] for mark in marks if mark.get("state") == "running"}
    ended = [mark for mark in marks if mark.get("step") in begun and mark.get("state") != "running"]
    return [{"name": mark["step"], "state": mark["state"], "seconds": mark["seconds"], "from": begun[mark["step"]], "to": mark["offset"]} for mark in ended]


def step_env(app, plan, env):
    """All variables that a build's steps see."""
    home = AppPaths(app).cache + "/home"
    base = {"HOME": home, "USER": app_user(app), "LOGNAME": app_user(app), "PATH": _PATH, "LANG": "C.UTF-8", "CI": "true", "TERM": "dumb"}
    base.update({name: CA_BUNDLE for name in _CA_VARIABLES})
    base.update(plan.get("env") or {})
    base.update(build_time_env(plan["build"], env))
    return base


def unit_name(app, deployment):
    """The unit of a build. The dot ends the app's name: `shop` never names a unit of `shop-eu`."""
    return "hitless-%s.%s.build.service" % (app, deployment)


def unit_pattern(app):
    """Matches every build unit of one app."""
    return "hitless-%s.[0-9]*.build.service" % app


def sandbox(paths, deployment, build, network=True):
    """The settings, as (name, value) pairs, of the unit that runs as the app's user and sees nothing but its own tree."""
    work = paths.building(deployment)
    home = paths.cache + "/home"
    pairs = [("User", app_user(paths.app)), ("WorkingDirectory", APP_MOUNT), ("UMask", "0022"), ("TemporaryFileSystem", "/srv:ro")]
    pairs += [("BindPaths", "%s/tree:%s" % (work, APP_MOUNT)), ("BindPaths", home), ("BindReadOnlyPaths", "%s/run:%s" % (work, RUN_MOUNT))]
    pairs += [("InaccessiblePaths", "-" + path) for path in _HIDDEN]
    pairs += [("ProtectSystem", "strict"), ("RestrictSUIDSGID", "yes"), ("ProtectProc", "invisible")]
    names = "ProtectHome PrivateTmp NoNewPrivileges PrivateDevices ProtectKernelTunables ProtectKernelModules ProtectKernelLogs ProtectControlGroups"
    pairs += [(name, "yes") for name in names.split()]
    return pairs + ([] if network else [("PrivateNetwork", "yes")]) + _caps(build)


def _caps(build):
    pairs = [("TasksMax", "%d" % _TASKS), ("CPUWeight", "50"), ("IOWeight", "50")]
    if build.get("memory"):
        pairs += [("MemoryMax", "%d" % build["memory"]), ("MemorySwapMax", "0")]
    if build.get("cpu"):
        pairs.append(("CPUQuota", "%d%%" % max(1, round(build["cpu"] * 100))))
    if build.get("timeout"):
        pairs.append(("RuntimeMaxSec", "%g" % build["timeout"]))
    return pairs


def run_settings(log, status):
    """The settings of every unit that runs steps: it is killed whole, waits for nobody, and its output goes to files."""
    pairs = [("Type", "exec"), ("KillMode", "control-group"), ("TimeoutStopSec", "5"), ("OOMPolicy", "kill"), ("Restart", "no")]
    return pairs + [("StandardInput", "null"), ("StandardOutput", "append:" + log), ("StandardError", "append:" + status)]


def outcome(marks, unit):
    """Whether the steps of a stage all ended well.

    Args:
        marks: the lines of the status file of this stage.
        unit: ``Result`` and ``ExecMainStatus`` as systemd says them.
    """
    return bool(marks) and marks[-1].get("step") is None and marks[-1].get("state") == "done" and unit.get("Result", "success") == "success"


def failure_reason(marks, unit, build, commands, disk_full):
    """One sentence: why a stage failed.

    Args:
        marks: the lines of the status file of this stage.
        unit: ``Result`` and ``ExecMainStatus`` as systemd says them.
        build: its ``timeout`` and ``memory`` are named.
        commands: step -> command.
        disk_full: whether the host has no space left.
    """
    last = marks[-1] if marks else {}
    step = last.get("step")
    what = "`%s` (%s)" % (_short(commands[step]), step) if step in commands else "The build"
    result = unit.get("Result")
    if result == "oom-kill" or last.get("oom"):
        return "%s ran out of memory: it was killed at the cap of %s." % (what, _size(build.get("memory")))
    if result == "timeout":
        return "%s did not end within %g seconds and was killed." % (what, build.get("timeout") or 0)
    if disk_full:
        return "%s failed because the disk of the host is full." % what
    if last.get("state") == "failed" and last["code"] < 0:
        return "%s was killed by signal %d." % (what, -last["code"])
    if last.get("state") == "failed":
        return "%s ended with exit status %d." % (what, last["code"])
    return "%s was stopped before it ended (%s)." % (what, result or "unknown")


def _short(command):
    line = " ".join(command.split())
    return line if len(line) <= 80 else line[:77] + "..."


def _size(number):
    return "%d MiB" % (number // 1048576) if number else "the host"


def layers_to_prune(layers, cap, keep):
    """The dependency layers to remove so that the rest is at most ``cap`` bytes, the least recently used first.

    Args:
        layers: [(name, bytes, used)], ``used`` a time.
        cap: bytes.
        keep: the layer in use; it stays.
    """
    total = sum(size for _name, size, _used in layers)
    pruned = []
    for name, size, _used in sorted(layers, key=lambda layer: layer[2]):
        if total <= cap:
            break
        if name != keep:
            pruned.append(name)
            total -= size
    return pruned
