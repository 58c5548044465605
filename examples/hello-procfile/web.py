"""A web process from the standard library alone."""

import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

VERSION = (Path(__file__).parent / "VERSION").read_text(encoding="utf-8").strip()


class Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing the server waits for what is in flight


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlsplit(self.path)
        pages = {"/": self.index, "/version": lambda query: f"{VERSION}\n", "/healthz": lambda query: "ok\n", "/slow": self.slow}
        page = pages.get(url.path)
        body = (page(parse_qs(url.query)) if page else "not found\n").encode()
        self.send_response(200 if page else 404)
        self.send_header("Content-Type", "application/json" if body.startswith(b"{") else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def index(self, query):
        return json.dumps({"app": "hello-procfile", "version": VERSION, "pid": os.getpid()})

    def slow(self, query):
        ms = min(max(int(query.get("ms", ["1000"])[0]), 0), 60000)
        time.sleep(ms / 1000)
        return json.dumps({"version": VERSION, "ms": ms})


def main():
    server = Server((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Handler)
    # shutdown() waits for serve_forever(), so it cannot run in the thread that the signal interrupts.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
    server.server_close()


if __name__ == "__main__":
    main()
