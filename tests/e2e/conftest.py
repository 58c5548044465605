# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server made by the product itself, and apps that are deployed to it by its command line."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
SCHEMA = json.loads((ROOT / "plugins" / "plugin_utils" / "schema" / "event.schema.json").read_text())

SERVER = """
import os, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = open("VERSION").read().strip()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/slow/"):
            time.sleep(float(self.path[6:]))
        name = self.path[5:] if self.path.startswith("/env/") else None
        body = (os.environ.get(name, "") if name else VERSION).encode("utf-8", "surrogateescape")
        self.send_response(200)
        self.send_header("X-Version", VERSION)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 512


server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()
"""


@dataclass(frozen=True)
class Host:
    """A server that the product made: how to log in, and where its router is reached."""

    container: str
    port: int
    key: Path
    http_port: int
    https_port: int

    def sh(self, script: str) -> str:
        """The output of a script that runs there as root."""
        done = subprocess.run(["docker", "exec", self.container, "sh", "-c", script], check=True, capture_output=True, text=True)
        return done.stdout


def command(folder: Path, state: Path, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in an app's folder."""
    environment = {**os.environ, "XDG_STATE_HOME": str(state), **(env or {})}
    return subprocess.run([sys.executable, "-m", "hitless", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=900)


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@contextlib.contextmanager
def made_host(about: str, state: Path, folders: pytest.TempPathFactory) -> Iterator[Host]:
    """A server that the product makes and removes."""
    name = f"{about}-{os.getpid()}"
    folder = folders.mktemp("made") / name
    folder.mkdir()
    (folder / "hitless.yml").write_text(f"app: {name}\ntargets:\n  dev: {{provider: docker}}\n")
    try:
        for verb in ("create", "configure"):
            done = command(folder, state, verb)
            assert done.returncode == 0, done.stdout + done.stderr
        made = state / "hitless" / name / "dev"
        target = json.loads((made / "target.json").read_text())
        yield Host(target["container"], target["port"], made / "id_ed25519", target["http_port"], target["https_port"])
    finally:
        command(folder, state, "destroy", "--yes")


@pytest.fixture(scope="session")
def host(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with made_host("e2e", state, tmp_path_factory) as made:
        yield made


@dataclass
class App:
    """One app on the session's host, reached by a host name of its own."""

    name: str
    folder: Path
    state: Path
    host: Host
    settings: dict[str, Any]

    def write(self, version: str, **settings: Any) -> None:
        """Make the source be ``version``, and change settings."""
        self.settings.update(settings)
        (self.folder / "hitless.yml").write_text(yaml.safe_dump(self.settings))
        (self.folder / "server.py").write_text(SERVER)
        (self.folder / "VERSION").write_text(version)

    def hitless(self, *words: str, env: dict[str, str] | None = None) -> tuple[int, list[dict[str, Any]]]:
        """The exit code and the events of one command; every event is checked against the schema."""
        done = command(self.folder, self.state, *words, "--json", env=env)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        for event in events:
            jsonschema.validate(event, SCHEMA)
        return done.returncode, events

    def start(self, *words: str) -> subprocess.Popen[str]:
        """One command in a session of its own, running."""
        environment = {**os.environ, "XDG_STATE_HOME": str(self.state)}
        words = (sys.executable, "-m", "hitless", *words, "--json")
        return subprocess.Popen(words, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)

    def deploy(self, version: str, **settings: Any) -> dict[str, Any]:
        """Deploy ``version``, which must work; its last event."""
        self.write(version, **settings)
        code, events = self.hitless("deploy")
        assert code == 0, {name: events[-1].get(name) for name in ("phase", "reason", "log_tail")}
        return events[-1]

    def get(self, path: str = "/") -> tuple[int, str]:
        """The status and the body that the router answers with under the app's name."""
        connection = http.client.HTTPConnection("127.0.0.1", self.host.http_port, timeout=60)
        try:
            connection.request("GET", path, headers={"Host": self.domain})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def answers(self) -> tuple[int, str] | None:
        """Like ``get``; None while nothing listens."""
        try:
            return self.get()
        except (OSError, http.client.HTTPException):
            return None

    def phase(self) -> str | None:
        """The phase that the newest deployment is in, or was in last, by its record on the host."""
        newest = self.host.sh(f"ls /var/lib/hitless/{self.name}/deployments/*.json | tail -n 1 | xargs cat")
        phases = json.loads(newest)["phases"]
        return str(phases[-1]["name"]) if phases else None

    @property
    def domain(self) -> str:
        """The host name that the app answers to."""
        return str(self.settings["domains"][0])

    def records(self) -> list[dict[str, Any]]:
        """The deployments, newest first."""
        _code, events = self.hitless("events")
        return list(next(event["data"]["deployments"] for event in events if event["event"] == "info"))

    def units(self) -> list[str]:
        """The replicas' units that run now."""
        listed = self.host.sh(f"systemctl list-units --plain --no-legend --state=active 'hitless-{self.name}.*'")
        return [line.split()[0] for line in listed.splitlines()]


_NUMBERS = itertools.count(1)


@pytest.fixture
def new_app(tmp_path: Path, state: Path, host: Host) -> Callable[[], App]:
    """Makes apps; each has a name of its own."""

    def make() -> App:
        name = f"app{next(_NUMBERS)}"
        folder = tmp_path / name
        folder.mkdir()
        target = {"hosts": [f"root@127.0.0.1:{host.port}"], "key": str(host.key), "host_key_checking": False}
        web = {"command": "python3 server.py", "health": {"deadline": "20s"}}
        return App(name, folder, state, host, {"app": name, "services": {"web": web}, "domains": [f"{name}.test"], "targets": {"prod": target}})

    return make


@pytest.fixture
def app(new_app: Callable[[], App]) -> App:
    return new_app()


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for a condition; fail when it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)
