# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a router is: it takes requests on ports 80 and 443 and sends them to endpoints. Nothing above it knows which one it is."""

from __future__ import annotations

from collections import namedtuple

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError

FULL_WEIGHT = 100


class Endpoint(namedtuple("Endpoint", "app service deployment n address port")):
    """Where one replica listens. ``n`` counts from 1; ``address`` is an IP address as text, ``port`` an int."""

    __slots__ = ()

    @property
    def name(self):
        """The name of its server in the router, the same for as long as it lives."""
        return "%s-%d" % (self.deployment, self.n)

    @property
    def backend(self):
        """The name of the backend that it belongs to."""
        return backend_name(self.app, self.service)

    def __str__(self):
        return "%s:%d" % (self.address, self.port)


# What the router says of an endpoint now. ``state``: "up", "down" or "checking" (no answer to a check yet); ``in_flight``: a count of requests.
LiveEndpoint = namedtuple("LiveEndpoint", "name address port state weight in_flight detail")


# Requests of one service since the router process started: ints. ``failed`` counts those that the router itself had to answer with an error or cut short.
Counters = namedtuple("Counters", "sent failed held retried errors")


def backend_name(app, service):
    """The name of the backend of one service."""
    return "%s.%s" % (app, service)


def domain_key(name, path):
    """What the part of a name that is below ``path`` is known by."""
    return name if path == "/" else name + path


def refuse_taken(known, app, names):
    """Raise ``name_taken`` when an app other than ``app`` holds one of ``names`` among the ``known`` Domains."""
    holders = {domain.name: domain.app for domain in known}
    for name in names:
        if holders.get(name, app) != app:
            raise HitlessError(
                "name_taken",
                "the name %s belongs to the app %s on this host; nothing was changed" % (name, holders[name]),
                "remove %s from the domains of %s, or choose another name" % (name, holders[name]),
                {"name": name, "app": holders[name]},
            )


class Domain(namedtuple("Domain", "name app path service redirect_to https hsts server", defaults=("/", "", "", False, None, ""))):
    """Where a host name, or what is below one path of it, leads.

    ``name``: of normalise_domain. ``service``: the service that answers; empty for a redirect. ``redirect_to``: a host name, or the beginning of a URL, that
    the path is appended to. ``https``: whether plain requests are sent to https. ``hsts``: seconds of Strict-Transport-Security, or None.
    ``server``: the name of the one endpoint that answers, whatever its weight; empty for all.
    """

    __slots__ = ()

    @property
    def key(self):
        """What it is known by: the name, and the path unless that is all of it."""
        return domain_key(self.name, self.path)


