# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detection, fed with the tables in detect/cases: each case is a small tree and what is said of it."""

from __future__ import annotations

import json
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils._detect import FolderTree, MemoryTree, detect

TABLES = sorted((Path(__file__).parent / "detect" / "cases").glob("*.yml"))
CASES = [pytest.param(case, id=f"{path.stem}: {case['name']}") for path in TABLES for case in yaml.safe_load(path.read_text())]


def value(plan: dict[str, Any], key: str) -> Any:
    """The value at a dotted key of a plan."""
    return reduce(lambda part, name: part[name], key.split("."), plan)


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any]) -> None:
    assert set(case) <= {"name", "files", "overrides", "plan", "contains", "warns", "error"}
    tree = MemoryTree(case["files"])
    if "error" in case:
        with pytest.raises(HitlessError) as caught:
            detect(tree, case.get("overrides"))
        assert caught.value.code == case["error"]["code"]
        assert case["error"]["says"] in f"{caught.value.message} {caught.value.hint}"
        assert caught.value.hint
        return
    plan = detect(tree, case.get("overrides")).as_dict()
    assert json.loads(json.dumps(plan)) == plan
    assert {key: value(plan, key) for key in case.get("plan", {})} == case.get("plan", {})
    for key, part in case.get("contains", {}).items():
        assert part in value(plan, key)
    if "warns" in case:
        assert any(case["warns"] in warning for warning in plan["warnings"]), plan["warnings"]
    assert all(reason["what"] and reason["is"] for reason in plan["why"])
    assert len(case.keys() & {"plan", "contains", "warns"}) > 0


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 150
    assert len({case.id for case in CASES}) == len(CASES)


def test_a_folder_is_walked_without_what_tools_make(tmp_path: Path) -> None:
    for path in ("index.html", "node_modules/x/index.js", ".git/config", ".venv/bin/python", "css/site.css"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    assert set(FolderTree(tmp_path).files) == {"index.html", "css/site.css"}
    assert detect(FolderTree(tmp_path)).output == "."


def test_a_link_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("flask\n")
    app = tmp_path / "app"
    app.mkdir()
    (app / "requirements.txt").symlink_to("../secret")
    assert FolderTree(app).read("requirements.txt") == ""


def _plan_or_code(files: dict[str, str]) -> object:
    try:
        return detect(MemoryTree(files)).as_dict()
    except HitlessError as error:
        return error.code


DECIDERS = [
    "package.json",
    "pyproject.toml",
    "Pipfile",
    "requirements.txt",
    "composer.json",
    "angular.json",
    "Cargo.toml",
    "go.mod",
    "app.json",
    "heroku.yml",
    "railpack.json",
    "nixpacks.toml",
    "captain-definition",
    "Procfile",
    "Staticfile",
    "mise.toml",
    "deno.json",
    "pnpm-workspace.yaml",
    "mix.exs",
    "x.csproj",
    "pom.xml",
    "rust-toolchain.toml",
    "mkdocs.yml",
    "hugo.toml",
]
ODD = (
    "",
    "[]",
    "null",
    "{",
    "x: [",
    "\x00\ufffd",
    '{"tasks": 3}',
    "a: 1",
    "[phases]\ninstall = 3\n[start]\n",
    "[project]\ndependencies = 3\n[tool]\npoetry = 3\n",
    '{"scripts": [], "workspaces": 3, "engines": "x", "dependencies": null}',
    '{"require": [], "projects": []}',
)


@pytest.mark.parametrize("name", DECIDERS)
@pytest.mark.parametrize("text", ODD)
def test_odd_files_are_understood_or_refused_by_a_typed_error(name: str, text: str) -> None:
    for beside in ({}, {"app.py": "app = Flask(__name__)", "requirements.txt": "flask"}, {"package.json": '{"dependencies": {"@angular/core": "1"}}'}):
        found = _plan_or_code({**beside, name: text})
        assert found == "plan_unknown" or json.loads(json.dumps(found)) == found
