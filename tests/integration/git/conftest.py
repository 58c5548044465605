# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real git servers on loopback: smart HTTP with and without a password, ssh with a key, and git's own."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

TOKEN = "tok-3f9a7c$'x"


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "protocol.file.allow=always", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_port(port: int) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            assert time.monotonic() < end, "nothing listens"
            time.sleep(0.05)
        else:
            return


class Upstream:
    """A working copy, and the bare repository ``<name>.git`` that the servers give."""

    def __init__(self, root: Path, name: str = "shop") -> None:
        self.bare = root / f"{name}.git"
        self.work = root.parent / "work" / name
        self.work.mkdir(parents=True)
        git(self.work, "init", "-q", "-b", "main")
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.bare)], check=True)
        git(self.work, "remote", "add", "origin", str(self.bare))

    def commit(self, message: str, files: dict[str, str] | None = None) -> str:
        """Write files, commit and push; the commit's id."""
        for name, text in (files or {}).items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "--allow-empty", "-m", message)
        git(self.work, "push", "-q", "origin", "HEAD")
        return git(self.work, "rev-parse", "HEAD")


class HttpServer(ThreadingHTTPServer):
    """git-http-backend behind HTTP.

    Attributes:
        requests: (method, path, authorization header) of each request.
        password: what is asked for; None for nobody.
        cut: after this many bytes of an answer to a fetch the connection is cut; None for never.
    """

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.requests: list[tuple[str, str, str]] = []
        self.password: str | None = None
        self.cut: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    server: HttpServer

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        given = self.headers.get("Authorization", "")
        self.server.requests.append((self.command, self.path, given))
        if self.server.password is not None:
            user, _colon, password = base64.b64decode(given.partition(" ")[2] or "Og==").decode().partition(":")
            if not user or password != self.server.password:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.end_headers()
                return
        path, _mark, query = self.path.partition("?")
        env = {"GIT_PROJECT_ROOT": str(self.server.root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
               "CONTENT_TYPE": self.headers.get("Content-Type", ""), "REMOTE_USER": "ann", "PATH": os.environ["PATH"],
               "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", "")}  # fmt: skip
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        done = subprocess.run(["git", "http-backend"], env=env, input=body, capture_output=True, check=False)
        head, _blank, answer = done.stdout.partition(b"\r\n\r\n")
        lines = [line.decode().partition(": ") for line in head.split(b"\r\n")]
        status = next((value for name, _colon, value in lines if name == "Status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for name, _colon, value in lines:
            if name != "Status":
                self.send_header(name, value)
        self.end_headers()
        is_cut = self.server.cut is not None and b"packfile" in answer
        self.wfile.write(answer[: self.server.cut] if is_cut else answer)

    def log_message(self, *_words: object) -> None:
        pass


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has nothing: no configuration of git, no keys, no cache."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name, value in {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), "GIT_CONFIG_NOSYSTEM": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """What the servers give."""
    folder = tmp_path / "repositories"
    folder.mkdir()
    return folder


@pytest.fixture
def upstream(root: Path) -> Upstream:
    made = Upstream(root)
    made.commit("First", {"app.py": "print(1)\n", "Procfile": "web: python3 app.py\n"})
    return made


@pytest.fixture
def http(root: Path) -> Iterator[HttpServer]:
    server = HttpServer(root)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def daemon(root: Path) -> Iterator[str]:
    """The URL of git's own server."""
    port = free_port()
    words = ["git", "daemon", "--reuseaddr", "--export-all", "--listen=127.0.0.1", f"--port={port}", f"--base-path={root}", str(root)]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        await_port(port)
        yield f"git://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def new_key(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
        return tmp_path / name

    return make


@pytest.fixture
def ssh(tmp_path: Path, root: Path, new_key: Callable[[str], Path]) -> Iterator[tuple[str, Path]]:
    """The URL of an ssh server, and the key that it takes."""
    folder = tmp_path / "sshd"
    folder.mkdir(mode=0o700)
    key, host_key, port = new_key("key"), new_key("host_key"), free_port()
    shutil.copy(f"{key}.pub", folder / "authorized_keys")
    config = f"""
Port {port}
ListenAddress 127.0.0.1
HostKey {host_key}
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
"""
    (folder / "config").write_text(config)
    Path("/run/sshd").mkdir(exist_ok=True)
    process = subprocess.Popen([shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.DEVNULL)
    try:
        await_port(port)
        user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
        yield f"ssh://{user}@127.0.0.1:{port}{root}", key
    finally:
        process.terminate()
        process.wait()
