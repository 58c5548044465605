# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that run once, beside the replicas and as confined as they are: hooks and health checks."""

from __future__ import annotations

import collections
import re
import subprocess
import time
from typing import NamedTuple

from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.module_utils._units import environment, sandbox, shell_command

_SHORTEST_SECRET = 4
_KEPT_LINES = 200
# Characters; what has no end of line is taken in pieces.
_LONGEST_LINE = 1 << 20


class Ending(NamedTuple):
    """How a command ended. ``reason`` is None when it ended with 0, else text such as ``exit status 3``; ``lines`` are its last ones."""

    reason: str
    lines: list


def mask(line, secrets):
    """``line`` without the values in ``secrets``, nor any line of them."""
    words = {part for secret in secrets for part in secret.splitlines() if len(part) >= _SHORTEST_SECRET}
    return re.sub("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)), "***", line) if words else line


def command_words(command, settings, timeout, unit=None):
    """The words that run ``command`` in a transient unit with ``settings`` ((name, value) pairs)."""
    words = ["systemd-run", "--quiet", "--wait", "--pipe", "--service-type=exec"] + (["--unit=" + unit] if unit else ["--collect"])
    pairs = settings + [("KillMode", "control-group"), ("TimeoutStopSec", "5"), ("RuntimeMaxSec", "%g" % timeout), ("TasksMax", "4096")]
    for pair in pairs:
        words += ["-p", "%s=%s" % pair]
    # systemd would put variables in place of ``$``, the shell must.
    return words + ["--", "/bin/sh", "-c", shell_command(command).replace("$", "$$")]


def app_settings(app, release, artifact, mounts):
    """The settings of a command that is no replica's."""
    return sandbox(app, artifact, mounts) + [("EnvironmentFile", AppPaths(app).release(release) + "/env")]


def replica_settings(replica, release, artifact, mounts):
    """The settings of a command that asks a replica how it is."""
    return sandbox(replica.app, artifact, mounts) + environment(replica, release)


def run_command(command, settings, timeout, unit=None, on_line=None):
    """Run ``command`` to its end, however that comes, and return its Ending.

    Args:
        settings: see ``app_settings`` and ``replica_settings``.
        timeout: seconds until it is killed, with all that it started.
        unit: name of the transient unit; a leftover of that name is ended first.
        on_line: called with each line of output.
    """
    if unit:
        for verb in ("stop", "reset-failed"):
            subprocess.run(["systemctl", verb, unit], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    lines, started = collections.deque(maxlen=_KEPT_LINES), time.monotonic()
    words = command_words(command, settings, timeout, unit)
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace") as child:
        for line in iter(lambda: child.stdout.readline(_LONGEST_LINE), ""):
            lines.append(line.rstrip("\r\n"))
            if on_line:
                on_line(lines[-1])
    if not child.returncode:
        return Ending(None, list(lines))
    return Ending(_reason(child.returncode, unit, time.monotonic() - started >= timeout), list(lines))


def _reason(code, unit, timed_out):
    """Why a command failed: systemd knows more than the exit status of systemd-run tells."""
    facts = _forget(unit) if unit else {}
    if timed_out:
        return "it did not end in time"
    if facts.get("Result") == "signal":
        return "signal %s" % facts.get("ExecMainStatus")
    if facts.get("Result") == "oom-kill":
        return "it ran out of memory"
    return "exit status %d" % code


def _forget(unit):
    """What systemd remembers of a unit that failed; it is asked to forget it."""
    words = ["systemctl", "show", "-p", "Result,ExecMainStatus", unit]
    shown = subprocess.run(words, stdout=subprocess.PIPE, encoding="utf-8", check=False).stdout
    subprocess.run(["systemctl", "reset-failed", unit], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
