# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real systemd host in a container, and steps run on it through ansible-playbook."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
IMAGE = os.environ.get("HITLESS_TEST_IMAGE", "hitless-server:latest")
# What `configure` installs, for tests of the steps after it.
_PREPARE = "apt-get update -qq && apt-get install -qqy --no-install-recommends nginx-light && ln -sf /dev/null /etc/systemd/system/nginx.service"
_INIT = (
    "for m in /sys/fs/cgroup /sys/fs/cgroup/*; do [ -L $m ] || mount -o remount,rw,bind $m; done; "
    "mount -o remount,rw,bind /proc/sys; mount --make-rshared /; exec /sbin/init"
)
_MODULE = "ansible_collections.hitless.paas.plugins.module_utils"
_LIBRARY = "/opt/hitless/ansible_collections/hitless/paas/plugins"
_BEGIN = """
from {module} import _lock, _paths, _record
paths = _paths.AppPaths("{app}")
try:
    record = _record.Record.load(paths, "{deployment}")
except _record.HitlessError:
    record = _record.Record.create(paths, "{deployment}", status="INITIALIZING", release="{deployment}")
    record.save()
_lock.Lock(paths).acquire(lambda: "{deployment}", "test", {{}}, 60.0, steal=(_lock.Lock(paths).holder() or {{}}).get("deployment"))
"""
_FLAGS = [
    "--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN", "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined", "--cgroupns=private",
    "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp", "--stop-signal=SIGRTMIN+3",
]  # fmt: skip


def _unsafe(value):
    """``value`` with every text marked as no template, as the inventory plugin marks what comes from an app."""
    if isinstance(value, dict):
        return {name: _unsafe(part) for name, part in value.items()}
    return [_unsafe(part) for part in value] if isinstance(value, list) else {"__ansible_unsafe": value} if isinstance(value, str) else value


def prepared_image():
    """The name of an image of a server that has what `configure` installs; made once from the product's own."""
    name = "hitless-test-" + hashlib.sha256(_PREPARE.encode() + _docker("image", "inspect", "--format", "{{.Id}}", IMAGE).encode()).hexdigest()[:12]
    if _docker("image", "ls", "--quiet", name):
        return name
    container = _docker("create", IMAGE, "sh", "-c", _PREPARE).strip()
    try:
        _docker("start", "--attach", container)
        _docker("commit", container, name)
    finally:
        _docker("rm", "--force", container)
    return name


def _docker(*words):
    done = subprocess.run(["docker", *words], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, f"docker {words}: {done.stdout}{done.stderr}"
    return done.stdout


class Host:
    """One test host."""

    def __init__(self, folder):
        self.name = f"hitless-test-{uuid.uuid4().hex[:8]}"
        self._folder = folder

    def start(self):
        """Start the container and wait for its systemd."""
        subprocess.run(["docker", "run", "--detach", "--name", self.name, *_FLAGS, prepared_image(), "sh", "-c", _INIT], check=True, stdout=subprocess.DEVNULL)
        self._wait()
        self._copy_collection()

    def _copy_collection(self):
        """Let scripts on the host use what runs there."""
        self.run(f"mkdir -p {_LIBRARY}")
        subprocess.run(["docker", "cp", str(ROOT / "plugins/module_utils"), f"{self.name}:{_LIBRARY}/"], check=True, stdout=subprocess.DEVNULL)

    def begin(self, app, deployment):
        """Give the deployment a record and the lock of the app, as ``state: begun`` does."""
        self.run("cd /opt/hitless && python3 -", stdin=_BEGIN.format(module=_MODULE, app=app, deployment=deployment))

    def _wait(self):
        # The bus answers a moment after the container runs.
        self.run("until systemctl is-system-running --wait >/dev/null 2>&1 || [ $? = 1 ] && systemctl list-units >/dev/null 2>&1; do sleep 0.1; done")

    def reboot(self):
        """Restart the container, as a reboot would."""
        subprocess.run(["docker", "restart", self.name], check=True, stdout=subprocess.DEVNULL)
        self._wait()

    def remove(self):
        """End the container."""
        subprocess.run(["docker", "rm", "--force", "--volumes", self.name], check=True, stdout=subprocess.DEVNULL)

    def run(self, script, check=True, stdin=None):
        """The output of a shell script on the host."""
        words = ["docker", "exec", "-i", self.name, "sh", "-c", script]
        done = subprocess.run(words, input=stdin, capture_output=True, encoding="utf-8", timeout=120, check=False)
        assert not check or done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        return done.stdout

    def write(self, path, text):
        """Put a file on the host."""
        self.run(f"mkdir -p $(dirname {path}) && cat > {path}", stdin=textwrap.dedent(text).lstrip())

    def step(self, module, **args):
        """Run a step of a deployment through ansible-playbook; returns what the task returned, and the output as ``shown``."""
        result = self._folder / "result.json"
        result.unlink(missing_ok=True)
        connection = {"ansible_connection": "community.docker.docker", "ansible_python_interpreter": "/usr/bin/python3"}
        (self._folder / "hosts.json").write_text(json.dumps({"all": {"hosts": {self.name: connection}}}))
        (self._folder / "args.json").write_text(json.dumps({"step": _unsafe(args), "result_file": str(result)}))
        tasks = [
            {"name": "Run", f"hitless.paas.{module}": "{{ step }}", "register": "done", "ignore_errors": True},
            {"name": "Keep", "ansible.builtin.copy": {"content": "{{ done | to_json }}", "dest": "{{ result_file }}"}, "delegate_to": "localhost"},
        ]
        play = [{"name": "Step", "hosts": "all", "gather_facts": False, "tasks": tasks}]
        (self._folder / "play.yml").write_text(json.dumps(play))
        env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build"), "ANSIBLE_INJECT_FACT_VARS": "false", "ANSIBLE_LOCALHOST_WARNING": "false"}
        words = [sys.executable, "-m", "ansible", "playbook", "-vv", "-i", str(self._folder / "hosts.json")]
        words += ["-e", "@" + str(self._folder / "args.json"), str(self._folder / "play.yml")]
        done = subprocess.run(words, env=env, capture_output=True, encoding="utf-8", check=False)
        assert result.exists(), done.stdout + done.stderr
        return {**json.loads(result.read_text()), "shown": done.stdout + done.stderr}


@pytest.fixture(scope="session")
def host(tmp_path_factory):
    """A host that all tests share; each uses an app of its own."""
    machine = Host(tmp_path_factory.mktemp("host"))
    machine.start()
    yield machine
    machine.remove()
