# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sources on a host: one that was uploaded gets its name only when it is whole."""

from __future__ import annotations

import os
import subprocess

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError


def _files(folder):
    """The paths below ``folder`` of all that is no folder, links to folders among them."""
    found = []
    for parent, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        found += [os.path.relpath(os.path.join(parent, name), folder) for name in files + links]
    return found


def _remove_empty_folders(folder):
    for parent, _folders, _files in os.walk(folder, topdown=False):
        if parent != folder and not os.listdir(parent):
            os.rmdir(parent)


def complete(staged, digest, names):
    """Remove from an upload what its source does not have, check that nothing is missing, and give it its name. One that has its name already is left.

    Args:
        staged: the folder of the app's sources.
        digest: that of the source.
        names: the paths in the source of its files and links.

    Raises:
        HitlessError: ``upload_failed``, when a file did not arrive.
    """
    partial, whole = "%s/%s.partial" % (staged, digest), "%s/%s" % (staged, digest)
    if os.path.isdir(whole):
        return
    found = set(_files(partial))
    missing = sorted(set(names) - found)
    if missing:
        message = "%r did not arrive on the host, so nothing was built. What runs was left as it was." % missing[0]
        raise HitlessError("upload_failed", message, "Deploy again.")
    for name in found - set(names):
        os.unlink(os.path.join(partial, name))
    _remove_empty_folders(partial)
    # What has its name is trusted by later deployments, so it has to be on the disk before.
    subprocess.run(["sync", "-f", staged], check=True)
    os.rename(partial, whole)
