# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The domains of an app: what was asked for, checked, and what the router has to be told. Pure: values in, values out.

A *wish* is a dictionary: ``name``, ``path`` ("/" is all of it), ``service`` (None: the one that an app's names lead to), ``redirect_to`` (a name, the
beginning of a URL, or None), ``tls``, ``hsts`` (seconds or None), ``certificate`` (options of it, no secret among them) and ``from``: ``config`` (hitless.yml),
``command``, or ``default`` for the names of an app without domains. Wishes are kept by their key, the name with the path.
"""

from __future__ import annotations

import contextlib
import re
from collections import namedtuple

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._hostnames import default_names, is_public, normalise, normalise_domain, wildcard_of
from ansible_collections.hitless.paas.plugins.module_utils._names import check_name
from ansible_collections.hitless.paas.plugins.module_utils._router import Domain, domain_key, refuse_taken

# What the router has to change: a list of Domain and a list of keys.
Changes = namedtuple("Changes", "put remove")

_KEYS = ("name", "path", "service", "redirect_to", "tls", "hsts", "certificate")
_TEXTS = ("email", "server", "challenge", "dns_auth_hook", "dns_cleanup_hook", "eab_kid", "ca_bundle", "name")
_CERTIFICATE = {**dict.fromkeys(_TEXTS, str), **dict.fromkeys(("staging", "skip_checks", "own"), bool)}
_PATH = re.compile(r"/[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*\Z")
_URL = re.compile(r"(https?)://([^/:\[\]]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?(/.*)?\Z")
_LONGEST_PATH = 200
_LONGEST_HSTS = 2 * 366 * 86400


def _refuse(message, hint=None):
    raise HitlessError("config_invalid", "%s; nothing was changed" % message, hint)


# one wish


def checked(given, source):
    """The wish that ``given`` (a name, or a mapping as hitless.yml has it) asks for; ``source`` is its ``from``. Raises config_invalid."""
    given = {"name": given} if isinstance(given, str) else dict(given)
    unknown = sorted(set(given) - set(_KEYS))
    if unknown:
        _refuse("a domain has no %s" % unknown[0], "a domain has: %s" % ", ".join(_KEYS))
    wish = {
        "name": normalise_domain(given.get("name")),
        "path": checked_path(given.get("path")),
        "service": check_name("service", given["service"]) if given.get("service") else None,
        "redirect_to": checked_target(given.get("redirect_to")),
        "hsts": _checked_hsts(given.get("hsts")),
        "certificate": checked_certificate(given.get("certificate")),
        "from": source,
    }
    wish["tls"] = _checked_tls(given.get("tls"), wish)
    if wish["redirect_to"] and wish["service"]:
        _refuse("%s cannot lead to the service %s and be redirected" % (wish["name"], wish["service"]), "leave one of the two out")
    if wish["hsts"] is not None and not wish["tls"]:
        _refuse("%s cannot have HSTS without TLS" % wish["name"], "leave hsts out, or let it have TLS")
    return wish


def checked_path(path):
    """A path's one form: ``/`` for all of a name, else no slash at its end. Raises config_invalid."""
    text = "/" if path in (None, "") else path
    if not isinstance(text, str) or len(text) > _LONGEST_PATH:
        _refuse("%r is no path" % (path,))
    bare = text[:-1] if text.endswith("/") else text
    if bare and (not _PATH.match(bare) or {".", ".."} & set(bare.split("/"))):
        _refuse("%r is no path that can be led elsewhere" % text, "write a path like /api, of letters, digits, '.', '_', '~' and '-'")
    return bare or "/"


def checked_target(target):
    """Where a redirect leads, in one form: a host name, or a URL with a host name, perhaps a port and a path. None stays None. Raises config_invalid."""
    if target in (None, ""):
        return None
    found = _URL.match(target) if isinstance(target, str) else None
    if not found:
        return normalise(target)
    scheme, name, port, path = found.groups()
    if port and not 1 <= int(port) <= 65535:
        _refuse("%r has no port that there can be" % target)
    base = checked_path(path)
    return "%s://%s%s%s" % (scheme, normalise(name), ":%d" % int(port) if port else "", "" if base == "/" else base)


def _checked_hsts(seconds):
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds <= _LONGEST_HSTS:
        _refuse("%r is no time for HSTS" % (seconds,), "write a number of seconds up to %d; 31536000 is a year" % _LONGEST_HSTS)
    return seconds


