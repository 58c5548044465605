# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer to ``hitless plan``, for every caller of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.hitless.paas.plugins.plugin_utils._detect import FolderTree
from ansible_collections.hitless.paas.plugins.plugin_utils._origin import Origin, list_origin
from ansible_collections.hitless.paas.plugins.plugin_utils._plan_view import plan_table
from ansible_collections.hitless.paas.plugins.plugin_utils._resolve import plan_app, resolve


def answer_of(settings: Mapping[str, Any], secrets: Mapping[str, Any], distribution: str | None = None) -> dict[str, Any]:
    """What the app is and what a deploy would do.

    Args:
        settings: docs/architecture.md, Settings; with what this run says otherwise already over them.
        secrets: where the token of a git source is looked up.
        distribution: of the hosts (``debian-12``), for warnings about versions.

    Returns:
        ``plan`` (``Plan.as_dict()``), ``app`` (what ``resolve`` makes of it), ``source`` (``git`` facts, ``files``) and ``rows`` (the table).
    """
    listing = list_origin(settings["source"], secrets)
    plan = plan_app(settings, FolderTree(listing.folder, listing.files), distribution).as_dict()
    app = resolve(settings, plan)
    rows = [{"what": "source", "value": _said(settings["source"], listing.git), "why": ""}]
    rows += plan_table(plan, app, (settings.get("build") or {}).get("builder"))
    rows += [{"what": "warning", "value": warning, "why": ""} for warning in listing.warnings]
    return {"plan": plan, "app": app, "source": {**listing.git, "files": len(listing.files)}, "rows": rows}


def _said(origin: Origin, git: Mapping[str, Any]) -> str:
    place = origin if isinstance(origin, str) else str(git["url"])
    at = f"{git['branch'] or git.get('ref') or 'commit'} {git['commit'][:12]}" if git.get("commit") else ""
    return f"{place} at {at}" if at else place
