# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd runtime: one enabled unit a replica.

systemd is never told to read its units again, which takes it a tenth of a second and more: no unit's name comes twice, systemd looks for the file of a name
that it does not know, and what is enabled is read at boot.
"""

from __future__ import annotations

import os
import re
import subprocess

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import fsync_dir, write_atomic
from ansible_collections.hitless.paas.plugins.module_utils._paths import SYSTEMD_UNITS, app_user
from ansible_collections.hitless.paas.plugins.module_utils._runtime import Runtime, State, parse_unit_name

_PROPERTIES = "Id,LoadState,ActiveState,SubState,MainPID,ExecMainCode,ExecMainStatus,NRestarts,ControlGroup"
_CLD_EXITED = "1"
_TCP_LISTEN = "0A"


def state_of(properties):
    """The State that the properties of ``systemctl show`` (dict of str) stand for."""
    active, sub = properties.get("ActiveState", "inactive"), properties.get("SubState", "dead")
    states = {"active": "running", "activating": "starting", "deactivating": "stopping", "failed": "failed"}
    if properties.get("LoadState") == "not-found" and active == "inactive":
        return State("absent")
    state = "starting" if sub == "auto-restart" else states.get(active, "exited")
    code = properties.get("ExecMainCode", "0")
    status = None
    if code != "0":
        status = ("exit status " if code == _CLD_EXITED else "signal ") + properties.get("ExecMainStatus", "")
    return State(state, int(properties.get("MainPID") or 0) or None, status, int(properties.get("NRestarts") or 0))


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
        with open(path, encoding="utf-8", errors="replace") as stream:
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

    def _path(self, unit):
        return os.path.join(self.folder, unit)

    def start(self, replicas):
        for replica, text in replicas.items():
            write_atomic(self._path(replica.unit), text)
        _run("systemctl", "enable", "--quiet", "--now", "--no-block", "--no-reload", *[replica.unit for replica in replicas])

    def remove(self, replicas):
        names = [replica.unit for replica in replicas]
        if not names:
            return
        # The files go last: what was cut half-way is still listed.
        subprocess.run(["systemctl", "stop"] + names, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        known = [name for name in names if os.path.exists(self._path(name))]
        if known:
            _run("systemctl", "disable", "--quiet", "--no-reload", *known)
        for name in known:
            os.unlink(self._path(name))
        fsync_dir(self.folder)
        subprocess.run(["systemctl", "reset-failed"] + names, stderr=subprocess.DEVNULL, check=False)

    def list(self, app):
        loaded = _run("systemctl", "list-units", "--all", "--plain", "--no-legend", "hitless-%s.*" % app)
        rows = [line.split() for line in loaded.splitlines() if line.strip()]
        # systemd remembers a unit without a file, which does nothing, until it reads all of them again.
        names = {row[0] for row in rows if row[2] != "inactive"} | set(os.listdir(self.folder))
        found = [parse_unit_name(name) for name in names]
        return sorted((self._with_endpoint(replica) for replica in found if replica and replica.app == app), key=lambda replica: replica[:4])

    def _with_endpoint(self, replica):
        """``replica`` with the endpoint that its unit file gives it."""
        port = _given(_read(self._path(replica.unit)), "PORT")
        return replica._replace(address=_given(_read(self._path(replica.unit)), "HOST"), port=int(port)) if port else replica

    def ports_in_use(self):
        files = [_read(self._path(name)) for name in os.listdir(self.folder) if parse_unit_name(name)]
        return {int(port) for port in (_given(text, "PORT") for text in files) if port}

    def inspect(self, replicas):
        if not replicas:
            return {}
        shown = _run("systemctl", "show", "--property=" + _PROPERTIES, *[replica.unit for replica in replicas])
        blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in shown.split("\n\n")]
        states = {block["Id"]: state_of(block) for block in blocks if "Id" in block}
        return {replica: states.get(replica.unit, State("absent")) for replica in replicas}

    def listening(self, replica):
        group = _run("systemctl", "show", "--property=ControlGroup", "--value", replica.unit).strip()
        return _ports(group, app_user(replica.app))

    def logs(self, replica, lines):
        return _run("journalctl", "--quiet", "--no-pager", "--output=cat", "--unit=" + replica.unit, "--lines=%d" % lines).splitlines()


def _given(text, name):
    """The variable ``name`` that the text of a unit sets, or None."""
    found = re.search("^Environment=%s=(.*)$" % name, text, re.MULTILINE)
    return found.group(1) if found else None
