# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Following what an app's replicas write to the journal: the command that asks for news, and what its answer says. Pure."""

from __future__ import annotations

import json
import shlex
from typing import Any, NamedTuple

from ansible_collections.hitless.paas.plugins.module_utils._runtime import parse_unit_name


class News(NamedTuple):
    """``lines``: what was written, as pairs of service and line, oldest first. ``cursor``: what the next question starts after."""

    lines: list[tuple[str, str]]
    cursor: str | None


def news_script(app: str, cursor: str | None, lines: int) -> str:
    """Print what was written after ``cursor``, or the last ``lines`` entries, one JSON object each."""
    start = f"--after-cursor={shlex.quote(cursor)}" if cursor else f"--lines={lines}"
    fields = "--output=json --output-fields=MESSAGE,_SYSTEMD_UNIT --all"
    # Ansible may give it a terminal, and there it would colour its JSON.
    return f"SYSTEMD_COLORS=0 journalctl --quiet --no-pager {fields} {start} --unit=hitless-{app}.\\*"


def parse_news(answer: str, cursor: str | None) -> News:
    """What the answer says; entries that no replica wrote (systemd's own, hooks) are passed over."""
    found: list[tuple[str, str]] = []
    for text in answer.splitlines():
        if not text.startswith("{"):
            continue
        entry = json.loads(text)
        cursor = entry.get("__CURSOR", cursor)
        replica = parse_unit_name(str(entry.get("_SYSTEMD_UNIT")))
        if replica:
            found += [(replica.service, line) for line in _message(entry.get("MESSAGE")).splitlines()]
    return News(found, cursor)


def _message(value: Any) -> str:
    """A message is text, or a list of bytes when it is not UTF-8."""
    return bytes(value).decode("utf-8", "replace") if isinstance(value, list) else str(value or "")
