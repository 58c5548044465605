# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A load of keep-alive clients that keeps count of everything that a user would notice.

python tests/loadgen.py --to 127.0.0.1:80 --host shop.localhost --clients 200 --seconds 10 --delay 0.02
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

try:
    from relay import Relay, address
except ImportError:
    from .relay import Relay, address

FAILING = frozenset(range(500, 600)) | {404, 421}


@dataclass
class Results:
    """What the clients saw. A request counts as failed once it was sent and no whole answer came, or a 404, 421 or 5xx did.

    ``failures``: by kind: ``connect`` (refused), ``closed`` (no byte of an answer), ``truncated``, ``timeout``, ``status 503``, ...
    ``versions``: answers by the version served; ``timeline``: ``(seconds, version)`` whenever an answer's version differed from the one before.
    ``reconnects``: connections that were closed between requests, which fails nothing.
    """

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    timeline: list[tuple[float, str]] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    reconnects: int = 0
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """How many requests failed, of every kind."""
        return sum(self.failures.values())

    def percentile(self, percent: float) -> float:
        """The latency in seconds that ``percent`` of the answers stayed below."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0

    def as_dict(self) -> dict[str, object]:
        """All of it as JSON-able values."""
        return {
            "sent": self.sent,
            "failed": self.failed,
            "failures": dict(self.failures),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "versions": dict(self.versions),
            "timeline": [[round(at, 3), version] for at, version in self.timeline],
            "reconnects": self.reconnects,
            "seconds": round(self.seconds, 3),
            "latency_ms": {"p%g" % percent: round(self.percentile(percent) * 1000, 2) for percent in (50, 95, 99, 100)},
        }


class _Closed(Exception):
    """The connection ended before a whole answer; the argument is the kind of failure."""


class Load:
    """``clients`` keep-alive connections to ``to``, each asking for ``path`` again ``pause`` seconds after an answer.

    The version served is the header X-Version, or else the body's first line.
    """

    def __init__(
        self,
        to: tuple[str, int],
        host: str,
        clients: int = 20,
        path: str = "/",
        method: str = "GET",
        body: bytes = b"",
        pause: float = 0.01,
        timeout: float = 30.0,
    ) -> None:
        self._to = to
        self._clients = clients
        self._pause = pause
        self._timeout = timeout
        length = "Content-Length: %d\r\n" % len(body) if body or method not in ("GET", "HEAD") else ""
        self._request = ("%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (method, path, host, length)).encode() + body
        self._bodiless = method == "HEAD"
        self._stop = asyncio.Event()
        self._began = 0.0
        self.results = Results()

    async def run(self, seconds: float | None = None) -> Results:
        """Load until ``seconds`` have passed or ``stop`` is called; requests on their way are finished."""
        self._began = time.monotonic()
        clients = [asyncio.create_task(self._client(index)) for index in range(self._clients)]
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, self._stop.set)
        await asyncio.gather(*clients)
        self.results.seconds = time.monotonic() - self._began
        return self.results

    def stop(self) -> None:
        """Let every client finish its request and end."""
        self._stop.set()

    @contextlib.contextmanager
    def running(self, delay: float | None = None) -> Iterator[Results]:
        """Load from a thread for as long as the ``with`` block lasts, through a relay when ``delay`` is given."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._in_thread, args=(loop, delay), daemon=True)
        thread.start()
        try:
            yield self.results
        finally:
            loop.call_soon_threadsafe(self._stop.set)
            thread.join(self._timeout + 10)
            assert not thread.is_alive(), "the load did not end"

    def _in_thread(self, loop: asyncio.AbstractEventLoop, delay: float | None) -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(self.run_relayed(delay))
        loop.close()

    async def run_relayed(self, delay: float | None, seconds: float | None = None) -> Results:
        """``run``, through a relay with ``delay`` seconds one way unless that is None."""
        if delay is None:
            return await self.run(seconds)
        async with Relay(self._to, delay) as relay:
            self._to = ("127.0.0.1", relay.port)
            return await self.run(seconds)

    async def _client(self, index: int) -> None:
        await asyncio.sleep(self._pause * index / max(1, self._clients))
        link: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self._stop.is_set():
            if link is not None and (link[0].at_eof() or link[1].is_closing()):
                link[1].close()
                link = None
                self.results.reconnects += 1
            link = await self._ask(link)
            await asyncio.sleep(self._pause)
        if link is not None:
            link[1].close()

    async def _ask(self, link: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """One request and its answer. Returns the connection when it may be used again."""
        began = time.monotonic()
        self.results.sent += 1
        try:
            if link is None:
                link = await asyncio.wait_for(asyncio.open_connection(*self._to), self._timeout)
        except (OSError, TimeoutError):
            self.results.failures["connect"] += 1
            return None
        try:
            link[1].write(self._request)
            keep = await asyncio.wait_for(self._answer(link[0]), self._timeout)
        except _Closed as error:
            self.results.failures[str(error)] += 1
        except TimeoutError:
            self.results.failures["timeout"] += 1
        except ConnectionError:
            self.results.failures["closed"] += 1
        else:
            self.results.latencies.append(time.monotonic() - began)
            if keep:
                return link
        link[1].close()
        return None

    async def _answer(self, reader: asyncio.StreamReader) -> bool:
        """Read one answer and count it. Returns whether the connection stays open."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise _Closed("truncated" if error.partial else "closed") from error
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split()[1])
        headers = {name.strip().lower(): value.strip() for name, _colon, value in (line.partition(":") for line in lines if line)}
        try:
            body = await self._body(reader, status, headers)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise _Closed("truncated") from error
        self._count(status, headers.get("x-version") or body.split(b"\n", 1)[0].decode("utf-8", "replace")[:64])
        return headers.get("connection", "").lower() != "close"

    async def _body(self, reader: asyncio.StreamReader, status: int, headers: dict[str, str]) -> bytes:
        if self._bodiless or status in (204, 304):
            return b""
        if "chunked" in headers.get("transfer-encoding", ""):
            return await self._chunks(reader)
        if "content-length" in headers:
            return await reader.readexactly(int(headers["content-length"]))
        return await reader.read()

    @staticmethod
    async def _chunks(reader: asyncio.StreamReader) -> bytes:
        body = b""
        while True:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            piece = await reader.readexactly(size + 2)
            if not size:
                return body
            body += piece[:-2]

    def _count(self, status: int, version: str) -> None:
        self.results.statuses[status] += 1
        if status in FAILING:
            self.results.failures["status %d" % status] += 1
            return
        self.results.versions[version] += 1
        if not self.results.timeline or self.results.timeline[-1][1] != version:
            self.results.timeline.append((time.monotonic() - self._began, version))


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=address, required=True, help="host:port")
    parser.add_argument("--host", required=True, help="the Host header")
    parser.add_argument("--path", default="/")
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--pause", type=float, default=0.01)
    parser.add_argument("--delay", type=float, help="go through a relay with this one-way delay in seconds")
    options = parser.parse_args()

    async def go() -> Results:
        load = Load(options.to, options.host, options.clients, options.path, pause=options.pause)
        return await load.run_relayed(options.delay, options.seconds)

    print(json.dumps(asyncio.run(go()).as_dict(), indent=2))


if __name__ == "__main__":
    _main()
