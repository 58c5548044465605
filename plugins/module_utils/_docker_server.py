# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server in a container of the local Docker engine: made, found again and removed. What it decides is in _server."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time

from ansible_collections.hitless.paas.plugins.module_utils import _ports, _server
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError

_ENGINE_SECONDS = 20
_BUILD_SECONDS = 1200
_TRIES = 10
_HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
# Adds the key of stdin to those that may log in, once.
_AUTHORIZE = (
    "umask 077; mkdir -p /root/.ssh; touch /root/.ssh/authorized_keys; read -r key; "
    'grep -qxF "$key" /root/.ssh/authorized_keys || echo "$key" >> /root/.ssh/authorized_keys'
)


def _run(words, stdin=None, timeout=_ENGINE_SECONDS):
    try:
        return subprocess.run(
            words, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace", timeout=timeout, check=False
        )
    except FileNotFoundError as error:
        raise HitlessError("docker_unavailable", "There is no %s on this machine; nothing was changed." % words[0], "apt-get install docker.io") from error
    except subprocess.TimeoutExpired as error:
        message = "%s did not answer within %d s." % (" ".join(words[:2]), timeout)
        raise HitlessError("docker_unavailable", message, "docker info") from error


def _docker(*words, stdin=None):
    done = _run(["docker", *words], stdin)
    if done.returncode:
        raise HitlessError("docker_failed", "docker %s failed: %s" % (words[0], done.stderr.strip()), "docker ps --all")
    return done.stdout


def check_engine():
    """HitlessError ``docker_unavailable`` unless the engine answers."""
    done = _run(["docker", "version", "--format", "{{.Server.Version}}"])
    if done.returncode:
        message = "The Docker engine does not answer: %s; nothing was changed." % (done.stderr.strip() or "it gave no reason")
        raise HitlessError("docker_unavailable", message, "systemctl start docker")


class DockerServer:
    """The container of one target.

    Args:
        app, target: names, already checked.
        base: the image that the server's own is made from, or None for Debian's, from a registry or from its packages.
    """

    def __init__(self, app, target, base=None):
        self._base = base
        self.name = _server.container_name(app, target)
        self.labels = {"hitless.app": app, "hitless.target": target}

    def inspect(self):
        """What the engine says of the container, or None. HitlessError ``name_taken`` when another's has its name."""
        done = _run(["docker", "container", "inspect", self.name])
        if done.returncode:
            if "no such container" in done.stderr.lower():
                return None
            raise HitlessError("docker_failed", "docker inspect failed: %s; nothing was changed." % done.stderr.strip(), "docker ps --all")
        found = json.loads(done.stdout)[0]
        labels = found["Config"]["Labels"] or {}
        if any(labels.get(name) != value for name, value in self.labels.items()):
            message = "There is a container %s that is not this target's; it was left as it is." % self.name
            raise HitlessError("name_taken", message, "rename the target, or: docker rename %s <other>" % self.name)
        return found

    def ensure(self, ports):
        """Make the container if there is none, start it if it is down, and return what the engine says of it.

        Args:
            ports: container port -> the loopback port that it had, or None.
        """
        found = self.inspect()
        if found and found["State"]["Status"] == "created":
            # A run that was cut before the first start left it; it holds nothing.
            self.remove()
            found = None
        if not found:
            self._create(ports)
        elif not found["State"]["Running"]:
            _docker("start", self.name)
        return self.inspect()

    def _create(self, ports):
        image = ensure_image(self._base)
        for attempt in range(_TRIES):
            chosen = free_ports(ports)
            done = _run(_server.run_command(self.name, image, chosen, self.labels), timeout=_ENGINE_SECONDS * 3)
            if not done.returncode:
                return
            _run(["docker", "rm", "--force", "--volumes", self.name])
            # Another process may have taken a port since it was looked at.
            if attempt + 1 == _TRIES or not any(word in done.stderr for word in ("already allocated", "address already in use")):
                raise HitlessError(
                    "docker_failed", "The container %s could not be started: %s; it was removed." % (self.name, done.stderr.strip()), "docker info"
                )

    def remove(self):
        """Remove the container and all that is in it."""
        _docker("rm", "--force", "--volumes", self.name)

    def wait(self, seconds):
        """Wait until systemd has started what it starts. HitlessError ``server_not_ready`` after ``seconds``."""
        until, said = time.monotonic() + seconds, ""
        while said not in ("running", "degraded"):
            if time.monotonic() > until:
                message = "The server %s was started but is not ready after %d s: systemd says %r; it was left for you to look at." % (self.name, seconds, said)
                raise HitlessError("server_not_ready", message, "docker logs %s" % self.name)
            time.sleep(0.1 if said else 0.05)
            said = _run(["docker", "exec", self.name, "systemctl", "is-system-running"]).stdout.strip()

    def host_key(self):
        """The server's own public key, read past the network."""
        return _docker("exec", self.name, "cat", _HOST_KEY)

    def authorize(self, public_key):
        """Let the holder of ``public_key`` log in."""
        _docker("exec", "--interactive", self.name, "sh", "-c", _AUTHORIZE, stdin=public_key.strip() + "\n")


