# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server in a local container: its image and how it is started. Runs on the controller; decisions here run nothing."""

from __future__ import annotations

import hashlib

IMAGE = "hitless-server"
SUITE = "bookworm"
CERTIFICATES = "/usr/local/share/ca-certificates"
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "openssh-server", "python3", "python3-venv", "sudo", "rsync", "ca-certificates", "iproute2", "procps", "curl",
)
# An engine mounts /sys and /proc/sys read-only without --privileged; systemd needs its own cgroup tree writable.
INIT = (
    "for m in /sys/fs/cgroup /sys/fs/cgroup/*; do [ -L $m ] || mount -o remount,rw,bind $m; done; "
    "mount -o remount,rw,bind /proc/sys; mount --make-rshared /; "
    # Host keys are made here, not in the image: every server has its own.
    "mkdir -p /run/sshd; ssh-keygen -A >/dev/null; exec /sbin/init"
)
FLAGS = (
    "--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined",
    "--cgroupns=private", "--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec", "--stop-signal", "SIGRTMIN+3",
)


def image_tag(certificates):
    """``hitless-server:<digest>``: another recipe, or another set of trusted CAs (name -> bytes), is another image."""
    digest = hashlib.sha256(repr((SUITE, PACKAGES)).encode())
    for name in sorted(certificates):
        digest.update(name.encode() + b"\0" + hashlib.sha256(certificates[name]).digest())
    return "%s:%s" % (IMAGE, digest.hexdigest()[:12])


def bootstrap_command(output):
    """Words that make the image's root file system as the tar archive ``output``."""
    # Installing openssh-server makes host keys and systemd an id: shared by every server if they stayed in the image.
    forget = 'rm -f "$1"/etc/ssh/ssh_host_*; : > "$1"/etc/machine-id'
    words = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=" + ",".join(PACKAGES)]
    words += ["--customize-hook=mkdir -p \"$1\"/usr/local/share/ca-certificates"]
    words += ["--customize-hook=[ ! -d %s ] || cp -R %s/. \"$1\"%s" % (CERTIFICATES, CERTIFICATES, CERTIFICATES)]
    words += ["--customize-hook=chroot \"$1\" update-ca-certificates", "--customize-hook=" + forget]
    return [*words, SUITE, output]


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
