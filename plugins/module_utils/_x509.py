# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a certificate says, read by openssl, and whether a certificate that somebody brings can be served."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import tempfile
from datetime import datetime, timezone
from typing import NamedTuple

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import write_atomic
from ansible_collections.hitless.paas.plugins.module_utils._hostnames import wildcard_of
from ansible_collections.hitless.paas.plugins.module_utils._pem import certificates, keys

_TIME = "%Y-%m-%dT%H:%M:%SZ"
_LEAST_RSA = 2048
_CURVES = ("P-256", "P-384", "P-521")
_LONGEST = 256 * 1024


class Facts(NamedTuple):
    """What one certificate says.

    Times are text in UTC; ``key`` is ("RSA", bits), ("EC", curve) or (another kind, None); ``usages`` is None when all are allowed.
    ``responder`` is the URL of who answers whether it is revoked, or None.
    """

    subject: str
    issuer: str
    serial: str
    not_before: str
    not_after: str
    names: tuple
    signature: str
    key: tuple
    usages: str
    must_staple: bool
    public_key: str
    responder: str


class Links(NamedTuple):
    """How a chain hangs together: ``signed[i]`` when certificate i + 1 signed certificate i; ``is_anchored`` when the last one needs none above it."""

    signed: tuple
    is_anchored: bool


def time_text(moment):
    """A datetime in UTC as it is kept and shown."""
    return moment.strftime(_TIME)


def parse_time(text):
    """The datetime (UTC, without zone) of a kept time."""
    return datetime.strptime(text, _TIME)


