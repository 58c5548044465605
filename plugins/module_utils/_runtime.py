# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a runtime is: it starts, stops, lists and inspects replicas. Nothing above it knows which one it is."""

from __future__ import annotations

import re
from typing import NamedTuple

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError

_NAME = r"[a-z](?:[a-z0-9]|-(?!-)){0,23}(?<!-)"
_UNIT = re.compile(r"hitless-(?P<app>%s)\.(?P<service>%s)\.(?P<deployment>[0-9]{14})\.(?P<n>[1-9][0-9]*)\.service\Z" % (_NAME, _NAME))


class Replica(NamedTuple):
    """One running instance of a service; ``address`` and ``port`` are None for a worker."""

    app: str
    service: str
    deployment: str
    n: int
    address: str = None
    port: int = None

    @property
    def unit(self):
        """The name of its systemd unit."""
        return "hitless-%s.%s.%s.%d.service" % (self.app, self.service, self.deployment, self.n)

    def as_dict(self):
        """What the record of a deployment says of it."""
        return {"n": self.n, "unit": self.unit, "address": self.address, "port": self.port}


def parse_unit_name(name):
    """The Replica that a unit's name stands for, without endpoint, or None when the unit is not one of ours."""
    found = _UNIT.match(name)
    if not found:
        return None
    return Replica(found["app"], found["service"], found["deployment"], int(found["n"]))


class State(NamedTuple):
    """What a runtime says of one replica.

    ``state``: running, starting, stopping, exited, failed or absent. ``status``: how its last process ended ("exit status 1", "signal 9"),
    None when none ended yet. ``restarts``: how often it was started again.
    """

    state: str
    pid: int = None
    status: str = None
    restarts: int = 0


class Runtime:
    """The interface of every runtime. Every method raises HitlessError ``runtime_failed``."""

    def start(self, replicas):
        """Start ``replicas`` ({Replica: unit text or its equivalent}) and keep them started through reboots; returns at once."""
        raise NotImplementedError

    def remove(self, replicas):
        """Ask the replicas to end, kill what still lives after its stop timeout, and forget them; one that is gone already is no error."""
        raise NotImplementedError

    def list(self, app):
        """The replicas of ``app`` that the host knows, running or not, as a sorted list of Replica."""
        raise NotImplementedError

    def inspect(self, replicas):
        """{Replica: State}."""
        raise NotImplementedError

    def listening(self, replica):
        """A sorted list of the ``address:port`` that the replica's processes listen on."""
        raise NotImplementedError

    def ports_in_use(self):
        """A set of the ports that replicas of any app were given, running or not."""
        raise NotImplementedError

    def logs(self, replica, lines):
        """The last ``lines`` lines that the replica wrote, as a list of str."""
        raise NotImplementedError


def runtime(name):
    """The runtime called ``name``."""
    if name == "systemd":
        from ansible_collections.hitless.paas.plugins.module_utils._systemd import SystemdRuntime

        return SystemdRuntime()
    raise HitlessError("config_invalid", "there is no runtime %r; nothing was changed" % name, "set runtime: systemd")
