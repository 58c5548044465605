# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of HAProxy's configuration files. Pure: values in, text out; a value that is not safe to write raises HitlessError."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import NamedTuple

from ansible_collections.hitless.paas.plugins.module_utils import _paths
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._names import check_name
from ansible_collections.hitless.paas.plugins.module_utils._router import Endpoint

MARKER = "# Managed by hitless. Changes made here are lost."
HEALTH_PATH = "/.hitless/health"
MADE_BY_ROUTER = "X-Hitless-Router"

_STATE = "# state: "
_SERVER = re.compile(r"[0-9]{14}-[1-9][0-9]{0,3}\Z")
_WEIGHT = re.compile(r" weight [0-9]+\Z")
_DEPLOYMENT = re.compile(r"[0-9]{14}\Z")
_PATH = re.compile(r"/[A-Za-z0-9._~!$&()*+,;=:@%/?-]{0,1000}\Z")
_EXPECT = re.compile(r"[1-5][0-9]{2}(?:-[1-5][0-9]{2})?(?:,[1-5][0-9]{2}(?:-[1-5][0-9]{2})?)*\Z")
_BIND = re.compile(r"(?:\*|[0-9.]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}\Z")
_FILE = re.compile(r"/[A-Za-z0-9._/-]+\Z")

_TLS_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384"
)


class Layout(NamedTuple):
    """Where HAProxy's files and sockets are and what it listens on; only tests use other than the defaults.

    ``http``, ``https``: lists of ``address:port``; an empty ``https`` leaves TLS out. ``user``: the user that the workers run as, or None for the caller.
    ``keep_alive``: seconds that an idle client connection is kept.
    """

    config: str = _paths.HAPROXY_CONFIG
    folder: str = _paths.HAPROXY_DIR
    admin_socket: str = _paths.HAPROXY_ADMIN_SOCKET
    master_socket: str = _paths.HAPROXY_MASTER_SOCKET
    http: tuple = ("*:80",)
    https: tuple = ("*:443",)
    user: str = "haproxy"
    chroot: str = "/var/lib/haproxy"
    keep_alive: int = 65

    @property
    def apps(self):
        """The folder of one file per app."""
        return self.folder + "/apps"

    @property
    def hosts_map(self):
        """The file that says which backend a host name leads to."""
        return self.folder + "/maps/hosts.map"

    @property
    def certs_list(self):
        """The crt-list of the TLS frontend."""
        return self.folder + "/certs/list"


def _refuse(what, value):
    raise HitlessError("router_config", "%s %r cannot be written into HAProxy's configuration; nothing was changed" % (what, value))


def _checked(pattern, what, value):
    if not isinstance(value, str) or not pattern.match(value):
        _refuse(what, value)
    return value


def check_endpoint(endpoint):
    """``endpoint`` when every part of it is safe to write."""
    check_name("app", endpoint.app)
    check_name("service", endpoint.service)
    _checked(_DEPLOYMENT, "the deployment", endpoint.deployment)
    _whole("the replica number", endpoint.n, 1, 9999)
    _whole("the port", endpoint.port, 1, 65535)
    try:
        ipaddress.ip_address(endpoint.address if isinstance(endpoint.address, str) else None)
    except ValueError:
        _refuse("the address", endpoint.address)
    return endpoint


def _whole(what, value, least, most):
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        _refuse(what, value)
    return value


def _milliseconds(what, seconds):
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0.01 <= seconds <= 86400:
        _refuse(what, seconds)
    return "%dms" % round(seconds * 1000)


def _address(endpoint):
    return ("[%s]:%d" if ":" in endpoint.address else "%s:%d") % (endpoint.address, endpoint.port)


def checked_health(health):
    """The parts of a service's health settings that the router uses, checked: the form in which they are kept and compared.

    ``command`` and ``none`` cannot be asked from here, so a connection is what is checked for them.
    """
    interval = health.get("interval", 1.0)
    timeout = health.get("timeout", 5.0)
    _milliseconds("the health interval", interval)
    _milliseconds("the health timeout", timeout)
    kept = {
        "type": "http" if health.get("type", "http") == "http" else "tcp",
        "interval": interval,
        "timeout": timeout,
        "successes": _whole("the number of successes", health.get("successes", 1), 1, 100),
        "failures": _whole("the number of failures", health.get("failures", 3), 1, 100),
    }
    if kept["type"] == "http":
        kept["path"] = _checked(_PATH, "the health path", health.get("path", "/"))
        kept["expect"] = _checked(_EXPECT, "the expected status", str(health.get("expect", "200-399")))
    return kept