def _openssl(words, text=None):
    done = subprocess.run(["openssl", *words], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace", check=False)
    return done.stdout if done.returncode == 0 else None


def _line(pattern, text):
    found = re.search(pattern, text, re.MULTILINE)
    return found.group(1).strip() if found else None


def _when(text):
    return time_text(datetime.fromtimestamp(ssl.cert_time_to_seconds(text), timezone.utc))


def parse_facts(text):
    """The Facts in openssl's words; None when something is not as it is in a certificate."""
    shown = {name: _line(r"^%s ?= ?(.*)$" % name, text) for name in ("subject", "issuer", "serial", "notBefore", "notAfter")}
    public_key = re.search(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", text, re.DOTALL)
    if None in (shown["serial"], shown["notBefore"], shown["notAfter"]) or not public_key:
        return None
    bits, curve = _line(r"Public-Key: \((\d+) bit\)", text), _line(r"NIST CURVE: (\S+)$", text)
    kind = {"rsaEncryption": "RSA", "id-ecPublicKey": "EC"}.get(_line(r"Public Key Algorithm: (\S+)", text), _line(r"Public Key Algorithm: (\S+)", text))
    names = _line(r"X509v3 Subject Alternative Name:.*\n(.*)$", text) or ""
    return Facts(
        shown["subject"] or "",
        shown["issuer"] or "",
        shown["serial"],
        _when(shown["notBefore"]),
        _when(shown["notAfter"]),
        tuple(word.strip()[4:].lower() for word in names.split(",") if word.strip().startswith("DNS:")),
        _line(r"Signature Algorithm: (\S+)", text) or "",
        (kind, int(bits) if kind == "RSA" and bits else curve if kind == "EC" else None),
        _line(r"X509v3 Extended Key Usage:.*\n(.*)$", text),
        bool(re.search(r"TLS Feature:.*\n.*status_request", text)),
        public_key.group(0),
        _line(r"^\s*OCSP - URI:(http://[!-~]+)$", text),
    )


def read(certificate):
    """The Facts of one certificate (PEM), or None when it is none."""
    words = ["x509", "-noout", "-subject", "-issuer", "-serial", "-dates", "-pubkey", "-text", "-nameopt", "RFC2253"]
    said = _openssl(words, certificate)
    return parse_facts(said) if said else None


def covers(names, name):
    """Whether a certificate for ``names`` is good for ``name``: a wildcard stands for one label."""
    return name in names or (not name.startswith("*.") and wildcard_of(name) in names)


def problem(names, chain, links, public_key, now):
    """Why a certificate cannot be served, as one sentence; None when it can. Pure.

    Args:
        names: the names that it is to be served for.
        chain: Facts of each certificate, in the order of the file.
        links: Links.
        public_key: the one that belongs to the private key.
        now: datetime in UTC, without zone.
    """
    leaf = chain[0]
    if leaf.public_key != public_key:
        if any(facts.public_key == public_key for facts in chain):
            return "the certificate of the key is not the first one in the file: the order is its own first, then the one that signed it, and so on"
        return "the key is not the key of the certificate"
    missing = [name for name in names if not covers(leaf.names, name)]
    if missing:
        return "it is not for %s, but for %s" % (" and ".join(missing), ", ".join(leaf.names) or "no name at all")
    if leaf.usages and not re.search("TLS Web Server Authentication|Any Extended Key Usage", leaf.usages):
        return "it may not be used by a web server, but for: %s" % leaf.usages
    if leaf.must_staple:
        return "it demands OCSP stapling, and browsers would refuse it whenever the authority's responder is down"
    return _dated(chain, now) or _weak(chain) or _broken(chain, links)


def _dated(chain, now):
    for facts in chain:
        if parse_time(facts.not_after) <= now:
            return "%s ended on %s" % (_called(facts, chain), facts.not_after)
        if parse_time(facts.not_before) > now:
            return "%s is not good before %s" % (_called(facts, chain), facts.not_before)
    return None


def _weak(chain):
    for facts in chain:
        kind, size = facts.key
        if kind not in ("RSA", "EC") or (kind == "RSA" and (size or 0) < _LEAST_RSA) or (kind == "EC" and size not in _CURVES):
            return "the key of %s is too weak or of a kind that browsers refuse (%s %s)" % (_called(facts, chain), kind, size or "")
        # A root's own signature proves nothing, and nobody looks at it.
        if facts.issuer != facts.subject and re.search("md5|sha1", facts.signature, re.IGNORECASE):
            return "%s is signed with %s, which browsers refuse" % (_called(facts, chain), facts.signature)
    return None


def _broken(chain, links):
    for index, is_signed in enumerate(links.signed):
        if not is_signed:
            return "the certificates are not in order: number %d of the file (%s) did not sign number %d" % (index + 2, chain[index + 1].subject, index + 1)
    if not links.is_anchored:
        return "the chain is not complete: the certificate of its issuer (%s) is missing after the last one" % chain[-1].issuer
    return None


def _called(facts, chain):
    return "it" if facts is chain[0] else "the certificate above it (%s)" % facts.subject


def _links(chain):
    """The Links of a chain of PEM certificates; dates are judged elsewhere."""
    verify = ["verify", "-no_check_time", "-auth_level", "0", "-purpose", "any"]
    with tempfile.TemporaryDirectory(prefix="hitless-") as folder:
        paths = [os.path.join(folder, "%d.pem" % index) for index in range(len(chain))]
        for path, certificate in zip(paths, chain):
            write_atomic(path, certificate, 0o600)
        pairs = zip(paths[1:], paths)
        signed = tuple(_openssl([*verify, "-partial_chain", "-no-CApath", "-no-CAstore", "-trusted", above, below]) is not None for above, below in pairs)
        trusts_itself = _openssl([*verify, "-no-CApath", "-no-CAstore", "-trusted", paths[-1], paths[-1]]) is not None
        return Links(signed, trusts_itself or _openssl([*verify, paths[-1]]) is not None)


def _refuse(why, hint=None):
    raise HitlessError("certificate_invalid", "The certificate was not taken: %s; nothing was changed." % why, hint)


def check_own(names, certificate_pem, key_pem, now):
    """The Facts of the leaf when the certificate can be served for ``names``; HitlessError ``certificate_invalid`` otherwise."""
    for what, text in (("certificate", certificate_pem), ("key", key_pem)):
        if not isinstance(text, str) or len(text) > _LONGEST:
            _refuse("its %s is no PEM text, or a very long one" % what)
    chain, key = certificates(certificate_pem), keys(key_pem)
    if not chain:
        _refuse("there is no certificate in PEM form in it")
    if len(key) != 1:
        _refuse("there is %s in PEM form with it" % ("no private key" if not key else "more than one private key"))
    if "ENCRYPTED" in key[0]:
        _refuse("its key is encrypted, and nobody is there to type the password when the router starts", "openssl pkey -in key.pem -out plain.pem")
    public_key = _openssl(["pkey", "-pubout", "-passin", "pass:"], key[0])
    if not public_key:
        _refuse("its key cannot be read")
    facts = [read(block) for block in chain]
    if None in facts:
        _refuse("number %d of its certificates cannot be read" % (facts.index(None) + 1))
    why = problem(names, facts, _links(chain), public_key.strip(), now)
    if why:
        _refuse(why)
    return facts[0]
