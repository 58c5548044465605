# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upload a source to a host: one rsync over the task's own connection."""

from __future__ import annotations

import subprocess
import tempfile
from typing import Any

from ansible.module_utils.common.text.converters import to_text
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.plugin_utils._connection import ssh_words, transport
from ansible_collections.hitless.paas.plugins.plugin_utils._remote import LOCK_LOST_MARK, lock_lost, locked_script
from ansible_collections.hitless.paas.plugins.plugin_utils._source import Source, inspect
from ansible_collections.hitless.paas.plugins.plugin_utils._upload import (
    bytes_sent,
    names,
    password_first,
    prepare_script,
    rsync_command,
    source_changed,
    sudo_words,
    upload_error,
)


def upload(connection: Any, host: str, app: str, deployment: str, folder: str, digest: str) -> tuple[int, list[str]]:
    """Make ``staged/<digest>.partial`` on the host hold the files of ``folder``, and perhaps more.

    Args:
        connection: the task's.
        host: what people call the host.
        digest: that of the source when the deployment began.

    Returns:
        The bytes sent, and the paths of the source's files.

    Raises:
        HitlessError: ``source_changed``, ``lock_lost``, ``disk_full`` or ``upload_failed``.
    """
    paths = AppPaths(app)
    source = _inspect(folder, digest)
    script = locked_script(paths.state, deployment, prepare_script(paths.staged, digest))
    done = _rsync(connection, source, f"{paths.staged}/{digest}.partial", script)
    complaint = done.stderr.decode("utf-8", "replace")
    if done.returncode and LOCK_LOST_MARK in complaint:
        raise lock_lost(app)
    if done.returncode:
        raise upload_error(done.returncode, complaint, host)
    _inspect(folder, digest)
    return bytes_sent(done.stdout.decode("utf-8", "replace")), list(source.files)


def _inspect(folder: str, digest: str) -> Source:
    source = inspect(folder)
    if source.digest != digest:
        raise source_changed()
    return source


def _rsync(connection: Any, source: Source, target: str, script: str) -> subprocess.CompletedProcess[bytes]:
    listed = names(source.files)
    ssh, host = _ssh(connection)
    become, password = _become(connection)
    line = f"{password}\n".encode() if password else b""
    with tempfile.NamedTemporaryFile(prefix="hitless-") as secret:
        if ssh and line:
            secret.write(line)
            secret.flush()
            ssh = password_first(ssh, secret.name)
        command = rsync_command(source.folder, target, ssh, host, become, script)
        try:
            return subprocess.run(command, input=listed if ssh else line + listed, capture_output=True, check=False)
        except FileNotFoundError as error:
            message = "This machine has no %s, so nothing was uploaded." % error.filename
            raise HitlessError("upload_failed", message, "Install rsync here, then deploy again.") from error


def _ssh(connection: Any) -> tuple[list[str] | None, str]:
    """The ssh command of the task's connection, options and shared socket included, and the host it calls."""
    known = transport(connection)
    if known == "local":
        return None, ""
    if known != "ssh":
        message = "The source cannot be uploaded over the connection %r; nothing was changed." % known
        raise HitlessError("upload_failed", message, "Use ssh, or local for this machine.")
    return ssh_words(connection), str(connection.get_option("host"))


def _become(connection: Any) -> tuple[list[str], str | None]:
    """The words before a command that run it as root, and the password for them; none for root."""
    become = connection.become
    if become is None:
        return [], None
    if str(become.name).rpartition(".")[2] != "sudo":
        raise HitlessError(
            "upload_failed",
            "The source can be uploaded with sudo only, not with %s; nothing was changed." % become.name,
            "Set ansible_become_method to sudo.",
        )
    password = become.get_option("become_pass")
    return sudo_words(bool(password)), to_text(password) if password else None
