# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided about certificates, as tables: orders, certbot's settings and words, reachability, when to renew and to warn. And the timer's program."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import datetime, timedelta

import pytest
from ansible_collections.hitless.paas.plugins.module_utils import _certbot, _certificates, _ocsp, _reachable, _renewal
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._haproxy_certs import Entry, parse_entries
from ansible_collections.hitless.paas.plugins.module_utils._haproxy_config import parse_certs, render_certs
from ansible_collections.hitless.paas.plugins.module_utils._hostnames import file_name
from ansible_collections.hitless.paas.plugins.module_utils._x509 import time_text

NOW = datetime(2026, 11, 21, 12, 0, 0)

FILES = [
    ("shop.example.com", "shop.example.com"),
    ("*.example.com", "_.example.com"),
    ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ("default", "default_"),
    ("list", "list_"),
]


@pytest.mark.parametrize(("name", "file"), FILES)
def test_what_the_files_of_a_name_are_called(name, file):
    assert file_name(name) == file


def test_the_longest_names_have_files_of_their_own():
    labels = ".".join(["a" * 60] * 4)
    names = [labels + ".example", labels + ".exampla", "*." + labels[2:] + ".example"]
    files = [file_name(name) for name in names]
    assert len(set(files)) == 3
    assert max(len(file) + len(".json") for file in files) < 255


def test_the_list_of_certificates_begins_with_the_one_for_all_other_names():
    lines = [("/c/shop.pem", ("shop.example.com", "www.example.com")), ("/c/default.pem", ()), ("/c/_.x.pem", ("*.x.example",))]
    text = render_certs(lines)
    assert text.splitlines()[1:] == ["/c/default.pem", "/c/_.x.pem *.x.example", "/c/shop.pem shop.example.com www.example.com"]
    assert sorted(parse_certs(text)) == sorted(lines)


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "a [alpn]", "!a.example", "*", "*.*.example.com", "#a", "../a", "Shop.example.com"])
def test_a_name_that_is_none_never_gets_into_the_list(name):
    with pytest.raises(HitlessError):
        render_certs([("/c/a.pem", (name,))])


def test_the_running_list_is_read():
    said = "# /c/list\n/c/default.pem:1\n/c/a.pem:2 a.test b.test\n/c/a.pem:3 *.a.test\n\n"
    assert parse_entries(said) == [Entry("/c/default.pem", 1, ()), Entry("/c/a.pem", 2, ("a.test", "b.test")), Entry("/c/a.pem", 3, ("*.a.test",))]


@pytest.mark.parametrize("names", [[], ["127.0.0.1"], ["[2001:db8::1]"], ["*.com"], ["*"], ["a b"], ["shop.example.com", "x\ny"]])
def test_what_can_have_no_certificate_is_refused(names):
    with pytest.raises(HitlessError) as caught:
        _certificates.normalised(names)
    assert caught.value.code == "config_invalid"


def test_names_have_one_form_and_stand_once():
    assert _certificates.normalised(["Shop.Example.com.", "shop.example.com", "bücher.example", "*.EXAMPLE.com"]) == [
        "shop.example.com",
        "xn--bcher-kva.example",
        "*.example.com",
    ]


def order(names=("shop.example.com",), **options):
    return _certbot.checked_order("shop", list(names), options)


SERVERS = [({}, _certbot.PRODUCTION), ({"staging": True}, _certbot.STAGING), ({"server": "https://ca.example/dir"}, "https://ca.example/dir")]


@pytest.mark.parametrize(("options", "server"), SERVERS)
def test_which_server_is_asked(options, server):
    assert order(**options)["server"] == server


