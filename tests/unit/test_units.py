# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._runtime import Replica, parse_unit_name
from ansible_collections.hitless.paas.plugins.module_utils._units import exec_start, sandbox, static_conf, unit_text


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
        ('a "b" \\', ':/bin/sh -c "a \\"b\\" \\\\"'),
        ("a\nb", ':/bin/sh -c "a\\nb"'),
    ],
)
def test_a_command_is_escaped_for_systemd(command, line):
    assert exec_start(command) == line


@pytest.mark.parametrize("path", ["/app/../etc", "/app/a b", "/app/%n", "/app/a:b", "/app/a\nUser=root", "app"])
def test_a_hostile_mount_is_refused(path):
    with pytest.raises(HitlessError):
        sandbox("shop", "d", {path: "uploads"})


WEB = Replica("shop", "web", "20261121080000", 2, "127.0.0.1", 20001)


def settings(text):
    """The settings of a unit as {name: [values]}."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            found.setdefault(name, []).append(value)
    return found


def test_a_unit_says_what_a_replica_runs_with():
    service = {"type": "web", "command": "node x", "resources": {"memory": 1048576, "cpu": 0.5}, "stop_timeout": 2.5}
    found = settings(unit_text(WEB, "20261120080000", "abc", service, {"/app/b": "b", "/app/a": "a"}))
    assert found["Environment"] == ["HOME=/tmp", "PORT=20001", "HOST=127.0.0.1"]
    assert found["EnvironmentFile"] == ["/srv/shop/releases/20261120080000/env", "-/srv/shop/releases/20261120080000/env.web"]
    assert found["BindPaths"] == ["/srv/shop/shared/a:/app/a", "/srv/shop/shared/b:/app/b"]
    assert found["BindReadOnlyPaths"] == ["/srv/shop/artifacts/abc:/app"]
    assert (found["MemoryMax"], found["CPUQuota"], found["TimeoutStopSec"], found["User"]) == (["1048576"], ["50%"], ["2.5s"], ["hitless-shop"])


def test_a_worker_gets_no_port():
    worker = Replica("shop", "worker", "20261121080000", 1)
    assert "PORT" not in unit_text(worker, "20261121080000", "abc", {"type": "worker", "command": "x"}, {})


@pytest.mark.parametrize(
    ("command", "kind"),
    [("node x", "mixed"), ("exec node x", "mixed"), ("cd web && npm start", "mixed"), ("cd a; node x", "control-group"), ("a & b", "control-group")],
)
def test_everybody_is_asked_to_end_where_a_shell_stays(command, kind):
    assert settings(unit_text(WEB, "20261121080000", "abc", {"type": "web", "command": command}, {}))["KillMode"] == [kind]


@pytest.mark.parametrize("output", ["../x", "a/../../etc", "a b", "a;b", "a}b", "a\nroot /etc", "$document_root", "a%b", 'a"b', "a\\b", "\u6f22"])
def test_a_hostile_folder_is_not_served(output):
    with pytest.raises(HitlessError):
        static_conf(WEB, output, False)


@pytest.mark.parametrize(("output", "root"), [("dist", "/app/dist"), (".", "/app"), ("/a/b.c/", "/app/a/b.c")])
def test_the_folder_of_a_site_is_served(output, root):
    assert "root %s;" % root in static_conf(WEB, output, False)


def test_a_site_of_one_page_answers_every_path_with_it():
    assert "try_files $uri $uri/ /index.html;" in static_conf(WEB, "dist", True)
    assert "try_files $uri $uri/ $uri.html =404;" in static_conf(WEB, "dist", False)


def test_a_site_is_one_line_of_the_unit_and_ends_gracefully():
    found = settings(unit_text(WEB, "20261121080000", "abc", {"type": "static", "command": None, "output": "dist", "spa": True}, {}))
    assert found["SetCredential"][0].startswith("nginx.conf:daemon off;\\n")
    assert found["ExecStart"] == ["/usr/sbin/nginx -c /run/credentials/%s/nginx.conf" % WEB.unit]
    assert found["KillSignal"] == ["SIGQUIT"]


def test_a_unit_name_is_read_back():
    replica = Replica("my-shop", "web", "20261121080000", 12)
    assert parse_unit_name(replica.unit) == replica


@pytest.mark.parametrize("name", ["hitless-shop.service", "hitless-a--b.web.20261121080000.1.service", "hitless-a.web.20261121080000.0.service", "x.service"])
def test_other_units_are_not_ours(name):
    assert parse_unit_name(name) is None
