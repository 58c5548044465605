# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The app that a command is about: its settings, where they come from, and what was assumed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hitless import _collection
from hitless._errors import ConfigError

if TYPE_CHECKING:
    from ansible_collections.hitless.paas.plugins.plugin_utils._config import Settings

# The names that the inventory plugin takes.
_NAMES = ("hitless.yml", "hitless.yaml")


@dataclass(frozen=True)
class Project:
    """One app at one target.

    Attributes:
        folder: the app's folder.
        settings: what is in force.
        file: its hitless.yml; None for an app without one.
        assumptions: what stands in for the file, as sentences.
    """

    folder: Path
    settings: Settings
    file: Path | None
    assumptions: tuple[str, ...] = ()

    @property
    def app(self) -> str:
        """The app's name."""
        return self.settings.app

    @property
    def target(self) -> str:
        """The target's name."""
        return self.settings.target

    def inventory(self, private: Path) -> tuple[Path, dict[str, str]]:
        """The inventory of a run, and the variables that it needs.

        A file that Ansible would not recognise by its name, or that does not exist, is written to ``private``.
        """
        if self.file and self.file.name in _NAMES:
            return self.file, {}
        copy = private / _NAMES[0]
        copy.write_text(self.file.read_text(encoding="utf-8") if self.file else self.as_file(), encoding="utf-8")
        return copy, {"hitless_folder": str(self.folder)}

    def environment(self) -> dict[str, str]:
        """What the inventory is told by environment: that the file was checked here, so that it is not checked twice."""
        from ansible_collections.hitless.paas.plugins.plugin_utils._config import fingerprint

        return {"HITLESS_CHECKED": fingerprint(self.file)} if self.file else {}

    def as_file(self) -> str:
        """The hitless.yml that says the same as these settings."""
        from ansible_collections.hitless.paas.plugins.plugin_utils._config import dump

        return dump(self.settings)

    def is_created(self) -> bool:
        """Whether there is a server; of one's own servers that is taken for granted."""
        from ansible_collections.hitless.paas.plugins.plugin_utils._targets import load_target

        if self.settings.provider["name"] == "byos":
            return True
        try:
            return load_target(self.app, self.target) is not None
        except ValueError as error:
            raise ConfigError(f"{error}; nothing was changed.", "hitless create") from error


def open_project(folder: str | os.PathLike[str] = ".", target: str | None = None, file: str | os.PathLike[str] | None = None) -> Project:
    """Read or assume the settings of the app in ``folder``.

    Args:
        folder: the app's folder.
        target: name of the target; the only one where there is one, ``dev`` without a file.
        file: the configuration file, when it is not ``hitless.yml`` in the folder.

    Raises:
        ConfigError: the message holds every error, one a line.
        InstallationError: the collection cannot be used.
    """
    _collection.use()
    from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
    from ansible_collections.hitless.paas.plugins.plugin_utils._config import assume, find, load

    root = Path(folder).resolve()
    wanted = target or os.environ.get("HITLESS_TARGET") or None
    try:
        path = find(file) if file else next((root / name for name in _NAMES if (root / name).is_file()), None)
        if path is None:
            settings, assumptions = assume(root, wanted)
            return Project(root, settings, None, tuple(assumptions))
        return Project(path.parent, load(path, wanted), path)
    except HitlessError as error:
        lines = [entry["message"] for entry in error.details.get("errors", ())] or [error.message]
        raise ConfigError("\n".join(lines), error.hint) from error


def write_file(folder: Path, force: bool) -> tuple[Path, Project]:
    """Write what is assumed of the app in ``folder`` to its hitless.yml.

    Raises:
        ConfigError: there is one already, and ``force`` is not given.
    """
    _collection.use()
    from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
    from ansible_collections.hitless.paas.plugins.module_utils._files import write_atomic
    from ansible_collections.hitless.paas.plugins.plugin_utils._config import assume

    path = next((folder / name for name in _NAMES if (folder / name).exists()), folder / _NAMES[0])
    if path.exists() and not force:
        raise ConfigError(f"{path} exists already; nothing was written.", "hitless init --force, to replace it")
    try:
        settings, assumptions = assume(folder)
    except HitlessError as error:
        raise ConfigError(error.message, error.hint) from error
    project = Project(folder, settings, None, tuple(assumptions))
    try:
        write_atomic(str(path), project.as_file())
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}; nothing was changed.") from error
    return path, project
