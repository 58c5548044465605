# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we ask of a task's connection beyond what it offers: the words of its ssh, and a command whose output is read while it runs."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from typing import IO, Any, cast

from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.common.text.converters import to_text
from ansible.utils.display import Display

# What ssh itself ends with when it has no connection.
_NO_CONNECTION = 255


def transport(connection: Any) -> str:
    """``ssh``, ``local`` or another one, by its short name."""
    return str(connection.transport).rpartition(".")[2]


def from_ssh_on(words: Sequence[str]) -> list[str]:
    """An ssh command without what gives it a password, which a connection that is shared does not ask for again."""
    return list(words[next((index for index, word in enumerate(words) if os.path.basename(word) == "ssh"), 0) :])


def _is_ssh(words: Sequence[str]) -> bool:
    return os.path.basename(words[0]) == "ssh"


def ssh_words(connection: Any) -> list[str]:
    """The ssh command of a connection without a host, its options and the socket that it shares included."""
    # The one place that knows every option of the connection is the connection; asking it beats copying its rules.
    return from_ssh_on([to_text(word) for word in connection._build_command(connection.get_option("ssh_executable"), "ssh")])


def is_readable(connection: Any) -> bool:
    """Whether the output of a command can be read while it runs: not where a password is asked for, which only Ansible's own way of running it gives."""
    known, become = transport(connection), connection.become
    if known not in ("ssh", "local") or (become and become.get_option("become_pass")):
        return False
    return known == "local" or not connection.get_option("password")


def shell_words(connection: Any, command: str) -> list[str]:
    """The words that run a shell command as the task's user on its host."""
    if connection.become:
        command = connection.become.build_become_command(command, connection._shell)
    if transport(connection) == "local":
        return ["/bin/sh", "-c", command]
    return [*ssh_words(connection), str(connection.get_option("host")), command]


def run_live(words: list[str], stdin: bytes, on_line: Callable[[str], None]) -> dict[str, Any]:
    """Run a command and hand over each line of its output as it comes.

    Returns:
        ``rc``, ``stdout`` and ``stderr``, as Ansible gives them.

    Raises:
        AnsibleConnectionFailure: ssh lost its connection, or never had one.
    """
    lines = []
    # With -vvv a run shows what it calls, as Ansible's connections do.
    Display().vvv(("SSH: EXEC " if _is_ssh(words) else "EXEC ") + shlex.join(words))
    # Complaints go to a file, for an ssh that stays behind to share its connection keeps stderr open.
    with tempfile.TemporaryFile() as complaints:
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints) as process:
            # One that ends before it has read all says why by its status.
            with contextlib.suppress(BrokenPipeError), cast(IO[bytes], process.stdin) as given:
                given.write(stdin)
            for line in cast(IO[bytes], process.stdout):
                lines.append(line.decode("utf-8", "replace"))
                on_line(lines[-1])
        complaints.seek(0)
        stderr = complaints.read().decode("utf-8", "replace")
    if process.returncode == _NO_CONNECTION and _is_ssh(words):
        raise AnsibleConnectionFailure(f"Failed to connect to the host via ssh: {stderr}")
    return {"rc": process.returncode, "stdout": "".join(lines), "stderr": stderr}
