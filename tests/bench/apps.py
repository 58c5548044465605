# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a first deploy of real apps takes, and one after a change of their code alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
# The example, and the file that a change of its code changes.
APPS = {"hello-django": "VERSION", "hello-nextjs": "VERSION"}
PHASES = ("install", "build")


def first_and_again(bench: Any) -> list[list[str]]:
    """Rows of the table: each app deployed to the bench's server, then changed and deployed again.

    Args:
        bench: the ``Bench`` of run.py: ``target``, ``made`` (where the server's key is), ``folder`` and ``environ``.
    """
    rows = []
    for name, code in APPS.items():
        folder = _folder(bench, name)
        rows.append([f"{name}, first deploy", *_deploy(bench, folder)])
        (folder / code).write_text("2\n", encoding="utf-8")
        rows.append(["  a change of its code", *_deploy(bench, folder)])
    return rows


def _folder(bench: Any, name: str) -> Path:
    """A copy of the example that is deployed to the bench's server."""
    folder = Path(bench.folder).parent / name
    shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("node_modules", ".next"))
    given = folder / "hitless.yml"
    settings = yaml.safe_load(given.read_text(encoding="utf-8")) if given.exists() else {}
    address = f"{bench.target['user']}@{bench.target['host']}:{bench.target['port']}"
    target = {"hosts": [address], "key": str(bench.made / "id_ed25519"), "host_key_checking": False}
    settings.update(app=name, domains=[f"{name}.test"], targets={"prod": target})
    given.write_text(json.dumps(settings), encoding="utf-8")
    return folder


def _deploy(bench: Any, folder: Path) -> list[str]:
    """Seconds of install, build and the whole of one deploy; ends the bench when it fails."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "hitless", "deploy", "--json"], cwd=folder, env=bench.environ, capture_output=True, text=True, check=False)
    whole = time.perf_counter() - began
    events = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode:
        sys.exit(f"hitless deploy of {folder.name} failed: {events[-1:]}")
    ended = {event["name"]: event["seconds"] for event in events if event["event"] == "phase" and event["state"] in ("done", "skipped")}
    return [f"{seconds:.2f} s" for seconds in (*(ended.get(phase, 0.0) for phase in PHASES), whole)]
