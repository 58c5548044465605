# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One playbook through ansible-runner, as a stream of events."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import stat
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hitless import _collection
from hitless._errors import EXIT_CONFIG, EXIT_FAILED, EXIT_INTERRUPTED, InstallationError
from hitless._events import Event, Phase, Switch, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.hitless.paas.plugins.plugin_utils._translate import Translator

    from hitless._project import Project

# ssh adds a slash, ten characters for the connection and seventeen while it binds; the BSDs allow 104 in all.
_LONGEST_CONTROL_DIR = 104 - 1 - 10 - 17 - 1
_CALLBACK = "hitless.paas.events"
# The list of callbacks must not be empty; this one is there always, and passed over because another one has the terminal.
_NO_CALLBACK = "minimal"
# Seconds from an interrupt to the end. Mostly it takes less than one; but a worker that is ended while it passes on
# a line leaves the lock of the queue taken, and ansible-playbook then waits for that lock for ever.
_PATIENCE = 3.0
_ERROR_MARKS = ("[ERROR]:", "ERROR!")
_STARTED = ("playbook_on_task_start", "runner_on_start")


def environment(environ: Mapping[str, str], control_dir: str) -> dict[str, str]:
    """What a run adds to the environment of ansible-playbook.

    ansible-runner switches the check of host keys off where nothing is said, so it is said. Our own callback
    stays out: it would take the lines that this side translates.
    """
    callbacks = [name for name in environ.get("ANSIBLE_CALLBACKS_ENABLED", "").split(",") if name.strip() not in ("", _CALLBACK)]
    return {
        "ANSIBLE_CALLBACKS_ENABLED": ",".join(callbacks or [_NO_CALLBACK]),
        "ANSIBLE_COLLECTIONS_PATH": _collection.search_path(dict(environ)),
        "ANSIBLE_DEPRECATION_WARNINGS": "False",
        "ANSIBLE_HOST_KEY_CHECKING": environ.get("ANSIBLE_HOST_KEY_CHECKING", "True"),
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "True",
        "ANSIBLE_INVENTORY_ENABLED": "hitless.paas.hitless",
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_NOCOLOR": "True",
        "ANSIBLE_NOCOWS": "True",
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_PYTHON_INTERPRETER": environ.get("ANSIBLE_PYTHON_INTERPRETER", "/usr/bin/python3"),
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": control_dir,
        # The ansible-playbook of this package's own environment, also where that is not activated.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)]),
        "HITLESS_RUN": "1",
        "PYTHONUNBUFFERED": "1",
    }


def control_dir(environ: Mapping[str, str]) -> str:
    """The folder of the ssh connections that commands share: private, and short enough for a Unix socket.

    Raises:
        InstallationError: the folder belongs to somebody else, who could listen there.
    """
    runtime = environ.get("XDG_RUNTIME_DIR")
    wanted = Path(runtime, "hitless") if runtime and os.path.isdir(runtime) else Path.home() / ".hitless" / "cp"
    path = wanted if len(str(wanted)) <= _LONGEST_CONTROL_DIR else Path(f"/tmp/hitless-{os.getuid()}")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise InstallationError(f"{path} is not a private folder of yours; nothing was started.", f"rm -r {path}")
    return str(path)


