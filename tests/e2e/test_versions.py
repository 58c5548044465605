# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One deploy by the command and one by ansible-playbook: the same bytes are served and the same events are told. Run with every supported ansible-core."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
from conftest import SCHEMA, App

# How often these come depends on how fast the app starts.
REPEATED = ("health", "drain", "log")


def told(events: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What two deploys have in common: no names, times, ids and ports."""
    return [tuple(event.get(key) for key in ("event", "name", "state", "from", "to", "status", "changed")[: 7 if event["event"] != "switch" else 1])
            for event in events if event["event"] not in REPEATED]  # fmt: skip


def play(app: App, playbook: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit status and the events of ansible-playbook with the callback."""
    events = app.folder.parent / f"{app.name}.events"
    environment = {
        **os.environ, "ANSIBLE_CALLBACKS_ENABLED": "hitless.paas.events", "HITLESS_EVENTS_FILE": str(events), "XDG_STATE_HOME": str(app.state),
        "ANSIBLE_INVENTORY_ENABLED": "hitless.paas.hitless",
    }  # fmt: skip
    words = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "hitless.yml", f"hitless.paas.{playbook}"]
    done = subprocess.run(words, cwd=app.folder, env=environment, capture_output=True, text=True, check=False)
    found = [json.loads(line) for line in events.read_text().splitlines()]
    for event in found:
        jsonschema.validate(event, SCHEMA)
    return done.returncode, found


def test_a_plain_playbook_tells_the_same_as_the_command(new_app: Callable[[], App]) -> None:
    by_command, by_playbook = new_app(), new_app()
    for app in (by_command, by_playbook):
        app.write("1")
    code, commanded = by_command.hitless("deploy")
    assert code == 0, commanded[-1]
    code, played = play(by_playbook, "deploy")
    assert code == 0, played[-1]
    assert told(played) == told(commanded)
    assert by_command.get() == by_playbook.get() == (200, "1")


def test_a_failure_is_told_the_same_way_too(new_app: Callable[[], App]) -> None:
    by_command, by_playbook = new_app(), new_app()
    for app in (by_command, by_playbook):
        app.write("1", services={"web": {"command": "exit 3", "health": {"deadline": "10s"}}})
    code, commanded = by_command.hitless("deploy")
    assert code == 1
    code, played = play(by_playbook, "deploy")
    assert code == 2
    assert told(played) == told(commanded)
    assert (played[-1]["phase"], played[-1]["exit"]) == ("health", 1)
    assert by_command.units() == by_playbook.units() == []
