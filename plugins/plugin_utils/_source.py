# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is deployed: the files of a folder that count, their digest, and what git says of them."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils._ignore import Rule, ignores, ignores_within, parse

LEFT_OUT = frozenset({".git", "node_modules", ".venv", "__pycache__", ".hitless"})
IGNORE_FILE = ".hitlessignore"
CONFIG_FILE = "hitless.yml"
_LFS = b"version https://git-lfs.github.com/spec/v1\n"
_LFS_LIMIT = 1024
# A file changed this shortly before it was read may change again without a new time stamp, so its digest is not kept.
_UNSETTLED_NS = 2_000_000_000
_NAMES_SHOWN = 3


class Entry(NamedTuple):
    """One file of the source.

    Attributes:
        path: relative, ``/`` between parts; bytes that are not UTF-8 as surrogates.
        kind: ``f`` file, ``x`` executable file, ``l`` symbolic link.
        digest: sha256 (hex) of the content, or of a link's target.
    """

    path: str
    kind: str
    digest: str


@dataclass(frozen=True)
class Source:
    """The source in one folder.

    Attributes:
        folder: absolute path on the controller.
        digest: sha256 (hex) over the sorted paths, kinds and contents.
        files: sorted relative paths; the list of what is uploaded.
        bytes: size of all files together.
        git: ``branch``, ``commit``, ``message``, ``author`` (str or None) and ``dirty`` (bool).
        warnings: sentences for people.
    """

    folder: str
    digest: str
    files: list[str]
    bytes: int
    git: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Listing:
    """Which files of a folder count; as in ``Source``, but nothing was read."""

    folder: str
    files: list[str]
    git: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


def list_source(folder: str | os.PathLike[str]) -> Listing:
    """Which files the source in ``folder`` has.

    Raises:
        HitlessError: ``source_invalid`` when the folder is missing, or holds what cannot be deployed as it is.
    """
    root = os.path.abspath(folder)
    if not os.path.isdir(root):
        raise _invalid("The source %s does not exist." % root, "Set `source` to the folder that holds the app, an archive of it, or a git URL.")
    found = _Found()
    git = _list(root, found)
    rules = _rules_of(os.path.join(root, IGNORE_FILE), "")

    def counts(path: str) -> bool:
        return not is_left_out(path) and not ignores_within(rules, path)

    _refuse_missing(root, [path for path in found.missing if counts(path)])
    _refuse_special([path for path in found.special if counts(path)])
    return Listing(root, sorted((path for path in dict.fromkeys(found.paths) if counts(path)), key=os.fsencode), git, found.warnings)


def inspect(folder: str | os.PathLike[str]) -> Source:
    """Read the source in ``folder``.

    Raises:
        HitlessError: ``source_invalid`` when the folder is missing or empty, or holds what cannot be deployed as it is.
    """
    listing = list_source(folder)
    entries, size, pointers = _read(listing.folder, listing.files)
    if not entries:
        raise _invalid("The source folder %s holds no file that can be deployed." % listing.folder, "Check .gitignore and %s." % IGNORE_FILE)
    warnings = listing.warnings + _pointer_warnings(pointers)
    return Source(listing.folder, tree_digest(entries), [entry.path for entry in entries], size, listing.git, warnings)


def tree_digest(entries: Iterable[Entry]) -> str:
    """The digest of a tree; it depends on names, contents, x-bits and link targets, and not on owners, times or the order given."""
    total = hashlib.sha256()
    for entry in sorted(entries, key=lambda one: os.fsencode(one.path)):
        total.update(os.fsencode(entry.path) + b"\0" + ("%s%s" % (entry.kind, entry.digest)).encode() + b"\0")
    return total.hexdigest()


def is_left_out(path: str) -> bool:
    """Whether ``path`` never is part of a source: tools' folders, files of secrets, and the file of the config itself."""
    parts = path.split("/")
    name = parts[-1]
    secret = name in {".env", ".env.local"} or (name.startswith(".env.") and name.endswith(".local"))
    return secret or path == CONFIG_FILE or not LEFT_OUT.isdisjoint(parts)


def escapes(path: str, target: str) -> bool:
    """Whether a link at ``path`` with ``target`` names something outside the tree, by its words alone."""
    named = os.path.normpath(os.path.join(os.path.dirname(path), target))
    return os.path.isabs(target) or named == ".." or named.startswith("../")


def _invalid(message: str, hint: str) -> HitlessError:
    return HitlessError("source_invalid", message + " Nothing was uploaded.", hint)


# --- which files ---------------------------------------------------------------------------------------------------


