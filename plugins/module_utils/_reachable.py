# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a certificate authority will reach this host under a name: asked before it is, for it counts failures and then refuses for hours."""

from __future__ import annotations

import errno
import http.client
import secrets
import socket

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._haproxy_config import ACME_PATH

OURS, UNKNOWN = "ours", "unknown"
_SECONDS = 8
_HINT = "let port 80 of this host be reached from everywhere, then do it again; skip_checks asks all the same"


def verdict(name, addresses, resolved, answers):
    """The HitlessError that says why a name cannot have a certificate by http-01, or None. Pure.

    Args:
        addresses: what this host is reached by, as far as is known.
        resolved: what the name resolves to.
        answers: ``{resolved address: OURS, UNKNOWN (this host cannot reach it at all), or what was there instead as text}``.
    """
    expected = ", ".join(addresses) or "an address of this host"
    if not resolved:
        message = "%s does not resolve, so no certificate was asked for; it has to resolve to %s. What served is untouched." % (name, expected)
        return HitlessError("name_not_here", message, "make an A or AAAA record, then do it again", {"name": name, "resolved": [], "expected": list(addresses)})
    judged = {address: said for address, said in answers.items() if said != UNKNOWN}
    bad = {address: said for address, said in judged.items() if said != OURS}
    if judged and not bad:
        # Whatever the address is, what is asked there comes to our router: perhaps through a proxy, or a translated address.
        return None
    facts = {"name": name, "resolved": list(resolved), "expected": list(addresses), "answers": dict(answers)}
    elsewhere = [address for address in resolved if address not in addresses and answers[address] != OURS]
    if elsewhere:
        message = "%s resolves to %s, and that is not this host (%s), so no certificate was asked for. What served is untouched." % (
            name,
            ", ".join(elsewhere),
            expected,
        )
        return HitlessError("name_not_here", message, "change the record, wait until it is known, then do it again", facts)
    address = next(iter(bad or answers))
    message = "Port 80 of %s (%s) does not lead to this host's router: %s. So no certificate was asked for; what served is untouched." % (
        name,
        address,
        answers[address],
    )
    return HitlessError("port80_unreachable", message, _HINT, facts)


def resolve(name):
    """The addresses of a name, in order; [] when it has none."""
    try:
        found = socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        return []
    return list(dict.fromkeys(entry[4][0] for entry in found))


def ask(address, name, token, answer):
    """What port 80 of an address says to a question that only this host's router can answer: see ``verdict``."""
    link = http.client.HTTPConnection(address, 80, timeout=_SECONDS)
    try:
        link.request("GET", ACME_PATH + token, headers={"Host": name, "Connection": "close"})
        response = link.getresponse()
        said = response.read(1000).decode("utf-8", "replace").strip()
    except OSError as error:
        return UNKNOWN if error.errno in (errno.ENETUNREACH, errno.EADDRNOTAVAIL) else "%s" % (error.strerror or error)
    except http.client.HTTPException as error:
        return "what answers there speaks no HTTP (%s)" % type(error).__name__
    finally:
        link.close()
    return OURS if said == answer else "another server answers there (status %d)" % response.status


def check(router, names, addresses):
    """Raise HitlessError ``name_not_here`` or ``port80_unreachable`` when one of ``names`` does not lead to this host's router."""
    token, answer = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    router.set_challenge(token, answer)
    try:
        for name in names:
            resolved = resolve(name)
            error = verdict(name, addresses, resolved, {address: ask(address, name, token, answer) for address in resolved})
            if error:
                raise error
    finally:
        router.remove_challenge(token)
