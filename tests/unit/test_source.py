# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils._source import escapes, inspect, is_left_out


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    (folder / "sub").mkdir(parents=True)
    (folder / "app.py").write_text("print(1)\n")
    (folder / "sub" / "data").write_text("data")
    (folder / "link").symlink_to("sub/data")
    return folder


def git(folder: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "protocol.file.allow=always", *words],
        check=True,
        capture_output=True,
    )


def _rename(tree: Path) -> None:
    (tree / "app.py").rename(tree / "main.py")


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda tree: (tree / "app.py").write_text("print(2)\n"),
    "x-bit": lambda tree: (tree / "app.py").chmod(0o755),
    "rename": _rename,
    "new file": lambda tree: (tree / "new").touch(),
    "link target": lambda tree: ((tree / "link").unlink(), (tree / "link").symlink_to("app.py")),
    "link to file": lambda tree: ((tree / "link").unlink(), (tree / "link").write_text("sub/data")),
}
NO_CHANGES: dict[str, Callable[[Path], object]] = {
    "time": lambda tree: os.utime(tree / "app.py", (1, 1)),
    "mode but the x-bit": lambda tree: (tree / "app.py").chmod(0o600),
    "secrets file": lambda tree: (tree / ".env").write_text("A=1"),
    "tool folders": lambda tree: ((tree / "node_modules").mkdir(), (tree / "node_modules" / "x").touch()),
    "config": lambda tree: (tree / "hitless.yml").write_text("app: x"),
    "empty folder": lambda tree: (tree / "empty").mkdir(),
}


@pytest.mark.parametrize("name", CHANGES)
def test_digest_changes_with(name: str, tree: Path) -> None:
    before = inspect(tree).digest
    CHANGES[name](tree)
    assert inspect(tree).digest != before


@pytest.mark.parametrize("name", NO_CHANGES)
def test_digest_stays_with(name: str, tree: Path) -> None:
    before = inspect(tree).digest
    NO_CHANGES[name](tree)
    assert inspect(tree).digest == before


def test_digest_is_the_same_elsewhere_and_under_git(tree: Path, tmp_path: Path) -> None:
    before = inspect(tree).digest
    shutil.copytree(tree, tmp_path / "other", symlinks=True)
    git(tmp_path / "other", "init", "-q")
    assert inspect(tmp_path / "other").digest == before


def test_cached_digest_sees_a_change_that_keeps_size_and_time(tree: Path) -> None:
    os.utime(tree / "app.py", (1, 1))
    before = inspect(tree).digest
    (tree / "app.py").write_text("print(3)\n")
    os.utime(tree / "app.py", (1, 1))
    assert inspect(tree).digest != before


def test_git_metadata_and_dirt(tree: Path) -> None:
    git(tree, "init", "-q", "-b", "main")
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "First\n\nbody")
    source = inspect(tree)
    assert {**source.git, "commit": None} == {"branch": "main", "commit": None, "message": "First", "author": "Ann <ann@example.com>", "dirty": False}
    assert len(source.git["commit"]) == 40
    assert source.warnings == []
    (tree / "app.py").write_text("changed")
    source = inspect(tree)
    assert source.git["dirty"]
    assert "uncommitted" in source.warnings[0]


def test_git_decides_which_files_count(tree: Path) -> None:
    (tree / ".gitignore").write_text("*.log\n")
    (tree / "kept.log").touch()
    git(tree, "init", "-q")
    git(tree, "add", "-f", "kept.log", "sub/data")
    (tree / "other.log").touch()
    (tree / "sub" / "data").unlink()
    (tree / ".hitlessignore").write_text("link\n")
    assert inspect(tree).files == [".gitignore", ".hitlessignore", "app.py", "kept.log"]


