# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which version of a language is to be had from mise, on hosts whose distribution has another. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.hitless.paas.plugins.module_utils._toolchain import FOLDER
from ansible_collections.hitless.paas.plugins.plugin_utils._detect._versions import DISTRIBUTIONS, satisfies

# How many parts of a version a language's own releases are told apart by.
_PARTS = {"node": 1, "java": 1, "python": 2, "go": 2}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def tool_of(language: str, wanted: str | None) -> dict[str, Any] | None:
    """What is asked of mise.

    Args:
        language: of the plan.
        wanted: version or range that the app asks for.

    Returns:
        ``name``, ``version`` (as mise takes it), ``folder`` (its name below the folder of toolchains) and ``satisfied_by`` (distributions that have
        it themselves); None when every distribution does, or mise can be asked for nothing.
    """
    version = mise_version(language, wanted or "")
    if version is None:
        return None
    satisfied = [name for name, has in DISTRIBUTIONS.items() if language in has and satisfies(has[language], wanted or "")]
    if len(satisfied) == len(DISTRIBUTIONS):
        return None
    mark = hashlib.sha256((wanted or "").encode()).hexdigest()[:8]
    return {"name": language, "version": version, "folder": f"{language}-{version}-{mark}", "satisfied_by": satisfied}


def mise_version(language: str, wanted: str) -> str | None:
    """A version or range, as far as mise is to be held to it: ``^20.11 || >=22`` of node is ``22``, ``>=3.12,<4`` of Python ``3.12``."""
    if language not in _PARTS:
        return None
    last = wanted.split("||")[-1].strip()
    exact = re.fullmatch(r"=*\s*v?(\d+(?:\.\d+)*)", last)
    if exact:
        return exact[1]
    bounds = re.findall(r"(>=|<=|~>|~=|===|==|!=|\^|~|>|<|=)?\s*v?(\d+(?:\.\d+)*)", last)
    lower = next((number for operator, number in bounds if operator not in ("<", "<=", "!=")), None)
    return ".".join(lower.split(".")[: _PARTS[language]]) if lower else None


def with_tool(env: Mapping[str, str], tool: Mapping[str, Any] | None) -> dict[str, str]:
    """The variables of an app that finds its language where mise puts it; after its own folders, before the system's."""
    if not tool:
        return dict(env)
    folders = env.get("PATH", _PATH).split(":")
    own = [folder for folder in folders if folder == "/app" or folder.startswith("/app/")]
    return {**env, "PATH": ":".join([*own, f"{FOLDER}/{tool['folder']}/bin", *(folder for folder in folders if folder not in own)])}


def tool_said(tool: Mapping[str, Any]) -> str:
    """What a plan says of it."""
    there = f"; {', '.join(tool['satisfied_by'])} has it itself" if tool["satisfied_by"] else ""
    return f"{tool['name']} {tool['version']} by mise, once a host, where the host has mise{there}"
