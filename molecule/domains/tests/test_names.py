# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names from the command line to clients that trust the certificate authority: add, second name, loss of the state, remove."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import testinfra
from loadgen import Load

APP = Path(__file__).parents[1] / "app"
TARGET = json.loads((Path(os.environ["XDG_STATE_HOME"]) / "hitless" / "certs-molecule" / "dev" / "target.json").read_text(encoding="utf-8"))
AUTHORITY = ("--acme-server", "https://localhost:14000/dir", "--ca-bundle", "/opt/authority/tls.pem")
ROOTS = "import ssl, urllib.request as u; print(u.urlopen('https://localhost:15000/roots/0', context=ssl._create_unverified_context()).read().decode())"
FIRST, SECOND = "first.molecule.test", "second.molecule.test"


@pytest.fixture(scope="module")
def server():
    host = testinfra.get_host("docker://" + TARGET["container"])
    host.check_output("grep -q %s /etc/hosts || echo '127.0.0.1 %s %s' >> /etc/hosts", FIRST, FIRST, SECOND)
    return host


@pytest.fixture(scope="module")
def trusting(server):
    """A TLS client's context that trusts nobody but the authority."""
    return ssl.create_default_context(cadata=server.check_output("python3 -c %s", ROOTS))


def domain(*words):
    """The last event of ``hitless domain``."""
    done = subprocess.run([sys.executable, "-m", "hitless", "domain", *words, "--json"], cwd=APP, capture_output=True, text=True, check=False, timeout=300)
    last = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0, last
    return last


def ask(name, context=None):
    """What the router answers under ``name``: the head and the body."""
    link = socket.create_connection(("127.0.0.1", TARGET["https_port" if context else "http_port"]), timeout=20)
    with context.wrap_socket(link, server_hostname=name) if context else link as stream:
        stream.sendall(("GET /x HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % name).encode())
        return b"".join(iter(lambda: stream.recv(65536), b"")).decode()


def test_a_name_is_added_with_its_certificate_under_load(server, trusting):
    with Load(("127.0.0.1", TARGET["http_port"]), "shop.molecule.test", clients=10, pause=0.02).running() as seen:
        assert domain("add", FIRST, "--hsts", "300", *AUTHORITY)["changed"] is True
        assert ask(FIRST, trusting).startswith("HTTP/1.1 200 ")
    assert "max-age=300" in ask(FIRST, trusting)
    assert "location: https://%s/x" % FIRST in ask(FIRST)
    assert domain("add", FIRST, "--hsts", "300", *AUTHORITY)["changed"] is False
    assert dict(seen.failures) == {}


def test_a_second_name_on_the_same_certificate(server, trusting):
    domain("add", SECOND, "--certificate-name", FIRST, *AUTHORITY)
    assert ask(SECOND, trusting).startswith("HTTP/1.1 200 ")
    assert ask(FIRST, trusting).startswith("HTTP/1.1 200 ")
    assert not server.file("/etc/haproxy/hitless/certs/%s.pem" % SECOND).exists


def test_what_the_host_has_lost_is_put_back(server, trusting):
    server.check_output("rm /etc/haproxy/hitless/maps/domains.map /etc/haproxy/hitless/certs/%s*", FIRST)
    domain("sync")
    server.check_output("systemctl restart haproxy")
    assert ask(FIRST, trusting).startswith("HTTP/1.1 200 ")
    assert ask(SECOND, trusting).startswith("HTTP/1.1 200 ")
    assert ask("shop.molecule.test").startswith("HTTP/1.1 200 ")
    assert domain("sync")["changed"] is False


def test_a_removed_name_goes_and_the_certificate_with_the_last_of_its_names(server, trusting):
    domain("remove", FIRST)
    assert ask(FIRST).startswith("HTTP/1.1 404 ")
    assert ask(SECOND, trusting).startswith("HTTP/1.1 200 ")
    domain("remove", SECOND)
    assert ask(SECOND).startswith("HTTP/1.1 404 ")
    assert not server.file("/etc/haproxy/hitless/certs/%s.pem" % FIRST).exists
    assert ask("shop.molecule.test").startswith("HTTP/1.1 200 ")
