# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of a real authority on a real host, seen by TLS clients from outside. In order: the last tests take away what the first ones look at."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import testinfra
from authority import Authority, serial_of
from loadgen import Load

ROOT = Path(__file__).parents[3]
TARGET = json.loads((Path(os.environ["XDG_STATE_HOME"]) / "hitless" / "certs-molecule" / "dev" / "target.json").read_text(encoding="utf-8"))
CERTS, ACME = "/etc/haproxy/hitless/certs", "/var/lib/hitless/.acme"
LONG, SHORT = "https://localhost:14000/dir", "https://localhost:14001/dir"


@pytest.fixture(scope="module")
def server():
    return testinfra.get_host("docker://" + TARGET["container"])


def certificate(**options):
    """What the module says to ``options``."""
    options.setdefault("app", "certs-molecule")
    options.setdefault("ca_bundle", "/opt/authority/tls.pem")
    words = ["ansible", "all", "--inventory", str(ROOT / "molecule/domains/app/hitless.yml"), "--one-line", "-m", "hitless.paas.certificate", "-a"]
    plain = {**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run([*words, json.dumps(options)], env=plain, capture_output=True, text=True, check=False, timeout=300)
    assert " => " in done.stdout, done.stdout + done.stderr
    head, _arrow, said = done.stdout.partition(" => ")
    return dict(json.loads(said), failed="FAILED" in head)


def served(name, roots=None):
    """The serial number of the certificate for ``name``; with ``roots`` a client that believes nothing but these has to be content."""
    context = ssl.create_default_context(cadata=roots) if roots else ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", TARGET["https_port"]), timeout=10) as link, context.wrap_socket(link, server_hostname=name) as tls:
        return serial_of(ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True)))


def known(server, name):
    return json.loads(server.file("%s/%s.json" % (CERTS, name)).content_string)


def roots(server, port):
    script = "import ssl, urllib.request as u; print(u.urlopen('https://localhost:%d/roots/0', context=ssl._create_unverified_context()).read().decode())"
    return server.check_output('python3 -c "%s"' % script % port)


@pytest.mark.parametrize("name", ["shop.molecule.test", "www.molecule.test", "one.wild.molecule.test"])
def test_a_client_that_trusts_the_authority_is_content(server, name):
    assert served(name, roots(server, 15000))


def test_account_binding_worked(server):
    assert served("blog.molecule.test", roots(server, 15002)) == known(server, "blog.molecule.test")["serial"]


def test_openssl_is_content_too(server):
    roots_file = "/opt/authority/roots.pem"
    server.check_output("cat > %s <<'END'\n%s\nEND" % (roots_file, roots(server, 15000)))
    words = (
        "openssl s_client -connect 127.0.0.1:443 -servername shop.molecule.test -verify_hostname shop.molecule.test -verify_return_error -CAfile %s"
        % roots_file
    )
    said = server.check_output(words + " </dev/null")
    assert "Verify return code: 0 (ok)" in said
    assert "TLSv1.3" in said


def test_one_certificate_is_for_both_names(server):
    assert served("shop.molecule.test") == served("www.molecule.test") == known(server, "shop.molecule.test")["serial"]


def test_a_wildcard_stands_for_no_other_level():
    assert served("wild.molecule.test") == served("a.b.wild.molecule.test") == served("nobody.example")


@pytest.mark.parametrize("path", [CERTS + "/shop.molecule.test.pem", ACME + "/orders/blog.molecule.test.json", ACME + "/program.pyz"])
def test_secrets_are_roots_alone(server, path):
    file = server.file(path)
    assert (file.user, file.mode) == ("root", 0o600)


def test_no_secret_is_where_others_can_read_it(server):
    assert server.run("grep -rl zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W /var/log /etc /run %s/*.json" % CERTS).stdout == ""


def test_the_timer_is_on_and_certbots_own_knows_nothing_of_ours(server):
    assert server.check_output("systemctl is-active hitless-renew.timer") == "active"
    assert server.check_output("systemctl is-enabled hitless-renew.timer") == "enabled"
    assert not server.file("/etc/letsencrypt/renewal").exists or server.file("/etc/letsencrypt/renewal").listdir() == []


