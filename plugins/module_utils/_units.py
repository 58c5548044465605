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
# A service with a ``root`` comes as this and then its command.
_STEP_INTO = re.compile(r"(cd [A-Za-z0-9_./'@+-]+ && )(.*)\Z", re.DOTALL)
_EXEC = re.compile(r"(cd \S+ && )?exec ")
_SHELL_WORDS = frozenset((
    "exec", "cd", "export", "set", "unset", "source", ".", "eval", "trap", "if", "for", "while", "until", "case", "test", "command", "ulimit", "umask",
    "exit", ":", "true", "false", "wait",
))  # fmt: skip
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
    """``command`` as /bin/sh is to see it: with ``exec`` in front of the app when that is plain words."""
    into, rest = (_STEP_INTO.match(command.strip()) or re.match("()(.*)", command.strip(), re.DOTALL)).groups()
    words = rest.split()
    plain = _PLAIN.match(rest) and words and words[0] not in _SHELL_WORDS and not _ASSIGNMENT.match(rest)
    return into + "exec " + rest if plain else command


def exec_start(command):
    """The value of ExecStart= that hands ``command`` to a shell byte for byte."""
    return ":/bin/sh -c " + quote(shell_command(command))


def _path(path):
    """``path`` as a value of a path setting; refused when the unit file could not carry it."""
    if not _PLAIN_PATH.match(path) or ".." in path.split("/"):
        raise HitlessError("config_invalid", "the path %r cannot be used; nothing was written" % path, "use letters, digits and _ . / @ + - only, and no ..")
    return path


def sandbox(app, artifact, mounts):
    """The settings, as (name, value) pairs, that confine everything of ``app`` that runs: replicas, hooks and health checks.

    Args:
        app: the app's name.
        artifact: digest of the frozen tree that is bound at /app.
        mounts: {"/app/uploads": "uploads"}.
    """
    paths = AppPaths(app)
    pairs = [("User", app_user(app)), ("WorkingDirectory", APP_MOUNT), ("Environment", "HOME=/tmp"), ("TemporaryFileSystem", "/srv:ro")]
    pairs.append(("BindReadOnlyPaths", "%s:%s" % (paths.artifact(artifact), APP_MOUNT)))
    pairs += [("BindPaths", "%s:%s" % (_path(paths.shared + "/" + mounts[path]), _path(path))) for path in sorted(mounts)]
    pairs += [("InaccessiblePaths", "-" + path) for path in ("/etc/hitless", "/var/lib/hitless", "/var/log/hitless", "/etc/haproxy", "/run/haproxy")]
    pairs += [("ProtectSystem", "strict"), ("ProtectProc", "invisible"), ("RestrictSUIDSGID", "yes")]
    names = "ProtectHome PrivateTmp NoNewPrivileges PrivateDevices ProtectKernelTunables ProtectKernelModules ProtectKernelLogs ProtectControlGroups"
    return pairs + [(name, "yes") for name in names.split()]


def _limits(resources):
    pairs = [("TasksMax", "4096")]
    if resources.get("memory"):
        pairs.append(("MemoryMax", "%d" % resources["memory"]))
    if resources.get("cpu"):
        pairs.append(("CPUQuota", "%d%%" % max(1, round(resources["cpu"] * 100))))
    return pairs


def environment(replica, release):
    """The settings that give a replica its variables. A file wins over Environment=, so neither file may hold PORT or HOST."""
    folder = AppPaths(replica.app).release(release)
    pairs = [("EnvironmentFile", folder + "/env"), ("EnvironmentFile", "-%s/env.%s" % (folder, replica.service))]
    if replica.port:
        pairs += [("Environment", "PORT=%d" % replica.port), ("Environment", "HOST=" + replica.address)]
    return pairs


def _start(replica, service):
    """What the unit runs, and how it is asked to end."""
    if service["type"] == "static":
        return static_start(replica, service)
    # Plain words take the place of the shell and pass the signal on as they see fit; in a compound command everybody gets it.
    kind = "mixed" if _EXEC.match(shell_command(service["command"])) else "control-group"
    return [("ExecStart", exec_start(service["command"])), ("KillMode", kind), ("KillSignal", "SIGTERM")]


