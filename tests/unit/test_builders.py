# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which builder is taken, why, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils._builders import builder_fault, refuse_builder
from ansible_collections.hitless.paas.plugins.plugin_utils._origin import overridden
from ansible_collections.hitless.paas.plugins.plugin_utils._planning import answer_of

NODE = {"package.json": '{"scripts": {"start": "node server.js"}}', "server.js": "require('http')"}


def answer(tmp_path: Path, files: dict[str, str], builder: str | None = None) -> dict[str, Any]:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    settings = {"app": "x", "source": str(tmp_path), "runtime": "systemd", "build": {"builder": "auto"}, "services": {}}
    return answer_of(overridden(settings, builder=builder), {})


@pytest.mark.parametrize(("files", "asked", "builder", "why", "refused"), [
    (NODE, None, "native", "there is no Dockerfile", False),
    ({"Dockerfile": "FROM scratch"}, None, "dockerfile", "a Dockerfile wins; Dockerfile", True),
    ({**NODE, "Dockerfile": "FROM scratch"}, None, "native", "the systemd runtime runs no images, so the Dockerfile is not used; Dockerfile", False),
    ({**NODE, "Dockerfile": "FROM scratch"}, "native", "native", "asked for", False),
    ({**NODE, "Dockerfile": "FROM scratch"}, "dockerfile", "dockerfile", "asked for", True),
    (NODE, "image", "image", "asked for", True),
    (NODE, "nixpacks", "nixpacks", "asked for", True),
    (NODE, "railpack", "railpack", "asked for", True),
])  # fmt: skip
def test_the_plan_says_which_builder_and_why(files: dict[str, str], asked: str | None, builder: str, why: str, refused: bool, tmp_path: Path) -> None:
    found = answer(tmp_path, files, asked)
    row = next(row for row in found["rows"] if row["what"] == "builder")
    assert row["value"] == builder
    assert why in row["why"]
    assert any("A deploy is refused" in row["value"] for row in found["rows"]) is refused
    if refused:
        with pytest.raises(HitlessError) as caught:
            refuse_builder(found["app"])
        assert (caught.value.exit, caught.value.message.endswith("Nothing was changed.")) == (2, True)
    else:
        refuse_builder(found["app"])


def test_a_builder_that_is_a_program_has_to_be_there() -> None:
    assert "not installed" in str(builder_fault("nixpacks", "systemd", lambda name: None))
    assert "docker runtime" in str(builder_fault("nixpacks", "systemd", lambda name: "/usr/bin/" + name))


@pytest.mark.parametrize(("runtime", "refused"), [(None, False), ("systemd", False), ("docker", True)])
def test_a_runtime_that_is_not_there_is_refused_whatever_builds(runtime: str | None, refused: bool) -> None:
    assert bool(builder_fault("native", runtime)) is refused


def test_what_one_run_says_otherwise(tmp_path: Path) -> None:
    settings = {"source": {"git": "https://h/x", "ref": "main", "token": "T", "key": None, "path": None, "submodules": True}, "build": {"builder": "auto"}}
    assert overridden(settings, ref="next")["source"] == {**settings["source"], "ref": "next"}
    assert overridden(settings, "https://h/x", "v1")["source"]["token"] == "T"
    assert overridden(settings, "https://evil/x")["source"]["token"] is None
    assert overridden(settings, str(tmp_path))["source"] == str(tmp_path)
    assert overridden(settings, {"git": "https://h/y", "token": "U"})["source"]["token"] == "U"
    assert settings["source"]["ref"] == "main"
    for wrong in ({"source": str(tmp_path), "ref": "main"}, {"ref": "-x"}, {"builder": "magic"}):
        with pytest.raises(HitlessError):
            overridden(settings, **wrong)
