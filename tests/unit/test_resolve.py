# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""hitless.yml over Procfile over detection, fed with the table in detect/resolve.yml."""

from __future__ import annotations

import copy
import json
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils._detect import MemoryTree
from ansible_collections.hitless.paas.plugins.plugin_utils._plan_view import plan_lines, plan_table
from ansible_collections.hitless.paas.plugins.plugin_utils._resolve import plan_app, resolve

CASES = [pytest.param(case, id=case["name"]) for case in yaml.safe_load((Path(__file__).parent / "detect" / "resolve.yml").read_text())]
SETTINGS: dict[str, Any] = {"app": "shop", "target": "prod", "services": {}, "build": {}, "hooks": {}}


def resolved(case: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    settings = {**SETTINGS, **case.get("settings", {})}
    before = copy.deepcopy(settings)
    plan = plan_app(settings, MemoryTree(case["files"])).as_dict()
    app = resolve(settings, plan)
    assert settings == before
    return plan, app


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any]) -> None:
    assert set(case) <= {"name", "files", "settings", "app", "names", "error"}
    if "error" in case:
        with pytest.raises(HitlessError) as caught:
            resolved(case)
        assert caught.value.code == "plan_unknown"
        assert case["error"] in caught.value.message
        return
    _, app = resolved(case)
    assert json.loads(json.dumps(app)) == app
    assert {key: reduce(lambda part, name: part[name], key.split("."), app) for key in case["app"]} == case["app"]
    if "names" in case:
        assert list(app["services"]) == case["names"]


def test_the_table_says_what_and_which_file_decided() -> None:
    files = {"requirements.txt": "flask\ngunicorn\n", "app.py": "app = Flask(__name__)\n"}
    plan, app = resolved({"files": files, "settings": {"hooks": {"pre_deploy": "./migrate"}}})
    rows = plan_table(plan, app)
    assert {"what": "framework", "value": "flask", "why": "requirements.txt"} in rows
    assert {"what": "service web (web)", "value": "gunicorn --bind 127.0.0.1:$PORT --threads 4 app:app", "why": "app.py"} in rows
    assert {"what": "pre_deploy", "value": "./migrate", "why": "hitless.yml"} in rows
    assert plan_lines(rows)[0] == "language           python  (requirements.txt)"


def test_the_table_says_who_decided_on_each_service() -> None:
    files = {f"{folder}/package.json": '{"scripts": {"start": "node a.js", "build": "tsc"}}' for folder in ("web", "api")}
    services = {"web": {"type": "web", "root": "web"}, "api": {"type": "web", "root": "api", "build": {"install": None, "build": "make"}}}
    rows = plan_table(*resolved({"files": {**files, "web/a.js": "", "api/a.js": ""}, "settings": {"services": services}}))
    assert [(row["what"], row["why"]) for row in rows if row["what"].startswith(("install", "build."))] == [
        ("install.web", "web/package.json"), ("install.api", "api/package.json"), ("build.web", "web/package.json"), ("build.api", "hitless.yml"),
    ]  # fmt: skip
    assert {"what": "build.api", "value": "cd api; make", "why": "hitless.yml"} in rows
