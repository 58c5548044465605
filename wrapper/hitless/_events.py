# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events as typed, immutable objects. The JSON of an event is its ``as_dict()``, unchanged from what the run said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from hitless._errors import HitlessError


@dataclass(frozen=True, kw_only=True)
class Event:
    """What every event has. A kind that this version does not know stays an ``Event``.

    Attributes:
        v: version of the schema.
        seq: 1 for the first event of a run, then one more each.
        time: UTC, ISO 8601 with Z.
        event: the kind: ``phase``, ``log``, ``deployed``, ...
        target, app, deployment, host: what it is about; None where it is about none.
    """

    v: int = 1
    seq: int = 0
    time: str = ""
    event: str = ""
    target: str | None = None
    app: str | None = None
    deployment: str | None = None
    host: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """The event as it goes into JSON."""
        return dict(self.raw)


@dataclass(frozen=True, kw_only=True)
class Status(Event):
    """The deployment's status changed."""

    from_: str | None = None
    to: str = ""


@dataclass(frozen=True, kw_only=True)
class Phase(Event):
    """A phase is ``running``, ``done``, ``failed`` or ``skipped``."""

    name: str = ""
    state: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Log(Event):
    """One line that a build or a hook printed."""

    stream: str = ""
    line: str = ""


@dataclass(frozen=True, kw_only=True)
class Health(Event):
    """One health check: ``pass`` or ``fail``."""

    endpoint: str = ""
    result: str = ""
    detail: str | None = None


@dataclass(frozen=True, kw_only=True)
class Switch(Event):
    """New requests go to other endpoints."""

    from_: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    service: str | None = None


@dataclass(frozen=True, kw_only=True)
class Drain(Event):
    """Requests still in flight on an old endpoint."""

    endpoint: str = ""
    in_flight: int = 0


@dataclass(frozen=True, kw_only=True)
class Warning(Event):
    """Something to look at that did not stop the run."""

    message: str = ""
    hint: str | None = None


@dataclass(frozen=True, kw_only=True)
class Info(Event):
    """What ``status``, ``ps``, ``events``, ``logs`` and ``plan`` found out; docs/cli.md says what ``data`` holds."""

    what: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Deployed(Event):
    """Last event of a run that succeeded.

    Attributes:
        changed: False when everything already was as asked.
        requests: sent, failed, held and cut during the switch, as the router counted them.
        urls: every address at which the app answers, over all hosts.
    """

    status: str = ""
    url: str | None = None
    preview_url: str | None = None
    release: str | None = None
    seconds: float = 0.0
    requests: Mapping[str, int] = field(default_factory=dict)
    changed: bool = True
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """Last event of a run that failed.

    Attributes:
        rolled_back: True when what served before still serves.
        exit: the exit code of the CLI.
    """

    phase: str | None = None
    reason: str = ""
    hint: str | None = None
    rolled_back: bool = False
    log_tail: tuple[str, ...] = ()
    exit: int = 1


@dataclass(frozen=True, kw_only=True)
class Deploying(Event):
    """Last event of a run that goes on in the background, as process ``pid``."""

    pid: int = 0


KINDS: dict[str, type[Event]] = {
    "status": Status,
    "phase": Phase,
    "log": Log,
    "health": Health,
    "switch": Switch,
    "drain": Drain,
    "warning": Warning,
    "info": Info,
    "deployed": Deployed,
    "failed": Failed,
    "deploying": Deploying,
}
LAST = (Deployed, Failed, Deploying)


def now() -> str:
    """The time in UTC as ISO 8601 with milliseconds and Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def make(event: str, target: str | None = None, app: str | None = None, **body: Any) -> Event:
    """An event of this side: for what happens before a run, or without one."""
    return parse({"v": 1, "seq": 1, "time": now(), "event": event, "target": target, "app": app, "deployment": None, "host": None, **body})


def finished(target: str | None, app: str | None, status: str) -> Event:
    """The last event of what succeeded without a run."""
    requests = {"sent": 0, "failed": 0, "held": 0, "cut": 0}
    return make("deployed", target, app, status=status, url=None, urls=[], preview_url=None, release=None, seconds=0.0, requests=requests, changed=True)


def failure(error: HitlessError, target: str | None = None, app: str | None = None) -> Event:
    """The only event of a run that could not begin."""
    body: dict[str, Any] = {"phase": None, "reason": str(error), "hint": error.hint, "rolled_back": False, "log_tail": [], "exit": error.exit}
    return make("failed", target, app, **body)


def parse(raw: Mapping[str, Any]) -> Event:
    """The typed event of one JSON object; keys that its kind does not know stay in ``raw``."""
    kind = KINDS.get(str(raw.get("event")), Event)
    known = {one.name for one in fields(kind)} - {"raw"}
    values: dict[str, Any] = {"from_" if key == "from" else key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
    return kind(raw=dict(raw), **{key: value for key, value in values.items() if key in known and value is not None})
