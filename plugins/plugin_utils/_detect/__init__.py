# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detection: what an app is and what will be done with it, from its files alone.

``detect(tree, overrides)`` is pure over a tree of files. Each language is one entry of ``DETECTORS``, with tables of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError

from ._node import detect_bun, detect_deno, detect_node
from ._plan import Plan, Service, combine, move
from ._procfile import read_procfile, use_processes
from ._python import detect_python
from ._static import detect_html, detect_staticfile
from ._tree import Files, FolderTree, MemoryTree, Tree
from ._versions import DEFAULT_DISTRIBUTION

__all__ = ["FolderTree", "MemoryTree", "Plan", "Service", "Tree", "combine", "detect", "move"]

Detector = Callable[[Files, str], Plan | None]

DETECTORS: tuple[Detector, ...] = (detect_staticfile, detect_deno, detect_bun, detect_python, detect_node, detect_html)


def detect(tree: Tree, overrides: Mapping[str, Any] | None = None) -> Plan:
    """The plan of a source tree.

    Args:
        tree: the source.
        overrides: what is known already, every key optional: ``root`` (sub-folder of the service), ``commands`` (service name -> command of hitless.yml;
            no start command has to be found when it has one), ``builder``, ``runtime``, ``distribution`` (``debian-12``).

    Raises:
        HitlessError: ``plan_unknown``, when nothing is recognised, two answers are equally good, or nothing says how the app starts.
    """
    known = dict(overrides or {})
    files = Files(tree, str(known.get("root") or ""))
    plans = [plan for detector in DETECTORS if (plan := detector(files, str(known.get("distribution") or DEFAULT_DISTRIBUTION)))]
    processes = read_procfile(files)
    if not plans:
        if not processes and not known.get("commands"):
            raise HitlessError("plan_unknown", "Nothing in the folder says what kind of app it is. Nothing was changed.")
        plans = [Plan("shell")]
    plan = plans[0]
    use_processes(plan, processes, "Procfile")
    return plan
