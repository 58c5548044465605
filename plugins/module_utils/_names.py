# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that reach paths, units and configuration: each is checked before it is used."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError

_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,22}[a-z0-9])?\Z")
_DEPLOYMENT = re.compile(r"[0-9]{14}\Z")
_ID_FORM = "%Y%m%d%H%M%S"


def check_name(what, name):
    """``name`` when it is a good name of a ``what`` (app, service, target); otherwise HitlessError ``config_invalid``."""
    if not isinstance(name, str) or not _NAME.match(name) or "--" in name:
        raise HitlessError(
            "config_invalid",
            "%r is no name for %s %s; nothing was changed." % (name, "an" if what[0] in "aeiou" else "a", what),
            "Use up to 24 lower-case letters, digits and single dashes, beginning with a letter.",
        )
    return name


def check_deployment(name):
    """``name`` when it has the form of a deployment's id."""
    if not isinstance(name, str) or not _DEPLOYMENT.match(name):
        raise HitlessError("usage", "%r is no deployment; nothing was changed." % (name,), "hitless events lists the deployments.")
    return name


def new_deployment_id(taken, now):
    """The id of a deployment: a second in UTC, later than every id that is taken, so that ids sort as deployments began.

    Args:
        taken: ids and other names.
        now: datetime, by the host's clock.
    """
    newest = max((name for name in taken if _DEPLOYMENT.match(name)), default="")
    wanted = now.strftime(_ID_FORM)
    return wanted if wanted > newest else (datetime.strptime(newest, _ID_FORM) + timedelta(seconds=1)).strftime(_ID_FORM)


def agreed_id(taken, wanted):
    """``wanted``, the id that the first host of several chose. HitlessError ``id_taken`` when it would not be the newest here: order is time."""
    newest = max(taken, default="")
    if newest < wanted:
        return wanted
    message = "This host has the deployment %s already, so it cannot take part in %s, which another host began; nothing was changed." % (newest, wanted)
    raise HitlessError("id_taken", message, "Deploy again; if it stays, the clocks of the hosts differ: timedatectl")


def parse_time(text):
    """The datetime (UTC, without zone) of a time as records and events write it."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
