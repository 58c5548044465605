# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts are refused, and what a configured one is."""

from __future__ import annotations

import pytest
from ansible_collections.hitless.paas.plugins.module_utils import _host_checks, _host_config

GOOD = {
    "os": {"id": "debian", "version": "12"},
    "init": "systemd",
    "systemd": 252,
    "python": [3, 11, 2],
    "ports": {},
    "disk_free": 10 * 1024**3,
    "memory": 1024**3,
    "haproxy": {"installed": False, "version": "2.6.12-1+deb12u4"},
}
NGINX = {"name": "nginx", "pid": 42}
HAPROXY = {"name": "haproxy", "pid": 43}
UNSEEN = {"name": None, "pid": None}


@pytest.mark.parametrize(
    ("facts", "is_ours", "code", "said"),
    [
        ({}, False, None, ""),
        ({"os": {"id": "debian", "version": "13"}}, False, None, ""),
        ({"os": {"id": "debian", "version": ""}}, False, None, ""),
        ({"os": {"id": "ubuntu", "version": "22.04"}}, False, None, ""),
        ({"os": {"id": "ubuntu", "version": "24.04"}}, False, None, ""),
        ({"os": {"id": "debian", "version": "11"}}, False, "host_unsupported", "debian 11"),
        ({"os": {"id": "ubuntu", "version": "20.04"}}, False, "host_unsupported", "ubuntu 20.04"),
        ({"os": {"id": "fedora", "version": "43"}}, False, "host_unsupported", "fedora 43"),
        ({"os": {"id": "", "version": ""}}, False, "host_unsupported", "unknown system"),
        ({"init": "openrc-init"}, False, "host_unsupported", "openrc-init"),
        ({"init": ""}, False, "host_unsupported", "unknown"),
        ({"systemd": 248}, False, "host_unsupported", "248"),
        ({"systemd": 249}, False, None, ""),
        ({"python": [3, 7, 9]}, False, "host_unsupported", "3.7"),
        ({"python": [3, 8, 0]}, False, None, ""),
        ({"ports": {"80": NGINX}}, False, "port_taken", "Port 80 is held by nginx (pid 42)"),
        ({"ports": {"443": NGINX}}, True, "port_taken", "Port 443 is held by nginx"),
        ({"ports": {"80": HAPROXY}}, False, "port_taken", "haproxy"),
        ({"ports": {"80": HAPROXY, "443": HAPROXY}}, True, None, ""),
        ({"ports": {"80": UNSEEN}}, False, "port_taken", "cannot be seen"),
        ({"ports": {"80": UNSEEN}}, True, None, ""),
        ({"disk_free": 1024**3 - 1}, False, "disk_low", "1023 MB"),
        ({"memory": 128 * 1024**2}, False, "memory_low", "128 MB"),
        ({"haproxy": {"installed": False, "version": "2.4.24-0ubuntu0.22.04.1"}}, False, "host_unsupported", "its packages have HAProxy 2.4.24"),
        ({"haproxy": {"installed": True, "version": "2.2.9"}}, False, "host_unsupported", "it has HAProxy 2.2.9"),
        ({"haproxy": {"installed": True, "version": "3.0.1"}}, False, None, ""),
        ({"haproxy": {"installed": False, "version": ""}}, False, None, ""),
    ],
)
def test_a_host_that_cannot_be_used_is_refused_with_the_reason(facts, is_ours, code, said):
    error = _host_checks.refusal({**GOOD, **facts}, is_ours)
    assert (error.code if error else None) == code
    assert said in (error.message if error else "")
    if error:
        assert "nothing was changed" in error.message
        assert error.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('PRETTY_NAME="Debian"\nVERSION_ID="12"\nID=debian\n', {"id": "debian", "version": "12"}),
        ("ID=debian\n", {"id": "debian", "version": ""}),
        ("", {"id": "", "version": ""}),
    ],
)
def test_the_system_is_read_from_its_release_file(text, expected):
    assert _host_checks.parse_os_release(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("haproxy:\n  Installed: (none)\n  Candidate: 2.4.24-0ubuntu0.22.04.1\n", {"installed": False, "version": "2.4.24-0ubuntu0.22.04.1"}),
        ("haproxy:\n  Installed: 1:2.6.12-1\n  Candidate: 1:2.8.0-1\n  Version table:\n", {"installed": True, "version": "2.6.12-1"}),
        ("haproxy:\n  Installed: (none)\n  Candidate: (none)\n", {"installed": False, "version": ""}),
        ("", {"installed": False, "version": ""}),
    ],
)
def test_the_version_of_a_package_is_what_is_there_or_would_come(text, expected):
    assert _host_checks.parse_policy(text) == expected


def test_only_sockets_that_listen_count():
    text = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 8741 1 0 100 0 0 10 0\n"
        "   1: 0100007F:01BB 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 8742 1 0 20 4 30 10 -1\n"
    )
    assert _host_checks.listening_inodes(text) == {80: "8741"}


@pytest.mark.parametrize(("text", "expected"), [("MemTotal:        2048 kB\nMemFree: 1 kB\n", 2048 * 1024), ("", 0)])
def test_memory_is_in_bytes(text, expected):
    assert _host_checks.parse_memory(text) == expected


@pytest.mark.parametrize(
    ("started", "drop_in_written", "is_settled", "action"),
    [
        (None, 10.0, False, "restart"),
        (None, 10.0, True, "restart"),
        (5.0, 10.0, False, "restart"),
        (5.0, 10.0, True, "restart"),
        (20.0, 10.0, False, "reload"),
        (20.0, 10.0, True, None),
    ],
)
def test_the_router_is_restarted_only_where_a_reload_is_not_enough(started, drop_in_written, is_settled, action):
    assert _host_config.router_action(started, drop_in_written, is_settled) == action


def test_the_masters_socket_is_for_root_alone():
    text = _host_config.kept_texts()[_host_config.DROP_IN]
    assert "-S /run/haproxy/master.sock,mode,600" in text
    assert "-f /etc/haproxy/haproxy.cfg -f /etc/haproxy/hitless/apps/" in text


def test_the_digest_names_one_configuration(monkeypatch):
    before = _host_config.config_digest()
    assert before == _host_config.config_digest()
    monkeypatch.setitem(_host_config.PACKAGES, "jq", "/usr/bin/jq")
    assert _host_config.config_digest() != before
