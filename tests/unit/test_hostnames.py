# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host names: every way of writing one gives one form, and nothing else gets through."""

from __future__ import annotations

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._hostnames import default_names, is_public, normalise, normalise_domain, wildcard_of


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("shop.example.com", "shop.example.com"),
        ("Shop.EXAMPLE.com", "shop.example.com"),
        ("shop.example.com.", "shop.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("例え.jp", "xn--r8jz45g.jp"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
        ("203.0.113.7", "203.0.113.7"),
        ("2001:DB8::1", "[2001:db8::1]"),
        ("[2001:db8:0:0::1]", "[2001:db8::1]"),
        ("a" * 63 + ".com", "a" * 63 + ".com"),
    ],
)
def test_every_way_of_writing_a_name_gives_one_form(written, form):
    assert normalise(written) == form


HOSTILE = [
    "",
    ".",
    "..",
    "a..b",
    ".example.com",
    "example.com..",
    "-a.com",
    "a-.com",
    "a_b.com",
    "a b.com",
    "a.com\n",
    "a.com\nbackend x",
    "a.com\r\nX: y",
    "a.com shop.web",
    "a.com;shutdown sessions",
    "a.com#",
    "a.com:80",
    "http://a.com",
    "a.com/path",
    "*.a.com",
    "user@a.com",
    "%[src].com",
    "${HOME}.com",
    "a.com\x00",
    "'a.com'",
    '"a.com"',
    "a\\.com",
    "1.2.3",
    "999.1.1.1",
    "[::1",
    "::1]",
    "a" * 64 + ".com",
    ".".join(["a" * 60] * 5),
    "\u200b.com",
    "ü" * 80 + ".com",
    None,
    7,
    ["a.com"],
]


@pytest.mark.parametrize("written", HOSTILE, ids=repr)
def test_what_is_no_host_name_is_refused(written):
    with pytest.raises(HitlessError) as refused:
        normalise(written)
    assert refused.value.code == "config_invalid"


def test_an_app_without_domains_has_a_name_of_its_own():
    assert default_names("shop", ["203.0.113.7", "2001:db8::1"]) == ("shop.localhost", ["localhost", "127.0.0.1", "203.0.113.7", "[2001:db8::1]"])


@pytest.mark.parametrize(
    ("written", "form"),
    [("*.example.com", "*.example.com"), ("*.Bücher.Example.", "*.xn--bcher-kva.example"), ("shop.example.com", "shop.example.com"), ("*.a.b.c", "*.a.b.c")],
)
def test_a_wildcard_has_one_form_too(written, form):
    assert normalise_domain(written) == form


HOSTILE_WILDCARDS = ["*", "*.", "*.com", "**.a.com", "*.*.a.com", "a.*.com", "*a.example.com", "a*.example.com", "*.127.0.0.1", "*.[2001:db8::1]", "*.a_b.com"]


@pytest.mark.parametrize("written", [name for name in HOSTILE if name != "*.a.com"] + HOSTILE_WILDCARDS, ids=repr)
def test_what_is_neither_a_name_nor_a_wildcard_is_refused(written):
    with pytest.raises(HitlessError) as refused:
        normalise_domain(written)
    assert refused.value.code == "config_invalid"


def test_the_wildcard_that_a_name_falls_under():
    assert wildcard_of("shop.example.com") == "*.example.com"


@pytest.mark.parametrize(
    ("name", "public"),
    [("shop.example.com", True), ("*.example.com", True), ("shop.test", False), ("shop.localhost", False), ("localhost", False), ("203.0.113.7", False)]
    + [("[2001:db8::1]", False), ("nas.local", False), ("x.home.arpa", False), ("latest.com", True)],
)
def test_which_names_a_certificate_authority_can_vouch_for(name, public):
    assert is_public(name) is public