def checked_certificate(given):
    """The options of a certificate without those that say nothing. Raises config_invalid."""
    options = {key: value for key, value in dict(given or {}).items() if value not in (None, False, "", "http-01")}
    for key, value in options.items():
        if key not in _CERTIFICATE or not isinstance(value, _CERTIFICATE[key]):
            _refuse("a certificate cannot have %s: %r" % (key, value), "a certificate has: %s" % ", ".join(sorted(_CERTIFICATE)))
        if isinstance(value, str) and (value.startswith("-") or not value.isprintable()):
            _refuse("%r cannot be the %s of a certificate" % (value, key))
    if options.get("challenge") not in (None, "dns-01"):
        _refuse("there is no challenge %s" % options["challenge"], "the challenges are http-01 and dns-01")
    if "name" in options:
        options["name"] = normalise_domain(options["name"])
    # What an authority would have to know means nothing to a certificate that is brought.
    return {key: value for key, value in options.items() if key in ("own", "name")} if "own" in options else options


def _checked_tls(tls, wish):
    """Whether a name is to have a certificate. Where nothing is said: when a certificate authority can see that it is ours without further help."""
    name, certificate = wish["name"], wish["certificate"]
    helped = bool(certificate.get("own")) or certificate.get("challenge") == "dns-01"
    if tls is None:
        # An authority that is named may be a private one, for private names.
        return helped or (is_public(name, bool(certificate.get("server"))) and not name.startswith("*."))
    if tls and name.startswith("*.") and not helped:
        _refuse(
            "a certificate for %s needs the challenge dns-01, or is your own" % name,
            "--challenge dns-01 --dns-hook COMMAND, --certificate FILE --key FILE, or --no-tls",
        )
    return bool(tls)


def wish_key(wish):
    """What a wish is kept by."""
    return domain_key(wish["name"], wish["path"])


def by_key(wishes):
    """``{key: wish}``; config_invalid when one is there twice."""
    found = {}
    for wish in wishes:
        if wish_key(wish) in found:
            _refuse("%s is there twice" % wish_key(wish), "write each name once, in whatever way it can be written")
        found[wish_key(wish)] = wish
    return found


# all of them


def synced(current, config, defaults):
    """The wishes after hitless.yml was read.

    Args:
        current: ``{key: wish}`` so far; those of the command stay.
        config: wishes of hitless.yml; they replace those of before, and win over the command's.
        defaults: names for when hitless.yml has none.
    """
    kept = {key: wish for key, wish in current.items() if wish["from"] == "command"}
    found = by_key(config) if config else by_key([checked({"name": name, "tls": False}, "default") for name in defaults])
    return refuse_loops({**kept, **found})


def added(current, wishes):
    """The wishes with those of a command. What hitless.yml says differently is refused, for the next deploy would undo it."""
    found = dict(current)
    for key, wish in by_key(wishes).items():
        known = current.get(key)
        if known and known["from"] == "config":
            if dict(wish, **{"from": "config"}) != known:
                _refuse("%s is in hitless.yml and is otherwise there" % key, "change it in hitless.yml, then: hitless domain sync")
            continue
        found[key] = wish
    return refuse_loops(found)


def removed(current, names, path=None):
    """The wishes without ``names``: all paths of them, or only ``path``."""
    gone, only = {normalise_domain(name) for name in names}, checked_path(path) if path else None
    return {key: wish for key, wish in current.items() if wish["name"] not in gone or only not in (None, wish["path"])}


def refuse_loops(wishes):
    """``wishes`` when no redirect among them comes back to where it began; config_invalid otherwise."""
    for key, wish in wishes.items():
        seen, target = {wish["name"]}, wish["redirect_to"]
        while target:
            name = host_of(target)
            if name in seen:
                _refuse("%s would be redirected to itself" % key, "redirect it to a name that answers")
            seen.add(name)
            target = (wishes.get(name) or {}).get("redirect_to")
    return wishes


def host_of(target):
    """The host name of a redirect's target."""
    found = _URL.match(target)
    return found.group(2) if found else target


def default_wishes(app, addresses, known):
    """The names of an app without domains: its own, and those that no other app has of the ones that the first such app on a host gets.

    Args:
        addresses: the host's own addresses, of ``usable``.
        known: ``{key: Domain}`` of the router.
    """
    own, offered = default_names(app, addresses)
    holders = {domain.name: domain.app for domain in known.values()}
    return [own] + [name for name in dict.fromkeys(offered) if holders.get(name, app) == app]


def usable(addresses):
    """``addresses`` in their one form; an inventory may call a host by something that is no host name, which nobody can ask for."""
    found = []
    for address in addresses:
        with contextlib.suppress(HitlessError):
            found.append(normalise(address))
    return found


# what the router is told


def default_service(services):
    """The service that an app's names lead to: ``web``, or else the first by name; None when none takes requests."""
    return next(iter(sorted(services, key=lambda name: (name != "web", name))), None)


def refuse_services(wishes, services):
    """Raise config_invalid when a wish names a service that takes no requests."""
    for wish in wishes:
        if wish["service"] and wish["service"] not in services:
            known = ", ".join(sorted(services)) or "none"
            _refuse(
                "%s leads to the service %s, and the app has no such service" % (wish_key(wish), wish["service"]), "services that take requests: %s" % known
            )