def test_what_is_not_due_is_not_renewed(server):
    before = served("shop.molecule.test")
    server.check_output("systemctl start hitless-renew.service")
    assert served("shop.molecule.test") == before


def test_no_challenge_is_left_and_the_path_is_the_apps_own(server):
    assert "\n" not in server.file("/etc/haproxy/hitless/maps/challenges.map").content_string.strip()
    path = "/.well-known/acme-challenge/a-token-of-the-apps-own"
    assert server.check_output("python3 -c 'import urllib.request as u; print(u.urlopen(\"http://shop.molecule.test%s\").read().decode())'" % path) == path


def refused(code, **options):
    result = certificate(**options)
    assert result["failed"], result
    assert result["error"]["code"] == code, result
    assert "untouched" in result["msg"]
    return result


def test_a_name_that_does_not_resolve_asks_nobody(server):
    result = refused("name_not_here", name=["nowhere.molecule.test"], server=LONG, addresses=["203.0.113.7"])
    assert "nowhere.molecule.test does not resolve" in result["msg"]
    assert "203.0.113.7" in result["msg"]
    assert not server.file(ACME + "/orders/nowhere.molecule.test.json").exists


def test_a_name_of_another_server_asks_nobody(server):
    server.check_output("grep -q elsewhere /etc/hosts || echo '192.0.2.1 elsewhere.molecule.test' >> /etc/hosts")
    result = refused("name_not_here", name=["elsewhere.molecule.test"], server=LONG, addresses=["203.0.113.7"])
    assert "resolves to 192.0.2.1, and that is not this host (203.0.113.7)" in result["msg"]


def test_the_authoritys_own_reason_is_said_and_nothing_changes(server):
    before = served("one.wild.molecule.test")
    options = {"name": ["*.wild.molecule.test", "wild.molecule.test"], "server": LONG, "challenge": "dns-01"}
    result = refused("acme_failed", dns_auth_hook="true", **options)
    assert "TXT record" in result["msg"]
    assert served("one.wild.molecule.test") == before
    assert known(server, "_.wild.molecule.test")["names"] == ["*.wild.molecule.test"]
    assert json.loads(server.file(ACME + "/orders/_.wild.molecule.test.json").content_string)["dns_auth_hook"] == "/opt/authority/dns-hook set"


def test_an_authority_that_is_down_is_said(server):
    result = refused("acme_failed", name=["shop.molecule.test"], server="https://localhost:14009/dir")
    assert "refused" in result["msg"].lower()
    assert served("shop.molecule.test") == known(server, "shop.molecule.test")["serial"]


class Watcher(threading.Thread):
    """A client that shakes hands for as long as it lives; ``serials``: what it saw, in order."""

    def __init__(self, name):
        super().__init__(daemon=True)
        self.name_of, self.serials, self.failures, self.stop = name, [], [], threading.Event()

    def run(self):
        while not self.stop.is_set():
            try:
                serial = served(self.name_of)
            except OSError as error:
                self.failures.append(error)
                continue
            if self.serials[-1:] != [serial]:
                self.serials.append(serial)


def test_a_certificate_of_a_short_life_is_renewed_under_load(server):
    assert certificate(name=["short.molecule.test"], server=SHORT)["changed"]
    first = served("short.molecule.test")
    load, watcher = Load(("127.0.0.1", TARGET["http_port"]), "short.molecule.test", path="/", clients=10, pause=0.02), Watcher("short.molecule.test")
    until = time.monotonic() + 120
    with load.running() as results:
        watcher.start()
        while known(server, "short.molecule.test")["serial"] == first:
            assert time.monotonic() < until, server.check_output("journalctl -u hitless-renew --no-pager -n 50")
            server.check_output("systemctl start hitless-renew.service")
        second = served("short.molecule.test")
        watcher.stop.set()
        watcher.join(10)
    assert results.failures == {}
    assert watcher.failures == []
    assert [watcher.serials[0], watcher.serials[-1]] == [first, second]
    assert second == known(server, "short.molecule.test")["serial"] != first
    server.check_output("systemctl restart haproxy")
    assert served("short.molecule.test") == second


