# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person sees of a run: a picture made of events. Pure: events in, rows of text out; colours are names of styles."""

from __future__ import annotations

import re
import textwrap
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hitless._errors import EXIT_INTERRUPTED
from hitless._events import Deployed, Deploying, Drain, Event, Failed, Health, Log, Phase, Switch, Warning

LOG_LINES = 8
_TAIL_LINES = 15
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_MARKS = {"done": ("✓", "green"), "failed": ("✗", "red"), "skipped": ("–", "dim"), "warning": ("!", "yellow")}
_ASCII = str.maketrans({"✓": "+", "✗": "x", "–": "-", "·": "-", "→": ">", "│": "|", "…": "~", **dict.fromkeys(_SPINNER, "*")})
_DONE = {
    "cancel": "Cancelled the deployment of {app} on {target}",
    "configure": "Configured {target}",
    "create": "Created {target}",
    "destroy": "Destroyed {target}",
    "domain_add": "Changed the domains of {app} on {target}",
    "domain_remove": "Changed the domains of {app} on {target}",
    "domain_sync": "Changed the domains of {app} on {target}",
    "push": "Built {app} for {target}",
    "rollback": "Rolled {app} back on {target}",
}
_UNCHANGED = {
    "configure": "{target} is configured already",
    "create": "{target} exists already",
    "destroy": "There is nothing to destroy on {target}",
    "domain_add": "The domains of {app} on {target} are so already",
    "domain_remove": "The domains of {app} on {target} are so already",
    "domain_sync": "The domains of {app} on {target} are so already",
    "push": "{app} is built already",
}

# One row: pieces of text, each with the name of its style.
Row = list[tuple[str, str]]


def clean(text: str) -> str:
    """``text`` without what a terminal would obey: an app's output is not to be trusted."""
    text = re.sub(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[ -/]*[0-~])", "", text)
    text = text.rsplit("\r", 1)[-1] if "\r" in text.rstrip("\r") else text.rstrip("\r")
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", "", text.expandtabs(4))


