# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that people bring: what is good is taken, and of what is not, one sentence says why."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from ansible_collections.hitless.paas.plugins.module_utils import _pem
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._x509 import check_own, covers
from authority import DAY, Authority, key_pem, now, serial_of
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

A = Authority()
OTHER = Authority("Other")
NAME = "shop.example.com"


def moment():
    return now().replace(tzinfo=None)


GOOD = {
    "with its root": lambda: A.chain(NAME),
    "RSA": lambda: A.chain(NAME, key=rsa.generate_private_key(65537, 2048)),
    "a wildcard": lambda: A.chain("*.example.com"),
    "more names than are asked for": lambda: A.chain("www.example.com", NAME),
    "lines of Windows, and words around it": lambda: _windows(),
    "any usage": lambda: A.chain(NAME, usage=None),
}


def _windows():
    chain, key = A.chain(NAME)
    return "Bag Attributes\r\n  friendlyName: x\r\n\r\n" + chain.replace("\n", "\r\n"), key.replace("\n", "\r\n")


@pytest.mark.parametrize("name", GOOD)
def test_a_good_certificate_is_taken(name):
    chain, key = GOOD[name]()
    facts = check_own([NAME], chain, key, moment())
    assert facts.serial == serial_of(chain)
    assert facts.issuer == "CN=Test Intermediate"


def _with(**options):
    return lambda: A.chain(NAME, **options)


def _wrong_key():
    return A.chain(NAME)[0], A.chain(NAME)[1]


def _order(*which):
    def made():
        leaf, key = A.leaf(NAME)
        parts = {"leaf": leaf, "middle": A.intermediate, "root": A.root, "other": OTHER.intermediate}
        return "".join(parts[part] for part in which), key

    return made


def _encrypted():
    chain, key = A.chain(NAME)
    return chain, key_pem(load_pem_private_key(key.encode(), None), b"secret")


def _bent():
    chain, key = A.chain(NAME)
    return chain.replace("MII", "AAA", 1), key


HOSTILE = [
    ("another's key", _wrong_key, "the key is not the key of the certificate"),
    ("ended", _with(begin=now() - 9 * DAY, end=now() - timedelta(seconds=5)), "it ended on 20"),
    ("not begun", _with(begin=now() + DAY), "it is not good before 20"),
    ("another name", lambda: A.chain("blog.example.com"), "it is not for shop.example.com, but for blog.example.com"),
    ("a wildcard of another level", lambda: A.chain("*.com"), "it is not for shop.example.com"),
    ("the leaf alone", _order("leaf"), "the chain is not complete: the certificate of its issuer .CN=Test Intermediate. is missing"),
    ("no root that anyone knows", _order("leaf", "middle"), "the chain is not complete: the certificate of its issuer .CN=Test Root. is missing"),
    ("a gap", _order("leaf", "root"), "not in order: number 2 of the file .CN=Test Root. did not sign number 1"),
    ("another's chain", _order("leaf", "other"), "did not sign number 1"),
    ("the leaf last", _order("root", "middle", "leaf"), "is not the first one in the file"),
    ("the chain turned around", _order("leaf", "root", "middle"), "not in order"),
    ("an encrypted key", _encrypted, "its key is encrypted"),
    ("a small RSA key", lambda: A.chain(NAME, key=rsa.generate_private_key(65537, 1024)), "too weak"),
    ("a curve that browsers lack", lambda: A.chain(NAME, key=ec.generate_private_key(ec.SECP256K1())), "too weak or of a kind"),
    ("Ed25519", lambda: A.chain(NAME, key=ed25519.Ed25519PrivateKey.generate()), "of a kind that browsers refuse"),
    ("for mail", _with(usage=ExtendedKeyUsageOID.EMAIL_PROTECTION), "may not be used by a web server"),
    ("OCSP demanded", _with(must_staple=True), "OCSP stapling"),
    ("garbage", lambda: ("garbage", A.leaf(NAME)[1]), "there is no certificate in PEM form"),
    ("nothing", lambda: ("", ""), "there is no certificate in PEM form"),
    ("no key", lambda: (A.chain(NAME)[0], ""), "no private key"),
    ("the certificate as the key", lambda: (A.chain(NAME)[0],) * 2, "no private key"),
    ("two keys", lambda: (A.chain(NAME)[0], A.leaf(NAME)[1] * 2), "more than one private key"),
    ("bent base64", _bent, "number 1 of its certificates cannot be read"),
    ("a bent key", lambda: (A.chain(NAME)[0], A.leaf(NAME)[1].replace("M", "A")), "its key cannot be read"),
    ("very long", lambda: (A.chain(NAME)[0] * 1000, A.leaf(NAME)[1]), "very long"),
]


@pytest.mark.parametrize(("make", "why"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_what_cannot_be_served_is_refused_in_one_sentence(make, why):
    certificate, key = make()
    with pytest.raises(HitlessError, match=why) as caught:
        check_own([NAME], certificate, key, moment())
    assert caught.value.code == "certificate_invalid"
    assert caught.value.message.endswith("nothing was changed.")
    assert "PRIVATE" not in caught.value.message


def test_a_signature_of_sha1_is_refused_above_the_leaf_too():
    from ansible_collections.hitless.paas.plugins.module_utils import _x509

    chain, key = A.chain(NAME)
    facts = [_x509.read(block) for block in _pem.certificates(chain)]
    old = facts[1]._replace(signature="sha1WithRSAEncryption")
    links = _x509.Links((True, True), True)
    assert "signed with sha1" in _x509.problem([NAME], [facts[0], old, facts[2]], links, facts[0].public_key, moment())
    root = facts[2]._replace(signature="sha1WithRSAEncryption")
    assert _x509.problem([NAME], [*facts[:2], root], links, facts[0].public_key, moment()) is None


COVERED = [
    (["a.example"], "a.example", True),
    (["*.example.com"], "a.example.com", True),
    (["*.example.com"], "a.b.example.com", False),
    (["*.example.com"], "example.com", False),
    (["*.example.com"], "*.example.com", True),
    (["*.com"], "*.example.com", False),
    (["a.example.com"], "*.example.com", False),
]


@pytest.mark.parametrize(("names", "name", "expected"), COVERED)
def test_which_names_a_certificate_is_good_for(names, name, expected):
    assert covers(names, name) is expected


def test_a_compact_text_has_no_line_that_would_end_it_on_a_socket():
    chain, key = _windows()
    text = _pem.compact(key + "\n\n" + chain)
    assert "\n\n" not in text
    assert "\r" not in text
    assert "Bag" not in text
    assert len(_pem.certificates(text)) == 3
