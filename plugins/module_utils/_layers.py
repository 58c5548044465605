# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dependency layers: what an install made, kept by the digest of what it was made from, and shared by hard links.

The files of a layer belong to root and are read-only, so a build that gets them in folders of its own can replace one and never change it for others.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess

from ansible_collections.hitless.paas.plugins.module_utils._build_plan import layers_to_prune
from ansible_collections.hitless.paas.plugins.module_utils._files import fsync_dir, write_json

DEFAULT_CAP = 5 * 1024**3


def run(*words):
    """Run a command that is expected to succeed; OSError with its complaint when it does not."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, universal_newlines=True)
    if done.returncode:
        raise OSError("%s: %s" % (words[0], (done.stderr.strip().splitlines() or ["status %d" % done.returncode])[-1]))
    return done.stdout


def own(path, user):
    """Give the folders of a tree, and not its files, to ``user``, writable."""
    run("find", path, "-xdev", "-type", "d", "-exec", "chown", "-h", user + ":", "{}", "+", "-exec", "chmod", "u+rwx", "{}", "+")


def seal(path):
    """Everything of a tree to root, readable by all, writable by none."""
    run("chown", "-hR", "root:root", path)
    run("chmod", "-R", "a+rX,a-w,u-s,g-s", path)


def size_of(path):
    """The bytes of a tree on disk."""
    return int(run("du", "-s", "--block-size=1", path).split()[0])


def inside(tree, path):
    """The real folder ``path`` of a tree, or None when there is none, or a link leads elsewhere."""
    full = os.path.join(tree, path)
    return full if os.path.isdir(full) and os.path.realpath(full) == os.path.join(os.path.realpath(tree), os.path.normpath(path)) else None


class Layers:
    """The layers of one app in ``folder`` (``/srv/<app>/cache/deps``), of at most ``cap`` bytes together."""

    def __init__(self, folder, cap=DEFAULT_CAP):
        self.folder = folder
        self.cap = cap

    def restore(self, digest, tree, user):
        """Put a layer into a tree; false when there is none."""
        layer = os.path.join(self.folder, digest)
        if not os.path.isdir(layer):
            return False
        for path in _dirs(layer):
            target = os.path.join(tree, path)
            if os.path.lexists(target):
                shutil.rmtree(target)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            run("cp", "-al", os.path.join(layer, "files", path), target)
            own(target, user)
        os.utime(os.path.join(layer, "layer.json"))
        return True

    def store(self, digest, tree, dirs, user):
        """Keep what an install made in ``dirs``; the tree keeps the same files."""
        found = sorted(path for path in dirs if inside(tree, path))
        layer = os.path.join(self.folder, digest)
        if not found or os.path.isdir(layer):
            return
        partial = layer + ".partial"
        if os.path.lexists(partial):
            shutil.rmtree(partial)
        for path in found:
            target = os.path.join(partial, "files", path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            run("cp", "-al", os.path.join(tree, path), target)
        seal(os.path.join(partial, "files"))
        for path in found:
            own(os.path.join(tree, path), user)
        write_json(os.path.join(partial, "layer.json"), {"v": 1, "dirs": found, "bytes": size_of(partial)})
        run("sync", "-f", partial)
        os.rename(partial, layer)
        fsync_dir(self.folder)
        self.prune(digest)

    def prune(self, keep):
        """Remove the least recently used layers until the rest is at most the cap; ``keep`` stays."""
        layers = []
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name, "layer.json")
            if not name.endswith(".partial") and os.path.isfile(path):
                layers.append((name, _read(path)["bytes"], os.stat(path).st_mtime))
        for name in layers_to_prune(layers, self.cap, keep):
            gone = os.path.join(self.folder, name + ".partial")
            os.rename(os.path.join(self.folder, name), gone)
            shutil.rmtree(gone)


def _read(path):
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)


def _dirs(layer):
    return _read(os.path.join(layer, "layer.json"))["dirs"]
