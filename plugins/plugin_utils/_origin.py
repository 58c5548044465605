# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a source comes from: a folder, an archive or a git repository; and how any of them becomes a folder.

An origin is a text, the absolute path of a folder or an archive, or a dictionary with ``git``, ``ref``, ``path``, ``key``, ``token`` (the name of
a secret, never its value) and ``submodules``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils._builders import BUILDERS
from ansible_collections.hitless.paas.plugins.plugin_utils._git import Checkout, Repository, check_ref, checkout, is_url, shown
from ansible_collections.hitless.paas.plugins.plugin_utils._source import Listing, Source, cache_folder, inspect, list_source

Origin = str | Mapping[str, Any]

_GIT: dict[str, Any] = {"ref": None, "path": None, "key": None, "token": None, "submodules": True}


def origin_of(given: str | Mapping[str, Any] | None, base: str) -> Origin:
    """What hitless.yml or a person says, as an origin.

    Args:
        given: a path, a git URL, a dictionary with ``git``; None for the folder ``base``.
        base: the folder that paths are relative to.
    """
    if given is None:
        return base
    if isinstance(given, str):
        return {**_GIT, "git": given} if is_url(given) else _absolute(given, base)
    key = given.get("key")
    return {**_GIT, **given, "key": _absolute(key, base) if key else None}


def _absolute(path: str, base: str) -> str:
    return os.path.normpath(os.path.join(base, os.path.expanduser(path)))


def overridden(
    settings: Mapping[str, Any], source: str | Mapping[str, Any] | None = None, ref: str | None = None, builder: str | None = None
) -> dict[str, Any]:
    """``settings`` with what one run says otherwise.

    Args:
        source: as for ``origin_of``; paths are relative to the present folder. The key and the token of hitless.yml go with its own URL only.
        ref: branch, tag or commit of a git source.
        builder: over ``build.builder``.
    """
    origin: Origin = settings["source"]
    if source is not None:
        named = origin_of(source, os.getcwd())
        is_same = isinstance(origin, Mapping) and isinstance(source, str) and isinstance(named, Mapping) and named["git"] == origin["git"]
        origin = origin if is_same else named
    if ref is not None:
        if not isinstance(origin, Mapping):
            raise HitlessError("usage", f"A ref is given ({ref}), but the source {origin} is no git repository. Nothing was changed.", "--source URL --ref REF")
        check_ref(ref)
        origin = {**origin, "ref": ref}
    build = dict(settings.get("build") or {})
    if builder is not None:
        if builder not in BUILDERS:
            raise HitlessError("usage", f"There is no builder {builder!r}. Nothing was changed.", f"One of: {', '.join(BUILDERS)}")
        build["builder"] = builder
    return {**settings, "source": origin, "build": build}


def token_of(origin: Origin, *places: Any) -> dict[str, str]:
    """The token that ``origin`` names, by its name, with the first value that one of these dictionaries has; {} when it names none."""
    name = origin.get("token") if isinstance(origin, Mapping) else None
    found = (str(place[name]) for place in places if isinstance(place, Mapping) and place.get(name))
    return {str(name): next(found, "")} if name else {}


def open_source(origin: Origin, secrets: Mapping[str, Any], run: str | None = None) -> Source:
    """The source that ``origin`` names, in a folder of this machine, read whole.

    Args:
        secrets: where the value of ``token`` is looked up.
        run: what tells this run from others; the source of one run is the same for every host.

    Raises:
        HitlessError: it cannot be had, or not be deployed as it is; nothing was changed.
    """
    folder, at, facts = _located(origin, secrets, run)
    source = inspect(folder)
    return replace(source, git={**source.git, **_about(at, facts)})


def list_origin(origin: Origin, secrets: Mapping[str, Any]) -> Listing:
    """Which files the source that ``origin`` names has; their contents are not read."""
    folder, at, facts = _located(origin, secrets)
    listing = list_source(folder)
    return replace(listing, git={**listing.git, **_about(at, facts)})


def _unpacked(archive: str) -> str:
    from ansible_collections.hitless.paas.plugins.plugin_utils._archive import unpacked  # every run imports this file, and few have an archive

    return unpacked(archive, cache_folder())


def _located(origin: Origin, secrets: Mapping[str, Any], run: str | None = None) -> tuple[str, Checkout | None, dict[str, Any]]:
    """The folder, for a git repository the checkout that it is in, and what a record says of the origin."""
    if isinstance(origin, str):
        return (_unpacked(origin) if os.path.isfile(origin) else origin), None, {}
    token = _token(origin.get("token"), secrets)
    repository = Repository(origin["git"], origin.get("ref"), origin.get("key"), token, bool(origin.get("submodules", True)), run)
    found = checkout(repository, cache_folder())
    return _inside(found.folder, origin.get("path"), repository.url), found, {"url": shown(repository.url), "ref": repository.ref}


def _about(found: Checkout | None, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {**facts, "branch": found.branch, "commit": found.commit} if found else {}


def _token(name: str | None, secrets: Mapping[str, Any]) -> str | None:
    if not name:
        return None
    value = str(secrets.get(name) or "")
    if not value or not value.isprintable():
        hint = f"export {name}=…, or ansible-playbook -e @vault.yml with hitless_secrets: {{{name}: …}}"
        raise HitlessError("config_invalid", f"The token {name} of the git source has no value that can be used. Nothing was changed.", hint)
    return value


def _inside(folder: str, path: str | None, url: str) -> str:
    """The sub-folder ``path``, which must be one, and in the tree."""
    full = os.path.join(folder, path or "")
    real = os.path.realpath(full)
    if not os.path.isdir(full) or not (real + "/").startswith(os.path.realpath(folder) + "/"):
        raise HitlessError("source_invalid", f"{shown(url)} has no folder {path!r}. Nothing was changed.", "Correct source.path in hitless.yml.")
    return os.path.normpath(full)
