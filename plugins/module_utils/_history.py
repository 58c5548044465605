# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the recorded history says: the live release, the one before it, and what may be pruned. Pure functions over record dictionaries, oldest first."""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError


def running(records):
    """The record of the deployment that is RUNNING, or None."""
    live = [record for record in records if record["status"] == "RUNNING"]
    return live[-1] if live else None


def good_releases(records):
    """The releases that became healthy, most recently live first, each once."""
    ordered = [record["release"] for record in reversed(records) if record["good"] and record["release"]]
    return list(dict.fromkeys(ordered))


def rollback_target(records, on_disk, wanted=None):
    """The release to roll back to.

    Args:
        records: every record of the app.
        on_disk: the releases whose folder and artifact are there.
        wanted: a release or deployment that was asked for; None means the good one before the live one.

    Raises:
        HitlessError: ``rollback_impossible``.
    """
    live = running(records)
    current = live["release"] if live else None
    if wanted:
        return _named(records, on_disk, wanted, current)
    candidates = [release for release in good_releases(records) if release != current and release in on_disk]
    if not candidates:
        message = "There is no earlier release that was healthy to go back to; what is live was left as it is."
        raise HitlessError("rollback_impossible", message, "hitless events lists the deployments; deploy a fixed version with hitless deploy.")
    return candidates[0]


def _named(records, on_disk, wanted, current):
    release = next((record["release"] for record in records if record["id"] == wanted), wanted)
    if release == current:
        raise HitlessError("rollback_impossible", "Release %s is live already; nothing was changed." % release, "hitless status")
    if release not in good_releases(records):
        message = "Release %s is not one that was healthy; what is live was left as it is." % wanted
        raise HitlessError("rollback_impossible", message, "hitless events lists the deployments.")
    if release not in on_disk:
        message = "Release %s is not kept on this host any more; what is live was left as it is." % release
        raise HitlessError("rollback_impossible", message, "Raise keep_releases to keep more of them.")
    return release


def keep_set(records, keep, pinned=()):
    """The releases that must stay: the live one, the one before it, the ``keep`` last good ones, the pinned ones. Empty when nothing ever was good."""
    good = good_releases(records)
    live = running(records)
    return set(good[: max(keep, 2)]) | set(pinned) | ({live["release"]} if live else set()) if good else set()


class Prune(NamedTuple):
    """What goes: release ids and artifact digests, sorted."""

    releases: list
    artifacts: list


def prune_plan(kept, releases, artifacts, artifact_of):
    """What may go from a host.

    Args:
        kept: the keep-set; when it is empty nothing goes.
        releases: release ids on disk.
        artifacts: artifact digests on disk.
        artifact_of: {release id: artifact digest}; a kept release that is missing here means that nothing is known, and no artifact goes.
    """
    if not kept:
        return Prune([], [])
    gone = sorted(release for release in releases if release not in kept)
    known = [release for release in releases if release in kept]
    if any(release not in artifact_of for release in known):
        return Prune(gone, [])
    needed = {artifact_of[release] for release in known}
    return Prune(gone, sorted(digest for digest in artifacts if digest not in needed))
