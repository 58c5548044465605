# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of every action plugin of a deployment: it runs the module of the same name and says what happens."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.hitless.paas.plugins.module_utils._arguments import OPTIONS, REQUIRED_IF
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils import _library
from ansible_collections.hitless.paas.plugins.plugin_utils._connection import is_readable, run_live, shell_words
from ansible_collections.hitless.paas.plugins.plugin_utils._events import now
from ansible_collections.hitless.paas.plugins.plugin_utils._origin import Origin, token_of
from ansible_collections.hitless.paas.plugins.plugin_utils._translate import EVENT_PREFIX

# The name of a module, and the arguments that it is run with.
Call = tuple[str, dict[str, Any]]

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


def with_env_as_text(args: dict[str, Any]) -> dict[str, Any]:
    """``args`` with ``env`` as JSON text.

    Of a hidden dictionary Ansible hides every value wherever it appears in a result, and a value such as ``1`` is everywhere.
    """
    env = args.get("env")
    return {**args, "env": json.dumps(env) if env else ""} if isinstance(env, dict) else args


class Said:
    """What modules that run from the library say, line by line.

    Args:
        emit: called with the fields of each event that is told before a module's end.
        emit_all: called with each result, and with how many of its events were told.

    Attributes:
        results: those of the modules so far.
        began: whether any module said anything.
    """

    def __init__(self, emit: Callable[..., None], emit_all: Callable[[Mapping[str, Any], int], None]) -> None:
        self.results: list[dict[str, Any]] = []
        self.began = False
        self._emit = emit
        self._emit_all = emit_all

    @property
    def failed(self) -> bool:
        """Whether a module failed, after which no other is run."""
        return bool(self.results and self.results[-1].get("failed"))

    def take(self, line: str) -> None:
        """Take one line. What a login shell or sudo says is passed over."""
        try:
            said = json.loads(line)
        except ValueError:
            return
        if not isinstance(said, dict):
            return
        if "event" in said:
            self.began = True
            self._emit(**said["event"])
        elif "result" in said and "told" in said:
            self.began = True
            self.results.append(said["result"])
            self._emit_all(said["result"], said["told"])


def unexpected_end(done: Mapping[str, Any], began: bool, host: str) -> dict[str, Any] | None:
    """The result of a module that ended without one; None when it did not even begin."""
    complaint = str(done["stderr"]).strip().splitlines()
    if not began and "Traceback (most recent call last):" not in complaint:
        return None
    why = complaint[-1] if complaint else "exit status %s" % done["rc"]
    message = f"A step on {host} ended unexpectedly: {why}. The next run repairs what it left."
    return {"failed": True, "msg": message, "module_stdout": done["stdout"], "module_stderr": done["stderr"]}


class StepAction(ActionBase):  # type: ignore[misc]
    """Runs a step's module and emits its events.

    Class attributes:
        module: the name of the step's module.
        phases: the phases of the step; the first is announced before the module runs.
    """

    module: str
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
        return result

    def step(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """What the step does; by default: announce the first phase and run the module of the same name."""
        if self.phases:
            self.emit("phase", name=self.phases[0], state="running", seconds=0.0)
        return self.run_module(self._task.args, task_vars)

    def run_module(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module of this step on the host with ``args``, and emit its events."""
        return self.run_modules([(self.module, args)], task_vars)[-1]

    def run_modules(self, calls: Sequence[Call], task_vars: dict[str, Any]) -> list[dict[str, Any]]:
        """Run modules on the host one after another, up to the first that fails; emits their events, and returns their results."""
        calls = [(module, with_env_as_text(args)) for module, args in calls]
        results: list[dict[str, Any]] = []
        # In one go only where each of them can be heard before the last one ends.
        for part in [calls] if is_readable(self._connection) else [[call] for call in calls]:
            found = None if self._needs_ansiballz() else self._run_from_library(part)
            results += self._run_by_ansible(part, task_vars) if found is None else found
            if results[-1].get("failed"):
                break
        return results

    def _run_by_ansible(self, calls: Sequence[Call], task_vars: dict[str, Any]) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = []
        for module, args in calls:
            results.append(self._execute_module(module_name="hitless.paas." + module, module_args=args, task_vars=task_vars))
            self.emit_all(results[-1])
            if results[-1].get("failed"):
                break
        return results

    def emit_all(self, result: Mapping[str, Any], told: int = 0) -> None:
        """Emit the events of a module's result but for the first ``told``."""
        deployment = result.get("deployment")
        known = deployment.get("id") if isinstance(deployment, dict) else deployment
        for event in list(result.get("events", ()))[told:]:
            self.emit(**({"deployment": known, **event} if known else event))

    def _needs_ansiballz(self) -> bool:
        """Whether the task asks for something that only Ansible's own way of running a module gives, or the connection cannot pass stdin on."""
        return bool(any(self._task.environment or ()) or self._task.async_val or not self._connection.has_pipelining)

    def _run_from_library(self, calls: Sequence[Call]) -> list[dict[str, Any]] | None:
        """The results of the modules, or None when the host can have no library: Ansible's own way will say why."""
        checked = [ArgumentSpecValidator(OPTIONS[module], required_if=REQUIRED_IF.get(module)).validate(args) for module, args in calls]
        wrong = [message for one in checked for message in one.error_messages]
        if wrong:
            return [{"failed": True, "msg": "; ".join(wrong)}]
        named = [{"module": module, "params": one.validated_parameters} for (module, _args), one in zip(calls, checked, strict=True)]
        # A value out of a vault is no text yet.
        request = json.dumps({"calls": named, "check_mode": bool(self._task.check_mode)}, default=str).encode()
        said = Said(self.emit, self.emit_all)
        done = self._run_live(_library.run_script(self._python()), request, said.take)
        if done["rc"] == _library.MISSING and not said.began:
            if self._on_host(_library.install_script(self._python()), _library.archive())["rc"] != 0:
                return None
            done = self._run_live(_library.run_script(self._python()), request, said.take)
        if len(said.results) == len(calls) or said.failed:
            return said.results
        ended = unexpected_end(done, said.began, self._task_host)
        return [*said.results, ended] if ended else None

    def _run_live(self, script: str, stdin: bytes, on_line: Callable[[str], None]) -> dict[str, Any]:
        """Run ``script`` by the host's shell, and hand over each line of its output: as it comes, where the connection lets us read it."""
        if is_readable(self._connection):
            return run_live(shell_words(self._connection, "/bin/sh -c " + shlex.quote(script)), stdin, on_line)
        done = self._on_host(script, stdin)
        for line in str(done["stdout"]).splitlines():
            on_line(line)
        return done

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