def is_covered(name, secured):
    """Whether one of the names ``secured``, for which certificates are live, stands for ``name``."""
    return name in secured or (not name.startswith("*.") and wildcard_of(name) in secured)


def lacking(wishes, secured):
    """The wishes that are to have a certificate and have none yet, by its name: ``{certificate's name: [wish]}``; those that bring their own are left out."""
    found = {}
    for wish in sorted(wishes.values(), key=wish_key):
        if wish["tls"] and not wish["certificate"].get("own") and not is_covered(wish["name"], secured):
            found.setdefault(certificate_name(wish), []).append(wish)
    return found


def certificate_name(wish):
    """What the certificate of a wish is called."""
    return wish["certificate"].get("name", wish["name"])


def certificate_names(name, wishes):
    """Every name on the certificate called ``name``: that one first."""
    others = {wish["name"] for wish in wishes.values() if wish["tls"] and certificate_name(wish) == name}
    return [name, *sorted(others - {name})]


def orphaned(before, after):
    """The names of the certificates that were for wishes ``before`` and are for none ``after``, sorted."""
    names = [{certificate_name(wish) for wish in wishes.values() if wish["tls"]} for wishes in (before, after)]
    return sorted(names[0] - names[1])


def domains_of(app, wishes, services, secured):
    """``{key: Domain}`` of an app's wishes.

    Args:
        services: names of the services that take requests.
        secured: names for which certificates are live.
    """
    found = {}
    for key, wish in wishes.items():
        https = wish["tls"] and is_covered(wish["name"], secured)
        service = "" if wish["redirect_to"] else wish["service"] or default_service(services) or "web"
        target = _target(wish["redirect_to"], wishes, secured)
        found[key] = Domain(wish["name"], app, wish["path"], service, target, https, wish["hsts"] if https else None)
    return found


def preview_of(endpoint, preview_domain, secured):
    """The Domain under which one deployment is seen, before it is switched to and after: it leads to this endpoint alone."""
    name = normalise("%s.%s.%s" % (endpoint.deployment, endpoint.app, preview_domain))
    return Domain(name, endpoint.app, service=endpoint.service, https=is_covered(name, secured), server=endpoint.name)


def _target(target, wishes, secured):
    """A redirect to a name that plain requests are sent to https from leads there at once."""
    wish = wishes.get(target) or {}
    return "https://" + target if wish.get("tls") and is_covered(target, secured) else target or ""


def changes(app, known, wanted):
    """The Changes that make the domains of ``app`` be ``wanted``; those of single replicas are left alone.

    Args:
        known: ``{key: Domain}`` of the router, of every app.

    Raises name_taken.
    """
    refuse_taken(known.values(), app, sorted({domain.name for domain in wanted.values()}))
    put = [wanted[key] for key in sorted(wanted) if known.get(key) != wanted[key]]
    return Changes(put, sorted(key for key, domain in known.items() if domain.app == app and not domain.server and key not in wanted))


def adopted(app, known):
    """The wishes that an app's domains in the router speak for, where what was wished is lost."""
    own = [domain for domain in known.values() if domain.app == app and not domain.server]
    return by_key([_adopted(domain) for domain in own])


def _adopted(domain):
    facts = {"name": domain.name, "path": domain.path, "service": domain.service or None, "redirect_to": domain.redirect_to or None}
    return checked(dict(facts, tls=domain.https and not domain.name.startswith("*."), hsts=domain.hsts), "command")


def best_names(config, addresses, app, wanted):
    """The keys that people are told of: what hitless.yml names, or else an address that leads to the app, or else its own local name."""
    own = [wish_key(wish) for wish in config] or [key for key in addresses if key in wanted] or [default_names(app, ())[0]]
    answering = [key for key in own if not wanted[key].redirect_to and not key.startswith("*.")]
    return sorted(answering, key=lambda key: wanted[key].path != "/")


def url(domain, ports):
    """The address of one Domain as people type it."""
    scheme, port, usual = ("https", ports[1], 443) if domain.https else ("http", ports[0], 80)
    return "%s://%s%s%s" % (scheme, domain.name, "" if port == usual else ":%d" % port, "" if domain.path == "/" else domain.path)


def leads_to(domain):
    """Where a Domain leads, for people."""
    return domain.redirect_to if domain.redirect_to else "%s.%s" % (domain.app, domain.service)


def table(wishes, wanted, ports=(80, 443)):
    """The rows that tell people of an app's domains."""
    rows = []
    for key in sorted(wishes):
        wish, domain = wishes[key], wanted[key]
        facts = {name: wish[name] for name in ("name", "path", "tls", "hsts", "from")}
        rows.append(dict(facts, leads_to=leads_to(domain), https=domain.https, url=url(domain, ports)))
    return rows
