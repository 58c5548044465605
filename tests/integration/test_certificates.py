# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates through the interface of a router, against a real one, with Python's and openssl's TLS clients."""

from __future__ import annotations

import functools
import os
import re
import socket
import stat
import subprocess
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from ansible_collections.hitless.paas.plugins.module_utils import _certbot, _certificates, _ocsp, _paths, _renewal
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from authority import Authority, Responder, now, serial_of
from conftest import free_port, wait_until
from loadgen import Load


@pytest.fixture(scope="module")
def authority():
    return Authority()


def put(haproxy, authority, *names):
    """A new certificate for ``names``; returns its serial number."""
    chain, key = authority.chain(*names)
    assert haproxy.router.set_certificate(names, key + chain) is True
    return serial_of(chain)


def served(haproxy, name):
    return serial_of(haproxy.served(name))


def test_a_new_certificate_is_live_and_so_it_is_after_a_restart(haproxy, authority):
    first = put(haproxy, authority, "shop.example.com", "www.example.com")
    assert served(haproxy, "shop.example.com") == served(haproxy, "www.example.com") == first
    haproxy.stop()
    haproxy.start()
    assert served(haproxy, "shop.example.com") == served(haproxy, "www.example.com") == first


def test_what_is_there_changes_nothing(haproxy, authority):
    chain, key = authority.chain("shop.example.com")
    assert haproxy.router.set_certificate(["shop.example.com"], key + chain) is True
    assert haproxy.router.set_certificate(["shop.example.com"], key + chain) is False


def test_a_change_is_seen_by_the_next_handshake_and_after_a_restart(haproxy, authority):
    put(haproxy, authority, "shop.example.com")
    second = put(haproxy, authority, "shop.example.com")
    assert served(haproxy, "shop.example.com") == second
    haproxy.stop()
    haproxy.start()
    assert served(haproxy, "shop.example.com") == second


def test_names_come_and_go_with_the_certificate(haproxy, authority):
    default = served(haproxy, "nobody.example.com")
    put(haproxy, authority, "shop.example.com", "old.example.com")
    second = put(haproxy, authority, "shop.example.com", "new.example.com")
    for _again in range(2):
        assert [served(haproxy, name + ".example.com") for name in ("shop", "new", "old")] == [second, second, default]
        haproxy.stop()
        haproxy.start()


def test_a_wildcard_stands_for_one_label_and_an_exact_name_wins(haproxy, authority):
    default = served(haproxy, "nobody.example.com")
    wild = put(haproxy, authority, "*.shop.example.com")
    exact = put(haproxy, authority, "api.shop.example.com")
    names = ("one.shop.example.com", "api.shop.example.com", "a.b.shop.example.com", "shop.example.com")
    assert [served(haproxy, name) for name in names] == [wild, exact, default, default]


def test_a_removed_certificate_is_gone_and_the_others_stay(haproxy, authority):
    default = served(haproxy, "nobody.example.com")
    put(haproxy, authority, "shop.example.com")
    other = put(haproxy, authority, "blog.example.com")
    assert haproxy.router.remove_certificate("shop.example.com") is True
    assert haproxy.router.remove_certificate("shop.example.com") is False
    assert served(haproxy, "shop.example.com") == default
    assert served(haproxy, "blog.example.com") == other
    assert set(haproxy.router.certificates()) == {"blog.example.com"}
    haproxy.stop()
    haproxy.start()
    assert served(haproxy, "blog.example.com") == other


def test_a_certificate_that_cannot_be_loaded_changes_nothing(haproxy, authority):
    first = put(haproxy, authority, "shop.example.com")
    chain, _key = authority.chain("shop.example.com")
    _chain, wrong = authority.chain("shop.example.com")
    for bad in (wrong + chain, "nonsense", chain):
        with pytest.raises(HitlessError, match="cannot load") as caught:
            haproxy.router.set_certificate(["shop.example.com"], bad)
        assert caught.value.code == "certificate_invalid"
    assert served(haproxy, "shop.example.com") == first
    haproxy.stop()
    haproxy.start()
    assert served(haproxy, "shop.example.com") == first


def test_a_change_that_was_cut_is_made_good_by_the_next(haproxy, authority):
    put(haproxy, authority, "shop.example.com")
    path = haproxy.router._certificates.path("shop.example.com")
    chain, key = authority.chain("shop.example.com")
    haproxy.router._admin.ask("set ssl cert %s <<\n%s%s" % (path, key, chain))
    blog = put(haproxy, authority, "blog.example.com")
    second = put(haproxy, authority, "shop.example.com")
    assert (served(haproxy, "shop.example.com"), served(haproxy, "blog.example.com")) == (second, blog)


def test_a_chain_that_is_too_long_for_the_socket_is_loaded_all_the_same(haproxy, authority):
    chain, key = authority.chain("shop.example.com")
    assert haproxy.router.set_certificate(["shop.example.com"], key + chain + authority.intermediate * 40) is True
    assert served(haproxy, "shop.example.com") == serial_of(chain)
    assert haproxy.router.set_certificate(["shop.example.com"], key + chain + authority.intermediate * 40) is False


