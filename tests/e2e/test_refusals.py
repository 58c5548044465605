# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that cannot be used: each is refused in one sentence, and nothing on it is changed."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import Host, command

OLD_HAPROXY = """mkdir -p /opt/repo
printf 'Package: haproxy\\nVersion: 2.4.24-0ubuntu0.22.04.1\\nArchitecture: all\\nFilename: ./haproxy.deb\\nSize: 1\\nDescription: old\\n' > /opt/repo/Packages
echo 'deb [trusted=yes] file:/opt/repo ./' > /etc/apt/sources.list.d/old.list
printf 'Package: haproxy\\nPin: version 2.4*\\nPin-Priority: 1001\\n' > /etc/apt/preferences.d/old
apt-get -qq update -o Dir::Etc::sourcelist=sources.list.d/old.list -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0
"""
# What is done to the host, what undoes it, the exit code, and what the sentence says.
FAULTS = {
    "port": ("systemd-run --quiet --unit squatter python3 -m http.server 80; until ss -Htln sport = :80 | grep -q .; do sleep 0.1; done",
             "systemctl stop squatter", 1, "Port 80 is held by python3"),
    "system": ("mv /etc/os-release /etc/os-release.kept; echo ID=fedora > /etc/os-release", "mv /etc/os-release.kept /etc/os-release", 2, "it runs fedora"),
    "init": ("echo openrc-init > /run/comm; mount --bind /run/comm /proc/1/comm", "umount /proc/1/comm", 2, "openrc-init, not systemd"),
    "disk": ("mount -t tmpfs -o size=100m none /srv", "umount /srv", 1, "There are 100 MB free on the disk of /srv"),
    "memory": ("echo 'MemTotal: 65536 kB' > /run/meminfo; mount --bind /run/meminfo /proc/meminfo", "umount /proc/meminfo", 1, "has 64 MB of memory"),
    "haproxy": (OLD_HAPROXY, "rm /etc/apt/sources.list.d/old.list /etc/apt/preferences.d/old", 2, "its packages have HAProxy 2.4.24"),
    "python": ("mv /usr/bin/python3 /usr/bin/python3.kept", "mv /usr/bin/python3.kept /usr/bin/python3", 4, "has no /usr/bin/python3"),
}  # fmt: skip
SNAPSHOT = (
    "find /etc /srv /var/lib/hitless /var/log/hitless -xdev -newer /run/before ! -type d 2>/dev/null; dpkg -l | md5sum; systemctl is-enabled nginx 2>&1 || true"
)


@dataclass(frozen=True)
class Fresh:
    """A server that was created and not configured."""

    folder: Path
    state: Path
    host: Host

    @property
    def kept(self) -> Path:
        """What the controller keeps of it."""
        return self.host.key.parent

    def run(self, verb: str, env: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
        """The exit code and the last event of one verb."""
        done = command(self.folder, self.state, verb, "--json", env=env)
        return done.returncode, json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def fresh(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    name = f"e2e-fresh-{os.getpid()}"
    folder = tmp_path_factory.mktemp("fresh") / name
    folder.mkdir()
    (folder / "hitless.yml").write_text(f"app: {name}\ntargets:\n  dev: {{provider: docker}}\n")
    try:
        done = command(folder, state, "create")
        assert done.returncode == 0, done.stdout + done.stderr
        made = state / "hitless" / name / "dev"
        target = json.loads((made / "target.json").read_text())
        yield Fresh(folder, state, Host(target["container"], target["port"], made / "id_ed25519", target["http_port"], target["https_port"]))
    finally:
        command(folder, state, "destroy", "--yes")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_host_that_cannot_be_used_is_refused_and_left_alone(fresh: Fresh, fault: str) -> None:
    make, undo, exit_code, said = FAULTS[fault]
    fresh.host.sh(make)
    try:
        fresh.host.sh("sleep 0.01; touch /run/before")
        before = fresh.host.sh(SNAPSHOT)
        code, last = fresh.run("configure")
        assert fresh.host.sh(SNAPSHOT) == before
    finally:
        fresh.host.sh(undo)
    assert (code, last["event"]) == (exit_code, "failed"), last
    assert said in last["reason"]
    assert "nothing was changed" in last["reason"]
    assert len(last["reason"].splitlines()) == 1
    assert last["hint"]


@pytest.mark.parametrize(("file", "said"), [("known_hosts", "another host key"), ("id_ed25519", "refuses the login")])
def test_a_key_that_is_not_the_right_one_is_exit_4(fresh: Fresh, file: str, said: str) -> None:
    path = fresh.kept / file
    kept = path.read_text()
    if file == "known_hosts":
        path.write_text(f"{kept.split()[0]} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEZBS0VLRVlGQUtFS0VZRkFLRUtFWUZBS0VLRVlGQUtF\n")
    else:
        fresh.host.sh("mv /root/.ssh/authorized_keys /root/.ssh/kept")
    try:
        # A folder of its own for connections: one that is open already would not ask for keys.
        with tempfile.TemporaryDirectory(dir="/tmp") as runtime:
            code, last = fresh.run("configure", {"XDG_RUNTIME_DIR": runtime})
    finally:
        path.write_text(kept)
        fresh.host.sh("[ ! -e /root/.ssh/kept ] || mv /root/.ssh/kept /root/.ssh/authorized_keys")
    assert (code, last["event"]) == (4, "failed"), last
    assert said in last["reason"]
    assert "nothing was changed" in last["reason"]


def test_after_all_that_the_host_can_be_configured(fresh: Fresh) -> None:
    assert fresh.run("configure")[0] == 0
