# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builders: which one is taken, why, and whether what it makes can run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError

BUILDERS = ("auto", "native", "dockerfile", "image", "nixpacks", "railpack")
# Those that are programs of their own, on the machine that runs hitless.
_PROGRAMS = ("nixpacks", "railpack")
_IMAGE_RUNTIMES: tuple[str, ...] = ()

Which = Callable[[str], str | None]


def why_builder(asked: str | None, plan: Mapping[str, Any]) -> str:
    """Why the builder of a plan was taken.

    Args:
        asked: ``build.builder`` of the settings, or what ``--builder`` said over it.
        plan: ``Plan.as_dict()``.
    """
    if asked not in (None, "auto"):
        return "asked for by --builder, or build.builder in hitless.yml"
    reason = next((reason for reason in plan["why"] if reason["what"] == "builder"), None)
    if reason is None:
        return "there is no Dockerfile"
    _builder, colon, words = str(reason["is"]).partition(": ")
    return (words if colon else "a Dockerfile wins") + (f"; {reason['file']}" if reason["file"] else "")


def builder_fault(builder: str, runtime: str | None, which: Which = shutil.which) -> str | None:
    """Why a deploy with this builder and this runtime is refused, as a sentence; None when it is not."""
    if runtime not in (None, "systemd", *_IMAGE_RUNTIMES):
        return f"The {runtime} runtime is not there yet; systemd is."
    if builder in ("native", "auto"):
        return None
    if builder in _PROGRAMS and not which(builder):
        return f"The builder {builder} needs the program {builder}, which is not installed on this machine."
    if runtime not in _IMAGE_RUNTIMES:
        return f"The builder {builder} makes an image, and the runtime {runtime or 'systemd'} runs none: the docker runtime that it needs is not there yet."
    return None


def refuse_builder(app: Mapping[str, Any]) -> None:
    """HitlessError ``builder_missing`` when what the app's builder makes cannot be had, or cannot run.

    Args:
        app: the resolved app (docs/architecture.md).
    """
    fault = builder_fault(app["build"]["builder"], app.get("runtime"))
    if fault:
        hint = "hitless plan --builder native, to see what can be built without it; runtime: systemd is the default."
        raise HitlessError("builder_missing", f"{fault} Nothing was changed.", hint)
