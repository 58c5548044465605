# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An event as one line for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def human_line(event: Mapping[str, Any]) -> str:
    """What a person reads of an event."""
    host = f" [{event['host']}]" if event.get("host") else ""
    return f"hitless{host} {_said(event)}"


def _said(event: Mapping[str, Any]) -> str:
    kind = event["event"]
    if kind == "status":
        return f"{event['to']}"
    if kind == "phase":
        return f"{event['name']} {event['state']}" + (f" ({event['seconds']:.1f} s)" if event["state"] == "done" else "")
    if kind == "log":
        return f"{event['stream']}: {event['line']}"
    if kind == "health":
        return f"health of {event['endpoint']}: {event['result']}" + (f" ({event['detail']})" if event["detail"] else "")
    if kind == "switch":
        return f"switched {event['service'] or ''} from {', '.join(event['from']) or 'nothing'} to {', '.join(event['to']) or 'nothing'}"
    if kind == "drain":
        return f"draining {event['endpoint']}: {event['in_flight']} in flight"
    return _said_last(event)


def _said_last(event: Mapping[str, Any]) -> str:
    kind = event["event"]
    hint = f"; hint: {event['hint']}" if event.get("hint") else ""
    if kind == "info":
        return f"{event['what']} {json.dumps(event['data'], ensure_ascii=False)}"
    if kind == "warning":
        return f"warning: {event['message']}{hint}"
    if kind == "failed":
        return f"failed{' in ' + event['phase'] if event['phase'] else ''}: {event['reason']}{hint}"
    if kind == "deployed":
        where = f" at {event['url']}" if event["url"] else ""
        return f"{event['status'] or 'done'}{where} in {event['seconds']:.1f} s, {event['requests']['failed']} failed requests"
    return f"goes on as process {event['pid']}"
