# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host can be used: facts are gathered in one place, and every refusal is a pure function of them."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError

PORTS = (80, 443)
OLDEST = {"debian": (12,), "ubuntu": (22, 4)}
OLDEST_SYSTEMD = 249
OLDEST_PYTHON = (3, 8)
OLDEST_HAPROXY = (2, 6)
LEAST_DISK = 1024**3
LEAST_MEMORY = 256 * 1024**2
# The state of a socket that listens, in /proc/net/tcp.
_LISTENS = "0A"


def refusal(facts, is_ours):
    """Why a host cannot be used, as a HitlessError, or None.

    Args:
        facts: see ``gather``.
        is_ours: whether the HAProxy that hitless set up runs on this host.
    """
    checks = (_os, _init, _python, lambda known: _ports(known, is_ours), _disk, _memory, haproxy_refusal)
    return next((error for error in (check(facts) for check in checks) if error), None)


def _unsupported(what):
    message = "This host cannot be used: %s; nothing was changed." % what
    return HitlessError("host_unsupported", message, "use a server with Debian 12 or newer, or Ubuntu 22.04 or newer")


def _os(facts):
    oldest = OLDEST.get(facts["os"]["id"])
    name = "%s %s" % (facts["os"]["id"] or "an unknown system", facts["os"]["version"])
    if oldest is None:
        return _unsupported("it runs %s" % name.strip())
    # Debian's testing and unstable have no version: they are newer than every release.
    return _unsupported("it runs %s, which is too old" % name) if facts["os"]["version"] and _numbers(facts["os"]["version"]) < oldest else None


def _init(facts):
    if facts["init"] != "systemd":
        return _unsupported("its first process is %s, not systemd" % (facts["init"] or "unknown"))
    return _unsupported("it has systemd %d, which is older than %d" % (facts["systemd"], OLDEST_SYSTEMD)) if facts["systemd"] < OLDEST_SYSTEMD else None


def _python(facts):
    return _unsupported("it has Python %d.%d, which is older than 3.8" % tuple(facts["python"][:2])) if tuple(facts["python"]) < OLDEST_PYTHON else None


def _ports(facts, is_ours):
    for port in PORTS:
        holder = facts["ports"].get(str(port))
        if holder and not (is_ours and holder["name"] in ("haproxy", None)):
            who = "%s (pid %d)" % (holder["name"], holder["pid"]) if holder["name"] else "a process that cannot be seen from here"
            message = "Port %d is held by %s, and hitless needs it for its router; nothing was changed." % (port, who)
            hint = "systemctl status %d" % holder["pid"] if holder["name"] else "ss -ltnp sport = :%d" % port
            return HitlessError("port_taken", message, hint, {"port": port, "holder": holder})
    return None


def _disk(facts):
    if facts["disk_free"] >= LEAST_DISK:
        return None
    message = "There are %d MB free on the disk of /srv and at least %d are needed; nothing was changed." % (facts["disk_free"] >> 20, LEAST_DISK >> 20)
    return HitlessError("disk_low", message, "free some space: apt-get clean; journalctl --vacuum-size=100M")


def _memory(facts):
    if facts["memory"] >= LEAST_MEMORY:
        return None
    message = "This host has %d MB of memory and at least %d are needed; nothing was changed." % (facts["memory"] >> 20, LEAST_MEMORY >> 20)
    return HitlessError("memory_low", message, "use a server with more memory")


def haproxy_refusal(facts):
    """Why the HAProxy of a host will not do, or None.

    One that is installed counts, else the one that apt would install. Where neither is known, installing it says why.
    """
    version, installed = facts["haproxy"]["version"], facts["haproxy"]["installed"]
    if not version or _numbers(version)[:2] >= OLDEST_HAPROXY:
        return None
    message = "This host cannot be used: %s HAProxy %s, which is older than 2.6 and cannot change endpoints without a reload; nothing was changed." % (
        "it has" if installed else "its packages have",
        version,
    )
    return HitlessError("host_unsupported", message, "use a server with Debian 12 or Ubuntu 24.04, or give apt a newer HAProxy there")


def _numbers(version):
    return tuple(int(number) for number in re.findall(r"\d+", version))


def parse_os_release(text):
    """``{"id", "version"}`` of the text of /etc/os-release; both ``""`` when it does not say."""
    pairs = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    values = {name: pairs.get(name, "").strip().strip("\"'") for name in ("ID", "VERSION_ID")}
    return {"id": values["ID"], "version": values["VERSION_ID"]}


def listening_inodes(text):
    """port -> inode of the socket that listens on it, from the text of /proc/net/tcp or tcp6."""
    rows = (line.split() for line in text.splitlines()[1:])
    return {int(row[1].rsplit(":", 1)[1], 16): row[9] for row in rows if len(row) > 9 and row[3] == _LISTENS}


def parse_policy(text):
    """``{"installed", "version"}`` of a package, from what ``apt-cache policy`` says of it: whether it is there, and which version that is or would be."""
    found = dict(re.findall(r"^  (Installed|Candidate): (\S+)$", text, re.M))
    versions = {name: "" if value == "(none)" else value.partition(":")[2] or value for name, value in found.items()}
    installed = versions.get("Installed", "")
    return {"installed": bool(installed), "version": installed or versions.get("Candidate", "")}


def parse_memory(text):
    """Bytes of memory in all, from the text of /proc/meminfo."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", text, re.M)
    return int(found.group(1)) * 1024 if found else 0


def gather():
    """What is known of this host.

    Returns:
        os, init, systemd, python, ports ({"80": {"name", "pid"}}), disk_free and memory (bytes), haproxy ({"installed", "version"}).
    """
    return {
        "os": parse_os_release(_read("/etc/os-release")),
        "init": _read("/proc/1/comm").strip(),
        "systemd": _systemd(),
        "python": list(sys.version_info[:3]),
        "ports": _holders(),
        "disk_free": shutil.disk_usage("/srv" if os.path.isdir("/srv") else "/").free,
        "memory": parse_memory(_read("/proc/meminfo")),
        **haproxy(),
    }


def haproxy():
    """The fact ``haproxy``, as apt knows it now."""
    return {"haproxy": parse_policy(_said(["apt-cache", "policy", "haproxy"]))}


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def _said(words):
    """The output of a command; empty where there is no such command."""
    env = dict(os.environ, LC_ALL="C.UTF-8")
    try:
        return subprocess.run(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8", errors="replace", check=False).stdout
    except FileNotFoundError:
        return ""


def _systemd():
    found = re.match(r"systemd (\d+)", _said(["systemctl", "--version"]))
    return int(found.group(1)) if found else 0


def _holders():
    inodes = {}
    for table in ("/proc/net/tcp6", "/proc/net/tcp"):
        inodes.update({port: inode for port, inode in listening_inodes(_read(table)).items() if port in PORTS})
    return {str(port): _holder(inode) for port, inode in inodes.items()}


def _holder(inode):
    """The process that has the socket open. In a container without SYS_PTRACE, those that changed their user (HAProxy's workers) cannot be seen."""
    wanted = "socket:[%s]" % inode
    for link in glob.iglob("/proc/[0-9]*/fd/*"):
        try:
            if os.readlink(link) == wanted:
                pid = link.split("/")[2]
                return {"name": _read("/proc/%s/comm" % pid).strip(), "pid": int(pid)}
        except OSError:
            continue
    return {"name": None, "pid": None}