def unit_text(replica, release, artifact, service, mounts):
    """The unit file of ``replica``.

    Args:
        replica: a Replica.
        release: id of the release whose env it reads.
        artifact: digest of the tree that it runs.
        service: the resolved settings of its service.
        mounts: {"/app/uploads": "uploads"}.
    """
    unit = [("Description", "%s %s, replica %d of deployment %s" % (replica.app, replica.service, replica.n, replica.deployment)), ("After", "network.target")]
    unit += [("StartLimitIntervalSec", "60"), ("StartLimitBurst", "5")]
    run = [("Type", "exec")] + sandbox(replica.app, artifact, mounts) + environment(replica, release)
    run += _start(replica, service) + _limits(service.get("resources") or {})
    run += [("Restart", "always"), ("RestartSec", "1"), ("TimeoutStopSec", "%gs" % service.get("stop_timeout", 10.0))]
    run += [("StandardOutput", "journal"), ("StandardError", "journal"), ("SyslogIdentifier", replica.unit[: -len(".service")])]
    sections = (("Unit", unit), ("Service", run), ("Install", [("WantedBy", "multi-user.target")]))
    return "\n".join("[%s]\n%s" % (name, "".join("%s=%s\n" % pair for pair in pairs)) for name, pairs in sections)


# --- static sites ----------------------------------------------------------------------------------------------------

_CREDENTIAL = "nginx.conf"
# nginx wants folders for these even when it never proxies; the replica's /tmp is its own.
_TEMP_PATHS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_GZIP_TYPES = "text/css text/plain text/xml application/javascript application/json application/manifest+json application/xml application/wasm image/svg+xml"
_NGINX = """daemon off;
pid /tmp/nginx.pid;
error_log stderr warn;
worker_processes 1;
events {
    worker_connections 1024;
}
http {
    include /etc/nginx/mime.types;
    types {
        application/manifest+json webmanifest;
        application/wasm wasm;
        text/javascript mjs;
    }
    default_type application/octet-stream;
    access_log off;
    server_tokens off;
    sendfile on;
    absolute_redirect off;
    port_in_redirect off;
    keepalive_timeout 75s;
    gzip on;
    gzip_vary on;
    gzip_proxied any;
    gzip_types %(types)s;
%(temp)s
    server {
        listen %(address)s:%(port)d;
        charset utf-8;
        root %(root)s;
        index index.html;
        location ~ /\\.(?!well-known/) {
            return 404;
        }
        location / {
            try_files $uri $uri/%(clean)s %(fallback)s;
        }%(not_found)s
    }
}
"""
_NOT_FOUND = """
        error_page 404 /404.html;"""


def static_conf(replica, output, spa):
    """The nginx configuration of one replica of a static site.

    Args:
        replica: a Replica with an endpoint.
        output: the folder in the app that is served.
        spa: whether an unknown path gets /index.html instead of a 404.
    """
    root = _path(APP_MOUNT + "/" + output.strip("/")) if output not in (".", "") else APP_MOUNT
    temp = "\n".join("    %s_temp_path /tmp/nginx-%s;" % (name, name) for name in _TEMP_PATHS)
    return _NGINX % {
        "types": _GZIP_TYPES,
        "temp": temp,
        "address": replica.address,
        "port": replica.port,
        "root": root,
        "clean": "" if spa else " $uri.html",
        "fallback": "/index.html" if spa else "=404",
        "not_found": "" if spa else _NOT_FOUND,
    }


def static_start(replica, service):
    """The settings that serve a static site: its configuration travels in the unit itself, so that both come and go together."""
    conf = static_conf(replica, service["output"], service.get("spa", False))
    escaped = conf.replace("\\", "\\\\").replace("\n", "\\n")
    path = "/run/credentials/%s/%s" % (replica.unit, _CREDENTIAL)
    pairs = [("SetCredential", "%s:%s" % (_CREDENTIAL, escaped)), ("ExecStart", "/usr/sbin/nginx -c %s" % path)]
    # nginx finishes what is in flight on SIGQUIT, and cuts it on SIGTERM.
    return pairs + [("KillMode", "mixed"), ("KillSignal", "SIGQUIT")]
