# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run's events as lines of JSON."""

from __future__ import annotations

DOCUMENTATION = r"""
name: events
type: notification
short_description: Writes the events of a deployment as lines of JSON
version_added: 0.1.0
author:
  - The hitless maintainers (@hitless)
description:
  - Writes the same events as the C(hitless) command does with C(--json), one JSON object a line; C(docs/events.md) describes them.
  - With O(file) they go to that file, and the terminal shows one line for people for each; without it they go to standard output.
options:
  file:
    description: File that the events are added to. A file that cannot be written is a warning and never fails the run.
    type: path
    env:
      - name: HITLESS_EVENTS_FILE
    ini:
      - section: callback_hitless_events
        key: file
requirements:
  - enable in configuration, for example E(ANSIBLE_CALLBACKS_ENABLED=hitless.paas.events)
"""

import atexit
import json
import os
import sys
from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible.utils.display import Display
from ansible_collections.hitless.paas.plugins.plugin_utils._human import human_line
from ansible_collections.hitless.paas.plugins.plugin_utils._translate import EVENT_PREFIX, Translator

_RC_FAILED = 2
_RC_UNREACHABLE = 4
_RC_INTERRUPTED = 99


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Feeds a translator from inside ansible-playbook."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "hitless.paas.events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._translator = Translator()
        self._pid = os.getpid()
        self._file: str | None = None
        self._shown = _wrap_display(self._event_line)
        atexit.register(self._interrupted)

    def set_options(self, *args: Any, **kwargs: Any) -> None:
        """Take the option ``file``."""
        super().set_options(*args, **kwargs)
        self._file = self.get_option("file")

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Learn what the run is about, for a failure before the first step."""
        hosts = play.get_variable_manager()._inventory.get_hosts("hitless")
        if hosts:
            self._translator.app = self._translator.app or str(hosts[0].vars.get("hitless_app") or "") or None
            self._translator.target = self._translator.target or str(hosts[0].vars.get("hitless_target") or "") or None

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task failed."""
        if not ignore_errors:
            host, task, value = _parts(result)
            self._write(self._translator.feed_failed(host, task, value))

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task succeeded."""
        self._translator.feed_ok(_parts(result)[2])

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host could not be reached."""
        host, _task, value = _parts(result)
        self._write(self._translator.feed_unreachable(host, value))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The run ended."""
        rc = _RC_FAILED if stats.failures else _RC_UNREACHABLE if stats.dark else 0
        self._write(self._translator.finish(rc))

    def _interrupted(self) -> None:
        # An interrupted run has no recap. Workers that were forked from this process have nothing to say.
        if os.getpid() == self._pid:
            self._write(self._translator.finish(_RC_INTERRUPTED))

    def _event_line(self, text: str) -> None:
        self._write(self._translator.feed_line(text))

    def _write(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            line = json.dumps(event, ensure_ascii=False)
            if self._file and self._append(line):
                self._shown(human_line(event))
            else:
                sys.stdout.write(line + "\n")
                sys.stdout.flush()

    def _append(self, line: str) -> bool:
        """Add a line to the file; False when it cannot be written, and from then on events go to standard output."""
        try:
            with open(str(self._file), "a", encoding="utf-8", errors="backslashreplace") as stream:
                stream.write(line + "\n")
        except OSError as error:
            self._display.warning(f"events are not written to {self._file}: {error.strerror}")
            self._file = None
            return False
        return True


def _parts(result: Any) -> tuple[str, str, dict[str, Any]]:
    """Host, task and result; ansible-core 2.18 has them under other names."""
    if hasattr(result, "result"):
        return result.host.get_name(), result.task.get_name(), dict(result.result)
    return result._host.get_name(), result._task.get_name(), dict(result._result)


def _wrap_display(take: Any) -> Any:
    """Let ``take`` have the lines of events that would be shown; returns what shows other lines.

    There is no hook for lines that an action plugin shows while its task runs. In a worker, display only passes its line to the main process.
    """
    display = Display()
    show = display.display

    def wrapped(msg: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(display, "_final_q", None) is None and isinstance(msg, str) and msg.startswith(EVENT_PREFIX):
            return take(msg)
        return show(msg, *args, **kwargs)

    display.display = wrapped
    return show
