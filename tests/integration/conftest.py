# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real HAProxy in a folder of its own, and small apps for it to route to."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from ansible_collections.hitless.paas.plugins.module_utils._haproxy import HaproxyRouter
from ansible_collections.hitless.paas.plugins.module_utils._haproxy_config import Layout, render_challenges, render_domains, render_main
from ansible_collections.hitless.paas.plugins.module_utils._router import Domain, Endpoint

_WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, seconds=10.0, what="the condition"):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "%s did not come true within %s s" % (what, seconds)
        time.sleep(0.02)


def self_signed(name):
    """A certificate for ``name`` and its key, in one text."""
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=%s" % name, "-keyout", "-", "-out", "-"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


class App:
    """One replica: answers its version, and what the tests need of an app. ``healthy`` may be set from outside."""

    def __init__(self, version):
        self.version, self.healthy, self.uploaded, self.answered = version, True, 0, 0
        self.loop = asyncio.new_event_loop()
        self.port = free_port()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", self.port), self.loop).result(10)

    def stop(self):
        """Die at once, as an app that ends on SIGTERM does: requests in flight are lost."""
        self.loop.call_soon_threadsafe(self._kill)
        self.thread.join(10)

    def _kill(self):
        self.server.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.call_soon(self.loop.stop)

    async def _serve(self, reader, writer):
        try:
            while await self._request(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort() if not self.loop.is_running() else writer.close()

    async def _request(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, path, _version = first.split(" ")
        headers = {k.strip().lower(): v.strip() for k, _c, v in (line.partition(":") for line in lines if line)}
        if path == "/ws":
            return await self._websocket(reader, writer, headers)
        if path == "/sse":
            return await self._events(writer)
        if path == "/upload":
            self.uploaded = 0
            while self.uploaded < int(headers["content-length"]):
                self.uploaded += len(await reader.read(65536))
        elif "content-length" in headers:
            await reader.readexactly(int(headers["content-length"]))
        if path.startswith("/slow/"):
            await asyncio.sleep(float(path[6:]))
        status, body = "200 OK", self.version
        if path == "/healthz" and not self.healthy:
            status = "500 Sick"
        if path == "/headers":
            body = head
        if path != "/healthz":
            self.answered += 1
        body = body.encode("latin-1")
        writer.write(b"HTTP/1.1 %s\r\nX-Version: %s\r\nContent-Length: %d\r\n\r\n" % (status.encode(), self.version.encode(), len(body)) + body)
        await writer.drain()
        return headers.get("connection") != "close"

    async def _websocket(self, reader, writer, headers):
        accept = base64.b64encode(hashlib.sha1(headers["sec-websocket-key"].encode() + _WEBSOCKET).digest())
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        while data := await reader.read(1024):
            writer.write(data)
        return False

    async def _events(self, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(1000):
            event = b"data: %d\n\n" % number
            writer.write(b"%x\r\n%s\r\n" % (len(event), event))
            await writer.drain()
            await asyncio.sleep(0.05)
        return False


class Haproxy:
    """HAProxy as the host runs it, with its files and sockets in ``folder``."""

    def __init__(self, folder):
        for name in ("apps", "maps", "good", "certs"):
            (folder / name).mkdir()
        self.port, self.https_port = free_port(), free_port()
        self.layout = Layout(
            config=str(folder / "haproxy.cfg"),
            folder=str(folder),
            admin_socket=str(folder / "admin.sock"),
            master_socket=str(folder / "master.sock"),
            http=("127.0.0.1:%d" % self.port,),
            https=("127.0.0.1:%d" % self.https_port,),
            user=None,
            chroot=None,
            keep_alive=2,
        )
        (folder / "haproxy.cfg").write_text(render_main(self.layout))
        (folder / "maps/domains.map").write_text(render_domains({}))
        (folder / "maps/challenges.map").write_text(render_challenges({}))
        (folder / "certs/default.pem").write_text(self_signed("hitless.invalid"))
        (folder / "certs/list").write_text("%s/certs/default.pem\n" % folder)
        self.log = folder / "log"
        self.process = None
        self.router = HaproxyRouter(self.layout)

    def start(self):
        words = ["haproxy", "-Ws", "-S", self.layout.master_socket, "-f", self.layout.config, "-f", self.layout.apps]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log)
        wait_until(self._answers, what="HAProxy's start")

    def _answers(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.get("/.hitless/health")[0] == 200
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def connect(self, text, timeout=10.0):
        """A connection on which ``text`` was sent."""
        link = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        link.sendall(text.encode("latin-1"))
        return link

    def secured(self, name, **options):
        """A TLS connection that asks for ``name``; whose certificate it gets is not looked at. ``options`` become attributes of its context."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(options.pop("alpn", ["http/1.1"]))
        context.set_ciphers(options.pop("ciphers", "DEFAULT"))
        for option, value in options.items():
            setattr(context, option, value)
        link = socket.create_connection(("127.0.0.1", self.https_port), timeout=10)
        try:
            return context.wrap_socket(link, server_hostname=name)
        except BaseException:
            link.close()
            raise

    def get_secured(self, path, name):
        """``(status, headers and body as text)`` of one request over TLS."""
        with self.secured(name) as link:
            link.sendall(("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (path, name)).encode("latin-1"))
            answer = b"".join(iter(lambda: link.recv(65536), b"")).decode("latin-1")
        return int(answer.split(" ", 2)[1]), answer

    def served(self, name):
        """The certificate that is served for ``name``, as PEM."""
        with self.secured(name) as link:
            return ssl.DER_cert_to_PEM_cert(link.getpeercert(binary_form=True))

    def get(self, path, host="shop.localhost", headers=""):
        """``(status, headers and body as text)`` of one request."""
        with self.connect("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n" % (path, host, headers)) as link:
            answer = b"".join(iter(lambda: link.recv(65536), b"")).decode("latin-1")
        return int(answer.split(" ", 2)[1]) if answer else 0, answer


@pytest.fixture
def haproxy(tmp_path):
    # A socket's path may not be longer than 107 characters.
    proxy = Haproxy(tmp_path)
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def apps():
    """``apps(version)`` starts a replica; all end with the test."""
    started = []

    def start(version):
        started.append(App(version))
        return started[-1]

    yield start
    for app in started:
        app.stop()


def lead(router, name, backend, **more):
    """Lead a name to a backend."""
    app, _dot, service = backend.partition(".")
    return router.change_domains([Domain(name, app, service=service, **more)])


def endpoint(app, deployment, n=1, name="shop"):
    """The Endpoint of a replica. ``deployment`` is a small number."""
    return Endpoint(name, "web", "%014d" % (20261121000000 + deployment), n, "127.0.0.1", app.port)
