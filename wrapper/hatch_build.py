# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the collection into the wheel: exactly the files that ``ansible-galaxy collection build`` would take."""

from __future__ import annotations

import os
from typing import Any

import yaml
from distlib.manifest import Manifest
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COLLECTION = "ansible_collections/hitless/paas"


def collection_files(root: str) -> list[str]:
    """The files of the collection, relative to ``root``: galaxy.yml (its version) and what its manifest includes.

    Only the folders that the directives name are walked, so a virtual environment or a build folder in the
    checkout costs nothing and cannot slip in.
    """
    with open(os.path.join(root, "galaxy.yml"), encoding="utf-8") as stream:
        directives = yaml.safe_load(stream)["manifest"]["directives"]
    manifest = Manifest(root)
    manifest.allfiles = _candidates(root, directives)
    for directive in directives:
        manifest.process_directive(directive)
    return sorted({"galaxy.yml", *(os.path.relpath(path, root) for path in manifest.files)})


def _candidates(root: str, directives: list[str]) -> list[str]:
    found = []
    for directive in directives:
        action, *words = directive.split()
        if action == "include":
            found += [os.path.join(root, word) for word in words if os.path.isfile(os.path.join(root, word))]
        elif action == "recursive-include":
            for folder, _folders, names in os.walk(os.path.join(root, words[0])):
                found += [os.path.join(folder, name) for name in names]
    return found


class CollectionBuildHook(BuildHookInterface):  # type: ignore[type-arg,misc]
    """Adds the collection to a wheel; an editable install finds it through the checkout's ``build`` folder."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Tell hatchling where each file of the collection goes."""
        if version == "editable":
            self._link()
            return
        for path in collection_files(self.root):
            build_data["force_include"][os.path.join(self.root, path)] = f"{COLLECTION}/{path}"

    def _link(self) -> None:
        link = os.path.join(self.root, "build", COLLECTION)
        if not os.path.lexists(link):
            os.makedirs(os.path.dirname(link), exist_ok=True)
            os.symlink("../../..", link)
