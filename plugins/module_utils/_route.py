# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Move the traffic of an app from one deployment to the next: switch, check, bake, drain. Knows no router and no runtime by name."""

from __future__ import annotations

import http.client
import ssl
import time
from collections import namedtuple

from ansible_collections.hitless.paas.plugins.module_utils import _domains
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._haproxy_config import MADE_BY_ROUTER
from ansible_collections.hitless.paas.plugins.module_utils._router import Counters, Endpoint

_POLL = 0.05
_UP_POLL = 0.01
_BAKE_POLL = 0.25
_CUT_LIMIT = 5.0
_SICK_ERRORS = 5
_SICK_SHARE = 0.05

# What the app's services have in the router: ``new`` and ``old`` are lists of Endpoint, ``wishes`` is what is wished of the app's names, and ``domains``
# the Domains that people are told of, best first; ``preview`` is the Domain of this deployment alone, or None.
Plan = namedtuple("Plan", "services new old first wishes domains preview")


def web_services(services):
    """The services that take requests, the one that the app's names lead to first: ``web``, or else the first by name."""
    found = sorted(name for name, service in services.items() if service.get("type", "web") != "worker")
    return sorted(found, key=lambda name: name != "web")


def difference(before, after):
    """What was counted between two Counters. A router that was restarted meanwhile counts from zero."""
    return Counters(*(late - early if late >= early else late for early, late in zip(before, after)))


def sick(counted, live, names):
    """Why the new endpoints may not stay, or None.

    Args:
        counted: Counters since the switch.
        live: list of LiveEndpoint of the service.
        names: names of the new endpoints.
    """
    states = {endpoint.name: endpoint for endpoint in live}
    for name in names:
        if name not in states or states[name].state == "down":
            return "the replica %s is down: %s" % (name, states[name].detail if name in states else "the router does not know it")
    if counted.errors >= _SICK_ERRORS and counted.errors > counted.sent * _SICK_SHARE:
        return "%d of %d requests were answered with an error since the switch" % (counted.errors, counted.sent)
    return None


def next_cut(elapsed, requests, tunnels, limit, long_limit):
    """What the drain does now: "done", "wait", "cut_long_lived" or "cut". Times in seconds; requests do not count tunnels."""
    if not requests and not tunnels:
        return "done"
    if elapsed >= limit:
        return "cut"
    if tunnels and elapsed >= long_limit:
        return "cut_long_lived"
    return "wait"


class _NamedConnection(http.client.HTTPSConnection):
    """A TLS connection that asks for ``name``, whatever the address is."""

    def __init__(self, *args, context, name, **kwargs):
        super().__init__(*args, context=context, **kwargs)
        self._hitless = (context, name)

    def connect(self):
        """Connect, and say the name."""
        context, name = self._hitless
        http.client.HTTPConnection.connect(self)
        self.sock = context.wrap_socket(self.sock, server_hostname=name)


def _asked_path(domain, services):
    """A path that the service behind a Domain should answer: that of its health check, where that is below it."""
    health = services.get(domain.service, {}).get("health", {})
    return health.get("path", "/") if domain.path == "/" and health.get("type", "http") == "http" else domain.path