REFUSED = [
    {"server": "http://ca.example/dir"},
    {"server": "https://ca.example/dir\nemail = x"},
    {"server": "ca.example"},
    {"server": "https://ca.example/../../x"},
    {"server": "https://ca.example/dir/.."},
    {"server": "https://../dir"},
    {"email": "x@example.com\npre-hook = touch /tmp/x"},
    {"email": "nobody"},
    {"eab_kid": "a", "eab_hmac_key": "b c"},
    {"eab_kid": "a"},
    {"eab_hmac_key": "secret-of-mine"},
    {"ca_bundle": "/etc/x\n"},
    {"challenge": "tls-alpn-01"},
    {"challenge": "dns-01"},
    {"challenge": "dns-01", "dns_auth_hook": "set\nx"},
    {"names": ["*.example.com"]},
]


@pytest.mark.parametrize("options", REFUSED)
def test_an_order_that_cannot_be_is_refused_before_anybody_is_asked(options):
    with pytest.raises(HitlessError) as caught:
        order(**options)
    assert caught.value.code == "config_invalid"
    assert "nothing was changed" in caught.value.message
    assert "secret-of-mine" not in caught.value.message


def test_certbots_settings():
    lines = _certbot.settings(order(["shop.example.com", "www.example.com"], email="ops@example.com", eab_kid="kid", eab_hmac_key="key")).splitlines()
    assert lines == [
        "config-dir = /var/lib/hitless/.acme/config",
        "work-dir = /var/lib/hitless/.acme/work",
        "logs-dir = /var/log/hitless/.acme",
        "max-log-backups = 20",
        "non-interactive = true",
        "agree-tos = true",
        "server = https://acme-v02.api.letsencrypt.org/directory",
        "cert-name = shop.example.com",
        "domains = shop.example.com,www.example.com",
        "key-type = ecdsa",
        "force-renewal = true",
        "renew-with-new-domains = true",
        "authenticator = manual",
        "preferred-challenges = http",
        "manual-auth-hook = /usr/bin/python3 -I /var/lib/hitless/.acme/program.pyz answer",
        "manual-cleanup-hook = /usr/bin/python3 -I /var/lib/hitless/.acme/program.pyz forget",
        "email = ops@example.com",
        "eab-kid = kid",
        "eab-hmac-key = key",
    ]


def test_the_users_hook_is_not_among_certbots_settings():
    text = _certbot.settings(order(["*.example.com"], challenge="dns-01", dns_auth_hook="set # ; [x]"))
    assert "preferred-challenges = dns\n" in text
    assert "cert-name = _.example.com\n" in text
    assert "register-unsafely-without-email = true\n" in text
    assert "# ;" not in text


FAILED_CHALLENGE = """Saving debug log to /var/log/x
Requesting a certificate for shop.example.com

Certbot failed to authenticate some domains (authenticator: manual). The Certificate Authority reported these problems:
  Domain: shop.example.com
  Type:   unauthorized
  Detail: 203.0.113.7: Invalid response from http://shop.example.com/.well-known/acme-challenge/x: 404

Hint: The Certificate Authority failed to download the challenge files.
Some challenges have failed.
Ask for help or search for solutions at https://community.letsencrypt.org.
"""
REASONS = [
    (FAILED_CHALLENGE, "", "shop.example.com: 203.0.113.7: Invalid response from http://shop.example.com/.well-known/acme-challenge/x: 404 (unauthorized)"),
    (
        "An error:\nurn:ietf:params:acme:error:rateLimited :: There were too many requests of a given type :: too many certificates already issued",
        "",
        "too many certificates already issued (rateLimited)",
    ),
    (
        "An unexpected error occurred:\nAttributeError: can't set attribute",
        'HTTP 403\n{\n  "type": "urn:ietf:params:acme:error:unauthorized",\n  "detail": "external account \\"kid\\" is unknown"\n}\nTraceback',
        'external account "kid" is unknown (unauthorized)',
    ),
    ("Saving debug log to /x\nConnection refused\nSee the logfile /x for more details.\n", "", "Connection refused"),
    ("", "", "it gave none"),
]


@pytest.mark.parametrize(("output", "log", "expected"), REASONS)
def test_the_authoritys_own_reason_is_found(output, log, expected):
    assert _certbot.reason(output, log) == expected


