# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configured host, seen with other eyes than those that configured it."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from pathlib import Path

import pytest
import testinfra

TARGET = json.loads((Path(os.environ["XDG_STATE_HOME"]) / "hitless" / "molecule" / "dev" / "target.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def server():
    return testinfra.get_host("docker://" + TARGET["container"])


def answer(connection):
    connection.request("GET", "/", headers={"Host": "nobody.example"})
    return connection.getresponse()


def test_the_router_runs_now_and_after_a_reboot(server):
    haproxy = server.service("haproxy")
    assert haproxy.is_running, server.check_output("journalctl -u haproxy -n 50 --no-pager")
    assert haproxy.is_enabled


def test_nothing_failed_on_the_server(server):
    assert server.check_output("systemctl --failed --plain --no-legend") == ""


def test_a_name_that_no_app_has_gets_404_from_outside():
    response = answer(http.client.HTTPConnection("127.0.0.1", TARGET["http_port"], timeout=10))
    assert (response.status, response.getheader("X-Hitless-Router")) == (404, "unknown-host")


def test_tls_answers_too():
    context = ssl._create_unverified_context()
    assert answer(http.client.HTTPSConnection("127.0.0.1", TARGET["https_port"], timeout=10, context=context)).status == 421


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("/etc/hitless/apps", 0o700),
        ("/etc/haproxy/hitless/certs", 0o700),
        ("/etc/haproxy/hitless/certs/default.pem", 0o600),
        ("/run/haproxy/admin.sock", 0o600),
        ("/run/haproxy/master.sock", 0o600),
    ],
)
def test_what_only_root_may_see_is_roots(server, path, mode):
    file = server.file(path)
    assert (file.user, file.mode) == ("root", mode)


@pytest.mark.parametrize("marker", ["created", "configured"])
def test_the_markers_say_what_was_done(server, marker):
    said = json.loads(server.file("/etc/hitless/" + marker).content_string)
    assert said["v"] == 1
    assert said["digest"].startswith("sha256:")


def test_the_master_takes_commands(server):
    script = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/haproxy/master.sock'); s.send(b'show proc\\n'); print(s.recv(4096).decode())"
    assert "worker" in server.check_output('python3 -c "%s"' % script.replace("\\n", "\\\\n"))


def test_the_distributions_nginx_stays_off_port_80(server):
    assert not server.service("nginx").is_running
    assert server.exists("nginx")


def test_only_the_router_and_ssh_listen_for_the_world(server):
    listening = server.check_output("ss -Hltn").splitlines()
    world = {line.split()[3].rsplit(":", 1)[1] for line in listening if not line.split()[3].startswith(("127.", "[::1]"))}
    assert world == {"22", "80", "443"}
