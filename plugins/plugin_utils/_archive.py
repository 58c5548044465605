# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources in archives (tar, also compressed, and zip). Nothing of an archive is believed: each name, kind and size is checked before it is written.

``<cache>/archives/<sha256 of the archive>/`` is an unpacked one; a name that ends in ``.partial`` is not one.
"""

from __future__ import annotations

import bz2
import contextlib
import fcntl
import gzip
import hashlib
import lzma
import os
import shutil
import stat
import subprocess
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, cast

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError

_CHUNK = 1 << 20
_KEPT = 5
_IN_USE_SECONDS = 3600
_TAR_KINDS = {
    tarfile.SYMTYPE: "l", tarfile.LNKTYPE: "h", tarfile.DIRTYPE: "d", tarfile.FIFOTYPE: "a FIFO", tarfile.CHRTYPE: "a device", tarfile.BLKTYPE: "a device",
}  # fmt: skip
_UNREADABLE = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, OSError, NotImplementedError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Limits:
    """How far an archive may expand.

    Attributes:
        files: number of entries.
        bytes: size of all files together that is always allowed.
        ratio: how many times the archive's own size is allowed beyond that.
    """

    files: int = 200_000
    bytes: int = 256 * 1024**2
    ratio: int = 100


class Member(NamedTuple):
    """One entry of an archive.

    Attributes:
        path: as it is written there.
        kind: ``f`` file, ``x`` executable file, ``l`` symbolic link, ``h`` hard link, ``d`` folder, or what else it is, in words.
        target: of a link.
        content: of a file; only to be read before the next entry.
    """

    path: str
    kind: str
    target: str = ""
    content: IO[bytes] | None = None


def unpacked(archive: str, cache: str, limits: Limits | None = None) -> str:
    """The folder below ``cache`` that holds what is in ``archive``; a single folder at its top is left out of the paths.

    Raises:
        HitlessError: ``source_invalid``; nothing is left then.
    """
    home = Path(cache, "archives")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = home / _digest(archive)
    with _locked(home):
        if folder.is_dir():
            os.utime(folder)
            return str(folder)
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            _Unpacking(archive, partial, limits or Limits()).run()
            # What is in memory only may be gone after a crash, and then the name would lie.
            os.sync()
            os.rename(_top(partial), folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        os.utime(folder)
        _prune(home, folder)
    return str(folder)


def _digest(archive: str) -> str:
    try:
        with open(archive, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise HitlessError("source_invalid", f"The archive {archive} cannot be read: {error.strerror}. Nothing was changed.") from error


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    with open(home / "lock", "w", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _top(folder: Path) -> Path:
    entries = list(folder.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() and not entries[0].is_symlink() else folder


def _prune(home: Path, kept: Path) -> None:
    folders = sorted((path for path in home.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in folders[_KEPT:]:
        if old != kept and old.stat().st_mtime < time.time() - _IN_USE_SECONDS:
            shutil.rmtree(old, ignore_errors=True)


class _Unpacking:
    """One archive on its way into an empty folder."""

    def __init__(self, archive: str, folder: Path, limits: Limits) -> None:
        self._archive = archive
        self._folder = folder
        self._limits = limits
        self._files = 0
        self._room = limits.bytes + limits.ratio * os.stat(archive).st_size
        self._links: dict[str, str] = {}

    def run(self) -> None:
        """Write every entry; the symbolic links last, so that nothing is written through one."""
        try:
            for member in _members(self._archive):
                self._files += 1
                if self._files > self._limits.files:
                    raise self._refused(f"holds more than {self._limits.files} entries")
                self._write(member)
        except _UNREADABLE as error:
            raise self._refused(f"cannot be unpacked: {error or type(error).__name__}") from error
        for path, target in self._links.items():
            place = self._place(path)
            if os.path.lexists(place):
                raise self._refused(f"has {path!r} as a link and as something else")
            os.symlink(target, place)

    def _write(self, member: Member) -> None:
        path = self._checked(member.path)
        if not path or ".git" in path.split("/"):
            return  # a repository's own files are no part of a source, and git would believe them
        if member.kind == "l":
            self._links[path] = member.target
        elif member.kind == "d":
            self._make_folder(self._folder / path, path)
        elif member.kind == "h":
            self._copy(path, self._checked(member.target))
        elif member.kind in ("f", "x") and member.content is not None:
            self._copy_from(member.content, path, member.kind == "x")
        else:
            raise self._refused(f"holds {path!r}, which is {member.kind}")

    def _checked(self, name: str) -> str:
        """A path that stays inside, without dots in it."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or ".." in parts or "\0" in name:
            raise self._refused(f"holds {name!r}, which leads outside")
        return "/".join(parts)

    def _make_folder(self, place: Path, path: str) -> None:
        try:
            place.mkdir(mode=0o755, parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise self._refused(f"has {path!r} as a folder and as something else") from error

    def _place(self, path: str) -> Path:
        place = self._folder / path
        self._make_folder(place.parent, path.rpartition("/")[0])
        return place

    def _copy(self, path: str, original: str) -> None:
        source = self._folder / original
        if not source.is_file():
            raise self._refused(f"holds {path!r}, a hard link to {original!r}, which is not in it")
        with open(source, "rb") as content:
            self._copy_from(content, path, bool(source.stat().st_mode & stat.S_IXUSR))

    def _copy_from(self, content: IO[bytes], path: str, executable: bool) -> None:
        place = self._place(path)
        if place.is_dir():
            raise self._refused(f"has {path!r} as a file and as a folder")
        place.unlink(missing_ok=True)  # of two entries of one name the last one counts, as tar has it
        with open(place, "xb", opener=lambda name, flags: os.open(name, flags, 0o755 if executable else 0o644)) as stream:
            while block := content.read(_CHUNK):
                self._room -= len(block)
                if self._room < 0:
                    raise self._refused("expands to more than an archive of its size can be trusted with")
                stream.write(block)

    def _refused(self, why: str) -> HitlessError:
        return HitlessError("source_invalid", f"The archive {self._archive} {why}. Nothing was changed.", "Make the archive anew from the app's folder.")


# --- formats ---------------------------------------------------------------------------------------------------------


def _members(archive: str) -> Iterator[Member]:
    """The entries of an archive, whatever it is called: its first bytes say what it is."""
    with open(archive, "rb") as stream:
        head = stream.read(512)
        stream.seek(0)
        if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            yield from _zip_members(stream)
        elif head.startswith(b"\x28\xb5\x2f\xfd"):
            yield from _zstd_members(stream)
        else:
            with contextlib.closing(_plain(stream, head)) as plain:
                yield from _tar_members(plain)


def _plain(stream: IO[bytes], head: bytes) -> IO[bytes] | gzip.GzipFile | lzma.LZMAFile | bz2.BZ2File:
    """What a compressed stream holds."""
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream)
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.open(stream)
    return bz2.open(stream) if head.startswith(b"BZh") else stream


