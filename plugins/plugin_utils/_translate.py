# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what Ansible shows of a run to the run's events.

The wrapper feeds a ``Translator`` from ansible-runner, the callback ``hitless.paas.events`` from inside ansible-playbook: the same events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.hitless.paas.plugins.module_utils._errors import (
    EXIT_CONFIG,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_NEEDS_PERSON,
    EXIT_UNREACHABLE,
)
from ansible_collections.hitless.paas.plugins.plugin_utils._events import LAST, VERSION, now, parse

EVENT_PREFIX = "@hitless "

# ansible-playbook: 5 for wrong options, 99 when interrupted; ansible-runner and shells: 254, 130, -2.
_RC_USAGE = 5
_RC_INTERRUPTED = (99, 130, 254, -2)

_NOT_TOUCHED = "nothing was changed there"
_UNREACHABLE: tuple[tuple[str, str, str], ...] = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|host key .* has changed",
        "{host} shows another host key than the known one",
        "if the server was replaced: ssh-keygen -R {host}",
    ),
    (r"Permission denied \(", "{host} refuses the login (key or user)", "check user and key of the target, then: ssh {host}"),
    (r"Too many authentication failures", "{host} refuses the login: too many keys were offered", "name the key of the target in hitless.yml"),
    (r"Connection refused", "{host} refuses the connection: no SSH server listens on that port", "check the hosts and port of the target, then: ssh {host}"),
    (r"(?i)timed out|timeout", "{host} does not answer (timed out)", "check that the server is up and that its firewall lets SSH through"),
    (r"No route to host|Network is unreachable", "{host} cannot be reached from here: no route", "check the hosts of the target and the network"),
    (
        r"Could not resolve hostname|Name or service not known",
        "the name of {host} cannot be resolved",
        "hitless create, if the server was not created yet; else check the hosts of the target",
    ),
    (
        r"(?i)missing sudo password|a password is required|password for .* required",
        "sudo asks for a password on {host}",
        "allow sudo without a password there, or ansible-playbook --ask-become-pass",
    ),
    (
        r"(?i)incorrect (sudo|become)?\s*password|sorry, try again|no password was provided",
        "sudo refuses the password that was given for {host}",
        "check ansible_become_password",
    ),
    (r"is not in the sudoers|may not run sudo|sudo: .*not found", "the user may not use sudo on {host}", "log in as root, or allow sudo there"),
    (
        r"python3?: (command )?not found|python3?: No such file|interpreter.*(not found|No such file)",
        "{host} has no /usr/bin/python3",
        "ssh {host} apt-get install python3",
    ),
    (r"Connection (reset|closed)|Broken pipe|kex_exchange", "{host} closed the connection", "try again; if it stays: ssh {host}"),
)


