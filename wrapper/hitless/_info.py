# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of ``plan``, ``status``, ``ps``, ``events``, ``logs`` and ``domain list`` as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hitless._events import Info
from hitless._picture import clean, table

_REPLICAS = {"service": "SERVICE", "n": "N", "release": "RELEASE", "endpoint": "ENDPOINT", "state": "STATE", "since": "SINCE"}
_DEPLOYMENTS = {"id": "DEPLOYMENT", "kind": "KIND", "status": "STATUS", "commit": "COMMIT", "by": "BY", "created": "CREATED", "reason": "REASON"}
_DOMAINS = {"url": "ADDRESS", "leads_to": "LEADS TO", "tls": "TLS", "from": "FROM"}
_PHASES = {"name": "PHASE", "state": "STATE", "seconds": "SECONDS", "started": "STARTED"}


def info_lines(event: Info) -> list[str]:
    """The lines of one answer."""
    from ansible_collections.hitless.paas.plugins.plugin_utils._plan_view import plan_lines

    data = event.data
    if event.what == "plan":
        return [clean(line) for line in plan_lines(data.get("rows", []))]
    if event.what == "ps":
        return table(_REPLICAS, data.get("replicas", []))
    if event.what == "events":
        return _history(data)
    if event.what == "domains":
        return table(_DOMAINS, [{**row, "tls": _tls(row)} for row in data.get("domains", [])])
    if event.what == "logs":
        return [clean(str(line)) for line in data.get("lines", [])]
    return _status(event.host, data)


def _tls(row: Mapping[str, Any]) -> str:
    """How a name stands to TLS: a certificate may be wished for and not be live yet."""
    return "yes" if row.get("https") else "no certificate yet" if row.get("tls") else "no"


def _history(data: Mapping[str, Any]) -> list[str]:
    if "phases" in data:
        return table(_PHASES, data["phases"])
    records = [{**record, "commit": str((record.get("source") or {}).get("commit") or "-")[:9]} for record in data.get("deployments", [])]
    return table(_DEPLOYMENTS, records)


def _status(host: str | None, data: Mapping[str, Any]) -> list[str]:
    current: Mapping[str, Any] = data.get("current") or {}
    under_way: Mapping[str, Any] = data.get("under_way") or {}
    source: Mapping[str, Any] = current.get("source") or {}
    commit = " ".join(str(part) for part in (str(source.get("commit") or "")[:9], source.get("message") or "") if part)
    facts = {
        "host": host,
        "serves": current.get("release") or "nothing",
        "status": current.get("status"),
        "since": current.get("finished"),
        "commit": commit,
        "by": current.get("by"),
        "url": " ".join(map(str, current.get("urls") or ())),
        "preview": current.get("preview_url"),
        "under way": f"{under_way['id']} {under_way.get('status', '')} by {under_way.get('by', '?')}" if under_way.get("id") else None,
    }
    lines = [f"{name:<10}{clean(str(value))}" for name, value in facts.items() if value]
    return lines + (["", *table(_REPLICAS, data["replicas"])] if data.get("replicas") else [])
