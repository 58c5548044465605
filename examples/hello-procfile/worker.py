"""A worker: no port, a line a minute, ends at once on SIGTERM."""

import signal
import threading
from pathlib import Path

VERSION = (Path(__file__).parent / "VERSION").read_text(encoding="utf-8").strip()


def main():
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print(f"worker {VERSION} started", flush=True)
    while not stop.wait(60):
        print(f"worker {VERSION} is at work", flush=True)
    print(f"worker {VERSION} stopped", flush=True)


if __name__ == "__main__":
    main()
