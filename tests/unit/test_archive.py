# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives, good ones and hostile ones."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils._archive import Limits, unpacked
from ansible_collections.hitless.paas.plugins.plugin_utils._origin import open_source
from ansible_collections.hitless.paas.plugins.plugin_utils._source import inspect


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "hitless"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "app.py").write_text("print(1)\n")
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    (folder / "sub" / "deep" / "日本\n").write_text("odd")
    (folder / "sub" / "link").symlink_to("../app.py")
    (folder / "other").write_text("print(1)\n")
    (folder / ".gitignore").write_text("*.log\n")
    (folder / "a.log").write_text("x")
    return folder


def _tar(*flag: str) -> Callable[[Path, Path], None]:
    def make(folder: Path, archive: Path) -> None:
        words = ["tar", "-c", *flag, "-f", str(archive), "-C", str(folder.parent), folder.name]
        subprocess.run(words, check=True)

    return make


def _flat(folder: Path, archive: Path) -> None:
    subprocess.run(["tar", "-cf", str(archive), "-C", str(folder), "."], check=True)


def _zip(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as whole:
        for path in sorted(folder.rglob("*")):
            info = zipfile.ZipInfo(str(path.relative_to(folder.parent)) + ("/" if path.is_dir() else ""))
            info.external_attr = os.lstat(path).st_mode << 16
            if not path.is_dir():
                whole.writestr(info, os.readlink(path) if path.is_symlink() else path.read_bytes())
            else:
                whole.writestr(info, b"")


FORMATS: dict[str, Callable[[Path, Path], None]] = {
    "tar": _tar(),
    "gz": _tar("-z"),
    "xz": _tar("-J"),
    "bz2": _tar("-j"),
    "zst": _tar("--zstd"),
    "flat": _flat,
    "zip": _zip,
}


@pytest.mark.parametrize("name", FORMATS)
def test_an_archive_has_the_digest_of_its_folder(name: str, tree: Path, tmp_path: Path) -> None:
    archive = tmp_path / "dist.bin"  # its name says nothing
    FORMATS[name](tree, archive)
    found, expected = open_source(str(archive), {}), inspect(tree)
    assert (found.digest, found.files, found.bytes) == (expected.digest, expected.files, expected.bytes)
    assert open_source(str(archive), {}).folder == found.folder


def test_zstd_needs_its_program(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FORMATS["zst"](tree, tmp_path / "dist")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HitlessError, match="no zstd"):
        open_source(str(tmp_path / "dist"), {})


def test_an_unpacked_archive_is_no_part_of_a_repository_around_it(tree: Path, tmp_path: Path, cache: Path) -> None:
    subprocess.run(["git", "init", "-q", str(cache.parent)], check=True)
    (cache.parent / ".gitignore").write_text("*\n")
    _tar("-z")(tree, tmp_path / "x.tgz")
    assert open_source(str(tmp_path / "x.tgz"), {}).digest == inspect(tree).digest


def made(archive: Path, *entries: tuple[str, str, str]) -> str:
    """A tar of (name, kind, target or text)."""
    kinds = {"l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE, "fifo": tarfile.FIFOTYPE, "chr": tarfile.CHRTYPE, "blk": tarfile.BLKTYPE, "d": tarfile.DIRTYPE}
    with tarfile.open(archive, "w") as tar:
        for name, kind, text in entries:
            info = tarfile.TarInfo(name)
            if kind == "f":
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))
            else:
                info.type, info.linkname = kinds[kind], text
                tar.addfile(info)
    return str(archive)