class Play:
    """One run of ansible-playbook.

    Args:
        playbook: full name, ``hitless.paas.deploy``.
        project: whose inventory it runs on.
        extravars: variables; they go through a private file, never on the command line.
        on_keyboard: called on Ctrl-C where no handler of signals takes it first.
    """

    def __init__(self, playbook: str, project: Project, extravars: Mapping[str, Any], on_keyboard: Callable[[], None]) -> None:
        self.rc = EXIT_FAILED
        self._on_keyboard = on_keyboard
        self._playbook = playbook
        self._project = project
        self._extravars = extravars
        self._queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._pid: int | None = None
        self._deadline: float | None = None
        self._killing = False

    def stream(self) -> Iterator[dict[str, Any]]:
        """Run it; yields the events of ansible-runner as they come. ``rc`` is set when it ends."""
        with ThreadPoolExecutor(1, "ansible-runner") as pool:
            future: Future[int] = pool.submit(self._run)
            try:
                while (item := self._next()) is not None:
                    yield item
                self.rc = future.result()
            finally:
                if not future.done():
                    self.kill()

    def interrupt(self) -> None:
        """Ask ansible-playbook to end, as Ctrl-C does; before it is up, end it at once."""
        self._deadline = time.monotonic() + _PATIENCE
        if self._pid is not None:
            _signal_group(self._pid, signal.SIGINT)

    def kill(self) -> None:
        """End ansible-playbook at once."""
        self._killing = True

    def _next(self) -> dict[str, Any] | None:
        while True:
            try:
                return self._queue.get()
            except KeyboardInterrupt:
                self._on_keyboard()

    def _must_die(self) -> bool:
        if self._killing or self._deadline is None:
            return self._killing
        return self._pid is None or time.monotonic() > self._deadline

    def _run(self) -> int:
        try:
            from ansible_runner import interface

            _end_without_pause()
            private = Path(tempfile.mkdtemp(prefix="hitless-"))
            try:
                runner = interface.init_runner(**self._arguments(private))
                runner.run()
                return int(runner.rc)
            finally:
                shutil.rmtree(private, ignore_errors=True)
        finally:
            self._queue.put(None)

    def _arguments(self, private: Path) -> dict[str, Any]:
        inventory, variables = self._project.inventory(private)
        return {
            "cancel_callback": self._must_die,
            "envvars": environment(os.environ, control_dir(os.environ)) | self._project.environment(),
            "event_handler": self._take,
            "extravars": {"target": self._project.target, **variables, **self._extravars},
            "inventory": str(inventory),
            "playbook": self._playbook,
            "private_data_dir": str(private),
            "quiet": True,
            "settings": {"pexpect_timeout": 0.2},
            "suppress_output_file": True,
        }

    def _take(self, event: dict[str, Any]) -> bool:
        # The process is the leader of a group of its own, because it runs on a terminal of its own.
        if self._pid is None and event.get("event") == "playbook_on_start":
            self._pid = int(event["pid"])
        self._queue.put(event)
        return False  # nothing is kept on disk


def _end_without_pause() -> None:
    """Let ansible-runner's terminals close at once.

    pexpect waits a tenth of a second after it closed one, so that it can see whether the process lives; ansible-runner closes it when that has ended.
    """
    import pexpect  # type: ignore[import-untyped]
    from ansible_runner import runner

    class Terminal(pexpect.spawn):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.ptyproc.delayafterclose = 0

    if runner.pexpect is pexpect:
        # In ansible-runner's eyes alone: this process may use pexpect for things of its own.
        runner.pexpect = SimpleNamespace(**{**vars(pexpect), "spawn": Terminal})


def _signal_group(pid: int, number: int) -> None:
    try:
        group = os.getpgid(pid)
        if group != os.getpgid(0):
            os.killpg(group, number)
    except ProcessLookupError:
        pass  # it has just ended


@dataclass
class Seen:
    """What a run has shown so far, as far as its end needs it."""

    phase: str | None = None
    switched: bool = False
    started: bool = False
    no_hosts: bool = False
    failed: bool = False
    errors: list[str] = field(default_factory=list)

    def take_event(self, event: Event) -> None:
        """Remember a translated event."""
        if isinstance(event, Phase):
            self.phase = event.name
        self.switched = self.switched or isinstance(event, Switch)

    def take_runner(self, item: Mapping[str, Any]) -> None:
        """Remember an event of ansible-runner."""
        kind = str(item.get("event"))
        self.started = self.started or kind in _STARTED
        self.no_hosts = self.no_hosts or kind == "playbook_on_no_hosts_matched"
        ignored = (item.get("event_data") or {}).get("ignore_errors")
        self.failed = self.failed or kind == "runner_on_unreachable" or (kind == "runner_on_failed" and not ignored)
        self.errors += [line for line in str(item.get("stdout") or "").splitlines() if line.startswith(_ERROR_MARKS)]


def untold(seen: Seen, rc: int, target: str) -> dict[str, Any] | None:
    """The error of a run that ended before any step could say why; None when there is none to add."""
    if rc == 0 and seen.no_hosts and not seen.started:
        return _error(f"The target {target} has no host; nothing was done.", "hitless create", EXIT_CONFIG)
    if rc == 0 or seen.failed or not seen.errors:
        return None
    reason = seen.errors[0]
    for mark in _ERROR_MARKS:
        reason = reason.removeprefix(mark).strip()
    return _error(reason, "run it again with --verbose to see all of it", EXIT_FAILED if seen.started else EXIT_CONFIG)