def server_words(endpoint, weight, health):
    """The words after the server's name, the same in the file and for ``add server``: a dynamic server has no default-server."""
    check_endpoint(endpoint)
    interval = health["interval"]
    return "%s check inter %s fastinter %s downinter %s rise %d fall %d weight %d" % (
        _address(endpoint),
        _milliseconds("the health interval", interval),
        _milliseconds("the health interval", max(0.1, interval / 5)),
        # A server that was just added counts as down until its first check, so this is also how long a switch waits for that.
        _milliseconds("the health interval", max(0.1, interval / 10)),
        health["successes"],
        health["failures"],
        _whole("the weight", weight, 0, 256),
    )


def _backend(app, service, model):
    health = checked_health(model["health"])
    timeout = _milliseconds("the health timeout", health["timeout"])
    lines = ["backend %s.%s" % (app, check_name("service", service)), "    balance leastconn", "    timeout check %s" % timeout]
    if health["type"] == "http":
        lines += [
            "    option httpchk",
            "    http-check send meth GET uri '%s' ver HTTP/1.1 hdr Host localhost hdr User-Agent hitless-router hdr Connection close" % health["path"],
            "    http-check expect status %s" % health["expect"],
        ]
    servers = sorted(endpoints_of(app, service, model).items(), key=lambda item: (item[0].deployment, item[0].n))
    return lines + ["    server %s %s" % (endpoint.name, server_words(endpoint, weight, health)) for endpoint, weight in servers]


def endpoints_of(app, service, model):
    """``{Endpoint: weight}`` of one service's model."""
    found = {}
    for name, server in model["servers"].items():
        deployment, _dash, n = _checked(_SERVER, "the server name", name).partition("-")
        found[Endpoint(app, service, deployment, int(n), server["address"], server["port"])] = server["weight"]
    return found


def render_app(app, services):
    """The text of ``apps/<app>.cfg``.

    Args:
        app: name of the app.
        services: ``{service: {"health": {...}, "servers": {"<deployment>-<n>": {"address", "port", "weight"}}}}``.
            The model is kept in a comment, so that the next change starts from what is written.
    """
    check_name("app", app)
    lines = [MARKER, _STATE + json.dumps(services, sort_keys=True)]
    for service in sorted(services):
        lines += [""] + _backend(app, service, services[service])
    return "\n".join(lines) + "\n"


def says_more(before, after):
    """Whether the text of an app's file has a line that the text before it did not have; weights and the comment do not count, since any of ours is valid."""

    def lines(text):
        return {_WEIGHT.sub("", line) for line in text.splitlines() if not line.startswith("#")}

    return bool(lines(after) - lines(before))


def parse_app(text):
    """The services that render_app wrote; ``{}`` when there are none. A text that has none to read raises ValueError."""
    for line in text.splitlines():
        if line.startswith(_STATE):
            services = json.loads(line[len(_STATE) :])
            if not isinstance(services, dict):
                break
            return services
    raise ValueError("there is no state in it")


def _binds(addresses, words):
    return ["    bind %s%s%s" % (_checked(_BIND, "the address", address), " v6only" if address.startswith("[") else "", words) for address in addresses]