def wait_for_ssh(port, seconds):
    """Wait until an SSH server greets on the loopback ``port``."""
    until = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                connection.settimeout(2)
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        if time.monotonic() > until:
            raise HitlessError("server_not_ready", "No SSH server answers at 127.0.0.1:%d after %d s." % (port, seconds), "docker ps")
        time.sleep(0.05)


def free_ports(wanted):
    """Container port -> a loopback port that nothing holds, nor a stopped server of another target would come back to."""
    reserved = _reserved()

    def is_free(port):
        return port not in reserved and _ports.is_free(port)

    chosen = {}
    for inside, kept in wanted.items():
        chosen[inside] = _server.choose_port(inside, kept, is_free)
        reserved.add(chosen[inside])
    return chosen


def _reserved():
    ids = _docker("ps", "--all", "--quiet", "--filter", "label=hitless.app").split()
    if not ids:
        return set()
    listed = json.loads(_docker("container", "inspect", *ids))
    return {int(entry["HostPort"]) for found in listed for bound in (found["HostConfig"]["PortBindings"] or {}).values() for entry in bound}


def ensure_image(base=None):
    """The tag of the server image, which is made when the engine does not have it.

    Args:
        base: the image to make it from. By default Debian's, and where no registry answers, Debian's packages.
    """
    certificates = trusted_certificates()
    tag = _server.image_tag(certificates, base or _server.BASE)
    if _has_image(tag):
        return tag
    complaint = _pull(base or _server.BASE)
    with tempfile.TemporaryDirectory(prefix="hitless-image-") as folder:
        if complaint is None:
            _build(tag, base or _server.BASE, certificates, folder)
        elif base:
            message = "The image %s cannot be had: %s; nothing was changed." % (base, complaint)
            raise HitlessError("image_unavailable", message, "docker pull %s" % base)
        else:
            _bootstrap(tag, folder)
    return tag


def _has_image(name):
    return _run(["docker", "image", "inspect", "--format", "{{.Id}}", name]).returncode == 0


def _pull(name):
    """Have an image from the engine or its registry; what it complained of, or None."""
    if _has_image(name):
        return None
    done = _run(["docker", "pull", "--quiet", name], timeout=_BUILD_SECONDS)
    return (done.stderr.strip().splitlines() or ["docker pull gave no reason"])[-1] if done.returncode else None


def _build(tag, base, certificates, folder):
    os.mkdir(os.path.join(folder, "certificates"))
    for name, content in certificates.items():
        with open(os.path.join(folder, "certificates", name), "wb") as stream:
            stream.write(content)
    with open(os.path.join(folder, "Dockerfile"), "w", encoding="utf-8") as stream:
        stream.write(_server.dockerfile(base))
    _make(["docker", "build", "--quiet", "--tag", tag, folder], "it needs Debian's mirror")


def _bootstrap(tag, folder):
    if not shutil.which("mmdebstrap"):
        message = "The server image has to be made first; no registry answers for %s, and there is no mmdebstrap here; nothing was changed." % _server.BASE
        raise HitlessError("image_unavailable", message, "apt-get install mmdebstrap")
    archive = os.path.join(folder, "root.tar")
    _make(_server.bootstrap_command(archive), "it needs Debian's mirror")
    _make(["docker", "import", archive, tag], "docker info")


def _make(words, hint):
    done = _run(words, timeout=_BUILD_SECONDS)
    if done.returncode:
        message = "The server image could not be made: %s failed; nothing was changed." % words[0]
        raise HitlessError("image_unavailable", message, "see log_tail; " + hint, {"log_tail": done.stderr.splitlines()[-20:]})


def trusted_certificates():
    """The CAs that this machine was told to trust: file name -> bytes."""
    found = {}
    for name in sorted(os.listdir(_server.CERTIFICATES)) if os.path.isdir(_server.CERTIFICATES) else ():
        path = os.path.join(_server.CERTIFICATES, name)
        if os.path.isfile(path):
            with open(path, "rb") as stream:
                found[name] = stream.read()
    return found
