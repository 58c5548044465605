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
from ansible_collections.hitless.paas.plugins.module_utils._hostnames import normalise_domain
from ansible_collections.hitless.paas.plugins.module_utils._names import check_name
from ansible_collections.hitless.paas.plugins.module_utils._router import Domain, Endpoint, backend_name

MARKER = "# Managed by hitless. Changes made here are lost."
HEALTH_PATH = "/.hitless/health"
ACME_PATH = "/.well-known/acme-challenge/"
MADE_BY_ROUTER = "X-Hitless-Router"

_STATE = "# state: "
_SERVER = re.compile(r"[0-9]{14}-[1-9][0-9]{0,3}\Z")
_WEIGHT = re.compile(r" weight [0-9]+\Z")
_DEPLOYMENT = re.compile(r"[0-9]{14}\Z")
_PATH = re.compile(r"/[A-Za-z0-9._~!$&()*+,;=:@%/?-]{0,1000}\Z")
_EXPECT = re.compile(r"[1-5][0-9]{2}(?:-[1-5][0-9]{2})?(?:,[1-5][0-9]{2}(?:-[1-5][0-9]{2})?)*\Z")
_BIND = re.compile(r"(?:\*|[0-9.]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}\Z")
_PLACE = re.compile(r"/(?:[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*)?\Z")
_TARGET = re.compile(r"(?:https?://)?[a-z0-9.\[\]:-]+(?:/[A-Za-z0-9._~-]+)*\Z")
_FILE = re.compile(r"/[A-Za-z0-9._/-]+\Z")
# RFC 8555, 8.1 and 8.3: base64url, and for the answer the key's thumbprint after a dot.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,200}\Z")
_ANSWER = re.compile(r"[A-Za-z0-9_.-]{16,400}\Z")

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
    def domains_map(self):
        """The file that says where a host name and a path lead."""
        return self.folder + "/maps/domains.map"

    @property
    def certs_list(self):
        """The crt-list of the TLS frontend."""
        return self.folder + "/certs/list"

    @property
    def challenges_map(self):
        """The file of the answers to a certificate authority's questions, by token."""
        return self.folder + "/maps/challenges.map"


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
        _milliseconds("the health interval", max(0.05, interval / 20)),
        health["successes"],
        health["failures"],
        _whole("the weight", weight, 0, 256),
    )


def _backend(app, service, model):
    health = checked_health(model["health"])
    timeout = _milliseconds("the health timeout", health["timeout"])
    lines = ["backend %s.%s" % (app, check_name("service", service)), "    balance leastconn", "    timeout check %s" % timeout]
    lines += [
        # A name that leads to one server gets that one or nothing, whatever its weight and its health are.
        "    use-server %[var(txn.server)] if { var(txn.server) -m len gt 0 }",
        "    force-persist if { var(txn.server) -m len gt 0 }",
        "    http-response deny deny_status 502 if { var(txn.server) -m len gt 0 } !{ srv_name,strcmp(txn.server) eq 0 }",
    ]
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


def _lookup(path):
    """Find where the name and the path lead: one look for the name itself, and another for the wildcard that it falls under."""
    fields = (("backend", 1), ("https", 2), ("hsts", 3), ("to", 4), ("server", 5))
    return [
        "    http-request deny status 400 if { req.hdr(host) -m sub / }",
        "    http-request set-var(txn.name) req.hdr(host),host_only,lower,rtrim(.)",
        "    http-request set-var(txn.path) path",
        "    http-request set-var(txn.domain) var(txn.name),concat(,txn.path,/),map_beg(%s)" % path,
        "    http-request set-var(txn.above) var(txn.name),field(2,.,0) unless { var(txn.domain) -m found }",
        "    http-request set-var(txn.domain) str(*.),concat(,txn.above),concat(,txn.path,/),map_beg(%s) unless { var(txn.domain) -m found }" % path,
        *("    http-request set-var(txn.%s) var(txn.domain),field(%d,|)" % field for field in fields),
    ]


