# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of units and of a static site's nginx, from facts. Pure."""

from __future__ import annotations

import re

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._paths import APP_MOUNT, AppPaths, app_user

# A command of plain words is replaced by what it runs, so that SIGTERM reaches the app and not a shell in between.
_PLAIN = re.compile(r"""[^;&|<>()`\n#!{}\[\]*?~"'\\]+\Z""")
_ASSIGNMENT = re.compile(r"\s*[A-Za-z_][A-Za-z0-9_]*=")
_SHELL_WORDS = frozenset("exec cd export set unset source . eval trap if for while until case test command ulimit umask exit : true false wait".split())
_UNSAFE_PATH = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_./@+-]*\Z")
_C_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "%": "%%"}


def _escape(char):
    if char in _C_ESCAPES:
        return _C_ESCAPES[char]
    return "\\x%02x" % ord(char) if ord(char) < 32 or ord(char) == 127 else char


def quote(text):
    """``text`` as one word of an ExecStart= line that has the ``:`` prefix (no ``$`` expansion)."""
    if "\0" in text or re.search("[\ud800-\udfff]", text):
        raise HitlessError("config_invalid", "a command holds a NUL or is not UTF-8; nothing was written", "look at the commands in hitless.yml")
    return '"%s"' % "".join(_escape(char) for char in text)


def shell_command(command):
    """``command`` as /bin/sh is to see it: with ``exec`` in front when it is plain words."""
    words = command.split()
    plain = _PLAIN.match(command.strip()) and words and words[0] not in _SHELL_WORDS and not _ASSIGNMENT.match(command)
    return "exec " + command.strip() if plain else command


def exec_start(command):
    """The value of ExecStart= that hands ``command`` to a shell byte for byte."""
    return ":/bin/sh -c " + quote(shell_command(command))


def _path(path):
    """``path`` as a value of a path setting; refused when the unit file could not carry it."""
    if not _PLAIN_PATH.match(path) or ".." in path.split("/"):
        raise HitlessError("config_invalid", "the path %r cannot be mounted; nothing was written" % path, "use letters, digits and _ . / @ + - only, and no ..")
    return path


def sandbox(app, artifact, mounts, root=None, extra=()):
    """The settings, as (name, value) pairs, that confine everything of ``app`` that runs: replicas and hooks.

    Args:
        app: the app's name.
        artifact: digest of the frozen tree that is bound at /app.
        mounts: {"/app/uploads": "uploads"}.
        root: sub-folder of the tree to run in, or None.
        extra: files of the release folder that the process may read.
    """
    paths = AppPaths(app)
    pairs = [
        ("User", app_user(app)),
        ("WorkingDirectory", _path(APP_MOUNT + "/" + root if root else APP_MOUNT)),
        ("TemporaryFileSystem", "/srv:ro"),
        ("BindReadOnlyPaths", "%s:%s" % (paths.artifact(artifact), APP_MOUNT)),
    ]
    pairs += [("BindReadOnlyPaths", _path(path)) for path in extra]
    pairs += [("BindPaths", "%s:%s" % (_path(paths.shared + "/" + mounts[path]), _path(path))) for path in sorted(mounts)]
    pairs += [("InaccessiblePaths", "-" + path) for path in ("/etc/hitless", "/var/lib/hitless", "/var/log/hitless", "/etc/haproxy", "/run/haproxy")]
    pairs += [("ProtectSystem", "strict"), ("RestrictSUIDSGID", "yes")]
    names = "ProtectHome PrivateTmp NoNewPrivileges PrivateDevices ProtectKernelTunables ProtectKernelModules ProtectKernelLogs ProtectControlGroups"
    return pairs + [(name, "yes") for name in names.split()]


def _limits(resources):
    pairs = [("TasksMax", "4096")]
    if resources.get("memory"):
        pairs.append(("MemoryMax", "%d" % resources["memory"]))
    if resources.get("cpu"):
        pairs.append(("CPUQuota", "%d%%" % max(1, round(resources["cpu"] * 100))))
    return pairs


def unit_text(replica, release, artifact, service, mounts, start, extra=()):
    """The unit file of ``replica``.

    An EnvironmentFile wins over Environment=, so the release's env must not hold PORT or HOST.

    Args:
        replica: a Replica.
        release: id of the release whose env it reads.
        artifact: digest of the tree that it runs.
        service: the resolved settings of its service.
        mounts: {"/app/uploads": "uploads"}.
        start: the value of ExecStart=.
        extra: see ``sandbox``.
    """
    unit = [("Description", "%s %s, replica %d of deployment %s" % (replica.app, replica.service, replica.n, replica.deployment)), ("After", "network.target")]
    unit += [("StartLimitIntervalSec", "60"), ("StartLimitBurst", "5")]
    run = [("Type", "exec"), ("ExecStart", start), ("EnvironmentFile", AppPaths(replica.app).release(release) + "/env")]
    if replica.port:
        run += [("Environment", "PORT=%d" % replica.port), ("Environment", "HOST=" + replica.address)]
    run += sandbox(replica.app, artifact, mounts, service.get("root"), extra) + _limits(service.get("resources") or {})
    run += [("Restart", "always"), ("RestartSec", "1"), ("KillMode", "mixed"), ("KillSignal", "SIGTERM")]
    run += [("TimeoutStopSec", "%gs" % service.get("stop_timeout", 10.0)), ("StandardOutput", "journal"), ("StandardError", "journal")]
    run.append(("SyslogIdentifier", replica.unit[: -len(".service")]))
    sections = (("Unit", unit), ("Service", run), ("Install", [("WantedBy", "multi-user.target")]))
    return "\n".join("[%s]\n%s" % (name, "".join("%s=%s\n" % pair for pair in pairs)) for name, pairs in sections)