HOSTILE: dict[str, tuple[tuple[tuple[str, str, str], ...], str]] = {
    "absolute": ((("/tmp/owned", "f", "x"),), "'/tmp/owned', which leads outside"),
    "parent": ((("a/../../owned", "f", "x"),), "leads outside"),
    "through a link": ((("a", "l", "/tmp"), ("a/owned", "f", "x")), "'a' as a link and as something else"),
    "through a later link": ((("a/owned", "f", "x"), ("a", "l", "/tmp")), "'a' as a link and as something else"),
    "link outside": ((("x/a", "l", "../../owned"), ("y", "f", "")), "points outside"),
    "absolute link": ((("a", "l", "/etc/passwd"), ("y", "f", "")), "points outside"),
    "link to a folder above, used": ((("d/up", "l", ".."), ("d/up/../../x", "f", "")), "leads outside"),
    "hard link outside": ((("a", "h", "/etc/passwd"),), "leads outside"),
    "hard link to nothing": ((("a", "h", "b"),), "not in it"),
    "hard link through a link": ((("b", "l", "/etc/passwd"), ("a", "h", "b")), "not in it"),
    "fifo": ((("p", "fifo", ""),), "'p', which is a FIFO"),
    "device": ((("sda", "blk", ""),), "'sda', which is a device"),
    "character device": ((("tty", "chr", ""),), "a device"),
    "file as folder": ((("a", "f", "x"), ("a/b", "f", "x")), "as something else"),
    "folder as file": ((("a/b", "f", "x"), ("a", "f", "x")), "as a file and as a folder"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_is_refused_by_name_and_leaves_nothing(name: str, tmp_path: Path, cache: Path) -> None:
    entries, words = HOSTILE[name]
    with pytest.raises(HitlessError) as caught:
        open_source(made(tmp_path / "x.tar", *entries), {})
    assert caught.value.code == "source_invalid"
    assert words in caught.value.message
    assert not Path("/tmp/owned").exists()
    assert not list(tmp_path.glob("**/owned"))
    assert not list(cache.glob("**/*.partial"))


def test_a_repository_in_an_archive_is_not_believed(tmp_path: Path) -> None:
    config = '[core]\n\tfsmonitor = touch owned\n\tbare = false\n[filter "x"]\n\tclean = touch owned\n'
    entries = (("top/.git/config", "f", config), ("top/.git/HEAD", "f", "ref: refs/heads/main\n"), ("top/.git/objects", "d", ""), ("top/.git/refs", "d", ""))
    source = open_source(made(tmp_path / "x.tar", *entries, ("top/app.py", "f", "x")), {})
    assert (source.files, source.git["commit"]) == (["app.py"], None)


def test_how_far_an_archive_may_expand(tmp_path: Path, cache: Path) -> None:
    with tarfile.open(tmp_path / "bomb.tgz", "w:gz") as tar:
        info = tarfile.TarInfo("zeros")
        info.size = 8 * 1024**2
        tar.addfile(info, io.BytesIO(bytes(info.size)))
    with pytest.raises(HitlessError, match="expands to more"):
        unpacked(str(tmp_path / "bomb.tgz"), str(cache), Limits(bytes=1024**2))
    many = made(tmp_path / "many.tar", *((f"f{number}", "f", "") for number in range(20)))
    with pytest.raises(HitlessError, match="more than 10 entries"):
        unpacked(many, str(cache), Limits(files=10))
    assert not list(cache.glob("archives/*/zeros"))


@pytest.mark.parametrize("kind", ["gz", "xz", "bz2", "zst", "tar", "zip"])
def test_a_cut_archive_is_refused(kind: str, tree: Path, tmp_path: Path, cache: Path) -> None:
    (tree / "big").write_bytes(os.urandom(300_000))
    FORMATS[kind](tree, tmp_path / "whole")
    data = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut").write_bytes(data[: len(data) // 2])
    with pytest.raises(HitlessError, match="cannot be unpacked"):
        open_source(str(tmp_path / "cut"), {})
    assert not list(cache.glob("**/*.partial"))


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04junk", b"\x1f\x8bjunk", b"\xfd7zXZ\x00junk"])
def test_what_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(HitlessError) as caught:
        open_source(str(tmp_path / "x"), {})
    assert caught.value.code == "source_invalid"


def test_a_cut_unpacking_is_done_again(tree: Path, tmp_path: Path, cache: Path) -> None:
    _tar("-z")(tree, tmp_path / "x.tgz")
    folder = Path(unpacked(str(tmp_path / "x.tgz"), str(cache)))
    shutil.move(folder, str(folder) + ".partial")
    (Path(str(folder) + ".partial") / "junk").touch()
    assert "junk" not in open_source(str(tmp_path / "x.tgz"), {}).files