def test_submodules_are_part_of_the_source(tree: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "code").touch()
    git(inner, "init", "-q")
    git(inner, "add", "-A")
    git(inner, "commit", "-q", "-m", "x")
    git(tree, "init", "-q")
    git(tree, "submodule", "add", "-q", str(inner), "vendor")
    assert "vendor/code" in inspect(tree).files
    git(tree, "submodule", "deinit", "-f", "-q", "vendor")
    with pytest.raises(HitlessError, match="submodule vendor") as caught:
        inspect(tree)
    assert "submodule update --init --recursive" in str(caught.value.hint)
    (tree / ".hitlessignore").write_text("/vendor\n")
    assert not [path for path in inspect(tree).files if path.startswith("vendor")]


def test_plain_folder_follows_its_ignore_files(tree: Path) -> None:
    (tree / ".gitignore").write_text("*.log\n")
    (tree / "a.log").touch()
    (tree / "sub" / ".gitignore").write_text("/data\n")
    assert inspect(tree).files == [".gitignore", "app.py", "link", "sub/.gitignore"]


def test_odd_names_are_taken_as_they_are(tree: Path) -> None:
    odd = [b"new\nline", b"not-utf8-\xff", "日本".encode(), b" space ", b"-dash", b"*"]
    for name in odd:
        (tree / os.fsdecode(name)).touch()
    git(tree, "init", "-q")
    assert set(odd) <= {os.fsencode(path) for path in inspect(tree).files}


def test_lfs_pointer_is_named(tree: Path) -> None:
    (tree / "big.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 9\n")
    assert "big.bin" in inspect(tree).warnings[0]


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "sub/../../outside", "up/../outside"])
def test_link_to_the_outside_is_refused_by_name(target: str, tree: Path) -> None:
    (tree / "sub" / "up").symlink_to("..")
    (tree / "up").symlink_to("sub/up")
    (tree / "bad").symlink_to(target)
    with pytest.raises(HitlessError) as caught:
        inspect(tree)
    assert caught.value.code == "source_invalid"
    assert "'bad'" in caught.value.message


@pytest.mark.parametrize("is_checkout", [False, True])
@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFSOCK])
def test_special_file_is_refused_by_name_unless_it_is_ignored(kind: int, is_checkout: bool, tree: Path) -> None:
    os.mknod(tree / "sub" / "odd\nname", kind | 0o600)
    if is_checkout:
        git(tree, "init", "-q")
    with pytest.raises(HitlessError, match=r"'sub/odd\\nname'"):
        inspect(tree)
    (tree / ".gitignore").write_text("odd*\n")
    assert "sub/data" in inspect(tree).files
    (tree / ".gitignore").write_text("/sub\n")
    assert "app.py" in inspect(tree).files


@pytest.mark.parametrize("make", [lambda folder: None, lambda folder: folder.mkdir(), lambda folder: (folder.mkdir(), (folder / ".env").touch())])
def test_nothing_to_deploy_is_refused(make: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path / "x")
    with pytest.raises(HitlessError) as caught:
        inspect(tmp_path / "x")
    assert caught.value.code == "source_invalid"


@pytest.mark.parametrize(
    ("path", "out"),
    [(".env", True), ("a/.env", True), (".env.local", True), (".env.production.local", True),
     (".env.production", False), (".env.example", False), ("hitless.yml", True),
     ("sub/hitless.yml", False), ("a/node_modules/b", True), (".venv/x", True), (".git/x", True), (".gitignore", False), ("node_modules.txt", False)],
)  # fmt: skip
def test_left_out(path: str, out: bool) -> None:
    assert is_left_out(path) is out


@pytest.mark.parametrize(
    ("path", "target", "out"),
    [
        ("a", "b", False),
        ("a", "../b", True),
        ("s/a", "../b", False),
        ("s/a", "../../b", True),
        ("a", "/b", True),
        ("a", "..b", False),
        ("a", ".", False),
        ("a", "..", True),
    ],
)
def test_escapes(path: str, target: str, out: bool) -> None:
    assert escapes(path, target) is out
