#!/usr/bin/env python3
# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw docs/deploy.svg: what a terminal shows at the end of a deploy, from the events of a real one.

hitless deploy --json | python docs/picture.py
"""

from __future__ import annotations

import io
import json
import re
import sys
from datetime import datetime
from pathlib import Path

from rich.console import Console

from hitless import _picture
from hitless._events import parse
from hitless._view import drawn

_WIDTH = 92
_OUT = Path(__file__).with_name("deploy.svg")


def picture(lines: list[str]) -> str:
    """The SVG of the events in ``lines``."""
    raw = [json.loads(line) for line in lines]
    now = [datetime.fromisoformat(event["time"]).timestamp() for event in raw]
    moment = iter([now[0], *now, *[now[-1]] * 1000])
    shown = _picture.Picture("deploy", raw[0]["app"], raw[0]["target"], lambda: next(moment))
    for event in raw:
        shown.take(parse(event))
    console = Console(width=_WIDTH, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor", legacy_windows=False, highlight=False)
    console.print(f"$ hitless deploy -t {raw[0]['target']}", style="bold")
    console.print(drawn(shown, console))
    svg = console.export_svg(title="hitless deploy", unique_id="hitless")
    # The page that shows it has a font of its own: nothing is loaded from anywhere.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    _OUT.write_text(picture(sys.stdin.readlines()), encoding="utf-8")
