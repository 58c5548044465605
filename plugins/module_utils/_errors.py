# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors that a person can act on and a script can branch on."""

from __future__ import annotations

EXIT_FAILED = 1
EXIT_CONFIG = 2
EXIT_LOCKED = 3
EXIT_UNREACHABLE = 4
EXIT_NEEDS_PERSON = 5
EXIT_INTERRUPTED = 130

# The exit code of the CLI for each error code; a code that is not named here is EXIT_FAILED.
EXITS = {
    "config_invalid": EXIT_CONFIG,
    "source_invalid": EXIT_CONFIG,
    "repository_unknown": EXIT_CONFIG,
    "authentication_refused": EXIT_CONFIG,
    "ref_unknown": EXIT_CONFIG,
    "builder_missing": EXIT_CONFIG,
    "plan_unknown": EXIT_CONFIG,
    "usage": EXIT_CONFIG,
    "host_unsupported": EXIT_CONFIG,
    "name_taken": EXIT_CONFIG,
    "locked": EXIT_LOCKED,
    "unreachable": EXIT_UNREACHABLE,
    "needs_person": EXIT_NEEDS_PERSON,
    "interrupted": EXIT_INTERRUPTED,
}


class HitlessError(Exception):
    """A failure with a stable code.

    Args:
        code: snake_case word that never changes its meaning; scripts branch on it.
        message: one sentence: what failed, where, and what was left untouched.
        hint: the next thing to do or type, or None.
        details: JSON-able facts (``log_tail``: list of str, ``answer``: str, ...).
    """

    def __init__(self, code, message, hint=None, details=None):
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.details = dict(details or {})

    @property
    def exit(self):
        """The exit code that the CLI ends with for this error."""
        return EXITS.get(self.code, EXIT_FAILED)

    def as_dict(self):
        """The ``error`` return value of a module."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "details": self.details,
            "exit": self.exit,
        }

    def as_result(self):
        """What ``module.fail_json`` is called with."""
        return {"msg": self.message, "error": self.as_dict()}
