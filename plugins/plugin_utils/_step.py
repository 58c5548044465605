# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of every action plugin of a deployment: it runs the module of the same name and says what happens."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils import _library
from ansible_collections.hitless.paas.plugins.plugin_utils._events import now
from ansible_collections.hitless.paas.plugins.plugin_utils._origin import Origin, token_of
from ansible_collections.hitless.paas.plugins.plugin_utils._translate import EVENT_PREFIX

HIDDEN = "********"
# Hiding shorter values would make holes in words that have nothing to do with them.
_SHORTEST_SECRET = 4


def secret_texts(task_vars: Mapping[str, Any]) -> list[str]:
    """What must not be shown: values of secrets, and each line of those that have several; longest first."""
    env = task_vars.get("hitless_env") or {}
    values = [str(env[name]) for name in task_vars.get("hitless_secret_names") or () if name in env]
    parts = {part for value in values for part in (value, *value.splitlines()) if len(part) >= _SHORTEST_SECRET}
    return sorted(parts, key=len, reverse=True)


def redact(value: Any, secrets: Iterable[str]) -> Any:
    """``value`` with every secret in its texts hidden."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, dict):
        return {key: redact(entry, secrets) for key, entry in value.items()}
    return [redact(entry, secrets) for entry in value] if isinstance(value, (list, tuple)) else value


def parse_result(done: Mapping[str, Any], host: str) -> dict[str, Any] | None:
    """What a module that was run from the library answered, in its last line; None when it did not even begin."""
    lines = str(done["stdout"]).strip().splitlines()
    if lines and lines[-1].startswith("{"):
        result: dict[str, Any] = json.loads(lines[-1])
        return result
    complaint = str(done["stderr"]).strip().splitlines()
    if "Traceback (most recent call last):" not in complaint:
        return None
    message = f"A step on {host} ended unexpectedly: {complaint[-1]}. The next run repairs what it left."
    return {"failed": True, "msg": message, "module_stdout": done["stdout"], "module_stderr": done["stderr"]}


class StepAction(ActionBase):  # type: ignore[misc]
    """Runs a step's module and emits its events.

    Class attributes:
        module: the Python module that is Ansible's module of the step. Ansible imports an action once, before it forks a worker for each task.
        phases: the phases of the step; the first is announced before the module runs.
    """

    module: ModuleType
    phases: tuple[str, ...] = ()

    def emit(self, event: str, **fields: Any) -> None:
        """Show one event as one line that the translator picks up, from whichever process this is."""
        about = {"app": self._about("app"), "target": self._about("target"), "deployment": self._task.args.get("deployment")}
        line = {"event": event, "time": now(), "host": self._task_vars.get("inventory_hostname"), **about, **fields}
        text = json.dumps(redact(line, self._secrets), ensure_ascii=False, sort_keys=True)
        # Readers of lines take these characters for ends of lines, which JSON does not.
        Display().display(EVENT_PREFIX + re.sub("[\x85\u2028\u2029]", lambda end: "\\u%04x" % ord(end[0]), text))

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Announce the first phase, run the step, then emit what the module reports."""
        self._task_vars = task_vars or {}
        self._secrets = secret_texts(self._task_vars)
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            self._refuse_missing_secrets()
            result.update(self.step(self._task_vars))
        except HitlessError as error:
            result.update(failed=True, **error.as_result())
        for name in ("msg", "error", "events", "module_stdout", "module_stderr", "exception"):
            if name in result:
                result[name] = redact(result[name], self._secrets)
        deployment = result.get("deployment")
        known = deployment.get("id") if isinstance(deployment, dict) else deployment
        for event in result.get("events", ()):
            self.emit(**({"deployment": known, **event} if known else event))
        return result

    def step(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """What the step does; by default: announce the first phase and run the module of the same name."""
        if self.phases:
            self.emit("phase", name=self.phases[0], state="running", seconds=0.0)
        return self.run_module(self._task.args, task_vars)

    def run_module(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module of this step on the host with ``args``.

        ``env`` goes as JSON text: of a hidden dictionary Ansible hides every value wherever it appears in a result, and a value such as ``1`` is everywhere.
        """
        if isinstance(args.get("env"), dict):
            args = {**args, "env": json.dumps(args["env"]) if args["env"] else ""}
        result = None if self._needs_ansiballz() else self._run_from_library(args)
        if result is None:
            result = self._execute_module(module_name=self._task.action, module_args=args, task_vars=task_vars)
        return result

    def _needs_ansiballz(self) -> bool:
        """Whether the task asks for something that only Ansible's own way of running a module gives, or the connection cannot pass stdin on."""
        return bool(any(self._task.environment or ()) or self._task.async_val or not self._connection.has_pipelining)

    def _run_from_library(self, args: dict[str, Any]) -> dict[str, Any] | None:
        """The module's result, or None when the host can have no library: Ansible's own way will say why."""
        checked = ArgumentSpecValidator(self.module.ARGUMENTS, required_if=getattr(self.module, "REQUIRED_IF", None)).validate(args)
        if checked.error_messages:
            return {"failed": True, "msg": "; ".join(checked.error_messages)}
        # A value out of a vault is no text yet.
        name = self.module.__name__.rpartition(".")[2]
        request = json.dumps({"module": name, "params": checked.validated_parameters, "check_mode": bool(self._task.check_mode)}, default=str).encode()
        done = self._on_host(_library.run_script(self._python()), request)
        if done["rc"] == _library.MISSING:
            if self._on_host(_library.install_script(self._python()), _library.archive())["rc"] != 0:
                return None
            done = self._on_host(_library.run_script(self._python()), request)
        return parse_result(done, self._task_host)

    def _on_host(self, script: str, stdin: bytes | None = None) -> dict[str, Any]:
        """Run ``script`` by the host's shell; rc, stdout and stderr."""
        done: dict[str, Any] = self._low_level_execute_command("/bin/sh -c " + shlex.quote(script), in_data=stdin)
        return done

    def _python(self) -> str:
        """The host's Python, as Ansible was told; every host that we support has it in this place."""
        told = str(self._task_vars.get("ansible_python_interpreter") or "")
        return shlex.quote(told) if told.startswith("/") else "/usr/bin/python3"

    @property
    def _task_host(self) -> str:
        return str(self._task_vars.get("inventory_hostname"))

    def source_secrets(self, origin: Origin) -> dict[str, str]:
        """The value of the token that a git source needs, if it names one; from now on it is hidden in what this task says."""
        found = token_of(origin, self._templar.template(self._task_vars.get("hitless_secrets")), self._task_vars.get("hitless_env"), os.environ)
        self._secrets = sorted({*self._secrets, *filter(None, found.values())}, key=len, reverse=True)
        return found

    def _about(self, what: str) -> str | None:
        given = self._task.args.get(what)
        value = (given.get("app") if isinstance(given, dict) else given) or self._task_vars.get("hitless_" + what)
        return str(value) if value else None

    def _refuse_missing_secrets(self) -> None:
        """A deployment does not begin without its secrets; a rollback takes those of its release."""
        missing = self._task_vars.get("hitless_missing_secrets")
        args = self._task.args
        if missing and args.get("state") == "begun" and args.get("kind", "deploy") == "deploy":
            names = ", ".join(missing)
            hint = f"export {missing[0]}=…, or ansible-playbook -e @vault.yml with hitless_secrets: {{{missing[0]}: …}}"
            raise HitlessError("config_invalid", f"secrets without a value: {names}; nothing was changed", hint=hint)
