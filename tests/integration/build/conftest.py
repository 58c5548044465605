# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real server, reached over ssh, on which sources are uploaded and built by playbooks."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._build_plan import artifact_digest
from ansible_collections.hitless.paas.plugins.plugin_utils._detect import FolderTree
from ansible_collections.hitless.paas.plugins.plugin_utils._resolve import plan_app, resolve
from ansible_collections.hitless.paas.plugins.plugin_utils._source import inspect

IMAGE = os.environ.get("HITLESS_TEST_IMAGE", "hitless-server:latest")
_START = (
    "for m in /sys/fs/cgroup /sys/fs/cgroup/*; do [ -L $m ] || mount -o remount,rw,bind $m; done; "
    "mount -o remount,rw,bind /proc/sys; mount --make-rshared /; exec /sbin/init"
)
_OPTIONS = (
    "--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN", "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined", "--cgroupns=private",
    "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp", "--stop-signal=SIGRTMIN+3", "--publish=127.0.0.1::22",
)  # fmt: skip
# What configure makes on a host, as far as a build needs it.
_CONFIGURE = """
set -e
ssh-keygen -A; systemctl reset-failed ssh || true; systemctl restart ssh
useradd --system --shell /usr/sbin/nologin --no-create-home hitless-shop
useradd --create-home --shell /bin/bash deployer
echo 'deployer ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/deployer
mkdir -p /var/lib/hitless/shop/deployments /var/log/hitless/shop /srv/shop /srv/other /root/.ssh /home/deployer/.ssh /etc/hitless
chmod 711 /srv/shop
echo secret > /etc/hitless/secret; chmod 644 /etc/hitless/secret
cat > /root/.ssh/authorized_keys
cp /root/.ssh/authorized_keys /home/deployer/.ssh/; chown -R deployer: /home/deployer/.ssh; chmod 700 /root/.ssh /home/deployer/.ssh
"""
_PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - hitless.paas.build: {app: shop, deployment: "{{ deployment }}", artifact: "{{ artifact }}", source: "{{ source }}", plan: "{{ plan }}", env: "{{ env }}",
                           secret_names: "{{ secret_names }}", folder: "{{ folder }}"}
      register: built
