# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that survive a crash: each is either the old one or the new one, whole."""

from __future__ import annotations

import json
import os
import tempfile


def fsync_dir(path):
    """Make the entries of a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_atomic(path, content, mode=0o644, uid=-1, gid=-1):
    """Replace ``path`` by ``content`` (str as UTF-8, or bytes): temporary file, fsync, rename, fsync of the folder."""
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    folder = os.path.dirname(path)
    fd, temporary = tempfile.mkstemp(prefix=".hitless-", dir=folder)
    try:
        with os.fdopen(fd, "wb") as stream:
            stream.write(data)
            os.fchmod(stream.fileno(), mode)
            if uid != -1 or gid != -1:
                os.fchown(stream.fileno(), uid, gid)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    fsync_dir(folder)


def write_json(path, value, mode=0o644):
    """Write ``value`` as indented JSON with sorted keys, atomically."""
    write_atomic(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", mode)


def read_json(path, default=None):
    """The JSON value in ``path``, or ``default`` when there is no such file.

    A file that is not JSON raises ValueError with the path in it.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except FileNotFoundError:
        return default
    except ValueError as error:
        raise ValueError("%s is not valid JSON: %s" % (path, error)) from error


def symlink_atomic(target, path):
    """Point ``path`` at ``target`` by rename(2), so that it never is missing."""
    temporary = "%s.hitless-%d" % (path, os.getpid())
    if os.path.lexists(temporary):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.rename(temporary, path)
    fsync_dir(os.path.dirname(path))
