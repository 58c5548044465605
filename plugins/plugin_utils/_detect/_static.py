# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of files that need no program of their own."""

from __future__ import annotations

from ._plan import Plan
from ._tree import Files

# Where an index.html is looked for, the app's own folder first.
_FOLDERS = ("", "public", "dist", "build", "out", "site", "_site", "www", "htdocs", "html", "static")


def detect_staticfile(files: Files, distribution: str) -> Plan | None:
    """A Staticfile says which folder is served, and whether unknown paths get index.html."""
    if not files.has("Staticfile"):
        return None
    settings = files.yaml("Staticfile") if files.text("Staticfile").strip() else {}
    plan = Plan("static", framework="staticfile")
    plan.because("language", "static", "Staticfile")
    root = str(settings.get("root") or "").strip("/")
    folder = root or next((folder for folder in _FOLDERS if files.has(_index(folder))), ".")
    plan.static(folder or ".", "Staticfile", spa=str(settings.get("pushstate", "")).lower() in ("enabled", "true"))
    return plan


def detect_html(files: Files, distribution: str) -> Plan | None:
    """An index.html, in the folder itself or in one that is commonly served."""
    folder = next((folder for folder in _FOLDERS if files.has(_index(folder))), None)
    if folder is None:
        return None
    plan = Plan("static")
    plan.because("language", "static", _index(folder))
    plan.static(folder or ".", _index(folder))
    return plan


def _index(folder: str) -> str:
    return f"{folder}/index.html".lstrip("/")
