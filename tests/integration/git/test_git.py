# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources from real git servers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils._origin import open_source
from ansible_collections.hitless.paas.plugins.plugin_utils._source import Source, cache_folder, inspect

from .conftest import TOKEN, HttpServer, Upstream, git


def opened(url: str, secrets: dict[str, str] | None = None, **origin: Any) -> Source:
    return open_source({"git": url, **origin}, secrets or {})


def refused(url: str, secrets: dict[str, str] | None = None, **origin: Any) -> HitlessError:
    with pytest.raises(HitlessError) as caught:
        opened(url, secrets, **origin)
    assert caught.value.message.endswith("Nothing was changed.")
    assert TOKEN not in str(caught.value.as_dict())
    return caught.value


def packs(http: HttpServer) -> int:
    return sum(path.endswith("/git-upload-pack") for _method, path, _given in http.requests)


def cached_bytes(needle: bytes) -> list[Path]:
    files = [path for path in Path(cache_folder()).rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if needle in path.read_bytes()]


@pytest.mark.parametrize("kind", ["http", "daemon"])
def test_head_is_what_a_clone_has(kind: str, upstream: Upstream, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    commit = upstream.commit("Second\n\nbody", {"app.py": "print(2)\n", "sub/tracked_log": "kept"})
    server = request.getfixturevalue(kind)
    url = f"{server if kind == 'daemon' else server.url}/shop.git"
    source = opened(url)
    git(tmp_path, "clone", "-q", str(upstream.bare), "clone")
    assert source.digest == inspect(tmp_path / "clone").digest
    expected = {"branch": "main", "commit": commit, "message": "Second", "author": "Ann <ann@example.com>", "dirty": False, "url": url, "ref": None}
    assert source.git == expected
    assert source.warnings == []


def test_branch_tag_full_name_and_commit(upstream: Upstream, http: HttpServer) -> None:
    first = git(upstream.work, "rev-parse", "HEAD")
    git(upstream.work, "tag", "-a", "v1", "-m", "one")
    git(upstream.work, "push", "-q", "origin", "v1")
    git(upstream.work, "checkout", "-q", "-b", "feature/x")
    second = upstream.commit("Second", {"app.py": "print(2)\n"})
    third = upstream.commit("Third", {"app.py": "print(3)\n"})
    url = f"{http.url}/shop.git"
    found = {ref: opened(url, ref=ref).git for ref in ("main", "v1", "refs/tags/v1", "feature/x", "refs/heads/feature/x", second)}
    assert [facts["commit"] for facts in found.values()] == [first, first, first, third, third, second]
    assert [facts["branch"] for facts in found.values()] == ["main", None, None, "feature/x", "feature/x", None]


def test_only_what_is_new_is_fetched_and_a_known_commit_asks_nobody(upstream: Upstream, http: HttpServer) -> None:
    (upstream.work / "big").write_bytes(os.urandom(2_000_000))
    commit = upstream.commit("Big")
    url = f"{http.url}/shop.git"
    opened(url)
    before = packs(http)
    again = opened(url)
    assert packs(http) == before + 1  # the list of names, and no pack
    asked = len(http.requests)
    assert opened(url, ref=commit).digest == again.digest
    assert len(http.requests) == asked
    size = sum(path.stat().st_size for path in Path(cache_folder()).rglob("*.pack"))
    upstream.commit("Small", {"app.py": "print(9)\n"})
    assert opened(url).git["message"] == "Small"
    assert sum(path.stat().st_size for path in Path(cache_folder()).rglob("*.pack")) < size + 100_000


def test_within_one_run_a_branch_stays_what_it_was(upstream: Upstream, http: HttpServer) -> None:
    origin = {"git": f"{http.url}/shop.git", "ref": "main"}
    first = open_source(origin, {}, "run 1")
    upstream.commit("Second", {"app.py": "print(2)\n"})
    asked = len(http.requests)
    assert open_source(origin, {}, "run 1").git["commit"] == first.git["commit"]
    assert len(http.requests) == asked
    assert open_source(origin, {}, "run 2").git["message"] == "Second"


def test_a_token_opens_a_private_repository_and_is_written_nowhere(upstream: Upstream, http: HttpServer) -> None:
    http.password = TOKEN
    source = opened(f"{http.url}/shop.git", {"GIT_TOKEN": TOKEN}, token="GIT_TOKEN")
    assert source.git["message"] == "First"
    assert any(given for _method, _path, given in http.requests)
    assert cached_bytes(TOKEN.encode()) == []
    assert TOKEN not in repr(source)


def test_the_token_goes_to_no_other_host(upstream: Upstream, http: HttpServer, root: Path) -> None:
    other = HttpServer(root)  # another port is another place
    other.password = "something"
    (upstream.work / ".gitmodules").write_text(f'[submodule "x"]\n\tpath = x\n\turl = {other.url}/inner.git\n')
    git(upstream.work, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},x")
    git(upstream.work, "add", ".gitmodules")
    git(upstream.work, "commit", "-q", "-m", "Submodule")
    git(upstream.work, "push", "-q", "origin", "HEAD")
    http.password = TOKEN
    thread = threading.Thread(target=other.serve_forever, daemon=True)
    thread.start()
    try:
        error = refused(f"{http.url}/shop.git", {"T": TOKEN}, token="T")
    finally:
        other.shutdown()
        other.server_close()
    assert error.code == "authentication_refused"
    assert other.requests
    assert not any(given for _method, _path, given in other.requests)


def test_while_git_runs_no_argument_holds_the_token(upstream: Upstream, http: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that notes its arguments stands before the real one."""
    seen = tmp_path / "arguments"
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {seen}\nexec {shutil.which("git")} "$@"\n')
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    http.password = TOKEN
    opened(f"{http.url}/shop.git", {"T": TOKEN}, token="T")
    assert "fetch" in seen.read_text()
    assert TOKEN not in seen.read_text()


@pytest.mark.parametrize(("password", "name", "origin", "code", "words"), [
    ("right", "shop.git", {"token": "T"}, "authentication_refused", "refused the authentication"),
    ("right", "shop.git", {}, "authentication_refused", "asks for one"),
    (None, "nothing.git", {}, "repository_unknown", "There is no git repository"),
    (None, "shop.git", {"ref": "no/such"}, "ref_unknown", "no branch, tag or commit no/such"),
    (None, "shop.git", {"ref": "1" * 40}, "ref_unknown", "1111"),
    (None, "shop.git", {"path": "no"}, "source_invalid", "no folder 'no'"),
])  # fmt: skip
def test_one_clear_sentence(password: str | None, name: str, origin: dict[str, Any], code: str, words: str, upstream: Upstream, http: HttpServer) -> None:
    http.password = password
    error = refused(f"{http.url}/{name}", {"T": TOKEN}, **origin)
    assert (error.code, error.exit) == (code, 2)
    assert words in error.message


def test_nobody_there(upstream: Upstream) -> None:
    assert refused("http://127.0.0.1:9/shop.git").code == "source_unreachable"


def test_a_branch_and_a_tag_of_one_name_must_be_told_apart(upstream: Upstream, http: HttpServer) -> None:
    git(upstream.work, "push", "-q", "origin", "HEAD:refs/tags/main")
    opened(f"{http.url}/shop.git", ref="main")
    upstream.commit("Second", {"app.py": "print(2)\n"})
    assert "branch and a tag" in refused(f"{http.url}/shop.git", ref="main").message


def test_ssh_with_a_key(upstream: Upstream, ssh: tuple[str, Path], new_key: Callable[[str], Path], home: Path) -> None:
    url, key = ssh
    try:
        assert opened(f"{url}/shop.git", key=str(key)).git["message"] == "First"
        error = refused(f"{url}/shop.git", key=str(new_key("wrong")), ref="main")
        assert (error.code, error.exit) == ("authentication_refused", 2)
        assert refused(f"{url}/nothing.git", key=str(key)).code == "repository_unknown"
        assert "cannot be read" in refused(f"{url}/shop.git", key=str(home / "none")).message
    finally:
        known = Path("~root/.ssh/known_hosts").expanduser()  # ssh takes the home of the user's account
        if known.exists():
            port = url.rpartition(":")[2].partition("/")[0]
            subprocess.run(["ssh-keygen", "-q", "-R", f"[127.0.0.1]:{port}", "-f", str(known)], check=True, capture_output=True)


def test_a_cut_fetch_is_repaired(upstream: Upstream, http: HttpServer) -> None:
    (upstream.work / "big").write_bytes(os.urandom(500_000))
    commit = upstream.commit("Big")
    http.cut = 100_000
    assert refused(f"{http.url}/shop.git").code == "source_unreachable"
    http.cut = None
    mirror = next(Path(cache_folder(), "git").glob("*/mirror"))
    (mirror / "shallow.lock").touch()  # what a killed git leaves
    assert opened(f"{http.url}/shop.git").git["commit"] == commit


@pytest.mark.parametrize("harm", ["pack", "head", "tree", "half a tree"])
def test_a_damaged_cache_is_made_anew(harm: str, upstream: Upstream, http: HttpServer) -> None:
    url = f"{http.url}/shop.git"
    right = opened(url)
    home = next(Path(cache_folder(), "git").iterdir())
    tree = Path(right.folder)
    if harm == "tree":
        (tree / "app.py").write_text("print('something else')\n")
    elif harm == "half a tree":
        (tree.with_name(tree.name + ".json")).unlink()
        (tree / "app.py").unlink()
    elif harm == "head":
        (home / "mirror" / "HEAD").unlink()
    else:
        shutil.rmtree(tree)
        for path in (home / "mirror" / "objects").rglob("*"):
            if path.is_file():
                path.chmod(0o600)
                path.write_bytes(b"junk")
    again = opened(url)
    assert (again.digest, again.git) == (right.digest, right.git)


def test_runs_at_once_do_not_meet(upstream: Upstream, http: HttpServer) -> None:
    code = "import sys; from ansible_collections.hitless.paas.plugins.plugin_utils._origin import open_source as o; print(o({'git': sys.argv[1]}, {}).digest)"
    runs = [subprocess.Popen([sys.executable, "-c", code, f"{http.url}/shop.git"], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert {run.communicate()[0].strip() for run in runs} == {opened(f"{http.url}/shop.git").digest}


def test_submodules_are_fetched(upstream: Upstream, http: HttpServer, root: Path) -> None:
    inner = Upstream(root, "inner")
    inner.commit("Inner", {"code": "inner"})
    git(upstream.work, "submodule", "--quiet", "add", "../inner.git", "vendor/inner")
    upstream.commit("With a submodule")
    source = opened(f"{http.url}/shop.git")
    assert "vendor/inner/code" in source.files
    error = refused_as_it_is(f"{http.url}/shop.git")
    assert "vendor/inner" in error.message
    inner.commit("Inner 2", {"code": "inner 2"})
    git(upstream.work / "vendor" / "inner", "pull", "-q", str(inner.bare), "main")
    upstream.commit("Newer submodule")
    assert (Path(opened(f"{http.url}/shop.git").folder) / "vendor/inner/code").read_text() == "inner 2"


def refused_as_it_is(url: str) -> HitlessError:
    with pytest.raises(HitlessError) as caught:
        opened(url, submodules=False)
    return caught.value


@pytest.mark.parametrize("url", ["ext::sh -c touch% {0}", "file://{0}", "--upload-pack=touch {0}", "{1}"])
def test_a_hostile_submodule_runs_nothing_and_reads_nothing(url: str, upstream: Upstream, http: HttpServer, tmp_path: Path, root: Path) -> None:
    Upstream(root, "private").commit("Secret", {"secret": "secret"})
    (upstream.work / ".gitmodules").write_text(f'[submodule "x"]\n\tpath = x\n\turl = {url.format(tmp_path / "owned", root / "private.git")}\n')
    git(upstream.work, "add", ".gitmodules")
    git(upstream.work, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},x")
    git(upstream.work, "commit", "-q", "-m", "Hostile")
    git(upstream.work, "push", "-q", "origin", "HEAD")
    with pytest.raises(HitlessError):
        opened(f"{http.url}/shop.git")
    assert not (tmp_path / "owned").exists()
    assert cached_bytes(b"secret") == []


def test_a_folder_of_a_repository_and_files_of_this_machine(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    upstream.commit("Sub", {"apps/one/main": "x", "apps/two/main": "y"})
    (upstream.work / "out").symlink_to("/etc")
    upstream.commit("Link")
    url = f"file://{upstream.bare}"
    assert "path of this machine" in refused(url).message
    monkeypatch.setenv("HITLESS_GIT_ALLOW_FILE", "1")
    source = opened(url, path="apps/one")
    assert source.files == ["main"]
    assert source.git["message"] == "Link"
    assert refused(url, path="out").code == "source_invalid"


def test_lfs_files_are_fetched_where_git_lfs_is_set_up_and_else_named(upstream: Upstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HITLESS_GIT_ALLOW_FILE", "1")
    git(upstream.work, "lfs", "install", "--local")
    git(upstream.work, "lfs", "track", "*.bin")
    upstream.commit("Large", {"data.bin": ""})
    (upstream.work / "data.bin").write_bytes(b"large" * 1000)
    upstream.commit("Larger")
    url = f"file://{upstream.bare}"
    pointers = opened(url)
    assert "data.bin" in pointers.warnings[0]
    assert "git lfs pull" in pointers.warnings[0]
    subprocess.run(["git", "lfs", "install", "--skip-repo"], check=True, capture_output=True)
    shutil.rmtree(cache_folder())
    whole = opened(url)
    assert (Path(whole.folder) / "data.bin").read_bytes() == b"large" * 1000
    assert whole.warnings == []


def test_the_trees_used_last_are_kept(upstream: Upstream, http: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.hitless.paas.plugins.plugin_utils._git._IN_USE_SECONDS", -1)
    url = f"{http.url}/shop.git"
    folders = []
    for number in range(8):
        upstream.commit(str(number), {"app.py": str(number)})
        folders.append(Path(opened(url).folder))
        os.utime(folders[-1].with_name(folders[-1].name + ".json"), (number + 1, number + 1))
    left = [folder.exists() for folder in folders]
    assert left == [False, False, False, True, True, True, True, True] or left == [False, False, True, True, True, True, True, True]
    assert opened(url, ref=folders[0].name).git["message"] == "0"
