# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the collection that belongs to this package and makes sure that no other copy of it is used."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from hitless._errors import InstallationError

_INSIDE = Path("ansible_collections", "hitless", "paas")
_HERE = Path(__file__).parent


def root() -> Path:
    """The folder that holds ``ansible_collections/hitless/paas``.

    That is site-packages for an installed wheel and the git-ignored ``build`` folder for a checkout.

    Raises:
        InstallationError: the collection is not where the wheel put it.
    """
    for candidate in (_HERE.parent, _HERE.parent.parent / "build"):
        if (candidate / _INSIDE / "galaxy.yml").is_file():
            return candidate
    raise InstallationError(
        f"The collection hitless.paas is missing beside {_HERE}; nothing was started.",
        "Install again: pip install --force-reinstall hitless",
    )


def version() -> str:
    """The version in the collection's galaxy.yml, the only place where it is written."""
    text = (root() / _INSIDE / "galaxy.yml").read_text(encoding="utf-8")
    found = re.search(r"^version: (\S+)$", text, re.MULTILINE)
    if found is None:
        raise InstallationError(f"{root() / _INSIDE / 'galaxy.yml'} has no version.", "Install again: pip install --force-reinstall hitless")
    return found.group(1)


def use() -> Path:
    """Make this interpreter import the collection from ``root()``, and refuse when it imports another copy.

    Raises:
        InstallationError: another copy comes first on ``sys.path`` and is loaded already.
    """
    here = root()
    if str(here) not in sys.path:
        sys.path.insert(0, str(here))
    from ansible_collections.hitless.paas.plugins.module_utils import _errors as probe

    loaded = Path(probe.__file__).resolve()
    if not loaded.is_relative_to((here / _INSIDE).resolve()):
        raise InstallationError(
            f"Python finds another copy of hitless.paas, {loaded.parents[2]}, than this package's, {here / _INSIDE}; nothing was started.",
            f"Remove {loaded.parents[2]}, or take its folder off PYTHONPATH.",
        )
    return here


def search_path(environ: os._Environ[str] | dict[str, str]) -> str:
    """ANSIBLE_COLLECTIONS_PATH with our own root first, so that an older copy in a home folder never wins."""
    default = "~/.ansible/collections:/usr/share/ansible/collections"
    others = environ.get("ANSIBLE_COLLECTIONS_PATH", default).split(os.pathsep)
    ours = str(root())
    return os.pathsep.join([ours, *(path for path in others if path and path != ours)])