OURS, UNKNOWN = _reachable.OURS, _reachable.UNKNOWN
VERDICTS = [
    ("it leads here", ["203.0.113.7"], {"203.0.113.7": OURS}, None),
    ("a proxy before it", ["203.0.113.7"], {"104.16.0.1": OURS}, None),
    ("both kinds of addresses", ["203.0.113.7"], {"203.0.113.7": OURS, "2001:db8::1": OURS}, None),
    ("one that this host cannot judge", ["203.0.113.7"], {"203.0.113.7": OURS, "2001:db8::1": UNKNOWN}, None),
    ("nowhere", ["203.0.113.7"], {}, "name_not_here"),
    ("elsewhere", ["203.0.113.7"], {"198.51.100.1": "another server answers there (status 404)"}, "name_not_here"),
    ("here by IPv4 and elsewhere by IPv6", ["203.0.113.7"], {"203.0.113.7": OURS, "2001:db8::9": "Connection refused"}, "name_not_here"),
    ("nothing can be judged", ["203.0.113.7"], {"2001:db8::9": UNKNOWN}, "name_not_here"),
    ("the port is closed", ["203.0.113.7"], {"203.0.113.7": "timed out"}, "port80_unreachable"),
    ("something else has the port", ["203.0.113.7"], {"203.0.113.7": "another server answers there (status 200)"}, "port80_unreachable"),
]


@pytest.mark.parametrize(("addresses", "answers", "code"), [case[1:] for case in VERDICTS], ids=[case[0] for case in VERDICTS])
def test_whether_a_name_leads_here(addresses, answers, code):
    error = _reachable.verdict("shop.example.com", addresses, list(answers), answers)
    assert (error.code if error else None) == code
    if error:
        assert "shop.example.com" in error.message
        assert "untouched" in error.message
        assert all(address in error.message for address, said in answers.items() if said != OURS)


def kept(begin, end, error=None, tried=None, source="acme"):
    renewal = {"last_attempt": time_text(tried or NOW), "last_error": error}
    return {"names": ["shop.example.com"], "source": source, "not_before": time_text(begin), "not_after": time_text(end), "renewal": renewal}


DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
DUE = [
    ("fresh", kept(NOW - DAY, NOW + 89 * DAY), False),
    ("a third and a day is left", kept(NOW - 59 * DAY, NOW + 31 * DAY), False),
    ("less than a third is left", kept(NOW - 61 * DAY, NOW + 29 * DAY), True),
    ("six days", kept(NOW - 3 * DAY, NOW + 3 * DAY), False),
    ("the end of six days", kept(NOW - 5 * DAY, NOW + DAY), True),
    ("it ended", kept(NOW - 91 * DAY, NOW - DAY), True),
    ("failed an hour ago", kept(NOW - 61 * DAY, NOW + 29 * DAY, "no", NOW - HOUR), False),
    ("failed half a day ago", kept(NOW - 61 * DAY, NOW + 29 * DAY, "no", NOW - 13 * HOUR), True),
    ("of an hour, failed a minute ago", kept(NOW - 50 * MINUTE, NOW + 10 * MINUTE, "no", NOW - MINUTE), False),
    ("of an hour, failed six minutes ago", kept(NOW - 50 * MINUTE, NOW + 10 * MINUTE, "no", NOW - 6 * MINUTE), True),
    ("failed in the future, before the clock was set back", kept(NOW - 61 * DAY, NOW + 29 * DAY, "no", NOW + 9 * DAY), True),
]


@pytest.mark.parametrize(("certificate", "expected"), [case[1:] for case in DUE], ids=[case[0] for case in DUE])
def test_when_a_certificate_is_renewed(certificate, expected):
    assert _renewal.is_due(certificate, NOW) is expected


