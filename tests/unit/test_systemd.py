# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._command import command_words, mask
from ansible_collections.hitless.paas.plugins.module_utils._runtime import State
from ansible_collections.hitless.paas.plugins.module_utils._systemd import listening, state_of

TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 111 1 0 100 0 0 10 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 222 1 0 100 0 0 10 0
   2: 0100007F:1F40 0100007F:C350 01 00000000:00000000 00:00000000 00000000   999        0 333 1 0 100 0 0 10 0
"""


@pytest.mark.parametrize(
    ("properties", "state"),
    [
        ({"ActiveState": "active", "SubState": "running", "MainPID": "7", "ExecMainCode": "0"}, State("running", 7)),
        ({"ActiveState": "activating", "SubState": "start", "MainPID": "7"}, State("starting", 7)),
        (
            {"ActiveState": "activating", "SubState": "auto-restart", "MainPID": "0", "ExecMainCode": "1", "ExecMainStatus": "3", "NRestarts": "2"},
            State("starting", None, "exit status 3", 2),
        ),
        ({"ActiveState": "failed", "SubState": "failed", "ExecMainCode": "2", "ExecMainStatus": "9"}, State("failed", None, "signal 9")),
        ({"ActiveState": "inactive", "SubState": "dead", "ExecMainCode": "1", "ExecMainStatus": "0"}, State("exited", None, "exit status 0")),
        ({"ActiveState": "inactive", "SubState": "dead", "LoadState": "not-found"}, State("absent")),
        ({}, State("exited")),
    ],
)
def test_what_systemd_says_is_understood(properties, state):
    assert state_of(properties) == state


@pytest.mark.parametrize(("inodes", "found"), [({"111", "333"}, ["127.0.0.1:8000"]), ({"222"}, ["0.0.0.0:80"]), (set(), [])])
def test_only_listening_sockets_of_the_replica_count(inodes, found):
    assert listening(TABLE, inodes) == found


@pytest.mark.parametrize(
    ("line", "secrets", "shown"),
    [
        ("at pg://pass word", ["pass word"], "at pg://***"),
        ("abc", ["abc"], "abc"),
        ("key: line two here", ["line one\nline two"], "key: *** here"),
        ("aaaab aaaa .*", ["aaaa", "aaaab", "x.*y"], "*** *** .*"),
        ("nothing", [], "nothing"),
        ("nothing", [""], "nothing"),
    ],
)
def test_secrets_are_masked(line, secrets, shown):
    assert mask(line, secrets) == shown


def test_the_shell_sees_the_dollars_of_a_command():
    words = command_words("echo $A; exit 3", [("User", "x")], 5.0, "u.service")
    assert words[-3:] == ["/bin/sh", "-c", "echo $$A; exit 3"]
    assert {"--unit=u.service", "User=x", "RuntimeMaxSec=5"} <= set(words)