def _redirects(scheme):
    """Answer for names that lead elsewhere. Methods with a body keep it (308); a certificate authority's question is never sent away."""
    lines = []
    rules = [("{ var(txn.to) -m len gt 0 } { var(txn.to) -m sub :// }", "%[var(txn.to)]"), ("{ var(txn.to) -m len gt 0 }", scheme + "://%[var(txn.to)]")]
    if scheme == "http":
        rules.append(("{ var(txn.https) -m str s }", "https://%[var(txn.name)]"))
    for condition, base in rules:
        for code, methods in ((301, "{ method GET HEAD }"), (308, "!{ method GET HEAD }")):
            lines.append("    http-request redirect code %d location %s%%[pathq] if %s %s !{ path_beg %s }" % (code, base, condition, methods, ACME_PATH))
    if scheme == "https":
        lines.append("    http-after-response set-header Strict-Transport-Security max-age=%[var(txn.hsts)] if { var(txn.hsts) -m len gt 0 }")
    return lines


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
        # The token of a question is known for as long as it is asked; every other path below this one is the app's own.
        '    http-request return status 200 content-type text/plain hdr %s challenge lf-string "%%[path,field(4,/),map(%s)]" if { path_beg %s } '
        "{ path,field(4,/),map(%s) -m found }" % (MADE_BY_ROUTER, layout.challenges_map, ACME_PATH, layout.challenges_map),
        *_lookup(layout.domains_map),
        *_redirects(scheme),
        "    use_backend %[var(txn.backend)] if { var(txn.backend) -m found }",
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


def parse_domains(text):
    """``{key: Domain}`` of the map of names; the entries that only keep a name for its app are left out."""
    lines = (line.split() for line in text.splitlines() if not line.lstrip().startswith("#"))
    found = [_parse_domain(*words) for words in lines if len(words) == 2]
    return {domain.key: domain for domain in found if domain.service or domain.redirect_to}


def _parse_domain(place, value):
    backend, https, hsts, redirect_to, server = value.split("|")
    app, _dot, service = backend.partition(".")
    name, _slash, path = place.rstrip("/").partition("/")
    return Domain(name, app, "/" + path, service, redirect_to, https == "s", int(hsts) if hsts else None, server)


def domain_entries(domains):
    """The map of names as ``{place: value}``. A place ends in a slash, so that /api does not stand for /apix.

    A name of which only paths lead somewhere is kept for its app, so that the rest of it does not fall to a wildcard.
    """
    values = {domain: _domain_value(domain) for domain in domains.values()}
    kept = {domain.name + "/": "%s.||||" % domain.app for domain in values}
    return {**kept, **{domain.key.rstrip("/") + "/": value for domain, value in values.items()}}


def _domain_value(domain):
    if normalise_domain(domain.name) != domain.name:
        _refuse("the name", domain.name)
    _checked(_PLACE, "the path", domain.path)
    check_name("app", domain.app)
    if domain.service:
        check_name("service", domain.service)
    if domain.redirect_to:
        _checked(_TARGET, "the redirect", domain.redirect_to)
    if domain.server:
        _checked(_SERVER, "the server name", domain.server)
    hsts = "" if domain.hsts is None else "%d" % _whole("the time of Strict-Transport-Security", domain.hsts, 0, 10**9)
    return "|".join((backend_name(domain.app, domain.service), "s" if domain.https else "", hsts, domain.redirect_to, domain.server))


def render_domains(domains):
    """The text of the map of names."""
    entries = domain_entries(domains)
    return MARKER + "\n" + "".join("%s %s\n" % (place, entries[place]) for place in sorted(entries))


def parse_certs(text):
    """``[(file, names)]`` of a crt-list: the names that each certificate is for, as a tuple; none for the one that answers to all others."""
    lines = (line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return [(words[0], tuple(words[1:])) for words in lines]


def render_certs(certificates):
    """The text of the crt-list: what has no names comes first, for HAProxy takes the first one for every other name."""
    lines = []
    for path, names in sorted(certificates, key=lambda line: (bool(line[1]), line[0])):
        for name in names:
            if normalise_domain(name) != name:
                _refuse("the name", name)
        lines.append(" ".join((_checked(_FILE, "the file", path), *names)))
    return MARKER + "\n" + "".join(line + "\n" for line in lines)


def parse_challenges(text):
    """``{token: answer}`` of the file of challenges."""
    return dict(line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#"))


def render_challenges(challenges):
    """The text of the file of challenges."""
    lines = []
    for token, answer in sorted(challenges.items()):
        lines.append("%s %s\n" % (_checked(_TOKEN, "the token", token), _checked(_ANSWER, "the answer", answer)))
    return MARKER + "\n" + "".join(lines)
