# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app's environment as the text of a systemd EnvironmentFile that gives back every value byte for byte."""

from __future__ import annotations

import json
import re

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# systemd drops an assignment whose value holds any control character but these two.
_REFUSED = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
# Inside double quotes a backslash is an escape only before these.
_ESCAPED = re.compile(r'(["\\`$])')
_LINE = re.compile(r'^([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"$', re.MULTILINE | re.DOTALL)


def _line(name, value):
    if not _NAME.match(name):
        raise HitlessError(
            "config_invalid",
            "%r is not a name of an environment variable; nothing was written" % name,
            "use letters, digits and _ only, with no digit first",
        )
    if _REFUSED.search(value):
        raise HitlessError(
            "config_invalid",
            "the value of the environment variable %s holds a control character or is not UTF-8; nothing was written" % name,
            "encode the value, as base64 say, and decode it in the app",
        )
    return '%s="%s"\n' % (name, _ESCAPED.sub(r"\\\1", value))


def environment_file(env):
    """The text of an EnvironmentFile for ``env`` (dict of str to str), sorted by name.

    Raises HitlessError that names the variable, never its value.
    """
    return "".join(_line(name, env[name]) for name in sorted(env))


def parse(text):
    """The variables in a text that ``environment_file`` made."""
    return {name: re.sub(r"\\([\"\\`$])", r"\1", value) for name, value in _LINE.findall(text)}


def from_json(text):
    """The variables in the parameter ``env`` of a module: a JSON object, or nothing."""
    try:
        env = json.loads(text) if text else {}
    except ValueError:
        env = None
    if not isinstance(env, dict):
        raise HitlessError("usage", "env is not a JSON object; nothing was changed", "pass it through the to_json filter")
    return {name: str(value) for name, value in env.items()}