"""


class Server:
    """One server and what a test does with it."""

    def __init__(self, container: str, folder: Path) -> None:
        self.container = container
        self.folder = folder
        self.count = 0
        self.deployment = ""

    def sh(self, script: str, stdin: str = "") -> str:
        """The output of ``script`` run as root on the server."""
        done = subprocess.run(["docker", "exec", "-i", self.container, "sh", "-c", script], input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def inventory(self, user: str = "root") -> str:
        """An inventory of this server alone."""
        port = subprocess.run(["docker", "port", self.container, "22/tcp"], check=True, capture_output=True, text=True).stdout.split()[0].rpartition(":")[2]
        variables = {
            "ansible_host": "127.0.0.1", "ansible_port": int(port), "ansible_user": user, "ansible_become": user != "root",
            "ansible_ssh_private_key_file": str(self.folder / "key"), "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
        }  # fmt: skip
        path = self.folder / ("inventory-%s.json" % user)
        path.write_text(json.dumps({"all": {"hosts": {"h1": variables}}}))
        return str(path)

    def start(self, folder: Path, build: dict[str, Any] | None = None, env: dict[str, str] | None = None, user: str = "root", **settings: Any) -> Run:
        """Begin to upload and build ``folder``."""
        self.count += 1
        self.deployment = "202611210800%02d" % self.count
        lock = {"v": 1, "deployment": self.deployment, "owner": "test", "controller": {}, "since": "2026-11-21T08:00:00.000Z", "lease": 600.0}
        self.sh("cat > /var/lib/hitless/shop/lock", json.dumps(lock))
        record = json.dumps({"id": self.deployment, "app": "shop", "status": "INITIALIZING"})
        self.sh("cat > /var/lib/hitless/shop/deployments/%s.json" % self.deployment, record)
        caps: dict[str, Any] = {
            "builder": "auto",
            "install": None,
            "build": None,
            "pre": None,
            "post": None,
            "timeout": 300.0,
            "memory": 2**30,
            "cpu": None,
            "network": True,
            "output": None,
        }
        config: dict[str, Any] = {"app": "shop", "source": str(folder), "services": {}, "mounts": {}, "build": {**caps, **(build or {})}, **settings}
        source = inspect(folder)
        plan = resolve(config, plan_app(config, FolderTree(str(folder))).as_dict())
        plan["build"].update({name: value for name, value in (build or {}).items() if name in ("build_env", "lockfiles", "dependency_dirs", "toolchain")})
        env = env or {}
        values = {"deployment": self.deployment, "folder": str(folder),
                  "source": source.digest, "artifact": artifact_digest(source.digest, plan, env), "plan": plan, "env": env,
                  "secret_names": sorted(env)}  # fmt: skip
        return Run(self, copy.deepcopy(values), user)

    def build(self, folder: Path, build: dict[str, Any] | None = None, env: dict[str, str] | None = None, user: str = "root", **settings: Any) -> Run:
        """Upload and build ``folder``, and wait for the end."""
        run = self.start(folder, build, env, user, **settings)
        run.wait()
        return run


class Run:
    """One run of the playbook.

    Attributes:
        events: what it said, each with ``arrived``, the time at which it could be read.
        code: exit code of ansible-playbook.
    """

    def __init__(self, server: Server, values: dict[str, Any], user: str) -> None:
        self.server = server
        self.values = values
        (server.folder / "play.yml").write_text(_PLAY)
        (server.folder / "values.json").write_text(json.dumps(values))
        words = [
            os.path.join(os.path.dirname(sys.executable), "ansible-playbook"),
            "-i",
            server.inventory(user),
            str(server.folder / "play.yml"),
            "-e",
            "@%s" % (server.folder / "values.json"),
        ]
        env = {**os.environ, "PYTHONUNBUFFERED": "1", "ANSIBLE_PIPELINING": "1", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, errors="replace")
        self.events: list[dict[str, Any]] = []
        self.output: list[str] = []
        self.code: int | None = None

    def lines(self) -> Iterator[dict[str, Any]]:
        """The events, as they come."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            if line.startswith("@hitless "):
                event = {**json.loads(line[len("@hitless ") :]), "arrived": time.time()}
                for said in [{**event, "line": each} for each in event["lines"]] if "lines" in event else [event]:
                    self.events.append(said)
                    yield said
        self.code = self.process.wait()

    def wait(self) -> None:
        """Wait for the end."""
        for _event in self.lines():
            pass

    def log(self, stream: str) -> list[str]:
        """The lines of one step."""
        return [event["line"] for event in self.events if event["event"] == "log" and event["stream"] == stream]

    def phases(self) -> dict[str, str]:
        """The last state of each phase."""
        return {event["name"]: event["state"] for event in self.events if event["event"] == "phase"}

    @property
    def artifact(self) -> str:
        return "/srv/shop/artifacts/" + str(self.values["artifact"])

    @property
    def text(self) -> str:
        return "".join(self.output)

    def ok(self) -> Run:
        """This run, which must have ended well."""
        assert self.code == 0, self.text
        return self


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server made for these tests."""
    folder = tmp_path_factory.mktemp("server")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
    command = ["docker", "run", "--detach", *_OPTIONS, IMAGE, "sh", "-c", _START]
    container = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    try:
        made = Server(container, folder)
        _await_systemd(made)
        made.sh(_CONFIGURE, (folder / "key.pub").read_text())
        yield made
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", container], check=True, capture_output=True)


def _await_systemd(server: Server) -> None:
    deadline = time.monotonic() + 60
    while "running" not in (state := server.sh("systemctl is-system-running --wait 2>&1 || true")) and "degraded" not in state:
        assert time.monotonic() < deadline, state
        time.sleep(0.2)
