# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server of one's own, by a user who is not root, and the machine itself."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ROOT, App, Host

# A word that a shell, or rsync's own quoting, would take for something else.
PASSWORD = 'it\'s "$HOME" 100% ok\\n'


@pytest.fixture(scope="module")
def users(host: Host) -> Iterator[Host]:
    """The host with users whom the same key lets in: free may use sudo, asked with a password, none not at all."""
    for name in ("free", "asked", "none"):
        host.sh(f"useradd --create-home --shell /bin/bash {name} && cp -R /root/.ssh /home/{name}/ && chown -R {name}: /home/{name}/.ssh")
    subprocess.run(["docker", "exec", "-i", host.container, "chpasswd"], input=f"asked:{PASSWORD}\nnone:{PASSWORD}\n", text=True, check=True)
    host.sh("echo 'free ALL=(ALL) NOPASSWD: ALL\nasked ALL=(ALL) ALL' > /etc/sudoers.d/e2e")
    yield host
    host.sh("rm /etc/sudoers.d/e2e; for name in free asked none; do pkill -u $name; userdel --force --remove $name; done 2>/dev/null || true")


@pytest.fixture
def log_in(app: App, users: Host) -> Callable[[str], App]:
    """Makes the app's target be of one of the users."""

    def change(user: str) -> App:
        app.settings["targets"]["prod"]["hosts"] = [f"127.0.0.1:{users.port}"]
        app.settings["targets"]["prod"]["user"] = user
        app.write("1")
        return app

    return change


def test_a_user_with_sudo_creates_configures_and_deploys(log_in: Callable[[str], App]) -> None:
    app = log_in("free")
    for verb in ("create", "configure", "deploy"):
        code, events = app.hitless(verb)
        assert code == 0, events[-1]
    assert app.get() == (200, "1")
    app.write("2")
    assert app.hitless("deploy")[0] == 0
    assert app.get() == (200, "2")


@pytest.mark.parametrize("user", ["asked", "free"])
def test_a_password_for_sudo_is_used_and_shown_nowhere(log_in: Callable[[str], App], user: str) -> None:
    app = log_in(user)
    code, events = app.hitless("deploy", env={"ANSIBLE_BECOME_PASS": PASSWORD})
    assert code == 0, events[-1]
    assert app.get() == (200, "1")
    assert PASSWORD not in repr(events)


@pytest.mark.parametrize(
    ("user", "password", "said"),
    [("asked", None, "sudo asks for a password"), ("asked", "wrong", "refuses the password"), ("none", PASSWORD, "may not use sudo")],
)
def test_sudo_that_does_not_work_is_one_sentence_and_changes_nothing(
    log_in: Callable[[str], App], users: Host, user: str, password: str | None, said: str
) -> None:
    app = log_in(user)
    for verb in ("create", "deploy"):
        code, events = app.hitless(verb, env={"ANSIBLE_BECOME_PASS": password} if password else None)
        last = events[-1]
        assert (code, last["event"]) == (4, "failed"), last
        assert said in last["reason"]
        assert "nothing was changed" in last["reason"]
        assert len(last["reason"].splitlines()) == 1
    assert users.sh(f"ls -d /srv/{app.name} /var/lib/hitless/{app.name} 2>/dev/null || true") == ""


@pytest.fixture(scope="module")
def installed(users: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """The host with the product's wheel in /opt/hitless."""
    wheels = tmp_path_factory.mktemp("wheels")
    subprocess.run(["pip", "wheel", "--quiet", "--disable-pip-version-check", "--wheel-dir", str(wheels), str(ROOT)], check=True)
    subprocess.run(["docker", "cp", str(wheels), f"{users.container}:/opt/wheels"], check=True, capture_output=True)
    users.sh("python3 -m venv /opt/hitless && /opt/hitless/bin/pip install --quiet --no-index --find-links /opt/wheels hitless")
    return users


def test_the_machine_itself_is_a_host_too(app: App, installed: Host, tmp_path: Path) -> None:
    app.settings["targets"] = {"here": {"hosts": ["localhost"]}}
    app.write("1")
    subprocess.run(["docker", "cp", str(app.folder), f"{installed.container}:/home/free/{app.name}"], check=True, capture_output=True)
    installed.sh(f"chown -R free: /home/free/{app.name}")
    for verb in ("create", "configure", "deploy"):
        words = ["docker", "exec", "--user", "free", "--workdir", f"/home/free/{app.name}", "--env", "HOME=/home/free", installed.container]
        done = subprocess.run([*words, "/opt/hitless/bin/hitless", verb, "--json"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["changed"]
    assert app.get() == (200, "1")
