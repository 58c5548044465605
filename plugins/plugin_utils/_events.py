# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The events of a run as types; the schema beside this file says the same to other languages."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

SCHEMA = Path(__file__).parent / "schema" / "event.schema.json"
VERSION = 1
LAST = ("deployed", "failed", "deploying")


class Event(TypedDict):
    """What every event has."""

    v: int
    seq: int
    time: str
    event: str
    target: str | None
    app: str | None
    deployment: str | None
    host: str | None


# "from" is no name in Python, hence the call.
Status = TypedDict("Status", {"event": Literal["status"], "from": str | None, "to": str})
Switch = TypedDict("Switch", {"event": Literal["switch"], "from": list[str], "to": list[str], "service": str | None})


class Phase(TypedDict):
    event: Literal["phase"]
    name: str
    state: Literal["running", "done", "failed", "skipped"]
    seconds: float


class Log(TypedDict):
    event: Literal["log"]
    stream: str
    line: str


class Health(TypedDict):
    event: Literal["health"]
    endpoint: str
    result: Literal["pass", "fail"]
    detail: str | None


class Drain(TypedDict):
    event: Literal["drain"]
    endpoint: str
    in_flight: int


class Warning(TypedDict):
    event: Literal["warning"]
    message: str
    hint: str | None


class Info(TypedDict):
    event: Literal["info"]
    what: str
    data: dict[str, Any]


class Requests(TypedDict):
    sent: int
    failed: int
    held: int
    cut: int


class Deployed(TypedDict):
    event: Literal["deployed"]
    status: str | None
    url: str | None
    urls: list[str]
    preview_url: str | None
    release: str | None
    seconds: float
    requests: Requests
    changed: bool


class Failed(TypedDict):
    event: Literal["failed"]
    phase: str | None
    reason: str
    hint: str | None
    rolled_back: bool
    log_tail: list[str]
    exit: int


class Deploying(TypedDict):
    event: Literal["deploying"]
    pid: int


Body = Status | Phase | Log | Health | Switch | Drain | Warning | Info | Deployed | Failed | Deploying

_COMMON = tuple(Event.__annotations__)
_EMPTY: dict[str, dict[str, Any]] = {
    "status": {"from": None, "to": "PENDING"},
    "phase": {"name": "", "state": "running", "seconds": 0.0},
    "log": {"stream": "", "line": ""},
    "health": {"endpoint": "", "result": "fail", "detail": None},
    "switch": {"from": [], "to": [], "service": None},
    "drain": {"endpoint": "", "in_flight": 0},
    "warning": {"message": "", "hint": None},
    "info": {"what": "", "data": {}},
    "deployed": {
        "status": None,
        "url": None,
        "urls": [],
        "preview_url": None,
        "release": None,
        "seconds": 0.0,
        "requests": {"sent": 0, "failed": 0, "held": 0, "cut": 0},
        "changed": True,
    },
    "failed": {"phase": None, "reason": "", "hint": None, "rolled_back": False, "log_tail": [], "exit": 1},
    "deploying": {"pid": 1},
}
KINDS = tuple(_EMPTY)


def now() -> str:
    """The time in UTC as ISO 8601 with milliseconds and Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse(raw: Mapping[str, Any]) -> Body:
    """The fields of an event's kind, with defaults for those that are missing and without those that it does not have.

    Raises:
        ValueError: there is no such kind.
    """
    kind = raw.get("event")
    if kind not in _EMPTY:
        raise ValueError(f"there is no event {kind!r}")
    empty = _EMPTY[kind]
    body = {"event": kind, **{name: default if raw.get(name) is None else raw[name] for name, default in empty.items()}}
    if kind == "deployed":
        body["requests"] = {name: int(body["requests"].get(name) or 0) for name in empty["requests"]}
    return cast(Body, body)


@functools.cache
def schema() -> dict[str, Any]:
    """The JSON Schema of one event."""
    value: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return value