class Router:
    """The interface of every router.

    Every change is written to the router's configuration first and then made in the running process, so that a restart
    comes back to the same state. An endpoint of weight 0 is known and checked, but gets no new request.
    Every method raises HitlessError: ``router_unsupported``, ``router_down``, ``router_failed``, ``router_config`` or ``name_taken``.
    """

    def backends(self, app):
        """The names of the backends of ``app`` that the running router has, as a sorted list of str."""
        raise NotImplementedError

    def ensure_backend(self, app, service, options):
        """Make sure that the service has a backend; ``options`` is ``{"health": settings of the health check, "deployment": id of the one that wants it}``.

        Returns True when it had to be made or changed, which is the only reason for a reload. A change of the health check waits
        while endpoints of an older deployment are in the backend: until then a connection is all that is checked.
        """
        raise NotImplementedError

    def add_endpoints(self, endpoints):
        """Make the endpoints known and checked, with weight 0. One that is there already is left as it is."""
        raise NotImplementedError

    def enable(self, endpoints):
        """Send new requests to the endpoints."""
        raise NotImplementedError

    def drain(self, endpoints):
        """Send no new request to the endpoints; those in flight go on."""
        raise NotImplementedError

    def switch(self, new, old):
        """Enable ``new`` and drain ``old`` in one go, so that no request falls between the two."""
        raise NotImplementedError

    def set_weights(self, weights):
        """Set the share of new requests: ``{Endpoint: int from 0 to 256}``, all in one go."""
        raise NotImplementedError

    def remove_endpoints(self, endpoints):
        """Forget the endpoints. Requests that are still in flight there are cut, so drain first."""
        raise NotImplementedError

    def endpoints(self, app, service):
        """The endpoints of a service as the running router sees them, as a list of LiveEndpoint."""
        raise NotImplementedError

    def configured(self, app, service):
        """The endpoints of a service as its configuration has them: ``{Endpoint: weight}``."""
        raise NotImplementedError

    def in_flight(self, endpoints):
        """``{Endpoint: requests in flight}``, counted in every process of the router that still lives."""
        raise NotImplementedError

    def long_lived(self, endpoints):
        """``{Endpoint: open tunnels}``: connections that were upgraded (websockets). They are part of ``in_flight``."""
        raise NotImplementedError

    def cut(self, endpoints, long_lived_only=False):
        """End what is in flight on the endpoints, or only the tunnels. Returns how many were ended."""
        raise NotImplementedError

    def stale(self):
        """True while an older process of the router could still send a request to an endpoint of its day."""
        raise NotImplementedError

    def domains(self):
        """Where names lead by configuration, those of every app: ``{key: Domain}``. The longest path wins; an exact name wins over a wildcard."""
        raise NotImplementedError

    def change_domains(self, put=(), remove=()):
        """Add or replace Domains and forget keys, in one go and without a reload. Returns True when something changed.

        Raises ``name_taken``, and changes nothing, when another app holds one of the names.
        """
        raise NotImplementedError

    def remove_previews(self, app, deployments):
        """Forget the Domains that lead to single endpoints of ``deployments`` (ids)."""
        own = {key: domain.server.partition("-")[0] for key, domain in self.domains().items() if domain.app == app and domain.server}
        self.change_domains(remove=[key for key, deployment in own.items() if deployment in deployments])

    def certificates(self):
        """The certificates that the running router has: ``{name: fingerprint}``."""
        raise NotImplementedError

    def set_certificate(self, names, pem):
        """Serve ``names`` with the certificate of ``pem`` (key, leaf, chain), on disk and in the running router, without a reload.

        It is called by the first of the names (of normalise_domain), and takes the place of the one of that name. Returns True when something changed.
        Raises ``certificate_invalid`` when the router cannot load it.
        """
        raise NotImplementedError

    def set_staple(self, name, answer):
        """Send an answer (bytes, OCSP) with the certificate called ``name``, from now on and after a restart, without a reload; None: forget the one on disk.

        A new certificate of that name is without it.
        """
        raise NotImplementedError

    def fingerprint(self, pem):
        """What ``certificates`` calls the certificate of ``pem``."""
        raise NotImplementedError

    def remove_certificate(self, name):
        """Forget the certificate called ``name``. Returns True when it was known."""
        raise NotImplementedError

    def set_challenge(self, token, answer):
        """Answer ``/.well-known/acme-challenge/<token>`` of every name with ``answer``, and nothing else below that path."""
        raise NotImplementedError

    def remove_challenge(self, token):
        """Forget a challenge."""
        raise NotImplementedError

    def counters(self, app, service):
        """The Counters of a service; all zero when it has no backend."""
        raise NotImplementedError

    def sync(self, app):
        """Make the running router equal to the configuration of ``app``. Returns True when something had to be done."""
        raise NotImplementedError

    def remove_app(self, app):
        """Forget an app: its domains, endpoints and backends."""
        raise NotImplementedError


def router(name):
    """The router called ``name``."""
    if name == "haproxy":
        from ansible_collections.hitless.paas.plugins.module_utils._haproxy import HaproxyRouter

        return HaproxyRouter()
    raise HitlessError("config_invalid", "there is no router %r; nothing was changed" % name, "set router: haproxy")
