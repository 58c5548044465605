# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hitless.yml says of the source and of the network of a build."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._begin import artifact_bytes, needed_disk
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.plugin_utils._config import load
from ansible_collections.hitless.paas.plugins.plugin_utils._origin import token_of

GIT: dict[str, Any] = {"ref": None, "path": None, "key": None, "token": None, "submodules": True}


def settings(folder: Path, **config: Any) -> dict[str, Any]:
    (folder / "hitless.yml").write_text(json.dumps({"app": "shop", **config}))
    return load(folder).values


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        (None, "{here}"),
        ("../shop", "{above}/shop"),
        ("/srv/shop", "/srv/shop"),
        ("dist.tar.gz", "{here}/dist.tar.gz"),
        ("https://h/x.git", {**GIT, "git": "https://h/x.git"}),
        ("git@h:x.git", {**GIT, "git": "git@h:x.git"}),
        ({"git": "git@h:x.git", "ref": "v1", "key": "keys/k"}, {**GIT, "git": "git@h:x.git", "ref": "v1", "key": "{here}/keys/k"}),
        ({"git": "https://h/x", "path": "a/b", "token": "T", "submodules": False},
         {**GIT, "git": "https://h/x", "path": "a/b", "token": "T", "submodules": False}),
    ],
)  # fmt: skip
def test_the_source_of_a_file(given: Any, origin: Any, tmp_path: Path) -> None:
    found = settings(tmp_path, **({"source": given} if given else {}))["source"]
    text = json.dumps(origin).replace("{here}", str(tmp_path)).replace("{above}", str(tmp_path.parent))
    assert found == json.loads(text)


@pytest.mark.parametrize(
    "given", [{}, {"ref": "main"}, {"git": "a b"}, {"git": "https://h/x", "path": "../y"}, {"git": "https://h/x", "token": "a-b"}, 3, "", []]
)
def test_what_is_no_source_is_refused_by_its_key(given: Any, tmp_path: Path) -> None:
    with pytest.raises(HitlessError) as caught:
        settings(tmp_path, source=given)
    assert (caught.value.code, caught.value.exit) == ("config_invalid", 2)
    assert "source" in caught.value.message


@pytest.mark.parametrize(
    ("given", "network"),
    [(True, True), (False, False), ({"build": False}, {"install": True, "build": False, "hooks": True}), ({}, {"install": True, "build": True, "hooks": True})],
)
def test_the_network_of_a_build(given: Any, network: Any, tmp_path: Path) -> None:
    assert settings(tmp_path, build={"network": given})["build"]["network"] == network


def test_the_value_of_a_token_is_looked_up_in_order() -> None:
    origin = {"git": "https://h/x", "token": "T"}
    assert token_of(origin, None, {"T": "a"}, {"T": "b"}) == {"T": "a"}
    assert token_of(origin, {"T": ""}, {}, {"T": "b"}) == {"T": "b"}
    assert token_of(origin, {}) == {"T": ""}
    assert token_of("/srv/shop", {"T": "a"}) == {}


def test_the_room_that_a_deployment_needs(tmp_path: Path) -> None:
    assert needed_disk(0, 0) == 256 * 1024**2
    assert needed_disk(10, 500) - needed_disk(0, 0) == 520
    paths = AppPaths("shop", str(tmp_path))
    Path(paths.artifacts).mkdir(parents=True)
    Path(paths.artifact("aa") + ".json").write_text('{"bytes": 7}')
    Path(paths.artifact("bb") + ".json").write_text("{broken")
    assert [artifact_bytes(paths, live) for live in (None, {"artifact": None}, {"artifact": "aa"}, {"artifact": "bb"}, {"artifact": "cc"})] == [0, 0, 7, 0, 0]
