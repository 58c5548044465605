# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._runtime import Replica, parse_unit_name
from ansible_collections.hitless.paas.plugins.module_utils._units import exec_start, sandbox


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("npm start", ':/bin/sh -c "exec npm start"'),
        ("gunicorn -b :$PORT x", ':/bin/sh -c "exec gunicorn -b :$PORT x"'),
        ("A=1 node x", ':/bin/sh -c "A=1 node x"'),
        ("cd x && node y", ':/bin/sh -c "cd x && exec node y"'),
        ("cd x; node y", ':/bin/sh -c "cd x; node y"'),
        ("cd x && A=1 node y | z", ':/bin/sh -c "cd x && A=1 node y | z"'),
        ("date +%s", ':/bin/sh -c "exec date +%%s"'),
        ("a \"b\" \\", ':/bin/sh -c "a \\"b\\" \\\\"'),
        ("a\nb", ':/bin/sh -c "a\\nb"'),
    ],
)
def test_a_command_is_escaped_for_systemd(command, line):
    assert exec_start(command) == line


@pytest.mark.parametrize("path", ["/app/../etc", "/app/a b", "/app/%n", "/app/a:b", "/app/a\nUser=root", "app"])
def test_a_hostile_mount_is_refused(path):
    with pytest.raises(HitlessError):
        sandbox("shop", "d", {path: "uploads"})


def test_a_unit_name_is_read_back():
    replica = Replica("my-shop", "web", "20261121080000", 12)
    assert parse_unit_name(replica.unit) == replica


@pytest.mark.parametrize("name", ["hitless-shop.service", "hitless-a--b.web.20261121080000.1.service", "hitless-a.web.20261121080000.0.service", "x.service"])
def test_other_units_are_not_ours(name):
    assert parse_unit_name(name) is None
