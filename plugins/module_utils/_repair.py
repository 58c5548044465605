# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undo and repair: what a deployment left on a host that must not be there any more goes, and what serves stays."""

from __future__ import annotations

import os
import subprocess
import time
from typing import NamedTuple

from ansible_collections.hitless.paas.plugins.module_utils._build import stop_builds
from ansible_collections.hitless.paas.plugins.module_utils._files import symlink_atomic
from ansible_collections.hitless.paas.plugins.module_utils._record import UNFINISHED, Record
from ansible_collections.hitless.paas.plugins.module_utils._router import router
from ansible_collections.hitless.paas.plugins.module_utils._runtime import runtime

# Seconds that requests in flight get to end on a deployment that is taken off the host.
_DRAIN = 10.0
_POLL = 0.05


class Standing(NamedTuple):
    """How a deployment stands on the host.

    ``alive``: it has a replica there. ``whole``: all replicas that its record names run. ``routed``: it gets new requests.
    ``portless``: none of its replicas takes requests, as with workers only.
    """

    alive: bool = False
    whole: bool = False
    routed: bool = False
    portless: bool = False


GONE = Standing()


def repair_action(dead, live):
    """What to do with a deployment that ended, or whose run ended, before it was finished.

    Args:
        dead: its Standing.
        live: Standing of the deployment that is RUNNING by the records; GONE when there is none.

    Returns:
        ``undo``: its parts go, and the one before it gets the requests. ``finish``: the one before it is being stopped, or was, so this one is what runs now.
    """
    serves = dead.whole and (dead.routed or dead.portless)
    is_last = dead.routed and dead.alive and not live.alive
    return "finish" if is_last or (serves and not live.whole) else "undo"


def strays(present, routed, known, live):
    """The deployments that must not be on the host any more, sorted.

    Args:
        present: ids of those that have a replica or an endpoint.
        routed: ids of those that get requests.
        known: ids of those whose record could be read.
        live: id of the one that is RUNNING, or None.

    What has no readable record may be what runs: it goes only when another one is known to, and it gets no requests.
    """
    return sorted(deployment for deployment in present if deployment != live and (deployment in known or (live and deployment not in routed)))


def take_over(record, paths):
    """Make ``record`` the deployment that runs, by the records and for people.

    A cut in between leaves two that are RUNNING: the later one is, and ``repair`` says so.
    """
    record.move("DEPLOYING")
    record.move("RUNNING")
    record["good"] = True
    record.save()
    _stop_others(Record.all(paths), record)
    symlink_atomic(os.path.join("releases", record["release"]), paths.current)


def _stop_others(records, live):
    for known in records:
        if known["status"] == "RUNNING" and known.id != live.id:
            known.move("STOPPED")
            known.save()


def stop_hooks(app):
    """End every hook of an app that still runs."""
    pattern = "hitless-%s.[0-9]*.service" % app
    subprocess.run(["systemctl", "stop", pattern], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


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

    def standing(self, record):
        """The Standing of a deployment; GONE for None."""
        if record is None:
            return GONE
        replicas = self.replicas(record.id)
        named = sum(len(service["replicas"]) for service in record["services"].values())
        states = self.runtime.inspect(replicas).values()
        whole = named > 0 and len(replicas) == named and all(state.state == "running" for state in states)
        routed = {endpoint.port for endpoint, weight in self.endpoints(record.id).items() if weight}
        ports = {replica.port for replica in replicas if replica.port}
        return Standing(bool(replicas), whole, bool(routed & ports), not ports)

    def undo(self, deployment, live):
        """Take a deployment off the host: the route goes back to ``live`` first, then its endpoints and its replicas go. True when something went."""
        endpoints = list(self.endpoints(deployment))
        self.router.remove_previews(self.paths.app, {deployment})
        if endpoints:
            self.router.switch(list(self.endpoints(live)) if live else [], endpoints)
            self._drain(endpoints)
            self.router.remove_endpoints(endpoints)
        replicas = self.replicas(deployment)
        if replicas:
            self.runtime.remove(replicas)
        return bool(endpoints or replicas)

    def _drain(self, endpoints):
        """Wait, bounded, until nothing is in flight on the endpoints."""
        end = time.monotonic() + _DRAIN
        while any(self.router.in_flight(endpoints).values()) and time.monotonic() < end:
            time.sleep(_POLL)


def repair(host, records, warn):
    """Bring what dead runs of the app left to an end.

    Args:
        host: Host.
        records: every Record of the app but the one that begins now, oldest first.
        warn: called with a message for each run that had to be ended.

    Returns:
        The Record that is RUNNING now, or None.
    """
    live = next((record for record in reversed(records) if record["status"] == "RUNNING"), None)
    if live:
        _stop_others(records, live)
    stop_builds(host.paths.app)
    host.router.sync(host.paths.app)
    dead = [record for record in records if record["status"] in UNFINISHED]
    if dead:
        stop_hooks(host.paths.app)
    for record in dead:
        live = _repair_one(host, record, live, warn)
    weights = host.endpoints()
    present = {replica.deployment for replica in host.replicas()} | {endpoint.deployment for endpoint in weights}
    routed = {endpoint.deployment for endpoint, weight in weights.items() if weight}
    for deployment in strays(present, routed, {record.id for record in records}, live.id if live else None):
        host.undo(deployment, live.id if live else None)
    return live


def _repair_one(host, record, live, warn):
    phase = record["phases"][-1]["name"] if record["phases"] else "prepare"
    if repair_action(host.standing(record), host.standing(live)) == "finish":
        warn("The run of deployment %s ended in the middle of the phase %s, when it had taken over: it is what runs." % (record.id, phase))
        # Hooks and host names may not have come about, so the same source must not count as deployed.
        record["digests"] = {}
        take_over(record, host.paths)
        return record
    host.undo(record.id, live.id if live else None)
    reason = "The run ended in the middle of the phase %s; a later run took what it had left off the host." % phase
    warn("The run of deployment %s by %s ended in the middle of the phase %s; what it had left was taken off the host." % (record.id, record["by"], phase))
    record.fail("FAILED", reason)
    record.save()
    return live
