# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server in a container, and an engine that restarts."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import Host, command, until

BRIDGE = "hitless-e2e0"
NETWORK = "10.213.77.1/24"


def docker(*words: str, engine: str | None = None) -> str:
    """The output of a docker command, of an engine of its own when one is named."""
    env = {**os.environ, **({"DOCKER_HOST": engine} if engine else {})}
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True, env=env).stdout


def answers(address: tuple[str, int] | str) -> bool:
    """Whether something listens at a TCP address or a socket's path."""
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as probe:
        return probe.connect_ex(address) == 0


@dataclass
class Target:
    """A folder with an app whose server is in a container."""

    folder: Path
    state: Path
    env: dict[str, str] = field(default_factory=dict)

    def run(self, verb: str, *words: str) -> tuple[int, dict[str, Any]]:
        """The exit code and the last event of a verb."""
        done = command(self.folder, self.state, verb, *words, "--json", env=self.env)
        return done.returncode, json.loads(done.stdout.splitlines()[-1])

    def known(self) -> dict[str, Any]:
        """What the controller keeps of the server."""
        value: dict[str, Any] = json.loads((self.state / "hitless" / self.folder.name / "dev" / "target.json").read_text())
        return value


@pytest.fixture
def target(tmp_path: Path, state: Path) -> Iterator[Target]:
    folder = tmp_path / f"e2e-engine-{os.getpid()}"
    folder.mkdir()
    made = Target(folder, state)
    (folder / "hitless.yml").write_text(json.dumps({"app": folder.name, "targets": {"dev": {"provider": "docker"}}}))
    yield made
    made.run("destroy", "--yes")


@dataclass
class Engine:
    """A Docker engine beside the machine's own: nothing but its containers is touched by a restart of it."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """What DOCKER_HOST is to be."""
        return f"unix://{self.folder}/sock"

    def start(self) -> None:
        """Start it and wait until it answers."""
        words = ["dockerd", "--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec", "--pidfile", f"{self.folder}/pid"]
        # The firewall is the other engine's: ports are published by the proxy alone.
        words += ["--host", self.host, "--bridge", BRIDGE, "--iptables=false", "--ip-masq=false", "--config-file", f"{self.folder}/none.json"]
        words += ["--containerd-namespace", "hitless-e2e", "--containerd-plugins-namespace", "hitless-e2e-plugins"]
        (self.folder / "none.json").write_text("{}")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log)
        until(lambda: answers(f"{self.folder}/sock"))
        docker("info", engine=self.host)

    def stop(self) -> None:
        """Stop it, and its containers with it."""
        if self.process:
            self.process.terminate()
            self.process.wait(60)


@pytest.fixture
def engine() -> Iterator[Engine]:
    subprocess.run(["ip", "link", "add", BRIDGE, "type", "bridge"], check=True)
    subprocess.run(["ip", "address", "add", NETWORK, "dev", BRIDGE], check=True)
    subprocess.run(["ip", "link", "set", BRIDGE, "up"], check=True)
    # A socket's path may have 108 bytes.
    with tempfile.TemporaryDirectory(prefix="hitless-e2e-", dir="/var/tmp", ignore_cleanup_errors=True) as folder:
        made = Engine(Path(folder))
        try:
            made.start()
            yield made
        finally:
            made.stop()
            subprocess.run(["ip", "link", "delete", BRIDGE], check=True)


def test_a_server_survives_a_restart_of_the_engine(target: Target, host: Host, engine: Engine) -> None:
    image = docker("inspect", "--format", "{{.Config.Image}}", host.container).strip()
    with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
        subprocess.run(["docker", "--host", engine.host, "load", "--quiet"], stdin=saved.stdout, check=True, capture_output=True)
    target.env = {"DOCKER_HOST": engine.host}
    assert target.run("create")[0] == 0
    before = target.known()
    docker("exec", before["container"], "touch", "/srv/kept", engine=engine.host)
    engine.stop()
    assert not answers(("127.0.0.1", before["port"]))
    engine.start()
    # It logs in over SSH with the key and the host key of before, and finds its own mark.
    code, last = target.run("create")
    assert code == 0, last
    assert target.known() == before
    docker("exec", before["container"], "test", "-e", "/srv/kept", engine=engine.host)
    target.run("destroy", "--yes")
