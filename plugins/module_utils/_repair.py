# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undo and repair: what a deployment left on a host that must not be there any more goes, and what serves stays."""

from __future__ import annotations

import time

from ansible_collections.hitless.paas.plugins.module_utils._build import stop_builds
from ansible_collections.hitless.paas.plugins.module_utils._record import UNFINISHED
from ansible_collections.hitless.paas.plugins.module_utils._router import router
from ansible_collections.hitless.paas.plugins.module_utils._runtime import runtime

# Seconds that requests in flight get to end on a deployment that is taken off the host.
_DRAIN = 10.0
_POLL = 0.05


def repair_action(dead, live, routed, alive):
    """What to do with a deployment whose run ended before it did.

    Args:
        dead: its id.
        live: id of the deployment that is RUNNING by the records, or None.
        routed: ids of the deployments that get new requests.
        alive: ids of the deployments that have replicas on the host.

    Returns:
        ``undo``: it got no request yet, so its parts go. ``back``: it does, and the one before it still lives, so that one gets them again.
        ``finish``: it is the only one left, so it is what runs now.
    """
    if dead not in routed or dead not in alive:
        return "undo"
    return "back" if live in alive else "finish"


class Host:
    """The replicas and endpoints of one app on this host, by deployment."""

    def __init__(self, paths, runtime_name="systemd", router_name="haproxy"):
        self.paths = paths
        self.runtime = runtime(runtime_name)
        self.router = router(router_name)

    def replicas(self, deployment=None):
        """The replicas of one deployment, or of all."""
        return [replica for replica in self.runtime.list(self.paths.app) if deployment in (None, replica.deployment)]

    def endpoints(self, deployment=None):
        """{Endpoint: weight} by the router's configuration, of one deployment or of all."""
        services = [backend.partition(".")[2] for backend in self.router.backends(self.paths.app)]
        every = [pair for service in services for pair in self.router.configured(self.paths.app, service).items()]
        return {endpoint: weight for endpoint, weight in every if deployment in (None, endpoint.deployment)}

    def routed(self):
        """The ids of the deployments that get new requests."""
        return {endpoint.deployment for endpoint, weight in self.endpoints().items() if weight}

    def undo(self, deployment, live):
        """Take a deployment off the host: the route goes back to ``live`` first, then its endpoints and its replicas go. True when something went."""
        endpoints = self.endpoints(deployment)
        if endpoints:
            back = list(self.endpoints(live)) if live else []
            if back:
                self.router.switch(back, list(endpoints))
                self._drain(list(endpoints))
            self.router.remove_endpoints(list(endpoints))
        replicas = self.replicas(deployment)
        if replicas:
            self.runtime.remove(replicas)
        return bool(endpoints or replicas)

    def _drain(self, endpoints):
        """Wait, bounded, until nothing is in flight on the endpoints."""
        end = time.monotonic() + _DRAIN
        while any(self.router.in_flight(endpoints).values()) and time.monotonic() < end:
            time.sleep(_POLL)


def repair(host, records, live):
    """Bring what dead runs of the app left to an end.

    Args:
        host: Host.
        records: every Record of the app but the one that begins now, oldest first.
        live: the Record that is RUNNING, or None.

    Returns:
        The Record that is RUNNING now, or None.
    """
    stop_builds(host.paths.app)
    dead = [record for record in records if record["status"] in UNFINISHED]
    host.router.sync(host.paths.app)
    for record in dead:
        live = _repair_one(host, record, live)
    stray = {replica.deployment for replica in host.replicas()} - ({live.id} if live else set())
    for deployment in sorted(stray):
        host.undo(deployment, live.id if live else None)
    return live


def _repair_one(host, record, live):
    alive = {replica.deployment for replica in host.replicas()}
    action = repair_action(record.id, live.id if live else None, host.routed(), alive)
    if action == "finish":
        record.move("DEPLOYING")
        record.move("RUNNING")
        record["good"] = True
        if live:
            live.move("STOPPED")
            live.save()
        record.save()
        return record
    host.undo(record.id, live.id if live else None)
    phase = record["phases"][-1]["name"] if record["phases"] else "prepare"
    record.fail("FAILED", "The run ended in the middle of the phase %s; a later run took what it had left off the host." % phase)
    record.save()
    return live
