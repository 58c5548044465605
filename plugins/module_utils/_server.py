# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server in a local container: its image and how it is started. Runs on the controller; decisions here run nothing."""

from __future__ import annotations

import hashlib
import os

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError

IMAGE = "hitless-server"
# What the image is made from where a registry answers.
BASE = "debian:12"
SSH, HTTP, HTTPS = 22, 80, 443
# The loopback ports of servers, by port of the server: the first free one. They lie below those that systems give to outgoing connections, so that
# a server that was stopped finds its own free again.
PORTS = {SSH: range(2200, 2300), HTTP: range(8080, 8180), HTTPS: range(8443, 8543)}
SUITE = "bookworm"
CERTIFICATES = "/usr/local/share/ca-certificates"
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "python3",
    "python3-venv",
    "sudo",
    "rsync",
    "ca-certificates",
    "iproute2",
    "procps",
    "curl",
)
# An engine mounts /sys and /proc/sys read-only without --privileged; systemd needs its own cgroup tree writable.
INIT = (
    "for m in /sys/fs/cgroup /sys/fs/cgroup/*; do [ -L $m ] || mount -o remount,rw,bind $m; done; "
    "mount -o remount,rw,bind /proc/sys; mount --make-rshared /; "
    # Host keys are made here, not in the image: every server has its own.
    "mkdir -p /run/sshd; ssh-keygen -A >/dev/null; exec /sbin/init"
)
FLAGS = (
    "--cap-add",
    "SYS_ADMIN",
    "--cap-add",
    "NET_ADMIN",
    "--security-opt",
    "seccomp=unconfined",
    "--security-opt",
    "apparmor=unconfined",
    "--cgroupns=private",
    "--tmpfs",
    "/run",
    "--tmpfs",
    "/run/lock",
    "--tmpfs",
    "/tmp:exec",
    "--stop-signal",
    "SIGRTMIN+3",
)


def target_folder(app, target, state_home=None):
    """The folder with the key, the known host key and ``target.json`` of one target.

    Args:
        state_home: stands in for ``$XDG_STATE_HOME``, which stands in for ``~/.local/state``.
    """
    home = state_home or os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(home, "hitless", app, target)


def container_name(app, target):
    """The name of a target's container; its labels tell ``a-b`` at ``c`` from ``a`` at ``b-c``."""
    return "hitless-%s-%s" % (app, target)


def image_tag(certificates, base=BASE):
    """``hitless-server:<digest>``: another recipe, base, or set of trusted CAs (name -> bytes) is another image."""
    digest = hashlib.sha256(repr((bootstrap_command("-"), dockerfile(base))).encode())
    for name in sorted(certificates):
        digest.update(name.encode() + b"\0" + hashlib.sha256(certificates[name]).digest())
    return "%s:%s" % (IMAGE, digest.hexdigest()[:12])


def dockerfile(base):
    """The Dockerfile that makes the image from ``base``; its folder has the trusted CAs in ``certificates``."""
    steps = (
        "apt-get -qq update",
        "DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends %s" % " ".join(PACKAGES),
        "update-ca-certificates",
        # Images for containers keep services from starting; this one is a server.
        "rm -rf /usr/sbin/policy-rc.d /var/lib/apt/lists/* /etc/ssh/ssh_host_*",
        ": > /etc/machine-id",
    )
    return "FROM %s\nCOPY certificates %s\nRUN %s\n" % (base, CERTIFICATES, " && ".join(steps))


def bootstrap_command(output):
    """Words that make the image's root file system as the tar archive ``output``."""
    # Installing openssh-server makes host keys and systemd an id: shared by every server if they stayed in the image.
    forget = 'rm -f "$1"/etc/ssh/ssh_host_*; : > "$1"/etc/machine-id'
    words = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=" + ",".join(PACKAGES)]
    words += ['--customize-hook=mkdir -p "$1"/usr/local/share/ca-certificates']
    words += ['--customize-hook=[ ! -d %s ] || cp -R %s/. "$1"%s' % (CERTIFICATES, CERTIFICATES, CERTIFICATES)]
    words += ['--customize-hook=chroot "$1" update-ca-certificates', "--customize-hook=" + forget]
    return [*words, SUITE, output]


def choose_port(inside, kept, is_free):
    """The loopback port for the server's port ``inside``: the one that it had (``kept``, or None), else the first free one. HitlessError ``ports_taken``."""
    found = next((port for port in [*([kept] if kept else []), *PORTS[inside]] if is_free(port)), None)
    if found is None:
        first, last = PORTS[inside][0], PORTS[inside][-1]
        message = "No port from %d to %d of this machine is free for port %d of the server; nothing was changed." % (first, last, inside)
        raise HitlessError("ports_taken", message, "ss -ltn; docker ps --all")
    return found


def server_of(inspected):
    """What ``target.json`` says of a container, from what ``docker inspect`` says of it."""
    published = {int(name.split("/")[0]): int(bound[0]["HostPort"]) for name, bound in inspected["HostConfig"]["PortBindings"].items()}
    return {
        "v": 1,
        "provider": "docker",
        "container": inspected["Name"].lstrip("/"),
        "id": inspected["Id"],
        "host": "127.0.0.1",
        "port": published[SSH],
        "user": "root",
        "http_port": published[HTTP],
        "https_port": published[HTTPS],
    }


def known_hosts(server, host_key):
    """The line that makes ssh trust the server's own key alone."""
    return "[%s]:%d %s\n" % (server["host"], server["port"], " ".join(host_key.split()[:2]))


def run_command(name, image, ports, labels):
    """Words that start a server.

    Args:
        ports: container port -> loopback port; fixed, so that they hold across restarts.
        labels: label -> value.
    """
    words = ["docker", "run", "--detach", "--name", name, "--hostname", name, "--restart", "unless-stopped"]
    words += FLAGS
    for inside, outside in sorted(ports.items()):
        words += ["--publish", "127.0.0.1:%d:%d" % (outside, inside)]
    for label, value in sorted(labels.items()):
        words += ["--label", "%s=%s" % (label, value)]
    return words + [image, "sh", "-c", INIT]
