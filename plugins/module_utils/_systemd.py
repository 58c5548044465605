# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd runtime: one enabled unit a replica."""

from __future__ import annotations

import os
import subprocess

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import fsync_dir, write_atomic
from ansible_collections.hitless.paas.plugins.module_utils._paths import SYSTEMD_UNITS, app_user
from ansible_collections.hitless.paas.plugins.module_utils._runtime import Runtime, State, parse_unit_name

_PROPERTIES = "ActiveState,SubState,MainPID,ExecMainCode,ExecMainStatus,NRestarts,ControlGroup"
_CLD_EXITED = "1"
_TCP_LISTEN = "0A"


def state_of(properties, ports=()):
    """The State that the properties of ``systemctl show`` (dict of str) stand for."""
    active, sub = properties.get("ActiveState", "inactive"), properties.get("SubState", "dead")
    states = {"active": "running", "activating": "starting", "deactivating": "stopping", "failed": "failed"}
    state = "starting" if sub == "auto-restart" else states.get(active, "exited")
    code = properties.get("ExecMainCode", "0")
    status = None
    if code != "0":
        status = ("exit status " if code == _CLD_EXITED else "signal ") + properties.get("ExecMainStatus", "")
    return State(state, int(properties.get("MainPID") or 0) or None, status, tuple(ports), int(properties.get("NRestarts") or 0))


def _address(field):
    """``address:port`` of a hexadecimal local_address in /proc/net/tcp or tcp6."""
    host, port = field.split(":")
    if len(host) == 8:
        return "%s:%d" % (".".join(str(byte) for byte in reversed(bytes.fromhex(host))), int(port, 16))
    return "[%s]:%d" % ("::" if not host.strip("0") else host, int(port, 16))


def listening(table, inodes):
    """The ``address:port`` of every listening socket in ``table`` (text of /proc/net/tcp) whose inode is in ``inodes``."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return [_address(row[1]) for row in rows if len(row) > 9 and row[3] == _TCP_LISTEN and row[9] in inodes]


def _read(path):
    try:
        with open(path, encoding="ascii") as stream:
            return stream.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _socket_inodes(pids, user):
    """Inodes of the sockets that ``pids`` hold; asked as their user, because root without CAP_SYS_PTRACE may not look."""
    folders = ["/proc/%s/fd" % pid for pid in pids]
    words = ["runuser", "-u", user, "--", "find"] + folders + ["-lname", "socket:*", "-printf", "%l\\n"]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="ascii", check=False)  # a process may end meanwhile
    return {link[len("socket:[") : -1] for link in done.stdout.split()}


def _ports(cgroup, user):
    """What the processes of a cgroup listen on; the second folder is that of cgroup v1."""
    if not cgroup:
        return []
    pids = (_read("/sys/fs/cgroup%s/cgroup.procs" % cgroup) or _read("/sys/fs/cgroup/systemd%s/cgroup.procs" % cgroup)).split()
    if not pids:
        return []
    inodes = _socket_inodes(pids, user)
    return sorted(set(listening(_read("/proc/net/tcp"), inodes) + listening(_read("/proc/net/tcp6"), inodes)))


def _run(*words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        message = "`%s` failed: %s" % (" ".join(words), done.stderr.strip())
        raise HitlessError("runtime_failed", message, "journalctl -xe")
    return done.stdout


class SystemdRuntime(Runtime):
    """Replicas as units in ``folder``."""

    folder = SYSTEMD_UNITS

    def _path(self, replica):
        return os.path.join(self.folder, replica.unit)

    def start(self, replicas):
        for replica, text in replicas.items():
            write_atomic(self._path(replica), text)
        _run("systemctl", "daemon-reload")
        names = [replica.unit for replica in replicas]
        _run("systemctl", "enable", "--quiet", *names)
        _run("systemctl", "start", "--no-block", *names)

    def stop(self, replicas, timeout):
        names = [replica.unit for replica in replicas if os.path.exists(self._path(replica))]
        if not names:
            return
        try:
            subprocess.run(["systemctl", "stop"] + names, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=timeout + 5, check=False)
        except subprocess.TimeoutExpired:
            _run("systemctl", "kill", "--signal=SIGKILL", *names)
            _run("systemctl", "stop", *names)

    def remove(self, replicas, timeout=30.0):
        known = [replica for replica in replicas if os.path.exists(self._path(replica))]
        if not known:
            return
        self.stop(known, timeout)
        names = [replica.unit for replica in known]
        _run("systemctl", "disable", "--quiet", *names)
        for replica in known:
            os.unlink(self._path(replica))
        fsync_dir(self.folder)
        subprocess.run(["systemctl", "reset-failed"] + names, stderr=subprocess.DEVNULL, check=False)
        _run("systemctl", "daemon-reload")

    def list(self, app):
        found = [parse_unit_name(name) for name in os.listdir(self.folder)]
        return sorted(self._endpoint(replica) for replica in found if replica and replica.app == app)

    def _endpoint(self, replica):
        """``replica`` with the endpoint that its unit file gives it."""
        lines = _read_text(self._path(replica)).splitlines()
        given = dict(line[len("Environment=") :].split("=", 1) for line in lines if line.startswith(("Environment=PORT=", "Environment=HOST=")))
        if "PORT" not in given:
            return replica
        return replica._replace(address=given.get("HOST", "127.0.0.1"), port=int(given["PORT"]))

    def inspect(self, replica):
        if not os.path.exists(self._path(replica)):
            return State("absent")
        lines = _run("systemctl", "show", "--property=" + _PROPERTIES, replica.unit).splitlines()
        properties = dict(line.split("=", 1) for line in lines if "=" in line)
        return state_of(properties, _ports(properties.get("ControlGroup"), app_user(replica.app)))

    def logs(self, replica, lines):
        return _run("journalctl", "--quiet", "--no-pager", "--output=cat", "--unit=" + replica.unit, "--lines=%d" % lines).splitlines()


def _read_text(path):
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""
