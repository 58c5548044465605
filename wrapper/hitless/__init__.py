# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys web applications to your own servers without losing a request.

for event in hitless.deploy("shop", target="prod"):
    print(event)
"""

from __future__ import annotations

from hitless._api import (
    cancel,
    configure,
    create,
    deploy,
    destroy,
    domain_add,
    domain_list,
    domain_remove,
    domain_sync,
    events,
    logs,
    plan,
    ps,
    push,
    result,
    rollback,
    status,
    up,
)
from hitless._errors import ConfigError, HitlessError, InstallationError, RunFailed
from hitless._events import Deployed, Deploying, Drain, Event, Failed, Health, Info, Log, Phase, Status, Switch, Warning

__all__ = [
    "ConfigError",
    "Deployed",
    "Deploying",
    "Drain",
    "Event",
    "Failed",
    "Health",
    "HitlessError",
    "Info",
    "InstallationError",
    "Log",
    "Phase",
    "RunFailed",
    "Status",
    "Switch",
    "Warning",
    "cancel",
    "configure",
    "create",
    "deploy",
    "destroy",
    "domain_add",
    "domain_list",
    "domain_remove",
    "domain_sync",
    "events",
    "logs",
    "plan",
    "ps",
    "push",
    "result",
    "rollback",
    "status",
    "up",
]
