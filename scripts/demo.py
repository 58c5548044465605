#!/usr/bin/env python3
# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole product in one go: a server, a first version, a second one under load, a broken third one, and back to the first.

Every command is one that a person would type; what they print is left as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from loadgen import Load, Results  # noqa: E402

FOLDER = ROOT / "build" / "demo"
APP = FOLDER / "hello-flask"
CLIENTS = 50
ENVIRONMENT = {**os.environ, "XDG_STATE_HOME": str(FOLDER / "state")}
BROKEN = 'raise RuntimeError("version 3 does not start")\n'

console = Console(highlight=False)


def hitless(*words: str, expected: int = 0) -> None:
    """Run one command in the app's folder, in full view."""
    console.print(f"\n[bold cyan]$ hitless {' '.join(words)}[/]")
    done = subprocess.run([sys.executable, "-m", "hitless", *words], cwd=APP, env=ENVIRONMENT, check=False)
    if done.returncode != expected:
        sys.exit(f"hitless {' '.join(words)} ended with {done.returncode}, and {expected} was expected; make demo-clean removes what is there")


def asked(*words: str) -> dict[str, Any]:
    """The answer of a command that reads, from its JSON."""
    done = subprocess.run([sys.executable, "-m", "hitless", *words, "--json"], cwd=APP, env=ENVIRONMENT, check=True, capture_output=True, text=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    answer: dict[str, Any] = next(event["data"] for event in events if event["event"] == "info")
    return answer


def git(*words: str) -> None:
    """Run git in the app's folder, which is a repository of its own."""
    person = ("-c", "user.name=Demo", "-c", "user.email=demo@example.com")
    subprocess.run(["git", *person, *words], cwd=APP, check=True, capture_output=True)


def write(version: str, code: str | None = None) -> None:
    """Make the app's source be ``version``, and commit it."""
    shutil.copytree(ROOT / "examples" / "hello-flask", APP, dirs_exist_ok=True)
    (APP / "VERSION").write_text(version + "\n")
    if code:
        (APP / "app.py").write_text((APP / "app.py").read_text() + code)
    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message", f"Version {version}")


def served(url: str) -> str:
    """The version that answers."""
    with urllib.request.urlopen(url + "/version", timeout=10) as answer:
        return str(answer.read().decode().strip())


@contextmanager
def load(url: str) -> Iterator[Results]:
    """Keep-alive clients that ask again and again while the block runs."""
    host, _, port = url.removeprefix("http://").partition(":")
    with Load((host, int(port or 80)), host, clients=CLIENTS, path="/version", pause=0.05).running() as results:
        yield results


def expect(what: str, found: object, wanted: object) -> None:
    """End the demo when it did not show what it claims."""
    if found != wanted:
        sys.exit(f"{what}: {wanted!r} was expected and {found!r} was found")


def phases_table(records: list[dict[str, Any]], loads: dict[str, Results]) -> Table:
    """Each deployment with its phases, seconds, and the requests that its clients sent and lost."""
    table = Table(title="The deployments", title_justify="left", caption_justify="left")
    for name, justify in (("deployment", "left"), ("kind", "left"), ("status", "left"), ("phases (seconds)", "left"), ("sent", "right"), ("failed", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for record in records:
        phases = ", ".join(f"{phase['name']} {phase['seconds']:.2f}" for phase in record["phases"] if phase["seconds"] >= 0.005)
        seen = loads.get(record["id"])
        sent, failed = (str(seen.sent), str(seen.failed)) if seen else ("-", "-")
        table.add_row(record["id"], record["kind"], record["status"], phases, sent, failed)
    return table


def demo() -> None:
    """The whole story."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    APP.mkdir(exist_ok=True)
    write("1")
    hitless("create")
    hitless("configure")
    hitless("deploy")
    url = str(asked("status")["current"]["urls"][0])
    expect("the version served", served(url), "1")
    loads: dict[str, Results] = {}

    def under_load(*words: str, expected: int = 0) -> None:
        with load(url) as results:
            hitless(*words, expected=expected)
        loads[asked("events")["deployments"][0]["id"]] = results
        console.print(f"{CLIENTS} keep-alive clients meanwhile: {results.sent} requests, {results.failed} failed, answers by version {dict(results.versions)}")

    write("2")
    under_load("deploy")
    expect("the version served", served(url), "2")
    write("3", BROKEN)
    under_load("deploy", expected=1)
    expect("the version served", served(url), "2")
    write("1")
    under_load("rollback")
    expect("the version served", served(url), "1")

    shown = asked("events")["deployments"][:4]
    console.print()
    console.print(phases_table(shown[::-1], loads))
    expect("failed requests", sum(results.failed for results in loads.values()), 0)
    console.print(f"\n{url} still answers: version {served(url)}. make demo-clean removes all of it.")


def clean() -> None:
    """Remove the server and the demo's folder."""
    if APP.exists():
        hitless("destroy", "--yes")
        shutil.rmtree(FOLDER)
    console.print("The demo is gone.")


def main() -> None:
    """Run the demo, or clean up after it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clean", action="store_true", help="remove all that the demo made")
    if parser.parse_args().clean:
        clean()
    else:
        demo()


if __name__ == "__main__":
    main()