class Translator:
    """Makes a run's events: numbered, without duplicates, with exactly one last one.

    Args:
        app, target: what the run is about, where known; events fill them in.

    Attributes:
        exit_code: the exit code of the CLI, once ``finish`` was called.
    """

    def __init__(self, app: str | None = None, target: str | None = None) -> None:
        self.app = app
        self.target = target
        self.deployment: str | None = None
        self.exit_code = EXIT_FAILED
        self._seq = 0
        self._finished = False
        self._changed = False
        self._seen: set[tuple[Any, ...]] = set()
        self._phases: dict[str | None, str] = {}
        self._last: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._failures: list[dict[str, Any]] = []

    def feed_line(self, text: str) -> list[dict[str, Any]]:
        """The events in one line that was shown; none when it is not one of ours."""
        if not text.startswith(EVENT_PREFIX):
            return []
        try:
            raw = json.loads(text[len(EVENT_PREFIX) :])
            if raw["event"] == "log" and "lines" in raw:
                return self._log_lines(raw)
            body: dict[str, Any] = dict(parse(raw))
        except (ValueError, AttributeError, TypeError, KeyError):
            return []
        self._learn(raw)
        if body["event"] == "phase" and body["state"] in ("running", "failed"):
            self._phases[raw.get("host")] = body["name"]
        if self._is_duplicate(raw, body):
            return []
        if body["event"] in LAST:
            self._last.append((raw, body))
            return []
        return [self._event(body, raw)]

    def _log_lines(self, raw: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The events of lines that came together."""
        lines = [str(line) for line in raw["lines"]]
        body = dict(parse({**{key: value for key, value in raw.items() if key != "lines"}, "line": ""}))
        self._learn(raw)
        return [self._event({**body, "line": line}, raw) for line in lines]

    def feed_failed(self, host: str | None, task: str, result: Mapping[str, Any]) -> list[dict[str, Any]]:
        """A task failed for good; the caller leaves out those whose errors are ignored."""
        error = result.get("error")
        if isinstance(error, dict):
            failure = self._typed_failure(host, error)
        elif self._failures:
            return []  # a rescue that fails the play again adds nothing
        else:
            failure = self._untyped_failure(host, task, result)
        self._failures.append(failure)
        return []

    def feed_ok(self, result: Mapping[str, Any]) -> list[dict[str, Any]]:
        """A task succeeded; whether it changed anything counts for runs that say nothing of themselves at the end."""
        self._changed = self._changed or bool(result.get("changed"))
        return []

    def feed_unreachable(self, host: str | None, result: Mapping[str, Any]) -> list[dict[str, Any]]:
        """A host could not be reached."""
        self._failures.append(self._unreachable(host, _text(result)))
        return []

    def feed_runner(self, event: Mapping[str, Any]) -> list[dict[str, Any]]:
        """One event of ansible-runner's ``event_handler``."""
        data = event.get("event_data") or {}
        kind = event.get("event")
        if kind == "runner_on_failed" and not data.get("ignore_errors"):
            return self.feed_failed(data.get("host"), str(data.get("task") or ""), data.get("res") or {})
        if kind == "runner_on_ok":
            return self.feed_ok(data.get("res") or {})
        if kind == "runner_on_unreachable":
            return self.feed_unreachable(data.get("host"), data.get("res") or {})
        if kind == "verbose":
            return [made for line in str(event.get("stdout") or "").split("\n") for made in self.feed_line(line)]
        return []

    def finish(self, rc: int) -> list[dict[str, Any]]:
        """The last event, given ansible-playbook's exit status; nothing when called again."""
        if self._finished:
            return []
        self._finished = True
        body, raw = self._conclude(rc)
        self.exit_code = body["exit"] if body["event"] == "failed" else 0
        return [self._event(body, raw)]

    def _learn(self, raw: Mapping[str, Any]) -> None:
        self.app = self.app or raw.get("app")
        self.target = self.target or raw.get("target")
        self.deployment = raw.get("deployment") or self.deployment

    def _is_duplicate(self, raw: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
        """The step announces its first phase before the module reports it again. Equal log lines are not duplicates."""
        if body["event"] not in ("phase", "status", "warning", "switch"):
            return False
        mark = (raw.get("host"), raw.get("deployment") or self.deployment, json.dumps({**body, "seconds": 0}, sort_keys=True))
        known = mark in self._seen
        self._seen.add(mark)
        return known

    def _event(self, body: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
        self._seq += 1
        common = {"v": VERSION, "seq": self._seq, "time": raw.get("time") or now(), "event": body["event"]}
        about = {"target": self.target, "app": self.app, "deployment": raw.get("deployment") or self.deployment, "host": raw.get("host")}
        return {**common, **about, **body}

    def _conclude(self, rc: int) -> tuple[dict[str, Any], Mapping[str, Any]]:
        said: dict[str, list[dict[str, Any]]] = {kind: [body for _raw, body in self._last if body["event"] == kind] for kind in LAST}
        if said["failed"] or (rc != 0 and self._failures):
            failure, host = self._merged_failure()
            return failure, {"host": host}
        if rc in _RC_INTERRUPTED:
            reason = "the run was interrupted; what served before still serves, and the next deploy cleans up"
            return dict(parse(self._failure(self._any_host(), reason, "hitless deploy", EXIT_INTERRUPTED))), {}
        if rc != 0:
            usage = rc == _RC_USAGE
            reason = f"ansible-playbook ended with status {rc} before any step said why"
            return dict(parse(self._failure(self._any_host(), reason, "run it again with -vvv", EXIT_CONFIG if usage else EXIT_FAILED))), {}
        if said["deploying"]:
            return said["deploying"][0], self._last[0][0]
        return _merged_deployed(said["deployed"], self._changed), {"host": self._only_host()}

    def _any_host(self) -> str | None:
        """The host whose phase stands for the run's."""
        return next(iter(self._phases), None)

    def _only_host(self) -> str | None:
        hosts = {raw.get("host") for raw, _body in self._last}
        return hosts.pop() if len(hosts) == 1 else None

    def _merged_failure(self) -> tuple[dict[str, Any], str | None]:
        """One failure of several: the first says why, the gravest says the exit code.

        A second typed failure of one host is a failed cleanup, so nothing is known to be rolled back. A host that only followed another one says why last.
        """
        ended = [(raw, body) for raw, body in self._last if body["event"] == "failed"]
        said = [body for _raw, body in ended]
        followed = [body for raw, body in ended if raw.get("because_of")]
        hosts = [failure["host"] for failure in self._failures] or [raw.get("host") for raw, _body in ended]
        unclean = any(hosts.count(host) > 1 for host in hosts) and not said
        told = [{key: value for key, value in failure.items() if key != "host"} for failure in self._failures]
        every = [body for body in said if body not in followed] + told + followed
        merged = dict(every[0])
        for key in ("phase", "hint", "log_tail"):
            merged[key] = next((failure[key] for failure in every if failure[key]), merged[key])
        merged["rolled_back"] = all(failure["rolled_back"] for failure in (said or every)) and not unclean
        merged["exit"] = _gravest([failure["exit"] for failure in (said or every)], self._failures)
        if unclean:
            merged["reason"] += f"; cleaning up failed as well: {self._failures[-1]['reason']}"
            merged["exit"] = EXIT_NEEDS_PERSON
        others = len(set(hosts)) - 1
        if others > 0:
            merged["reason"] += f" (and {others} more host{'s' if others > 1 else ''} failed)"
        return merged, hosts[0] if hosts and others <= 0 else None

    def _failure(self, host: str | None, reason: str, hint: str | None, code: int, **fields: Any) -> dict[str, Any]:
        # Exit code 1 promises a rollback; the other codes mean that nothing was begun, or that it is not known.
        rolled_back = code == EXIT_FAILED
        common = {"event": "failed", "host": host, "phase": self._phases.get(host), "reason": reason, "hint": hint, "exit": code}
        return {**common, "rolled_back": rolled_back, "log_tail": [], **fields}

    def _typed_failure(self, host: str | None, error: Mapping[str, Any]) -> dict[str, Any]:
        details = error.get("details") or {}
        given: dict[str, Any] = {"log_tail": [str(line) for line in details.get("log_tail") or ()]}
        if details.get("phase"):
            given["phase"] = str(details["phase"])
        if isinstance(details.get("rolled_back"), bool):
            given["rolled_back"] = details["rolled_back"]
        # What a template makes of a number is a text before ansible-core 2.19.
        code = str(error.get("exit"))
        return self._failure(host, str(error.get("message") or "a step failed"), error.get("hint"), int(code) if code.isdigit() else EXIT_FAILED, **given)

    def _untyped_failure(self, host: str | None, task: str, result: Mapping[str, Any]) -> dict[str, Any]:
        text = _text(result)
        known = _known_fault(text, host, only=("sudo", "python3"))
        if known:
            return self._failure(host, known[0], known[1], EXIT_UNREACHABLE)
        return self._failure(host, f'"{task}" failed on {host}: {_first_line(result)}', "run it again with -vvv to see all of it", EXIT_FAILED)

    def _unreachable(self, host: str | None, text: str) -> dict[str, Any]:
        known = _known_fault(text, host)
        reason, hint = known or (f"{host} cannot be reached: {text.strip().splitlines()[-1] if text.strip() else 'no reason was given'}", f"ssh {host}")
        return self._failure(host, reason, hint, EXIT_UNREACHABLE)


def _gravest(exits: list[int], failures: list[dict[str, Any]]) -> int:
    every: list[int] = exits + [failure["exit"] for failure in failures]
    return EXIT_NEEDS_PERSON if EXIT_NEEDS_PERSON in every else next((code for code in every if code != EXIT_FAILED), EXIT_FAILED)


def _text(result: Mapping[str, Any]) -> str:
    return "\n".join(str(result[key]) for key in ("msg", "module_stderr", "module_stdout") if result.get(key))


def _known_fault(text: str, host: str | None, only: tuple[str, ...] = ()) -> tuple[str, str] | None:
    """The sentence and the hint for a fault of the connection that is known by its text."""
    for pattern, sentence, hint in _UNREACHABLE:
        if re.search(pattern, text) and (not only or any(word in sentence for word in only)):
            return f"{sentence.format(host=host)}; {_NOT_TOUCHED}", hint.format(host=host)
    return None


def _first_line(result: Mapping[str, Any]) -> str:
    """What a task says of its failure; never a traceback."""
    message = str(result.get("msg") or result.get("censored") or "no reason was given")
    lines = [line.strip() for line in message.partition("Traceback (most recent call last)")[0].splitlines() if line.strip()]
    if not lines or lines[0].startswith("MODULE FAILURE") or "See stdout/stderr" in message:
        return "the module ended in an unexpected way, which is a defect of it"
    return lines[0]


def _merged_deployed(every: list[dict[str, Any]], changed: bool) -> dict[str, Any]:
    """One last event of those of several hosts: the slowest host's seconds, the sum of the requests."""
    merged = dict(every[0] if every else parse({"event": "deployed", "changed": changed}))
    for other in every[1:]:
        merged["seconds"] = max(merged["seconds"], other["seconds"])
        merged["requests"] = {name: count + other["requests"][name] for name, count in merged["requests"].items()}
        merged["changed"] = merged["changed"] or other["changed"]
        merged["urls"] = list(dict.fromkeys([*merged["urls"], *other["urls"]]))
        for key in ("url", "preview_url", "release", "status"):
            merged[key] = merged[key] or other[key]
    return merged