def test_a_file_that_is_lost_keeps_nothing_from_starting(haproxy, authority):
    put(haproxy, authority, "shop.example.com")
    os.unlink(haproxy.router._certificates.path("shop.example.com"))
    blog = put(haproxy, authority, "blog.example.com")
    haproxy.stop()
    haproxy.start()
    assert served(haproxy, "blog.example.com") == blog
    assert set(haproxy.router.certificates()) == {"blog.example.com"}


def test_the_key_is_roots_alone(haproxy, authority):
    put(haproxy, authority, "shop.example.com")
    status = os.stat(haproxy.router._certificates.path("shop.example.com"))
    assert stat.S_IMODE(status.st_mode) == 0o600


def handshakes(haproxy, name, stop, failures, seen):
    while not stop.is_set():
        try:
            seen.add(served(haproxy, name))
        except OSError as error:
            failures.append(error)


def test_twenty_certificates_fail_no_request_and_no_handshake(haproxy, authority):
    serials = [put(haproxy, authority, "shop.example.com")]
    stop, failures, seen = threading.Event(), [], set()
    thread = threading.Thread(target=handshakes, args=(haproxy, "shop.example.com", stop, failures, seen))
    load = Load(("127.0.0.1", haproxy.port), "shop.localhost", path="/.hitless/health", clients=20)
    with load.running(delay=0.02) as results:
        thread.start()
        for _number in range(20):
            sent = results.sent
            serials.append(put(haproxy, authority, "shop.example.com"))
            wait_until(lambda sent=sent: results.sent > sent and serials[-1] in seen, what="the new certificate")
        stop.set()
        thread.join(10)
    assert results.failures == {}
    assert failures == []
    assert seen >= set(serials[1:])
    assert seen <= set(serials)


def test_a_challenge_is_answered_for_every_name_and_nothing_else_is(haproxy):
    token, answer = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ", "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ.nP1qzpXGymHBrUEepNY9HCsQk7K8KhOypzEt62jcerQ"
    path = "/.well-known/acme-challenge/"
    haproxy.router.set_challenge(token, answer)
    status, text = haproxy.get(path + token, "nobody.example.com")
    assert (status, text.rsplit("\r\n\r\n", 1)[1]) == (200, answer)
    assert haproxy.get(path + "another-token-that-nobody-asked-for")[0] == 404
    haproxy.stop()
    haproxy.start()
    assert haproxy.get(path + token)[0] == 200
    haproxy.router.remove_challenge(token)
    assert haproxy.get(path + token)[0] == 404


@pytest.mark.parametrize("token", ["", "../../etc/passwd", "a b", "a\nb", "%[src]", "short"])
def test_a_challenge_that_is_none_never_lands(haproxy, token):
    with pytest.raises(HitlessError):
        haproxy.router.set_challenge(token, "x" * 40)


@pytest.fixture
def responder(authority, tmp_path):
    (tmp_path / "ocsp").mkdir()
    running = Responder(authority, tmp_path / "ocsp", free_port())
    yield running
    running.stop()


@pytest.fixture
def timer(haproxy, tmp_path, monkeypatch):
    """The certificates of a host in the folder of ``haproxy``. There is no systemd here: the list says what became of the timer."""
    said = []
    monkeypatch.setattr(_paths, "HAPROXY_CERTS", str(Path(haproxy.layout.certs_list).parent))
    monkeypatch.setattr(_paths, "ACME", str(tmp_path / "acme"))
    monkeypatch.setattr(_certbot, "Certbot", functools.partial(_certbot.Certbot, str(tmp_path / "acme"), str(tmp_path / "logs")))
    monkeypatch.setattr(_renewal, "install", lambda: said.append("install") or True)
    monkeypatch.setattr(_renewal, "uninstall", lambda: said.append("uninstall"))
    return said


def moment(later=0):
    return now().replace(tzinfo=None) + timedelta(minutes=later)


def stapled(haproxy, name):
    """The status of the certificate in the answer that comes with it ("good"), and until when that holds; None without an answer."""
    words = ["openssl", "s_client", "-connect", "127.0.0.1:%d" % haproxy.https_port, "-servername", name, "-status"]
    said = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=10).stdout
    if "OCSP response: no response sent" in said:
        return None
    assert "OCSP Response Status: successful" in said
    return re.search(r"Cert Status: (\w+)", said).group(1), re.search(r"Next Update: (.+)", said).group(1)


def restarted(haproxy):
    haproxy.stop()
    haproxy.start()
    return haproxy


def worker(haproxy):
    """The process that serves: a reload would put another one in its place."""
    return re.search(r"^Pid: (\d+)$", haproxy.router._admin.ask("show info"), re.MULTILINE).group(1)


