# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that a router is asked for: one form for each, and nothing that is not a name."""

from __future__ import annotations

import hashlib
import ipaddress
import re

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_LONGEST = 253
_LONGEST_FILE = 200
# RFC 2606, RFC 6761, RFC 6762, RFC 8375, and what ICANN set aside.
_PRIVATE = (".test", ".example", ".invalid", ".localhost", ".local", ".internal", ".home.arpa", ".onion")


def _refuse(name, why):
    raise HitlessError("config_invalid", "%r is no host name: %s; nothing was changed" % (name, why), "write a name like shop.example.com")


def _ip(text):
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _ascii(name, text):
    if text.isascii():
        return text
    try:
        return text.encode("idna").decode("ascii")
    except UnicodeError:
        return _refuse(name, "it cannot be written as an international name")


def normalise(name):
    """The one form of a host name: lower case, ASCII (``xn--`` for other scripts), no trailing dot; IPv6 addresses in brackets.

    Raises HitlessError ``config_invalid`` for whatever is not a host name, a wildcard and a port included.
    """
    if not isinstance(name, str) or not name:
        _refuse(name, "it is empty or no text")
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    address = _ip(bare)
    if address is not None:
        return "[%s]" % address.compressed if address.version == 6 else str(address)
    text = _ascii(name, name.lower())
    text = text[:-1] if text.endswith(".") else text
    if len(text) > _LONGEST:
        _refuse(name, "it is longer than %d characters" % _LONGEST)
    labels = text.split(".")
    for label in labels:
        if not _LABEL.match(label):
            _refuse(name, "%r is not a part of a host name" % label)
    if labels[-1].isdigit():
        _refuse(name, "its last part is a number, but it is no IP address")
    return text


def normalise_domain(name):
    """The one form of a name that an app can claim: a host name, or ``*.`` and a host name for every name with one label more."""
    if not isinstance(name, str) or not name.startswith("*."):
        return normalise(name)
    rest = normalise(name[2:])
    if "." not in rest or _ip(rest) is not None or len(rest) + 2 > _LONGEST:
        _refuse(name, "a wildcard stands for one label before a domain, as in *.example.com")
    return "*." + rest


def file_name(name):
    """What the files that belong to a name (of normalise_domain) are called: ``_.example.com`` for a wildcard; no file of another kind is called so."""
    text = "_" + name[1:] if name.startswith("*.") else name
    if "." not in text:
        return text + "_"
    # A file name has room for 255 bytes.
    return text if len(text) <= _LONGEST_FILE else "%s_%s" % (text[:_LONGEST_FILE], hashlib.sha256(text.encode("ascii")).hexdigest()[:16])


def wildcard_of(name):
    """The wildcard that a host name falls under: ``*.example.com`` of ``shop.example.com``."""
    return "*." + name.partition(".")[2]


def is_public(name, private_too=False):
    """Whether a certificate authority could ever vouch for ``name`` (of normalise_domain): no address, and no name for private use unless ``private_too``."""
    return "." in name and _ip(name.strip("[]")) is None and (private_too or not name.endswith(_PRIVATE))


def default_names(app, addresses):
    """What an app without domains answers to: ``(its own name, names that the first such app on a host gets)``."""
    offered = ["localhost", "127.0.0.1"] + [normalise(address) for address in addresses]
    return "%s.localhost" % app, list(dict.fromkeys(offered))
