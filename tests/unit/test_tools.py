# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a version of a language is to come from mise, and which."""

from __future__ import annotations

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._toolchain import distribution, install_command, needed
from ansible_collections.hitless.paas.plugins.plugin_utils._tools import mise_version, tool_of, with_tool


@pytest.mark.parametrize(
    ("language", "wanted", "version"),
    [
        ("node", "22", "22"),
        ("node", "v20.11.1", "20.11.1"),
        ("node", "^20.11.0", "20"),
        ("node", ">=18", "18"),
        ("node", "20.x", "20"),
        ("node", "18 || >=22.3", "22"),
        ("node", ">= 20 < 23", "20"),
        ("node", "~20.11", "20"),
        ("python", "3.12", "3.12"),
        ("python", ">=3.12,<3.14", "3.12"),
        ("python", "^3.12.1", "3.12"),
        ("python", "<3.11", None),
        ("python", "<4,>=3.13", "3.13"),
        ("python", "==3.12.*", "3.12"),
        ("go", "1.24.3", "1.24.3"),
        ("java", "21", "21"),
        ("node", "lts/*", None),
        ("node", "", None),
        ("ruby", "3.4", None),
        ("shell", "1", None),
        ("node", "22; rm -rf /", "22"),
    ],
)
def test_the_version_that_mise_is_asked_for(language: str, wanted: str, version: str | None) -> None:
    assert mise_version(language, wanted) == version


@pytest.mark.parametrize(
    ("language", "wanted", "satisfied"),
    [
        ("node", "22", []),
        ("node", "18", ["debian-12", "ubuntu-24.04"]),
        ("python", ">=3.12", ["debian-13", "ubuntu-24.04"]),
        ("python", ">=3.9", None),
        ("node", None, None),
    ],
)
def test_only_what_some_distribution_lacks_is_asked_for(language: str, wanted: str | None, satisfied: list[str] | None) -> None:
    tool = tool_of(language, wanted)
    assert (tool and tool["satisfied_by"]) == satisfied


TOOL = {"name": "node", "version": "22", "folder": "node-22-0a", "satisfied_by": ["debian-13"]}


@pytest.mark.parametrize(
    ("tool", "host", "mise", "spec"),
    [
        (TOOL, "debian-12", "/usr/bin/mise", "node@22"),
        (TOOL, "debian-13", "/usr/bin/mise", None),
        (TOOL, "debian-12", None, None),
        (None, "debian-12", "/usr/bin/mise", None),
        (TOOL, "arch-", "/usr/bin/mise", "node@22"),
    ],
)
def test_what_a_host_needs(tool: dict[str, object] | None, host: str, mise: str | None, spec: str | None) -> None:
    found = needed(tool, host, mise)
    assert (found and found["spec"]) == spec


@pytest.mark.parametrize("change", [{"version": "22; id"}, {"name": "-x"}, {"folder": "../x"}, {"folder": "/x"}, {"version": "latest"}])
def test_what_is_no_tool_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(HitlessError):
        needed({**TOOL, **change}, "debian-12", "/usr/bin/mise")


def test_the_distribution_of_a_host() -> None:
    assert distribution('ID=ubuntu\nVERSION_ID="24.04"\nNAME=Ubuntu\n') == "ubuntu-24.04"
    assert distribution("ID=arch\n") == "arch-"


def test_the_place_in_the_path_is_after_the_app_and_before_the_system() -> None:
    assert with_tool({"PATH": "/app/.venv/bin:/usr/bin", "A": "1"}, TOOL) == {
        "PATH": "/app/.venv/bin:/opt/hitless/toolchains/node-22-0a/bin:/usr/bin",
        "A": "1",
    }
    assert with_tool({}, TOOL)["PATH"].startswith("/opt/hitless/toolchains/node-22-0a/bin:/usr/local/sbin:")
    assert with_tool({"A": "1"}, None) == {"A": "1"}


def test_mise_reads_nothing_of_the_app() -> None:
    toolchain = needed(TOOL, "debian-12", "/usr/bin/mise")
    assert toolchain
    assert "cd / && /usr/bin/mise install-into --yes node@22 /opt/hitless/toolchains/node-22-0a" in install_command(toolchain)
