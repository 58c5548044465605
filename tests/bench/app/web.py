"""A web process that boots fast and says how long it took: / answers the version, /boot the seconds from its start until it listened."""

import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

VERSION = (Path(__file__).parent / "VERSION").read_text(encoding="utf-8").strip()


def since_start():
    """Seconds since the kernel started this process."""
    began = int(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began


class Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing the server waits for what is in flight
    request_queue_size = 512


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{self.server.boot if self.path == '/boot' else VERSION}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words):
        """Nothing: a line a request would be measured too."""


def main():
    server = Server((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Handler)
    server.boot = since_start()
    # shutdown() waits for serve_forever(), so it cannot run in the thread that the signal interrupts.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.05)
    server.server_close()


if __name__ == "__main__":
    main()