WORDS = [
    ("none", None, True, True),
    ("fresh", _ocsp.Word(NOW - DAY, NOW + 6 * DAY), False, False),
    ("a minute before half of its life", _ocsp.Word(NOW - HOUR + MINUTE, NOW + HOUR), False, False),
    ("half of its life", _ocsp.Word(NOW - HOUR, NOW + HOUR), True, False),
    ("the last minute", _ocsp.Word(NOW - 2 * HOUR, NOW + MINUTE), True, False),
    ("its end", _ocsp.Word(NOW - 2 * HOUR, NOW), True, True),
    ("of tomorrow, before the clock was set back", _ocsp.Word(NOW + DAY, NOW + 2 * DAY), True, False),
]


@pytest.mark.parametrize(("word", "due", "over"), [case[1:] for case in WORDS], ids=[case[0] for case in WORDS])
def test_when_an_authority_is_asked_about_a_certificate(word, due, over):
    assert (_ocsp.is_due(word, NOW), _ocsp.is_over(word, NOW)) == (due, over)


SAID = "Response verify OK\n/tmp/x/leaf.pem: good\n\tThis Update: Nov 21 10:00:00 2026 GMT\n\tNext Update: Nov 28 10:00:00 2026 GMT\n"
ANSWERS = [
    ("good", SAID, _ocsp.Word(NOW - 2 * HOUR, NOW + 7 * DAY - 2 * HOUR)),
    ("revoked", SAID.replace("good", "revoked") + "\tReason: keyCompromise\n\tRevocation Time: Nov 20 10:00:00 2026 GMT\n", None),
    ("unknown", SAID.replace("good", "unknown"), None),
    ("signed by anybody", SAID.replace("Response verify OK", "Response Verify Failure"), None),
    ("without an end", SAID[: SAID.index("\tNext")], None),
    ("an end that nobody can read", SAID.replace("Nov 28 10:00:00 2026 GMT", "Bad time value"), None),
    ("about another certificate", "Response verify OK\n/tmp/x/leaf.pem: ERROR: No Status found.\n", None),
    ("no answer", "Error querying OCSP responder\n", None),
]


@pytest.mark.parametrize(("said", "word"), [case[1:] for case in ANSWERS], ids=[case[0] for case in ANSWERS])
def test_what_an_answer_is_worth(said, word):
    assert _ocsp.parse(said) == word


WARNED = [
    ("fresh", kept(NOW, NOW + 80 * DAY), None),
    ("fresh, though the last try failed", kept(NOW, NOW + 80 * DAY, "no such name"), None),
    ("soon, and nothing failed", kept(NOW - 76 * DAY, NOW + 13 * DAY), None),
    ("soon, and the last try failed", kept(NOW - 76 * DAY, NOW + 13 * DAY, "no such name"), "ends on .* and its renewal failed on .*: no such name"),
    ("it ended", kept(NOW - 91 * DAY, NOW - DAY, "no such name"), "ended on .*: no such name"),
    ("one's own, soon", kept(NOW - 76 * DAY, NOW + 13 * DAY, source="own"), "it is your own, so nobody renews it"),
    ("one's own, fresh", kept(NOW - 76 * DAY, NOW + 15 * DAY, source="own"), None),
]


@pytest.mark.parametrize(("certificate", "expected"), [case[1:] for case in WARNED], ids=[case[0] for case in WARNED])
def test_when_somebody_is_warned(certificate, expected):
    warnings = _certificates.expiry_warnings([certificate], NOW)
    assert len(warnings) == (expected is not None)
    if expected:
        assert re.search(expected, warnings[0]["message"])
        assert "shop.example.com" in warnings[0]["message"]


def test_the_program_is_whole_and_the_same_each_time(tmp_path):
    path = tmp_path / "program.pyz"
    path.write_bytes(_renewal.program())
    assert path.read_bytes() == _renewal.program()
    # Isolated and away from the checkout: nothing but the standard library and itself.
    done = subprocess.run([sys.executable, "-I", str(path), "dance"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "usage" in done.stderr