@dataclass
class _Found:
    """What a walk comes across.

    Attributes:
        paths: files and links, before the fixed exclusions.
        missing: submodules that are not checked out.
        special: FIFOs, sockets and devices.
        warnings: sentences for people.
    """

    paths: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    special: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def _list(root: str, found: _Found) -> dict[str, Any]:
    """Fill ``found``, and return the git metadata."""
    nothing: dict[str, Any] = {"branch": None, "commit": None, "message": None, "author": None, "dirty": False}
    inside, complaint = _git(root, "rev-parse", "--is-inside-work-tree")
    if inside.strip() != b"true":
        if complaint and "not a git repository" not in complaint:
            found.warnings.append("git cannot read %s (%s): the source is taken as a plain folder." % (root, complaint))
        empty: list[str] = []
        _walk(root, "", [], found, empty)
        found.warnings += _empty_warnings(empty)
        return nothing
    _git_files(root, "", found)
    git = _git_metadata(root, nothing)
    if git["dirty"]:
        found.warnings.append("%s has uncommitted changes; they are deployed too." % root)
    return git


def _refuse_missing(root: str, submodules: list[str]) -> None:
    if submodules:
        message = "The source lacks the submodule%s %s: not checked out." % ("s" if len(submodules) > 1 else "", _some(submodules))
        command = "git -C %s submodule update --init --recursive" % shlex.quote(root)
        raise _invalid(message, "%s (of a git URL: source.submodules: true), or name it in %s." % (command, IGNORE_FILE))


def _refuse_special(paths: list[str]) -> None:
    if paths:
        message = "%s in the source is neither a file, a folder nor a link." % _some([repr(path) for path in paths])
        raise _invalid(message, "Remove it, or name it in .gitignore or %s." % IGNORE_FILE)


def _git(folder: str, *words: str, stdin: bytes = b"") -> tuple[bytes, str]:
    """The output and the first line of complaint of a git command that only reads; ("", "") where there is no git."""
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", folder, *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    # An unpacked archive is no part of a repository that the cache may happen to be in.
    environment |= {"LC_ALL": "C", "GIT_CEILING_DIRECTORIES": cache_folder()}
    try:
        done = subprocess.run(command, capture_output=True, check=False, input=stdin, env=environment)
    except FileNotFoundError:
        return b"", ""
    complaint = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return (done.stdout, "") if done.returncode == 0 else (b"", complaint[0] if complaint else "git ended with status %d" % done.returncode)