def install(haproxy, authority, responder, name="shop.example.com"):
    """One's own certificate that names the responder; returns it."""
    chain, key = authority.chain(name, responder=responder.url)
    _certificates.install_own(haproxy.router, "shop", [name], chain, key)
    return chain


def test_what_the_authority_says_of_a_certificate_comes_with_it(haproxy, authority, responder, timer):
    chain, key = authority.chain("shop.example.com", responder=responder.url)
    responder.start(chain)
    before = worker(haproxy)
    _certificates.install_own(haproxy.router, "shop", ["shop.example.com"], chain, key)
    assert stapled(haproxy, "shop.example.com")[0] == "good"
    assert worker(haproxy) == before
    assert timer == ["install"]
    path = Path(haproxy.router._certificates.path("shop.example.com") + ".ocsp")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stapled(restarted(haproxy), "shop.example.com")[0] == "good"
    _certificates.remove(haproxy.router, "shop.example.com")
    assert not path.exists()
    assert timer == ["install", "uninstall"]


def test_a_responder_that_is_down_leaves_the_certificate_served_and_is_asked_again(haproxy, authority, responder, timer):
    chain = install(haproxy, authority, responder)
    assert served(haproxy, "shop.example.com") == serial_of(chain)
    assert stapled(haproxy, "shop.example.com") is None
    assert timer == ["install"]
    responder.start(chain)
    before = worker(haproxy)
    assert _certificates.renew(haproxy.router, moment()) == []
    assert stapled(haproxy, "shop.example.com")[0] == "good"
    assert worker(haproxy) == before


def test_an_answer_is_renewed_at_half_its_life_and_kept_until_its_end(haproxy, authority, responder, timer):
    chain = install(haproxy, authority, responder)
    responder.start(chain)
    _certificates.renew(haproxy.router, moment())
    path = Path(haproxy.router._certificates.path("shop.example.com") + ".ocsp")
    first = path.read_bytes()
    _certificates.renew(haproxy.router, moment(20))
    assert path.read_bytes() == first
    _certificates.renew(haproxy.router, moment(40))
    second = path.read_bytes()
    assert second != first
    responder.stop()
    _certificates.renew(haproxy.router, moment(40))
    assert path.read_bytes() == second
    assert stapled(haproxy, "shop.example.com")[0] == "good"
    _certificates.renew(haproxy.router, moment(70))
    assert not path.exists()
    assert served(restarted(haproxy), "shop.example.com") == serial_of(chain)
    assert stapled(haproxy, "shop.example.com") is None


def test_the_answer_of_another_authority_is_not_taken(haproxy, authority, responder, timer):
    chain, key = authority.chain("shop.example.com", responder=responder.url)
    responder.start(chain, signer=Authority("Other"))
    _certificates.install_own(haproxy.router, "shop", ["shop.example.com"], chain, key)
    assert served(haproxy, "shop.example.com") == serial_of(chain)
    assert stapled(haproxy, "shop.example.com") is None


def test_a_certificate_without_a_responder_has_no_answer_and_no_timer(haproxy, authority, timer):
    chain, key = authority.chain("shop.example.com")
    _certificates.install_own(haproxy.router, "shop", ["shop.example.com"], chain, key)
    assert stapled(haproxy, "shop.example.com") is None
    assert timer == ["uninstall"]


def test_a_new_certificate_does_not_come_with_the_answer_about_the_old_one(haproxy, authority, responder, timer):
    old, key = authority.chain("shop.example.com", responder=responder.url)
    responder.start(old)
    _certificates.install_own(haproxy.router, "shop", ["shop.example.com"], old, key)
    responder.stop()
    new = install(haproxy, authority, responder)
    for again in (haproxy, restarted(haproxy)):
        assert (served(again, "shop.example.com"), stapled(again, "shop.example.com")) == (serial_of(new), None)


def test_a_responder_that_never_answers_does_not_hold_anything_up(haproxy, authority, responder, timer, monkeypatch):
    monkeypatch.setattr(_ocsp, "_SECONDS", 1)
    with socket.create_server(("127.0.0.1", int(responder.url.rpartition(":")[2]))):
        chain = install(haproxy, authority, responder)
    assert served(haproxy, "shop.example.com") == serial_of(chain)
    assert stapled(haproxy, "shop.example.com") is None


def test_a_certificate_that_the_running_router_lost_comes_back_with_its_answer(haproxy, authority, responder, timer):
    chain, key = authority.chain("shop.example.com", responder=responder.url)
    responder.start(chain)
    _certificates.install_own(haproxy.router, "shop", ["shop.example.com"], chain, key)
    responder.stop()
    path = haproxy.router._certificates.path("shop.example.com")
    for command in ("del ssl crt-list %s %s" % (haproxy.layout.certs_list, path), "del ssl cert %s" % path):
        assert "deleted" in haproxy.router._admin.ask(command)
    assert _certificates.sync(haproxy.router) is True
    assert served(haproxy, "shop.example.com") == serial_of(chain)
    assert stapled(haproxy, "shop.example.com")[0] == "good"
