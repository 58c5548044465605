# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is deployed, wherever it comes from."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from conftest import SERVER, App

TOKEN = "tok-5d2e8f"


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=Ann", "-c", "user.email=ann@example.com", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, version: str) -> str:
    (folder / "server.py").write_text(SERVER)
    (folder / "VERSION").write_text(version)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", f"Version {version}")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    monkeypatch.setenv("HITLESS_GIT_ALLOW_FILE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def write_config(app: App, **settings: object) -> None:
    """hitless.yml alone: the folder that it is in has no app."""
    app.write("unused", **settings)
    (app.folder / "server.py").unlink()
    (app.folder / "VERSION").unlink()


def test_a_git_source_is_deployed_and_recorded(app: App, repository: Path) -> None:
    first = commit(repository, "1")
    write_config(app, source={"git": f"file://{repository}", "ref": "main"})
    code, events = app.hitless("deploy")
    assert code == 0, events[-1]
    assert app.get() == (200, "1")
    git(repository, "checkout", "-q", "-b", "next")
    second = commit(repository, "2")
    assert app.hitless("deploy")[1][-1]["changed"] is False
    code, events = app.hitless("deploy", "--ref", "next")
    assert code == 0, events[-1]
    assert app.get() == (200, "2")
    code, events = app.hitless("deploy", "--source", f"file://{repository}", "--ref", first)
    assert code == 0, events[-1]
    assert app.get() == (200, "1")
    sources = [record["source"] for record in app.records()]
    assert [(source["commit"], source["branch"], source["ref"]) for source in sources] == [
        (first, None, first),
        (second, "next", "next"),
        (first, "main", "main"),
    ]
    assert {(source["author"], source["url"], source["dirty"]) for source in sources} == {("Ann <ann@example.com>", f"file://{repository}", False)}


def test_an_archive_is_deployed_and_is_what_its_folder_is(app: App, tmp_path: Path) -> None:
    app.deploy("1")
    subprocess.run(["tar", "-czf", str(tmp_path / "dist.tar.gz"), "-C", str(app.folder.parent), app.folder.name], check=True)
    code, events = app.hitless("deploy", "--source", "../dist.tar.gz")
    assert (code, events[-1]["changed"]) == (0, False)


@pytest.mark.parametrize(("settings", "words", "sentence"), [
    ({"source": {"git": "https://127.0.0.1:9/x.git", "token": "GIT_TOKEN"}}, (), "token GIT_TOKEN of the git source has no value"),
    ({"source": {"git": "ext::sh -c touch% owned"}}, (), "source.git"),
    ({}, ("--source", "ext::sh"), "scheme other than"),
    ({}, ("--source", "file:///nowhere", "--ref", "-x"), "no name of a branch"),
    ({}, ("--ref", "main"), "no git repository"),
    ({}, ("--source", "no-such-folder"), "does not exist"),
    ({}, ("--builder", "dockerfile"), "the docker runtime that it needs is not there yet"),
    ({}, ("--builder", "nixpacks"), "nixpacks, which is not installed"),
])  # fmt: skip
def test_what_cannot_be_had_is_refused_before_anything_changed(settings: dict[str, object], words: tuple[str, ...], sentence: str, app: App) -> None:
    app.deploy("1")
    before = app.records()
    app.write("2", **settings)
    code, events = app.hitless("deploy", *words)
    assert code == 2
    assert sentence in events[-1]["reason"]
    assert app.get() == (200, "1")
    app.settings.pop("source", None)
    app.write("2")
    assert app.records() == before


def test_a_token_is_in_no_event_and_on_no_host(app: App, repository: Path) -> None:
    app.deploy("1")
    app.write("2", source={"git": "https://127.0.0.1:9/x.git", "token": "GIT_TOKEN"})
    code, events = app.hitless("deploy", env={"GIT_TOKEN": TOKEN})
    assert code == 1
    assert "cannot be reached" in events[-1]["reason"]
    assert TOKEN not in str(events)
    assert app.host.sh(f"grep -rl {TOKEN} /var/lib/hitless /var/log/hitless /srv /etc || true") == ""


def test_uncommitted_changes_are_deployed_said_and_recorded(app: App) -> None:
    app.write("1")
    git(app.folder, "init", "-q", "-b", "main")
    git(app.folder, "add", "-A")
    git(app.folder, "commit", "-q", "-m", "First")
    code, events = app.hitless("deploy")
    assert code == 0
    assert not [event for event in events if event["event"] == "warning" and "uncommitted" in event["message"]]
    (app.folder / "VERSION").write_text("2")
    code, events = app.hitless("deploy")
    assert code == 0
    assert [event for event in events if event["event"] == "warning" and "uncommitted" in event["message"]]
    assert app.get() == (200, "2")
    assert [record["source"]["dirty"] for record in app.records()] == [True, False]


@pytest.mark.parametrize("is_checkout", [False, True])
def test_odd_things_arrive_whole_or_are_refused_by_name(is_checkout: bool, app: App) -> None:
    app.write("1")
    names = ["new\nline", "日本", " space ", "-dash", "*"]
    for name in names:
        (app.folder / name).write_text(name)
    (app.folder / "link").symlink_to("VERSION")
    (app.folder / "empty").mkdir()
    size = 1024 if is_checkout else 2 * 1024**3
    with open(app.folder / "large", "wb") as stream:
        stream.truncate(size)
    if is_checkout:
        git(app.folder, "init", "-q")
    code, events = app.hitless("deploy")
    assert code == 0, events[-1]
    tree = f"/srv/{app.name}/artifacts/{app.records()[0]['artifact']}"
    assert int(app.host.sh(f"stat -c %s {tree}/large")) == size
    assert app.host.sh(f"readlink {tree}/link").strip() == "VERSION"
    arrived = app.host.sh(f"cd {tree} && find . -maxdepth 1 -printf '%P\\0'").split("\0")
    assert set(names) <= set(arrived)
    app.host.sh(f"rm -rf /srv/{app.name}/artifacts/.removed-*")
    (app.folder / "large").unlink()
    for make, named in ((lambda path: path.symlink_to("/etc/passwd"), "outside"), (os.mkfifo, "pipe")):
        make(app.folder / named)
        code, events = app.hitless("deploy")
        assert code == 2
        assert f"'{named}'" in events[-1]["reason"]
        (app.folder / named).unlink()
    assert app.get() == (200, "1")