def interrupted(seen: Seen, cleaned: bool | None) -> dict[str, Any]:
    """The error of an interrupted run, which says what state it left.

    Args:
        cleaned: whether the cleanup ran through; None when there was nothing to clean up.
    """
    where = f" during {seen.phase}" if seen.phase else ""
    if cleaned is None:
        left, hint = "no deployment had begun", None
    elif cleaned:
        left, hint = "the deployment was cancelled, and what served before still serves", "hitless status"
    elif seen.switched:
        left, hint = "the switch had begun and could not be cleaned up, so the new version may be serving already", "hitless status"
    else:
        left, hint = "what served before still serves; what the deployment began is cleaned up by the next one", "hitless deploy"
    return {
        **_error(f"Interrupted{where}: {left}.", hint, EXIT_INTERRUPTED),
        "details": {"phase": seen.phase, "rolled_back": cleaned is not False or not seen.switched},
    }


def _error(message: str, hint: str | None, exit_code: int) -> dict[str, Any]:
    return {"code": "run", "message": message, "hint": hint, "details": {}, "exit": exit_code}


class Run:
    """A verb on a project: its playbook, its events, and its clean end when it is interrupted.

    Args:
        verb: name of the playbook in the collection.
        project: the app and its target.
        extravars: docs/architecture.md, Variables of a run.
        passthrough: gets every line that Ansible shows.
        progress: gets the name of each task as it begins.

    Attributes:
        exit_code: the exit code of the CLI, once ``events`` has ended.
    """

    def __init__(
        self,
        verb: str,
        project: Project,
        extravars: Mapping[str, Any],
        passthrough: Callable[[str], None] | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self.project = project
        self.verb = verb
        self.exit_code = EXIT_FAILED
        self._passthrough = passthrough
        self._progress = progress
        self._seen = Seen()
        self._interrupts = 0
        self._keyboard = False
        self._play = Play(f"hitless.paas.{verb}", project, extravars, self._on_keyboard)

    def interrupt(self) -> None:
        """End the run: first as Ctrl-C does, with a cleanup; the second time at once."""
        self._interrupts += 1
        if self._interrupts == 1:
            self._play.interrupt()
        else:
            self._play.kill()

    def events(self) -> Iterator[Event]:
        """Run it; yields typed events, the last one a ``Deployed`` or a ``Failed``.

        Ctrl-C ends the run and cleans up; the last event says so, and KeyboardInterrupt is raised after it.
        Closing the iterator early does the same without a word.
        """
        from ansible_collections.hitless.paas.plugins.plugin_utils._translate import Translator

        translator = Translator(self.project.app, self.project.target)
        stream = self._translated(translator)
        for event in stream:
            try:
                yield event
            except GeneratorExit:
                self.interrupt()
                deque(stream, maxlen=0)  # its end is waited for, so that the cleanup does not meet it
                self._end(translator)
                raise
        yield from self._end(translator)
        if self._keyboard:
            raise KeyboardInterrupt

    def _on_keyboard(self) -> None:
        self._keyboard = True
        self.interrupt()

    def _translated(self, translator: Translator) -> Iterator[Event]:
        for item in self._play.stream():
            self._seen.take_runner(item)
            if self._passthrough:
                self._show(item)
            if self._progress and item.get("event") == "playbook_on_task_start":
                self._progress(str(item["event_data"].get("task") or ""))
            if self._interrupts and item.get("event") != "verbose":
                continue  # what a task says while it is being ended is no news
            for raw in translator.feed_runner(item):
                event = parse(raw)
                self._seen.take_event(event)
                yield event

    def _show(self, item: Mapping[str, Any]) -> None:
        assert self._passthrough is not None
        for line in str(item.get("stdout") or "").splitlines():
            if not line.startswith("@hitless "):
                self._passthrough(line)

    def _end(self, translator: Translator) -> list[Event]:
        rc = self._play.rc
        if self._interrupts and rc != 0:
            error, rc = interrupted(self._seen, self._clean_up(translator.deployment)), EXIT_INTERRUPTED
        else:
            error = untold(self._seen, rc, self.project.target) or {}
        if error:
            translator.feed_failed(None, "", {"error": error})
        events = [parse(raw) for raw in translator.finish(rc or (EXIT_FAILED if error else 0))]
        self.exit_code = translator.exit_code
        return events

    def _clean_up(self, deployment: str | None) -> bool | None:
        """End what the deployment began on the hosts; None when there was no deployment."""
        if deployment is None:
            return None
        if self._interrupts > 1:
            return False
        self._play = Play("hitless.paas.cancel", self.project, {"hitless_deployment": deployment}, self._on_keyboard)
        deque(self._play.stream(), maxlen=0)
        return self._play.rc == 0