def _frontend(name, binds, scheme, layout, unknown):
    port = "443" if scheme == "https" else "80"
    return [
        "",
        "frontend %s" % name,
        *binds,
        # A client's own word on where it comes from is worth nothing; a name with underscores means the same to CGI-like apps.
        "    http-request del-header ^(x[-_](forwarded|real[-_]ip|hitless)|forwarded$|proxy$) -m reg",
        '    http-request return status 200 content-type text/plain string "ok\\n" if { src 127.0.0.1 ::1 } { path %s }' % HEALTH_PATH,
        "    http-request set-header X-Forwarded-For %[src]",
        "    http-request set-header X-Real-IP %[src]",
        "    http-request set-header X-Forwarded-Proto %s" % scheme,
        "    http-request set-header X-Forwarded-Port %s" % port,
        "    http-request set-header X-Forwarded-Host %[req.hdr(host)] if { req.hdr(host) -m found }",
        "    http-request set-header X-Request-ID %[uuid()] unless { req.hdr(x-request-id) -m reg ^[A-Za-z0-9._-]{8,128}$ }",
        # Asking again is safe when nothing was sent, and for methods that may be repeated.
        "    http-request disable-l7-retry unless { method GET HEAD OPTIONS PUT DELETE }",
        "    use_backend %%[req.hdr(host),host_only,lower,rtrim(.),map_str(%s,%s)]" % (layout.hosts_map, unknown),
        "    default_backend %s" % unknown,
    ]


def _unknown(name, status):
    return [
        "",
        "backend %s" % name,
        '    http-request return status %d content-type text/plain string "No app answers to this name.\\n" hdr %s unknown-host' % (status, MADE_BY_ROUTER),
    ]


def _global(layout):
    lines = [
        "global",
        "    log stdout format short daemon",
        "    stats socket %s mode 600 level admin expose-fd listeners" % layout.admin_socket,
        "    stats timeout 30s",
        "    tune.ssl.default-dh-param 2048",
        "    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets",
        "    ssl-default-bind-ciphers %s" % _TLS_CIPHERS,
        "    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256",
    ]
    if layout.chroot:
        lines.insert(2, "    chroot %s" % _checked(_FILE, "the folder", layout.chroot))
    if layout.user:
        lines[2:2] = ["    user %s" % check_name("user", layout.user), "    group %s" % layout.user]
    return lines


def _defaults(layout):
    return [
        "",
        "defaults",
        "    mode http",
        "    log global",
        "    option httplog",
        "    option dontlognull",
        "    option dontlog-normal",
        "    timeout connect 5s",
        "    timeout client 300s",
        "    timeout server 300s",
        "    timeout tunnel 1h",
        "    timeout http-request 30s",
        "    timeout http-keep-alive %s" % _milliseconds("the keep-alive time", layout.keep_alive),
        # During a reload an idle connection gets an answer to the request that is on its way, and is closed with it.
        "    option idle-close-on-response",
        # An app may close an idle connection while a POST, that nobody may repeat, is on its way: none is kept to an app.
        "    option http-server-close",
        # Event streams and other interactive answers leave at once.
        "    option http-no-delay",
        "    retries 3",
        "    option redispatch 1",
        "    retry-on conn-failure empty-response",
        '    http-error status 502 content-type text/plain string "The app gave no valid answer.\\n" hdr %s bad-answer' % MADE_BY_ROUTER,
        '    http-error status 503 content-type text/plain string "No replica of this app is healthy.\\n" hdr Retry-After 1 hdr %s no-replica' % MADE_BY_ROUTER,
        '    http-error status 504 content-type text/plain string "The app took too long to answer.\\n" hdr %s timeout' % MADE_BY_ROUTER,
    ]


def render_main(layout=None):
    """The text of ``haproxy.cfg``: global, defaults and the frontends; the same for every app."""
    layout = layout or Layout()
    for path in (layout.config, layout.folder, layout.admin_socket, layout.master_socket):
        _checked(_FILE, "the path", path)
    lines = [MARKER, *_global(layout), *_defaults(layout)]
    lines += _frontend("http", _binds(layout.http, ""), "http", layout, "hitless-unknown")
    lines += _unknown("hitless-unknown", 404)
    if layout.https:
        tls = " ssl crt-list %s alpn h2,http/1.1" % layout.certs_list
        lines += _frontend("https", _binds(layout.https, tls), "https", layout, "hitless-misdirected")
        lines += _unknown("hitless-misdirected", 421)
    return "\n".join(lines) + "\n"


def parse_hosts(text):
    """``{host name: backend}`` of a host map."""
    pairs = (line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def render_hosts(hosts):
    """The text of the host map."""
    return MARKER + "\n" + "".join("%s %s\n" % (name, hosts[name]) for name in sorted(hosts))
