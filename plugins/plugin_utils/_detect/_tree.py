# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees of files as detection sees them: relative paths with forward slashes, and their text."""

from __future__ import annotations

import fnmatch
import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import yaml
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError

# Folders that tools make and that say nothing about the app.
IGNORED_FOLDERS = frozenset(
    {".git", ".hg", ".svn", "node_modules", ".venv", "venv", "__pycache__", ".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache",
     ".next", ".nuxt", ".svelte-kit", ".gradle", ".terraform", "bower_components", ".hitless", ".idea", ".vscode"}
)  # fmt: skip
MAX_READ = 1 << 20


class Tree(Protocol):
    """What detection reads: it never runs anything and never leaves the tree."""

    @property
    def files(self) -> Iterable[str]:
        """Relative paths of the regular files."""

    def read(self, path: str) -> str:
        """The first MiB of a file as text; bytes that are not UTF-8 are replaced."""


class MemoryTree:
    """A tree made of a mapping from path to text."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = dict(files)

    @property
    def files(self) -> Iterable[str]:
        return self._files

    def read(self, path: str) -> str:
        return self._files[path][:MAX_READ]


class FolderTree:
    """A folder on the controller.

    Args:
        folder: the root.
        files: relative paths, when somebody who knows the ignore rules has listed them already; else the folder is walked.
    """

    def __init__(self, folder: str | os.PathLike[str], files: Iterable[str] | None = None) -> None:
        self._root = Path(folder)
        self._listed = None if files is None else tuple(files)

    @cached_property
    def files(self) -> tuple[str, ...]:
        return self._listed if self._listed is not None else tuple(_walk(str(self._root)))

    def read(self, path: str) -> str:
        file = self._root / path
        # A link may point at any file of the controller: only what lies in the folder is the app's.
        if file.is_symlink() and not file.resolve().is_relative_to(self._root.resolve()):
            return ""
        try:
            with open(file, "rb") as stream:
                return stream.read(MAX_READ).decode("utf-8", "replace")
        except OSError as error:
            raise HitlessError("source_invalid", f"{file} cannot be read: {error.strerror}; nothing was changed.", hint=f"chmod u+r {file}") from error


def _walk(root: str, prefix: str = "") -> Iterable[str]:
    with os.scandir(root) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in IGNORED_FOLDERS:
                    yield from _walk(entry.path, f"{prefix}{entry.name}/")
            elif entry.is_file():
                yield prefix + entry.name


class Files:
    """A tree seen from one of its folders, with parsed files kept.

    Args:
        tree: the whole source tree.
        root: the folder of the app in it, ``""`` for the top.
    """

    def __init__(self, tree: Tree, root: str = "") -> None:
        self._tree = tree
        self.root = root.strip("/")
        self._all = {str(path): None for path in tree.files}
        self._parsed: dict[tuple[str, str], Any] = {}

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The paths below the root, relative to it, shallow ones first."""
        prefix = f"{self.root}/" if self.root else ""
        inside = (path[len(prefix) :] for path in self._all if path.startswith(prefix))
        return tuple(sorted(inside, key=lambda path: (path.count("/"), path)))

    @cached_property
    def _set(self) -> frozenset[str]:
        return frozenset(self.paths)

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder below the root that has a file in it."""
        found: set[str] = set()
        for path in self.paths:
            found.update(str(parent) for parent in PurePosixPath(path).parents)
        return frozenset(found - {"."})

    def at(self, root: str) -> Files:
        """The same tree seen from ``root``, a folder relative to this one."""
        return Files(self._tree, f"{self.root}/{root}".strip("/"))

    def above(self) -> Iterable[tuple[str, Files]]:
        """The folders above the root, the nearest first, each with the relative path that leads there (``..``, ``../..``)."""
        parts = PurePosixPath(self.root).parts
        for depth in range(1, len(parts) + 1):
            yield "/".join([".."] * depth), Files(self._tree, "/".join(parts[:-depth]))

    def has(self, path: str) -> bool:
        return path in self._set

    def first(self, *paths: str) -> str | None:
        """The first of these paths that exists."""
        return next((path for path in paths if path in self._set), None)

    def glob(self, *patterns: str) -> list[str]:
        """Paths that match one of the patterns; ``*`` stops at a slash."""
        return [path for path in self.paths if any(path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern) for pattern in patterns)]

    def text(self, path: str) -> str:
        """The text of a file, ``""`` when there is none."""
        if path not in self._set:
            return ""
        text: str = self._parse("text", path, lambda text: text)
        return text

    def json(self, path: str) -> dict[str, Any]:
        return self._mapping("JSON", path, json.loads)

    def toml(self, path: str) -> dict[str, Any]:
        return self._mapping("TOML", path, tomllib.loads)

    def yaml(self, path: str) -> dict[str, Any]:
        return self._mapping("YAML", path, yaml.safe_load)

    def _mapping(self, kind: str, path: str, parse: Any) -> dict[str, Any]:
        if path not in self._set:
            return {}
        value = self._parse(kind, path, parse)
        if not isinstance(value, dict):
            raise unreadable(path, f"it is not a {kind} mapping")
        return value

    def _parse(self, kind: str, path: str, parse: Any) -> Any:
        key = (kind, path)
        if key not in self._parsed:
            text = self._tree.read(f"{self.root}/{path}" if self.root else path)
            try:
                self._parsed[key] = parse(text)
            except (ValueError, yaml.YAMLError) as error:
                raise unreadable(path, f"it is not valid {kind}: {error}") from error
        return self._parsed[key]


def unreadable(path: str, reason: str) -> HitlessError:
    """The error for a file that decides the plan and cannot be understood."""
    return HitlessError(
        "plan_unknown", f"{path} cannot be used to plan the app: {reason}. Nothing was changed.", hint=f"Correct {path} and run `hitless plan`."
    )


def table(value: Any, key: str) -> dict[str, Any]:
    """The mapping at ``key``; ``{}`` when there is none, or something else stands there."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def items(value: Any, key: str) -> list[Any]:
    """The list at ``key``; ``[]`` when there is none, or something else stands there."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []
