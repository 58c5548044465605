# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upload the source to the host: two short commands around one rsync over the task's own connection."""

from __future__ import annotations

import subprocess
import tempfile
import time
from typing import Any

from ansible.module_utils.common.text.converters import to_text
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.plugin_utils._events import now
from ansible_collections.hitless.paas.plugins.plugin_utils._remote import RemoteStep, locked_script
from ansible_collections.hitless.paas.plugins.plugin_utils._source import Source, inspect
from ansible_collections.hitless.paas.plugins.plugin_utils._upload import (
    bytes_sent,
    finish_script,
    names,
    password_first,
    prepare_script,
    rsync_command,
    source_changed,
    ssh_words,
    sudo_words,
    upload_error,
)

ARGUMENTS = {
    "app": {"type": "str", "required": True},
    "deployment": {"type": "str", "required": True},
    "folder": {"type": "path", "required": True},
    "digest": {"type": "str", "required": True},
    "ready": {"type": "bool", "default": False},
}


class ActionModule(RemoteStep):
    """See the module of the same name."""

    phases = ("upload",)
    _supports_check_mode = True

    def steps_on_host(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Upload unless the host has it."""
        args = self.checked_args(ARGUMENTS)
        if args["ready"]:
            return self._result("skipped", now(), 0.0, 0)
        if self._task.check_mode:
            return {"changed": True, "upload": None, "events": []}
        self.emit("phase", name="upload", state="running", seconds=0.0)
        began, started = now(), time.monotonic()
        sent = self._upload(args)
        return self._result("skipped" if sent is None else "done", began, round(time.monotonic() - started, 3), sent or 0)

    def _result(self, state: str, began: str, seconds: float, sent: int) -> dict[str, Any]:
        upload = {"name": "upload", "state": state, "started": began, "finished": now(), "seconds": seconds, "bytes": sent}
        event = {"event": "phase", "name": "upload", "state": state, "seconds": seconds, "detail": {"bytes": sent}}
        return {"changed": state == "done", "upload": upload, "events": [event]}

    def _upload(self, args: dict[str, Any]) -> int | None:
        """The bytes sent, or None when the source was there."""
        paths = AppPaths(args["app"])
        source = self._inspect(args)
        prepared = self.shell(locked_script(paths.state, args["deployment"], prepare_script(paths.staged, args["digest"])))
        if prepared.strip() == "ready":
            return None
        listed = names(source.files)
        sent = self._rsync(source, "%s/%s.partial" % (paths.staged, args["digest"]), listed)
        self._inspect(args)
        self.shell(locked_script(paths.state, args["deployment"], finish_script(paths.staged, args["digest"])), listed)
        return sent

    def _inspect(self, args: dict[str, Any]) -> Source:
        source = inspect(args["folder"])
        if source.digest != args["digest"]:
            raise source_changed()
        return source

    def _rsync(self, source: Source, target: str, listed: bytes) -> int:
        ssh, host = self._ssh()
        become, password = self._become()
        line = f"{password}\n".encode() if password else b""
        with tempfile.NamedTemporaryFile(prefix="hitless-") as secret:
            if ssh and line:
                secret.write(line)
                secret.flush()
                ssh = password_first(ssh, secret.name)
            command = rsync_command(source.folder, target, ssh, host, become)
            try:
                done = subprocess.run(command, input=listed if ssh else line + listed, capture_output=True, check=False)
            except FileNotFoundError as error:
                message = "This machine has no %s, so nothing was uploaded." % error.filename
                raise HitlessError("upload_failed", message, "Install rsync here, then deploy again.") from error
        if done.returncode:
            raise upload_error(done.returncode, done.stderr.decode("utf-8", "replace"), str(self._task_host))
        return bytes_sent(done.stdout.decode("utf-8", "replace"))

    def _ssh(self) -> tuple[list[str] | None, str]:
        """The ssh command of the task's connection, options and shared socket included, and the host it calls."""
        transport = str(self._connection.transport).rpartition(".")[2]
        if transport == "local":
            return None, ""
        if transport != "ssh":
            message = "The source cannot be uploaded over the connection %r; nothing was changed." % transport
            raise HitlessError("upload_failed", message, "Use ssh, or local for this machine.")
        # The one place that knows every option of the connection is the connection; asking it beats copying its rules.
        words = self._connection._build_command(self._connection.get_option("ssh_executable"), "ssh")
        return ssh_words([to_text(word) for word in words]), str(self._connection.get_option("host"))

    def _become(self) -> tuple[list[str], str | None]:
        """The words that run rsync as root, and the password for it; none for root."""
        become = self._connection.become
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
