# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wheel as it is installed: one ``pip install`` gives the command and the playbooks by name."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSIDE = "ansible_collections/hitless/paas/"


def _run(command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=600, check=False, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from the source distribution, as the package index would get it."""
    out = tmp_path_factory.mktemp("dist")
    _run([sys.executable, "-m", "build", "--outdir", out, ROOT])
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def venv(wheel, tmp_path_factory):
    venv = tmp_path_factory.mktemp("venv")
    _run([sys.executable, "-m", "venv", venv])
    _run([venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", wheel, "distlib"])
    return venv


@pytest.fixture
def environment(tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON", "HITLESS_", "XDG_"))}
    return {**kept, "HOME": str(tmp_path)}


def test_the_wheel_holds_what_the_tarball_of_the_collection_holds(wheel, venv, environment, tmp_path):
    _run([venv / "bin" / "ansible-galaxy", "collection", "build", ROOT, "--output-path", tmp_path], env=environment)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as tarball:
        expected = {member.name for member in tarball.getmembers() if member.isfile()} - {"MANIFEST.json", "FILES.json"}
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.removeprefix(INSIDE) for name in names if name.startswith(INSIDE)} == expected | {"galaxy.yml"}
    assert not [name for name in names if name.startswith("ansible_collections/") and name.count("/") < 3]
    assert "hitless/py.typed" in names


def test_the_command_and_the_playbooks_are_there_by_name(venv, environment, tmp_path):
    assert _run([venv / "bin" / "hitless", "--version"], env=environment).startswith("hitless ")
    names = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
    assert names
    for name in names:
        _run([venv / "bin" / "ansible-playbook", f"hitless.paas.{name}", "--syntax-check", "-i", "localhost,"], env=environment, cwd=tmp_path)


def test_the_command_works_in_an_app_s_folder(venv, environment, tmp_path):
    (tmp_path / "index.html").write_text("hello")
    assert "files of" in _run([venv / "bin" / "hitless", "plan"], env=environment, cwd=tmp_path)