class Switchover:
    """One run of the steps, in the order of their methods.

    Args:
        app, deployment: names.
        router, runtime: a Router and a Runtime.
        book: the app's DomainBook.
        emit: called with the name and the fields of each event.
        ports: where the router takes HTTP and HTTPS on 127.0.0.1.
    """

    def __init__(self, app, deployment, router, runtime, book, emit, ports=(80, 443)):
        self.app = app
        self.deployment = deployment
        self._router = router
        self._runtime = runtime
        self._ports = ports
        self._emit = emit
        self._book = book
        self._before = None

    def plan(self, services, replicas, config, addresses, preview_domain=None):
        """The Plan: what is there and what shall be. Reads, and changes nothing; raises name_taken and config_invalid.

        Args:
            config: the domains of hitless.yml.
            addresses: the host's own addresses, for an app without any.
            preview_domain: the domain that each deployment gets a name of its own under, or None.
        """
        named = web_services(services)
        new = [
            Endpoint(self.app, name, self.deployment, int(replica["n"]), replica["address"], int(replica["port"]))
            for name in named
            for replica in replicas.get(name, ())
        ]
        old = [endpoint for name in named for endpoint in sorted(self._router.configured(self.app, name)) if endpoint.deployment != self.deployment]
        wishes, domains = self._plan_domains(named, [_domains.checked(given, "config") for given in config], _domains.usable(addresses))
        preview = self._book.preview(new[0], preview_domain) if preview_domain and new else None
        return Plan({name: services[name] for name in named}, new, old, not old, wishes, domains, preview)

    def _plan_domains(self, named, config, addresses):
        """``(wishes, the Domains that people are told of)``; those of an app without a service that takes requests lead nowhere yet."""
        if not named:
            return self._book.wishes(), []
        _domains.refuse_services(config, named)
        wishes = _domains.synced(self._book.wishes(), config, _domains.default_wishes(self.app, addresses, self._router.domains()))
        wanted = self._book.wanted(wishes, named)
        self._book.changes(wanted)
        return wishes, [wanted[key] for key in _domains.best_names(config, addresses, self.app, wanted)]

    def uncovered(self, plan):
        """The names that are to have a certificate and have none yet, as a set."""
        return {wish["name"] for group in self._book.lacking(plan.wishes).values() for wish in group}

    def serving(self, plan):
        """The endpoints that get new requests by the router's configuration, as a set."""
        return {endpoint for name in plan.services for endpoint, weight in self._router.configured(self.app, name).items() if weight}

    def counters(self, plan):
        """The Counters of all services together."""
        each = [self._router.counters(self.app, name) for name in plan.services]
        return Counters(*(sum(column) for column in zip(*each))) if each else Counters(0, 0, 0, 0, 0)

    def switch(self, plan):
        """Make the new endpoints known, wait until the router finds them up, then send every new request to them."""
        self._ensure(plan)
        self._router.add_endpoints(plan.new)
        self._wait_up(plan)
        self._before = self._book.wishes()
        if plan.preview:
            self._router.change_domains([plan.preview])
        self._router.switch(plan.new, plan.old)
        for name in plan.services:
            old, new = ([str(e) for e in endpoints if e.service == name] for endpoints in (plan.old, plan.new))
            self._emit("switch", service=name, **{"from": old, "to": new})
        self._book.put(plan.wishes, list(plan.services))

    def _ensure(self, plan):
        for name, service in plan.services.items():
            self._router.ensure_backend(self.app, name, {"health": service.get("health", {}), "deployment": self.deployment})

    def _live(self, name):
        return self._router.endpoints(self.app, name)

    def _wait_up(self, plan):
        for name, service in plan.services.items():
            wanted = {endpoint.name for endpoint in plan.new if endpoint.service == name}
            until = time.monotonic() + float(service.get("health", {}).get("deadline", 60.0))
            while True:
                waiting = {e.name: e for e in self._live(name) if e.name in wanted and e.state != "up"}
                if not waiting:
                    break
                if time.monotonic() > until:
                    self._router.remove_endpoints(plan.new)
                    worst = sorted(waiting.values())[0]
                    raise HitlessError(
                        "sick_in_router",
                        "the router does not find %s:%d of %s healthy (%s); the old release was left serving" % (worst.address, worst.port, name, worst.detail),
                        "hitless logs %s" % name,
                    )
                time.sleep(_UP_POLL)

    def check(self, plan):
        """Ask for a page through the router as a user would. Raises sick_after_switch, after going back, when the router has to answer itself."""
        if not plan.domains:
            return
        link, domain = self._link(plan.domains[0]), plan.domains[0]
        try:
            link.request("GET", _asked_path(domain, plan.services), headers={"Host": domain.name, "Connection": "close"})
            answer = link.getresponse()
            refused = answer.getheader(MADE_BY_ROUTER)
            problem = "the router answered %d (%s) in its place" % (answer.status, refused) if refused else None
        except (OSError, http.client.HTTPException) as error:
            problem = "the router gave no answer on %s:%d (%s)" % (link.host, link.port, error)
        finally:
            link.close()
        if problem:
            self.go_back(plan, problem)

    def _link(self, domain):
        """A connection to the router as somebody would make it who asks for ``domain``; whose certificate it shows is not what is asked here."""
        if not domain.https:
            return http.client.HTTPConnection("127.0.0.1", self._ports[0], timeout=30)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return _NamedConnection("127.0.0.1", self._ports[1], timeout=30, context=context, name=domain.name)

    def bake(self, plan, before):
        """Watch real traffic for the longest bake of the services. Goes back and raises sick_after_switch when it makes the new replicas sick."""
        until = time.monotonic() + max([float(service.get("bake", 0.0)) for service in plan.services.values()] or [0.0])
        while True:
            counted = difference(before, self.counters(plan))
            for name in plan.services:
                reason = sick(counted, self._live(name), [endpoint.name for endpoint in plan.new if endpoint.service == name])
                if reason:
                    self.go_back(plan, reason)
            if time.monotonic() >= until:
                return
            time.sleep(_BAKE_POLL)

    def go_back(self, plan, reason):
        """Send new requests to the old endpoints again, drain and forget the new ones, and raise sick_after_switch."""
        self._router.switch(plan.old, plan.new)
        for name in plan.services:
            new, old = ([str(e) for e in endpoints if e.service == name] for endpoints in (plan.new, plan.old))
            self._emit("switch", service=name, **{"from": new, "to": old})
        self._router.remove_previews(self.app, {self.deployment})
        self.drain(plan, plan.new)
        self._router.remove_endpoints(plan.new)
        self._book.put(self._before, list(plan.services))
        left = "the first release was taken out of the router" if plan.first else "the old release serves again"
        raise HitlessError("sick_after_switch", "after the switch %s; %s" % (reason, left), "hitless logs %s" % self.app, {"reason": reason})

    def drain(self, plan, endpoints):
        """Wait until no request is in flight on ``endpoints``, within the limits of each service. Returns how many requests were cut."""
        return sum(self._drain(service, [endpoint for endpoint in endpoints if endpoint.service == name]) for name, service in plan.services.items())

    def _drain(self, service, endpoints):
        if not endpoints:
            return 0
        limit, long_limit = float(service.get("drain", 30.0)), float(service.get("long_lived_drain", 5.0))
        began, seen, cut = time.monotonic(), {}, 0
        while True:
            seen = self._report(endpoints, seen)
            total = sum(seen.values())
            tunnels = sum(self._router.long_lived(endpoints).values()) if total else 0
            elapsed = time.monotonic() - began
            step = next_cut(elapsed, total - tunnels, tunnels, limit, long_limit)
            if step == "done" and not self._router.stale():
                return cut
            if step == "cut_long_lived":
                ended = self._router.cut(endpoints, long_lived_only=True)
                self._emit("warning", message="%d long-lived connections to the old release were closed after %g s" % (ended, long_limit), hint=None)
            elif step == "cut" and not cut:
                ended = self._router.cut(endpoints)
                cut = max(0, ended - tunnels)
                self._emit("warning", message="%d requests to the old release were cut after %g s" % (cut, limit), hint="raise drain in hitless.yml")
            elif step == "cut" and elapsed > limit + _CUT_LIMIT:
                return cut
            time.sleep(_POLL)

    def _report(self, endpoints, seen):
        found = self._router.in_flight(endpoints)
        for endpoint in endpoints:
            if found[endpoint] != seen.get(endpoint):
                self._emit("drain", endpoint=str(endpoint), in_flight=found[endpoint])
        return found

    def _settle(self, endpoints):
        """Wait, bounded, for what a preview let through after the drain."""
        until = time.monotonic() + _CUT_LIMIT
        while any(self._router.in_flight(endpoints).values()) and time.monotonic() < until:
            time.sleep(_POLL)

    def retire(self, plan, old):
        """Stop every replica of the old deployments, workers too, then forget their endpoints. Returns True when there was a replica.

        In this order a run that is cut here leaves either both releases whole, or only the new one.
        """
        deployments = {endpoint.deployment for endpoint in plan.old} | ({old} if old else set())
        gone = [replica for replica in self._runtime.list(self.app) if replica.deployment in deployments - {self.deployment}]
        self._router.remove_previews(self.app, deployments - {self.deployment})
        self._settle(plan.old)
        if gone:
            self._runtime.remove(gone)
        self._router.remove_endpoints(plan.old)
        self._ensure(plan)
        return bool(gone)
