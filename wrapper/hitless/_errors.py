# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong before or instead of a deployment.

HitlessError
├── ConfigError          hitless.yml, the folder, the target or an option is wrong: nothing was started (exit 2)
├── InstallationError    the collection beside this package is missing or another version (exit 2)
└── RunFailed            a run ended with a ``failed`` event, kept in ``event`` (its exit: 1, 2, 3, 4, 5 or 130)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hitless._events import Failed

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_CONFIG = 2
EXIT_LOCKED = 3
EXIT_UNREACHABLE = 4
EXIT_NEEDS_PERSON = 5
EXIT_INTERRUPTED = 130


class HitlessError(Exception):
    """An expected failure: a sentence for a person, and a hint with the next thing to do.

    Attributes:
        exit: the exit code that the CLI ends with.
        hint: the next thing to do or type, or None.
    """

    exit = EXIT_FAILED

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(HitlessError):
    """What the user wrote or asked for is wrong; nothing was started."""

    exit = EXIT_CONFIG


class InstallationError(HitlessError):
    """The collection that belongs to this package cannot be used; nothing was started."""

    exit = EXIT_CONFIG


class RunFailed(HitlessError):
    """A run that ended with a ``failed`` event."""

    def __init__(self, event: Failed) -> None:
        super().__init__(event.reason, event.hint)
        self.event = event
        self.exit = event.exit
