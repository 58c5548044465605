# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long it takes to know a source, to move it, and to show what a build prints."""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.hitless.paas.plugins.plugin_utils._planning import answer_of
from ansible_collections.hitless.paas.plugins.plugin_utils._source import inspect

_MB = 1024**2
_LINES = 10_000
_SECONDS = 5
# Prints lines that say when they were printed, a hundred every hundredth of a second.
_TALK = f"""import sys, time
began = time.time()
for batch in range({_LINES * _SECONDS // 100}):
    time.sleep(max(0, began + batch / 100 - time.time()))
    sys.stdout.write("".join("%d %.3f\\n" % (batch * 100 + line, time.time()) for line in range(100)))
    sys.stdout.flush()
"""


def rows(bench: Any, runs: int) -> list[list[str]]:
    """The table: what, measured, goal.

    Args:
        bench: a ``Bench`` of run.py with its app deployed.
        runs: of how many the median is taken.
    """
    with tempfile.TemporaryDirectory(prefix="hitless-bench-source-") as folder:
        return _plan(Path(folder), runs) + _large(bench, runs) + _talk(bench)


def _plan(folder: Path, runs: int) -> list[list[str]]:
    (folder / "package.json").write_text('{"scripts": {"start": "node server.js"}}')
    (folder / "server.js").write_text("require('http')\n")
    for number in range(9_998):
        path = folder / f"src/part{number // 100}/file{number}.js"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"module.exports = {number}\n")
    settings = {"app": "bench", "source": str(folder), "runtime": "systemd", "build": {"builder": "auto"}, "services": {}}
    seconds = _median(lambda: answer_of(settings, {}), runs)
    return [["plan of a tree of 10,000 files", f"{seconds:.2f} s", "0.5 s"]]


def _large(bench: Any, runs: int) -> list[list[str]]:
    """A source of 200 MB, its digest, and what moves when one line of it changes."""
    data = bench.folder / "data"
    data.mkdir()
    for number in range(400):
        (data / f"{number}.bin").write_bytes(os.urandom(_MB // 2))
    first = bench.deploy()
    cold = _cold(bench.folder)
    warm = _median(lambda: inspect(bench.folder), runs)
    uploads = [_upload(bench.deploy()) for _ in range(runs)]
    for path in data.iterdir():
        path.unlink()
    data.rmdir()
    return [
        ["digest of a tree of 200 MB, warm", f"{warm:.2f} s", "1 s"],
        ["  without the digests of its files that are kept", f"{cold:.2f} s", ""],
        ["upload of a change of one line in a tree of 200 MB", f"{statistics.median(uploads):.2f} s", "2 s"],
        ["  the first upload of it", f"{_upload(first):.2f} s", ""],
    ]


def _talk(bench: Any) -> list[list[str]]:
    bench.configure(build={"build": "echo quiet"})
    bench.deploy()
    quiet = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    bench.configure(build={"build": "exec python3 talk.py"})
    (bench.folder / "talk.py").write_text(_TALK)
    run = bench.deploy()
    loud = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    bench.configure()
    (bench.folder / "talk.py").unlink()
    seen = [(at, event["line"].split()) for at, event in run.events if event["event"] == "log" and event["stream"] == "build"]
    delays = sorted(at - float(words[1]) for at, words in seen)
    in_order = [int(words[0]) for _at, words in seen] == list(range(_LINES * _SECONDS))
    return [
        [f"{_LINES:,} lines a second for {_SECONDS} s: lines shown, in order", f"{len(seen):,}, {'yes' if in_order else 'no'}", f"{_LINES * _SECONDS:,}, yes"],
        ["  delay from line to event, median", f"{statistics.median(delays):.2f} s", "1 s"],
        ["  slowest of all", f"{delays[-1]:.2f} s", ""],
        ["  memory of the largest process, over a quiet build", f"{(loud - quiet) / 1024:+.0f} MB", "+0 MB"],
    ]


def _upload(run: Any) -> float:
    """Seconds of the upload of a run."""
    return float(run.phases["upload"])


def _cold(folder: Path) -> float:
    """Seconds of a digest that nothing is known for."""
    kept = os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        try:
            return _timed(lambda: inspect(folder))
        finally:
            os.environ.pop("XDG_CACHE_HOME")
            if kept:
                os.environ["XDG_CACHE_HOME"] = kept


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _median(work: Callable[[], object], runs: int) -> float:
    """Median of the seconds of ``work``, after one that warms up."""
    work()
    return statistics.median(_timed(work) for _ in range(runs))
