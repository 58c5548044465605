# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A relay that stands between clients and a server and delays every byte, as a network does.

python tests/relay.py --listen 127.0.0.1:8080 --to 127.0.0.1:80 --delay 0.02
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib


class Relay:
    """Forwards TCP connections with a one-way delay in seconds; order and half-closes are kept.

    ``port`` is the port that it listens on once it has started.
    """

    def __init__(self, to: tuple[str, int], delay: float = 0.02, listen: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self._to = to
        self._delay = delay
        self._listen = listen
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self.port = listen[1]

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._accept, *self._listen, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for link in list(self._links):
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        try:
            await self._connect(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            self._links.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self._delay)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._to)
        except OSError:
            writer.transport.abort()
            return
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            writer.close()
            far_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read as it comes and write each piece ``delay`` later, whatever has come since."""
        pieces: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue(maxsize=256)
        feeder = asyncio.create_task(self._read(reader, pieces))
        loop = asyncio.get_running_loop()
        try:
            while True:
                due, data = await pieces.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                if data is None:
                    writer.transport.abort()
                    return
                if not data:
                    with contextlib.suppress(OSError, RuntimeError):
                        writer.write_eof()
                    return
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            feeder.cancel()

    async def _read(self, reader: asyncio.StreamReader, pieces: asyncio.Queue[tuple[float, bytes | None]]) -> None:
        loop = asyncio.get_running_loop()
        data: bytes | None = b"-"
        while data:
            try:
                data = await reader.read(65536)
            except ConnectionError:
                data = None
            await pieces.put((loop.time() + self._delay, data))


def address(text: str) -> tuple[str, int]:
    """``host:port`` as a pair."""
    host, _colon, port = text.rpartition(":")
    return host, int(port)


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", type=address, required=True)
    parser.add_argument("--to", type=address, required=True)
    parser.add_argument("--delay", type=float, default=0.02, help="seconds, one way")
    options = parser.parse_args()
    async with Relay(options.to, options.delay, options.listen):
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