def seconds(value: float) -> str:
    """A duration: ``0.4 s``, ``12.3 s``, ``2 m 05 s``."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} m {rest:02} s"


def fold(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """``text`` in lines of at most ``width``, each paragraph on lines of its own."""
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        options: dict[str, Any] = {"width": max(width, 20), "subsequent_indent": rest, "break_on_hyphens": False}
        lines += textwrap.wrap(clean(paragraph), initial_indent=rest if lines else first, **options)
    return lines


@dataclass
class Step:
    """A phase, on all hosts."""

    name: str
    started: float
    hosts: dict[str | None, tuple[str, float]] = field(default_factory=dict)
    detail: str = ""

    @property
    def state(self) -> str:
        """The state that stands for all hosts."""
        states = [state for state, _seconds in self.hosts.values()]
        return next((one for one in ("failed", "running", "done") if one in states), "skipped")

    def took(self, now: float) -> float:
        """Seconds: those of the slowest host, or since it began."""
        return now - self.started if self.state == "running" else max((took for _state, took in self.hosts.values()), default=0.0)


class Picture:
    """The state of a run, as its events told it.

    Args:
        verb: what was asked for.
        app, target: what it is about.
        clock: seconds that only grow.
    """

    def __init__(self, verb: str, app: str | None, target: str | None, clock: Callable[[], float]) -> None:
        self.verb = verb
        self.app = app
        self.target = target
        self.deployment: str | None = None
        self.doing = ""
        self.stopping = False
        self._clock = clock
        self._began = clock()
        self._steps: dict[str, Step] = {}
        self._logs: deque[str] = deque(maxlen=LOG_LINES)
        self._health: dict[str, Health] = {}
        self._warnings: list[Warning] = []
        self._last: Event | None = None
        self._ended: float | None = None

    @property
    def ended(self) -> bool:
        """Whether the last event has come."""
        return self._last is not None

    def take(self, event: Event) -> None:
        """Learn from one event."""
        self.deployment = event.deployment or self.deployment
        if isinstance(event, Phase):
            self._take_phase(event)
        elif isinstance(event, Log):
            self._logs.append(event.line)
        elif isinstance(event, Health):
            self._health[event.endpoint] = event
            passed = sum(one.result == "pass" for one in self._health.values())
            self._detail("health", f"{passed}/{len(self._health)} healthy" + (f" · {event.detail}" if event.result == "fail" and event.detail else ""))
        elif isinstance(event, Switch):
            self._detail("switch", f"{event.service or ''} to {', '.join(event.to) or 'nothing'}".strip())
        elif isinstance(event, Drain):
            self._detail("drain", f"{event.in_flight} in flight on {event.endpoint}" if event.in_flight else "nothing in flight")
        elif isinstance(event, Warning):
            self._warnings.append(event)
        elif isinstance(event, Deployed | Failed | Deploying):
            self._last = event
            self._ended = self._clock()

    def _take_phase(self, event: Phase) -> None:
        step = self._steps.setdefault(event.name, Step(event.name, self._clock()))
        step.hosts[event.host] = (event.state, event.seconds)
        if event.state == "running":
            self._logs.clear()

    def _now(self) -> float:
        return self._clock() if self._ended is None else self._ended

    def _detail(self, phase: str, text: str) -> None:
        if phase in self._steps:
            self._steps[phase].detail = text

    def rows(self, width: int) -> list[Row]:
        """All of it, no row wider than ``width`` columns where the terminal cuts it."""
        rows = [self._header(), *(self._step_row(step) for step in list(self._steps.values()))]
        if not self.ended:
            rows += self._between()
            rows += [[("  │ ", "dim"), (clean(line), "dim")] for line in list(self._logs)]
            if self.stopping:
                rows.append([("  Stopping and cleaning up; Ctrl-C again stops at once", "yellow")])
        for warning in list(self._warnings):
            rows += _note("!", "yellow", clean(warning.message), warning.hint, width)
        return rows + summary(self.verb, self._last, self.app, self.target, self._now() - self._began, width)

    def _header(self) -> Row:
        row = [(f"{self.app or ''}", "bold"), (" → ", "dim"), (f"{self.target or ''}", "bold")]
        return [*row, (f" · {self.verb} {self.deployment or ''}".rstrip(), "dim")]

    def _between(self) -> list[Row]:
        """What goes on while no phase does: servers are made and prepared without phases."""
        if any(step.state == "running" for step in list(self._steps.values())):
            return []
        now = self._clock()
        return [
            [(f"  {_SPINNER[int(now * 10) % len(_SPINNER)]} ", "cyan"), (clean(self.doing) or "Starting", "dim"), (f" · {seconds(now - self._began)}", "dim")]
        ]

    def _step_row(self, step: Step) -> Row:
        now = self._now()
        state = step.state
        if self.ended and state == "running":
            state = "failed" if isinstance(self._last, Failed) else "done"
        mark, style = _MARKS.get(state, (_SPINNER[int(now * 10) % len(_SPINNER)], "cyan"))
        took = "skipped" if state == "skipped" else seconds(step.took(now))
        done = sum(one != "running" for one, _seconds in step.hosts.values())
        hosts = f"{done}/{len(step.hosts)} hosts" if len(step.hosts) > 1 else ""
        detail = " · ".join(part for part in (hosts, clean(step.detail)) if part)
        quiet = "dim" if state == "skipped" else ""
        return [
            (f"  {mark} ", style),
            (f"{step.name:<12}", quiet),
            (f"{took:>9}", "dim" if state != "running" else "cyan"),
            (f"  {detail}" if detail else "", "dim"),
        ]


def summary(verb: str, event: Event | None, app: str | None, target: str | None, elapsed: float, width: int) -> list[Row]:
    """The last lines: what came of it, where it is, what to do next."""
    if isinstance(event, Deployed):
        return [[], *_deployed(verb, event, app, target, elapsed)]
    if isinstance(event, Failed):
        return [[], *_failed(event, width)]
    if isinstance(event, Deploying):
        return [[("· ", "cyan"), (f"{app} goes on in the background, as process {event.pid}", "")], [("  hint: hitless status, or hitless cancel", "dim")]]
    return []


def _deployed(verb: str, event: Deployed, app: str | None, target: str | None, elapsed: float) -> Iterable[Row]:
    names = {"app": app, "target": target}
    if event.changed:
        took = event.seconds or elapsed
        said = _DONE.get(verb, "Deployed {app} to {target}").format(**names) + (f" in {seconds(took)}" if took >= 0.05 else "")
    else:
        said = _UNCHANGED.get(verb, "Nothing to do: {app} on {target} is up to date").format(**names)
    yield [("✓ ", "green"), (said, "bold")]
    requests = event.requests
    counted = f"{requests.get('sent', 0):,} sent, {requests.get('failed', 0):,} failed"
    counted += "".join(f", {requests[name]:,} {name}" for name in ("held", "cut") if requests.get(name))
    facts = {"url": event.url, "preview": event.preview_url, "release": event.release, "requests": counted if event.release and event.changed else None}
    for name, value in facts.items():
        if value:
            yield [(f"  {name:<9}", "dim"), (clean(value), "red" if name == "requests" and requests.get("failed") else "")]


def _failed(event: Failed, width: int) -> Iterable[Row]:
    tail = event.log_tail[-_TAIL_LINES:]
    yield from ([("  │ ", "dim"), (clean(line), "")] for line in tail)
    where = f"Failed in {event.phase}: " if event.phase and event.exit != EXIT_INTERRUPTED else ""
    yield from _note("✗", "red", where + event.reason, event.hint, width)


def _note(mark: str, style: str, text: str, hint: str | None, width: int) -> list[Row]:
    lines = fold(text, width, f"{mark} ", "  ")
    rows: list[Row] = [[(line, style)] for line in lines]
    return rows + ([[(line, "dim")] for line in fold(hint, width, "  hint: ", "        ")] if hint else [])


def plain(rows: Iterable[Row], ascii_only: bool = False) -> list[str]:
    """Rows without colours."""
    lines = ["".join(text for text, _style in row).rstrip() for row in rows]
    return [line.translate(_ASCII) for line in lines] if ascii_only else lines


def to_ascii(text: str) -> str:
    """``text`` for a terminal that knows no more than ASCII."""
    return text.translate(_ASCII)


def table(columns: Mapping[str, str], records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Records as aligned text under headings; ``columns`` maps a record's key to its heading."""
    rows = [list(columns.values()), *([_cell(record.get(key)) for key in columns] for record in records)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(columns))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return " ".join(map(_cell, value)) or "-"
    return clean(f"{value:.1f}" if isinstance(value, float) else str(value))
