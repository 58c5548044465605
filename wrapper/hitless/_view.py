# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where events go: a live picture on a terminal, plain lines without one, or JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from hitless import _picture
from hitless._errors import EXIT_INTERRUPTED
from hitless._events import LAST, Event, Failed, Info, Log, Warning
from hitless._info import info_lines

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live


_ANSWERS = ("plan", "status", "ps", "events", "logs", "domain_list")


class View(Protocol):
    """Takes events until it is closed."""

    def show(self, event: Event) -> None:
        """Show one event."""

    def line(self, text: str) -> None:
        """Show a line that Ansible printed."""

    def doing(self, task: str) -> None:
        """Take the name of the task that has begun."""

    def stopping(self) -> None:
        """Say that the run is being ended; safe in a signal handler."""

    def close(self) -> None:
        """Show what is left to show."""


def open_view(verb: str, app: str | None, target: str | None, as_json: bool) -> View:
    """The view that fits where the output goes."""
    if as_json:
        return JsonView()
    if verb in _ANSWERS:
        return AnswerView(verb, app, target)
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        return LiveView(verb, app, target)
    return PlainView(verb, app, target)


def say(lines: Iterable[str], error: bool = False) -> None:
    """Print lines. A reader that has gone, as ``| head`` does, or a full disk never ends a deployment."""
    stream = sys.stderr if error else sys.stdout
    try:
        for line in lines:
            stream.write(line.encode(stream.encoding, "backslashreplace").decode(stream.encoding) + "\n")
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class JsonView:
    """One event a line on standard output, and nothing else there."""

    def show(self, event: Event) -> None:
        say([json.dumps(event.as_dict(), ensure_ascii=False)])

    def line(self, text: str) -> None:
        say([_picture.clean(text)], error=True)

    def doing(self, task: str) -> None:
        pass

    def stopping(self) -> None:
        pass

    def close(self) -> None:
        pass


class PlainView:
    """One line an event, and the last lines of a picture."""

    def __init__(self, verb: str, app: str | None, target: str | None) -> None:
        self._about = (verb, app, target)
        self._began = time.monotonic()

    def show(self, event: Event) -> None:
        from ansible_collections.hitless.paas.plugins.plugin_utils._human import human_line

        verb, app, target = self._about
        if isinstance(event, LAST):
            self._say(_picture.plain(_picture.summary(verb, event, app, target, time.monotonic() - self._began, 100)))
        else:
            self._say([_picture.clean(human_line(event.as_dict()))])

    def line(self, text: str) -> None:
        self._say([_picture.clean(text)])

    def doing(self, task: str) -> None:
        pass  # what matters comes as an event

    def stopping(self) -> None:
        with suppress(OSError):  # the terminal may be what has gone
            os.write(2, b"Stopping and cleaning up; Ctrl-C again stops at once\n")

    def close(self) -> None:
        pass

    def _say(self, lines: list[str]) -> None:
        known = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
        say(lines if known else [_picture.to_ascii(line) for line in lines])


class AnswerView(PlainView):
    """The answer alone, and why there is none; that a person ended it is no news to that person."""

    def show(self, event: Event) -> None:
        if isinstance(event, Info):
            self._say(info_lines(event))
        elif isinstance(event, Log):
            self._say([_picture.clean(event.line)])
        elif isinstance(event, Warning) or (isinstance(event, Failed) and event.exit != EXIT_INTERRUPTED):
            super().show(event)

    def stopping(self) -> None:
        pass


class LiveView:
    """A picture that is drawn again as it changes."""

    def __init__(self, verb: str, app: str | None, target: str | None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._picture = _picture.Picture(verb, app, target, time.monotonic)
        self._console = Console(highlight=False, markup=False, emoji=False, soft_wrap=False)
        self._live: Live = Live(get_renderable=self._drawn, console=self._console, refresh_per_second=8, vertical_overflow="crop")
        self._live.start()

    def show(self, event: Event) -> None:
        self._picture.take(event)

    def line(self, text: str) -> None:
        self._console.print(_picture.clean(text), style="dim")

    def doing(self, task: str) -> None:
        self._picture.doing = task

    def stopping(self) -> None:
        self._picture.stopping = True

    def close(self) -> None:
        self._live.vertical_overflow = "visible"
        self._live.stop()

    def _drawn(self) -> RenderableType:
        return drawn(self._picture, self._console)


def drawn(picture: _picture.Picture, console: Console) -> RenderableType:
    """A picture as rich prints it: one row a line, cut where the terminal ends; while it changes, the oldest make room."""
    from rich.console import Group
    from rich.text import Text

    ascii_only = console.options.ascii_only
    texts = []
    rows = picture.rows(console.width)
    if not picture.ended and len(rows) >= console.height:
        rows = rows[:1] + rows[len(rows) - console.height + 2 :]  # what goes on now is at the end
    for row in rows:
        text = Text(no_wrap=True, overflow="ellipsis" if not ascii_only else "crop")
        for piece, style in row:
            text.append(_picture.to_ascii(piece) if ascii_only else piece, style)
        texts.append(text)
    return Group(*texts)