def test_a_renewal_that_fails_is_kept_and_said(server):
    server.check_output("systemctl stop pebble@short")
    before, until = served("short.molecule.test"), time.monotonic() + 120
    while not known(server, "short.molecule.test")["renewal"]["last_error"]:
        assert time.monotonic() < until, server.check_output("journalctl -u hitless-renew --no-pager -n 50")
        server.run("systemctl start hitless-renew.service")
    assert served("short.molecule.test") == before
    words = [sys.executable, "-m", "hitless", "status", "--json"]
    said = subprocess.run(words, cwd=ROOT / "molecule/domains/app", capture_output=True, text=True, check=False, timeout=120).stdout
    warnings = [event for event in map(json.loads, said.splitlines()) if event["event"] == "warning"]
    assert any("short.molecule.test" in event["message"] and "renewal failed" in event["message"] for event in warnings), said
    # This authority has forgotten its accounts now, and is asked for a new one.
    server.check_output("systemctl reset-failed hitless-renew.service; systemctl start pebble@short")
    assert certificate(name=["short.molecule.test"], server=SHORT)["changed"]
    assert served("short.molecule.test") == known(server, "short.molecule.test")["serial"] != before
    assert known(server, "short.molecule.test")["renewal"]["last_error"] is None
    assert certificate(name=["short.molecule.test"], state="absent")["changed"]


def test_your_own_certificate_takes_the_place_of_a_renewed_one(server):
    chain, key = Authority().chain("blog.molecule.test")
    result = certificate(name=["blog.molecule.test"], certificate=chain, key=key)
    assert result["changed"]
    assert served("blog.molecule.test") == serial_of(chain)
    assert not certificate(name=["blog.molecule.test"], certificate=chain, key=key)["changed"]
    assert not server.file(ACME + "/orders/blog.molecule.test.json").exists
    _other, wrong = Authority().chain("blog.molecule.test")
    assert certificate(name=["blog.molecule.test"], certificate=chain, key=wrong)["error"]["code"] == "certificate_invalid"
    assert served("blog.molecule.test") == serial_of(chain)


def test_what_is_lost_comes_back(server):
    shop, wild, default = served("shop.molecule.test"), served("one.wild.molecule.test"), served("nobody.example")
    server.check_output(
        "cd %s && rm shop.molecule.test.* _.wild.molecule.test.json && echo %s/default.pem > list && systemctl restart haproxy" % (CERTS, CERTS)
    )
    assert {served(name + ".molecule.test") for name in ("shop", "blog", "one.wild")} == {default}
    assert certificate(state="synced")["changed"]
    assert (served("shop.molecule.test"), served("one.wild.molecule.test")) == (shop, wild)
    assert served("blog.molecule.test") != default
    assert not certificate(state="synced")["changed"]
    assert known(server, "shop.molecule.test")["names"] == ["shop.molecule.test", "www.molecule.test"]


def test_a_removed_certificate_goes_and_the_others_stay(server):
    shop, default = served("shop.molecule.test"), served("nobody.example")
    assert certificate(state="absent", name=["blog.molecule.test"])["changed"]
    assert not certificate(state="absent", name=["blog.molecule.test"])["changed"]
    assert served("blog.molecule.test") == default
    assert served("shop.molecule.test") == shop
    assert server.check_output("systemctl is-active hitless-renew.timer") == "active"


def test_with_the_last_certificate_the_timer_goes(server):
    assert certificate(state="absent", name=["shop.molecule.test", "*.wild.molecule.test"])["changed"]
    assert served("shop.molecule.test") == served("nobody.example")
    assert server.run("systemctl is-active hitless-renew.timer").stdout.strip() == "inactive"
    left = server.check_output("ls /etc/systemd/system | grep hitless-renew; find %s -name '*molecule*'; ls %s" % (ACME, CERTS))
    assert left.split() == ["default.pem", "list"]