def _zstd_members(stream: IO[bytes]) -> Iterator[Member]:
    os.lseek(stream.fileno(), 0, os.SEEK_SET)  # the program reads past Python's buffer
    try:
        program = subprocess.Popen(["zstd", "-dcq"], stdin=stream, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise ValueError("this machine has no zstd") from error
    unpacked = cast("IO[bytes]", program.stdout)
    try:
        yield from _tar_members(unpacked)
        if unpacked.read(1) == b"" and program.wait() != 0:
            raise ValueError("it is damaged")
    finally:
        unpacked.close()
        program.kill()
        program.wait()


def _tar_members(stream: IO[bytes] | gzip.GzipFile | lzma.LZMAFile | bz2.BZ2File) -> Iterator[Member]:
    with tarfile.open(fileobj=stream, mode="r|", errorlevel=2) as tar:
        for info in tar:
            yield Member(info.name, _tar_kind(info), info.linkname, tar.extractfile(info) if info.isreg() else None)


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.isreg():
        return "x" if info.mode & stat.S_IXUSR else "f"
    return _TAR_KINDS.get(info.type, "neither a file, a folder nor a link")


def _zip_members(stream: IO[bytes]) -> Iterator[Member]:
    with zipfile.ZipFile(stream) as whole:
        for info in whole.infolist():
            mode = info.external_attr >> 16
            if info.flag_bits & 1:
                yield Member(info.filename, "encrypted")
            elif info.is_dir():
                yield Member(info.filename, "d")
            elif stat.S_ISLNK(mode):
                with whole.open(info) as content:
                    yield Member(info.filename, "l", os.fsdecode(content.read(4096)))
            elif stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                yield Member(info.filename, "neither a file, a folder nor a link")
            else:
                with whole.open(info) as content:
                    yield Member(info.filename, "x" if mode & stat.S_IXUSR else "f", "", content)
