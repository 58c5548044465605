# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the product on a server of its own, beside what it is compared to, and print tables. Nothing is left behind.

python tests/bench/run.py [switches] [near] [far] [small] [sources] [apps] [--runs 5] [--switches 20]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "wrapper"), str(ROOT / "tests"), str(ROOT / "build"), str(HERE)]

import source  # noqa: E402
from apps import first_and_again  # noqa: E402
from loadgen import Load  # noqa: E402

from hitless import _run  # noqa: E402

APP = f"bench-{os.getpid()}"
console = Console(width=None if sys.stdout.isatty() else 140)


@dataclass
class Run:
    """One run of the CLI: wall seconds, and its events with the moment at which each was received."""

    seconds: float
    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    @property
    def phases(self) -> dict[str, float]:
        """Seconds by phase, as the run itself says."""
        return {event["name"]: event["seconds"] for _at, event in self.events if event["event"] == "phase" and event["state"] == "done"}


class Bench:
    """An app in a folder of its own, and a server that the product made for it."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "app"
        self._count = 0
        self.targets: dict[str, Any] = {}
        self.environ = os.environ | {
            "XDG_STATE_HOME": str(home / "state"),
            "PYTHONPATH": os.pathsep.join([str(ROOT / "wrapper"), str(ROOT / "build")]),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build"),
        }
        self.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what pip installs is compiled
        shutil.copytree(HERE / "app", self.folder)
        self.configure()

    def configure(self, **more: Any) -> None:
        """Write the app's hitless.yml."""
        config = {"app": APP, "targets": {"prod": {"provider": "docker"}, **self.targets}, **more}
        (self.folder / "hitless.yml").write_text(json.dumps(config), encoding="utf-8")

    def change(self) -> None:
        """A change of one line."""
        self._count += 1
        (self.folder / "VERSION").write_text(f"{time.time():.6f}.{self._count}\n", encoding="utf-8")

    def hitless(self, *words: str) -> Run:
        """Run the CLI; ends the whole when it fails."""
        began = time.perf_counter()
        command = [sys.executable, "-m", "hitless", *words, "--json"]
        with subprocess.Popen(command, cwd=self.folder, env=self.environ, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            events = [(time.time(), json.loads(line)) for line in process.stdout]
        if process.returncode != 0:
            sys.exit(f"hitless {' '.join(words)} failed: {events[-1:]}")
        return Run(time.perf_counter() - began, events)

    def deploy(self, target: str = "prod") -> Run:
        """A warm deploy of a change of one line."""
        self.change()
        return self.hitless("deploy", "--target", target)

    @property
    def target(self) -> dict[str, Any]:
        """What ``create`` wrote about the server."""
        return json.loads((self.made / "target.json").read_text(encoding="utf-8"))

    @property
    def made(self) -> Path:
        """Where ``create`` wrote what it knows of the server."""
        return Path(self.environ["XDG_STATE_HOME"], "hitless", APP, "prod")

    def inside(self, *words: str, text: str = "") -> str:
        """Run a command in the server, past ssh."""
        command = ["docker", "exec", "-i", self.target["container"], *words]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout

    def page(self, port: int, path: str) -> str:
        """What the server answers itself on one of its ports."""
        return self.inside("python3", "-c", "import urllib.request as u; print(u.urlopen(%r).read().decode())" % f"http://127.0.0.1:{port}{path}").strip()

    def ansible(self) -> dict[str, str]:
        """The environment in which the product runs Ansible, with the same shared ssh connections."""
        return self.environ | _run.environment(self.environ, _run.control_dir(self.environ))


def timed(work: Callable[[], object]) -> float:
    """Wall seconds of ``work``."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def table(title: str, columns: list[str], rows: list[list[str]], caption: str = "") -> None:
    """Print a table; every column but the first holds numbers."""
    drawn = Table(title=title, title_justify="left", caption=caption or None, caption_justify="left")
    for index, column in enumerate(columns):
        drawn.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        drawn.add_row(*row)
    console.print(drawn)
    console.print()


def median(values: list[float]) -> float:
    """The median; 0 of nothing."""
    return statistics.median(values) if values else 0.0


def switches(bench: Bench, options: argparse.Namespace) -> None:
    """Failed requests through deploys and rollbacks."""
    load = Load(("127.0.0.1", bench.target["http_port"]), host="localhost", clients=200)
    with load.running(delay=0.02) as results:
        for index in range(options.switches):
            if index % 2:
                bench.hitless("rollback", "--target", "prod")
            else:
                bench.deploy()
    failures = ", ".join(f"{kind}: {count}" for kind, count in results.failures.items()) or "none"
    row = [str(options.switches), str(results.sent), str(results.failed), failures]
    row += [f"{results.percentile(percent) * 1000:.0f} ms" for percent in (50, 99, 100)]
    table(
        "Requests through switches",
        ["switches", "requests", "failed (goal 0)", "by kind", "p50", "p99", "max"],
        [row],
        f"Deploys and rollbacks in turn; 200 keep-alive clients, 20 ms one way; {len(results.versions)} versions served in {results.seconds:.0f} s.",
    )


# How a script by hand calls ssh: for each step with ssh's own defaults, or once over a connection that is open already.
_WAYS = {"steps": [], "once": ["-o", "ControlMaster=auto", "-o", "ControlPersist=60s"]}


def by_hand(bench: Bench, release: str, way: str, port: int) -> float:
    """Wall seconds of the script written by hand, over ssh on ``port``; ends the whole when the version that it deployed is not what is served."""
    state = bench.made
    ssh = ["ssh", "-p", str(port), "-i", str(state / "id_ed25519"), "-o", f"UserKnownHostsFile={bench.folder.parent / 'known_hosts'}"]
    ssh += [*_WAYS[way], "-o", "StrictHostKeyChecking=accept-new", "-o", "LogLevel=ERROR", "-o", f"ControlPath={bench.folder.parent}/%C"]
    words = [HERE / "by_hand.sh", way, bench.folder, release, *ssh, "root@127.0.0.1"]
    seconds = timed(lambda: subprocess.run(words, check=True, timeout=60))
    served, wanted = bench.page(_BY_HAND_PORT, "/"), (bench.folder / "VERSION").read_text(encoding="utf-8").strip()
    if served != wanted:
        sys.exit(f"the script by hand deployed {wanted}, and {served} is served")
    return seconds


_BY_HAND_PORT = 19100
_BACKEND = f"""
frontend by-hand
    bind 127.0.0.1:{_BY_HAND_PORT}
    default_backend by-hand-pool
backend by-hand-pool
    option httpchk GET /
    default-server check inter 100ms rise 1
    server a 127.0.0.1:19101 weight 0
    server b 127.0.0.1:19102 weight 0
"""


def prepare_by_hand(bench: Bench) -> None:
    """A frontend and a backend of its own, so that neither way of deploying meets the other's servers."""
    bench.inside(
        "sh", "-c", "mkdir -p /srv/by-hand/releases /srv/by-hand/source; cat > /etc/haproxy/hitless/apps/by-hand.cfg; systemctl reload haproxy", text=_BACKEND
    )


def near(bench: Bench, options: argparse.Namespace) -> None:
    """A warm deploy to a server as near as can be."""
    warm(bench, options, "prod", bench.target["port"], "on the same machine")


def far(bench: Bench, options: argparse.Namespace) -> None:
    """A warm deploy to a server behind a network."""
    with relayed(bench.target["port"]) as port:
        bench.targets = {"far": {"hosts": [f"root@127.0.0.1:{port}"], "key": str(bench.made / "id_ed25519"), "host_key_checking": False}}
        bench.configure()
        warm(bench, options, "far", port, "20 ms away, one way")
        bench.targets = {}
        bench.configure()


@contextlib.contextmanager
def relayed(port: int) -> Iterator[int]:
    """A port that leads to ``port``, each byte 20 ms later."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listening = probe.getsockname()[1]
    words = [sys.executable, ROOT / "tests" / "relay.py", "--listen", f"127.0.0.1:{listening}", "--to", f"127.0.0.1:{port}", "--delay", "0.02"]
    with subprocess.Popen(words) as relay:
        try:
            yield listening
        finally:
            relay.terminate()


def warm(bench: Bench, options: argparse.Namespace, target: str, port: int, where: str) -> None:
    """A warm deploy of a change of one line beside the script written by hand."""
    prepare_by_hand(bench)
    ours: list[float] = []
    theirs: dict[str, list[float]] = {way: [] for way in _WAYS}
    boots: list[float] = []
    phases: dict[str, list[float]] = defaultdict(list)
    for index in range(options.runs + 1):
        run = bench.deploy(target)
        boot = float(bench.page(80, "/boot"))
        hand = {way: by_hand(bench, f"{target}-{way}-{index}", way, port) - float(bench.page(_BY_HAND_PORT, "/boot")) for way in _WAYS}
        if index == 0:
            continue  # the first one of each opens the ssh connection
        ours.append(run.seconds - sum(run.phases.get(name, 0.0) for name in ("install", "build")) - boot)
        boots.append(boot)
        for way, seconds in hand.items():
            theirs[way].append(seconds)
        for name, seconds in run.phases.items():
            phases[name].append(seconds)
    told = sum(median(values) for values in phases.values())
    rows = [[name, f"{median(values):.2f} s", "", ""] for name, values in phases.items()]
    rows.append(["all else (Python, Ansible, ssh, what lies between)", f"{median(ours) + median(boots) - told:.2f} s", "", ""])
    rows.append(["all, without the app's boot", f"{median(ours):.2f} s", *(f"{median(values):.2f} s" for values in theirs.values())])
    rows.append(["hitless takes (goal 2.0 times)", "", *(f"{median(ours) / median(values):.1f} times" for values in theirs.values())])
    table(
        f"Warm deploy of a change of one line to a server {where}",
        ["phase", "hitless", "by hand: ssh for each step", "by hand: one call, connection open"],
        rows,
        f"Medians of {len(ours)} runs, in turn. The app's boot ({median(boots):.2f} s until it listens) is in health and left out of every sum.",
    )


def small(bench: Bench, options: argparse.Namespace) -> None:
    """What should take next to no time, and how much of Ansible a deploy needs."""
    bench.deploy()
    nothing, ping, helped, back = [], [], [], []
    folder = bench.folder
    ansible = [str(Path(sys.executable).parent / "ansible"), "-i", str(folder / "hitless.yml"), "all", "-m", "ping"]
    for index in range(options.runs + 1):
        seconds = [
            bench.hitless("deploy", "--target", "prod").seconds,
            timed(lambda: subprocess.run(ansible, cwd=folder, env=bench.ansible(), check=True, stdout=subprocess.DEVNULL)),
            timed(lambda: subprocess.run([sys.executable, "-m", "hitless", "--help"], env=bench.environ, check=True, stdout=subprocess.DEVNULL)),
        ]
        if index:
            for values, value in zip((nothing, ping, helped), seconds, strict=True):
                values.append(value)
    for _ in range(options.runs):
        run = bench.hitless("rollback", "--target", "prod")
        back.append((run.seconds, run.phases.get("start", 0.0) + run.phases.get("health", 0.0)))
    wall, boot = (median([pair[part] for pair in back]) for part in (0, 1))
    rows = [
        ["deploy with nothing to do", f"{median(nothing):.2f} s", ""],
        ["ansible -m ping", f"{median(ping):.2f} s", ""],
        ["  ratio", f"{median(nothing) / median(ping):.2f}", "1.5"],
        ["hitless --help", f"{median(helped) * 1000:.0f} ms", "150 ms"],
        ["rollback", f"{wall:.2f} s", ""],
        ["  without starting the app and waiting for its health", f"{wall - boot:.2f} s", "2 s"],
    ]
    rows += delays(bench) + tasks(bench)
    table("Small things", ["what", "measured", "goal"], rows, f"Medians of {options.runs} runs, in turn.")


def delays(bench: Bench) -> list[list[str]]:
    """From a line that the build prints to its event."""
    bench.configure(build={"build": "for i in $(seq 30); do date +%s.%N; sleep 0.1; done"})
    run = bench.deploy()
    bench.configure()
    found = [at - float(event["line"]) for at, event in run.events if event["event"] == "log" and event["line"].replace(".", "", 1).isdigit()]
    return [
        ["a line of the build until its event, median", f"{median(found):.2f} s", ""],
        ["  slowest of %d" % len(found), f"{max(found, default=0):.2f} s", "1 s"],
    ]


def tasks(bench: Bench) -> list[list[str]]:
    """What Ansible itself says that it ran on the host."""
    bench.change()
    command = [sys.executable, "-m", "hitless", "deploy", "--target", "prod", "--verbose"]
    done = subprocess.run(command, cwd=bench.folder, env=bench.environ | {"ANSIBLE_VERBOSITY": "3"}, check=True, capture_output=True, text=True)
    called = [line for line in (done.stdout + done.stderr).splitlines() if "SSH: EXEC" in line]
    modules = sum("/.library/" in line for line in called)
    return [
        ["runs of modules on the host in a warm deploy", str(modules), "about 6"],
        ["  other commands over ssh, beside the rsync", str(len(called) - modules), ""],
    ]


def sources(bench: Bench, options: argparse.Namespace) -> None:
    """What a source and the output of its build take."""
    table("Sources and builds", ["what", "measured", "goal"], source.rows(bench, options.runs), f"Medians of {options.runs} runs.")


def apps(bench: Bench, options: argparse.Namespace) -> None:
    """Real apps: what only a first deploy installs."""
    columns = ["deploy", "install (goal 0 after the first)", "build", "all"]
    table("Real apps", columns, first_and_again(bench), "One run each. All of a first deploy has the Debian packages in it that the server lacked.")


TABLES: dict[str, Callable[[Bench, argparse.Namespace], None]] = {
    "switches": switches,
    "near": near,
    "far": far,
    "small": small,
    "sources": sources,
    "apps": apps,
}


@contextlib.contextmanager
def bench_host() -> Iterator[Bench]:
    """The app deployed once to a server of its own, and all of it removed at the end."""
    home = Path(tempfile.mkdtemp(prefix="hitless-bench-"))
    try:
        bench = Bench(home)
        try:
            bench.hitless("up", "--target", "prod")
            yield bench
        finally:
            words = [sys.executable, "-m", "hitless", "destroy", "--target", "prod", "--yes"]
            subprocess.run(words, cwd=bench.folder, env=bench.environ, check=False, stdout=subprocess.DEVNULL)
    finally:
        shutil.rmtree(home)


def main() -> None:
    """Make a server, print the tables asked for, remove the server."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("tables", nargs="*", metavar="table", help=f"{', '.join(TABLES)}; all by default")
    parser.add_argument("--runs", type=int, default=5, help="runs of which the median is taken")
    parser.add_argument("--switches", type=int, default=20, help="deploys and rollbacks under load")
    options = parser.parse_args()
    if unknown := set(options.tables) - set(TABLES):
        parser.error(f"no such table: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it too removes the server
    with bench_host() as bench:
        for name in options.tables or TABLES:
            TABLES[name](bench, options)


if __name__ == "__main__":
    main()