def _git_files(root: str, prefix: str, found: _Found) -> None:
    """Tracked files, and untracked ones that are not ignored, those of submodules and nested checkouts too."""
    here = os.path.join(root, prefix)
    listed, _complaint = _git(here, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    for name in listed.split(b"\0"):
        if not name:
            continue
        path = prefix + os.fsdecode(name).rstrip("/")
        full = os.path.join(root, path)
        if not os.path.isdir(full) or os.path.islink(full):
            found.paths.append(path)
        elif os.path.lexists(os.path.join(full, ".git")):
            _git_files(root, path + "/", found)
        else:
            found.missing.append(path)
    special = list(_special_files(here, here, ""))
    if special:
        names = b"".join(os.fsencode(path) + b"\0" for path in special)
        ignored = set(_git(here, "check-ignore", "-z", "--stdin", stdin=names)[0].split(b"\0"))
        found.special += [prefix + path for path in special if os.fsencode(path) not in ignored]


def _special_files(top: str, folder: str, prefix: str, ignored: frozenset[str] | None = None) -> Iterator[str]:
    """What git passes over in silence: FIFOs, sockets and devices, outside of ignored folders and other checkouts."""
    if ignored is None:
        listed, _complaint = _git(top, "ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
        ignored = frozenset(os.fsdecode(name) for name in listed.split(b"\0") if name.endswith(b"/"))
    with os.scandir(folder) as entries:
        for entry in entries:
            path = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                inner = path + "/"
                if entry.name not in LEFT_OUT and inner not in ignored and not os.path.lexists(os.path.join(entry.path, ".git")):
                    yield from _special_files(top, entry.path, inner, ignored)
            elif not entry.is_symlink() and not entry.is_file(follow_symlinks=False):
                yield path


def _git_metadata(root: str, nothing: dict[str, Any]) -> dict[str, Any]:
    status, _complaint = _git(root, "status", "--porcelain=v2", "--branch", "-z", "--", ".")
    lines = status.decode("utf-8", "replace").split("\0")
    branch = next((line[len("# branch.head ") :] for line in lines if line.startswith("# branch.head ")), None)
    dirty = any(line and not line.startswith("# ") for line in lines)
    log, _complaint = _git(root, "log", "-1", "--no-show-signature", "--format=%H%x00%s%x00%an <%ae>")
    commit, message, author = log.decode("utf-8", "replace").rstrip("\n").split("\0") if log else (None, None, None)
    return {**nothing, "branch": None if branch == "(detached)" else branch, "commit": commit, "message": message, "author": author, "dirty": dirty}


def _walk(root: str, folder: str, outer: list[Rule], found: _Found, empty: list[str]) -> None:
    """The files of a folder that is not a git checkout, by the .gitignore files in it."""
    rules = outer + _rules_of(os.path.join(root, folder, ".gitignore"), folder)
    entries = sorted(os.scandir(os.path.join(root, folder)), key=lambda entry: entry.name)
    if folder and not entries:
        empty.append(folder)
    for entry in entries:
        path = folder + "/" + entry.name if folder else entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if is_left_out(path) or ignores(rules, path, is_folder):
            continue
        if is_folder:
            _walk(root, path, rules, found, empty)
        elif entry.is_symlink() or entry.is_file(follow_symlinks=False):
            found.paths.append(path)
        else:
            found.special.append(path)


def _rules_of(path: str, folder: str) -> list[Rule]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return parse(stream.read(), folder)
    except (FileNotFoundError, IsADirectoryError):
        return []


def _empty_warnings(folders: list[str]) -> list[str]:
    return ["Empty folders are not deployed, as with git: %s." % _some(folders)] if folders else []


def _pointer_warnings(pointers: list[str]) -> list[str]:
    return ["Git LFS pointers are deployed instead of the files they stand for: %s. Run: git lfs pull" % _some(pointers)] if pointers else []


def _some(names: list[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (" and %d more" % more if more > 0 else "")


# --- what is in them -----------------------------------------------------------------------------------------------


def _read(root: str, paths: list[str]) -> tuple[list[Entry], int, list[str]]:
    """The entries of ``paths``, their size together, and those that are LFS pointers."""
    cache = _DigestCache(root)
    entries: list[Entry] = []
    size = 0
    links: set[str] = set()
    real_root = os.path.realpath(root)
    for path in paths:
        full = os.path.join(root, path)
        try:
            found = os.lstat(full)
        except (FileNotFoundError, NotADirectoryError):
            continue  # tracked by git and deleted in the folder
        if links and any(path.startswith(link + "/") for link in links):
            continue  # the folder above was replaced by a link, which stands for it
        if stat.S_ISLNK(found.st_mode):
            links.add(path)
            entries.append(_link(path, full, real_root))
        elif stat.S_ISREG(found.st_mode):
            entries.append(Entry(path, "x" if found.st_mode & stat.S_IXUSR else "f", cache.digest(path, full, found)))
            size += found.st_size
        else:
            raise _invalid("%r in the source is neither a file, a folder nor a link." % path, "Remove it, or name it in .gitignore or %s." % IGNORE_FILE)
    cache.save()
    return entries, size, cache.pointers


def _link(path: str, full: str, real_root: str) -> Entry:
    target = os.readlink(full)
    real = os.path.realpath(full)
    if escapes(path, target) or not (real == real_root or real.startswith(real_root.rstrip("/") + "/")):
        message = "The symbolic link %r points outside the source, to %r." % (path, target)
        raise _invalid(message, "Replace it by what it points to, or name it in .gitignore or %s." % IGNORE_FILE)
    return Entry(path, "l", hashlib.sha256(os.fsencode(target)).hexdigest())


def cache_folder() -> str:
    """Where the controller keeps what it can compute again."""
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "hitless")


class _DigestCache:
    """Digests of file contents, kept between runs as long as size, times and inode stay the same."""

    def __init__(self, root: str) -> None:
        self.pointers: list[str] = []
        self._path = os.path.join(cache_folder(), "digests", hashlib.sha256(os.fsencode(root)).hexdigest()[:32] + ".json")
        self._old = self._load()
        self._new: dict[str, list[Any]] = {}
        self._started = time.time_ns()

    def _load(self) -> dict[str, list[Any]]:
        try:
            with open(self._path, encoding="utf-8", errors="surrogateescape") as stream:
                kept = json.load(stream)
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}

    def digest(self, path: str, full: str, found: os.stat_result) -> str:
        """The digest of one regular file, read again only when something about it changed."""
        key = [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
        kept = self._old.get(path)
        if not (isinstance(kept, list) and len(kept) == 6 and kept[:4] == key):
            kept = [*key, *_hash(path, full, found.st_size)]
        if max(found.st_mtime_ns, found.st_ctime_ns) < self._started - _UNSETTLED_NS:
            self._new[path] = kept
        if kept[5]:
            self.pointers.append(path)
        return str(kept[4])

    def save(self) -> None:
        """Keep the digests; a cache that cannot be written costs time and nothing else."""
        if self._new == self._old:
            return
        folder = os.path.dirname(self._path)
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, encoding="utf-8", errors="surrogateescape") as stream:
                json.dump(self._new, stream, ensure_ascii=True)
            os.replace(stream.name, self._path)
        except OSError:
            return


def _hash(path: str, full: str, size: int) -> tuple[str, bool]:
    """The digest of a file's content, and whether it is a Git LFS pointer."""
    try:
        with open(full, "rb") as stream:
            pointer = size < _LFS_LIMIT and stream.read(len(_LFS)) == _LFS
            stream.seek(0)
            return hashlib.file_digest(stream, "sha256").hexdigest(), pointer
    except OSError as error:
        raise _invalid("The file %r in the source cannot be read: %s." % (path, error.strerror), "Make it readable, or name it in %s." % IGNORE_FILE) from error
