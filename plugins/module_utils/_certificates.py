# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates of a host: on disk in the form that the router loads, each with a JSON file beside it that says what it is, and renewed in time.

A certificate is called by its first name. ``<name>.pem`` is the router's, ``<name>.pem.ocsp`` its authority's word that it is not revoked, where there
is one to be had; ``<name>.json`` is ``{"v", "name", "names", "app", "source": "acme" or "own",
"server", "challenge", "issuer", "serial", "not_before", "not_after", "renewal": {"last_attempt", "last_error"}}``.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import subprocess
from datetime import datetime, timezone

from ansible_collections.hitless.paas.plugins.module_utils import _certbot, _ocsp, _paths, _reachable, _renewal, _x509
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import fsync_dir, read_json, write_json
from ansible_collections.hitless.paas.plugins.module_utils._hostnames import file_name, normalise_domain
from ansible_collections.hitless.paas.plugins.module_utils._names import check_name
from ansible_collections.hitless.paas.plugins.module_utils._pem import bundle, first_certificate
from ansible_collections.hitless.paas.plugins.module_utils._renewal import expiry_warnings, is_due

__all__ = ["ensure_acme", "expiry_warnings", "install_own", "listing", "remove", "renew", "sync"]

_NEVER = {"last_attempt": None, "last_error": None}
_APT = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", "install", "--yes", "--no-install-recommends", "certbot")


def _now():
    return datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0)


@contextlib.contextmanager
def _locked():
    """One change of the certificates at a time: the timer may come at any moment."""
    os.makedirs(_paths.ACME, mode=0o700, exist_ok=True)
    with open(_paths.ACME + "/.lock", "a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _path(name, kind):
    return "%s/%s.%s" % (_paths.HAPROXY_CERTS, file_name(name), kind)


def _text(path):
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def normalised(names):
    """The names of a certificate in their one form, each once and in order; HitlessError ``config_invalid`` for what can have none."""
    found = list(dict.fromkeys(normalise_domain(name) for name in names))
    bad = [name for name in found if name.startswith("[") or name.replace(".", "").isdigit()]
    if bad or not found:
        raise HitlessError("config_invalid", "%s can have no certificate; nothing was changed" % (bad[0] if bad else "Nothing"), "give host names")
    return found


# what is known


def _known(name):
    """The JSON of a certificate, or None. What is no JSON is as good as lost, and is made anew from the certificate."""
    try:
        return read_json(_path(name, "json"))
    except ValueError:
        return None


def listing(app=None):
    """What is known of every certificate, or of those of ``app``: a list of dict (see above), by name. Reads only."""
    found = []
    for path in glob.glob(glob.escape(_paths.HAPROXY_CERTS) + "/*.json"):
        with contextlib.suppress(ValueError, FileNotFoundError):
            found.append(read_json(path))
    return sorted((facts for facts in found if app in (None, facts["app"])), key=lambda facts: facts["name"])


def live_names():
    """The names for which certificates that have not ended are kept, as a set. Reads only."""
    now = _x509.time_text(_now())
    return {name for facts in listing() if facts["not_after"] > now for name in facts["names"]}


def _described(names, app, source, pem, order=None, renewal=None):
    facts = _x509.read(first_certificate(pem))
    if facts is None:
        raise HitlessError("certificate_invalid", "The certificate of %s cannot be read; what served is untouched." % names[0])
    return {
        "v": 1,
        "name": names[0],
        "names": list(names),
        "app": app,
        "source": source,
        "server": order["server"] if order else None,
        "challenge": order["challenge"] if order else None,
        "issuer": facts.issuer,
        "serial": facts.serial,
        "not_before": facts.not_before,
        "not_after": facts.not_after,
        "renewal": dict(renewal or _NEVER),
    }


def _put(router, described, pem):
    """Serve a certificate and keep what it is. Returns True when something changed."""
    changed = router.set_certificate(described["names"], pem)
    _staple(router, described["name"], _now())
    if _known(described["name"]) == described:
        return changed
    write_json(_path(described["name"], "json"), described)
    return True


def _staple(router, name, now):
    """Keep the authority's word that a certificate is not revoked fresh. Whatever fails leaves what is there, for as long as that is good."""
    about, path = _ocsp.source(_text(_path(name, "pem")) or ""), _path(name, "pem.ocsp")
    if about is None:
        return
    word = None
    if os.path.exists(path):
        with open(path, "rb") as stream:
            word = _ocsp.read(about, stream.read())
    answer = _ocsp.ask(about, now) if _ocsp.is_due(word, now) else None
    with contextlib.suppress(HitlessError):
        if answer:
            router.set_staple(name, answer)
        elif _ocsp.is_over(word, now):
            router.set_staple(name, None)


def _is_kept(name):
    return os.path.exists(_path(name, "pem"))


# from an ACME server


def ensure_acme(router, app, names, options, check_mode=False):
    """One certificate for ``names`` from an ACME server, which is renewed from then on.

    When the one that is there is for exactly these names, of this server and not due, nothing happens.

    Args:
        router: Router.
        app: whose names they are.
        names: host names; the first one is what the certificate is called.
        options: dict of ``email``, ``server`` (URL of an ACME directory; None: Let's Encrypt), ``staging`` (Let's Encrypt's other one), ``eab_kid``,
            ``eab_hmac_key``, ``challenge`` (``http-01``, ``dns-01``), ``dns_auth_hook``, ``dns_cleanup_hook`` (shell commands on the host that see
            CERTBOT_DOMAIN and CERTBOT_VALIDATION), ``ca_bundle`` (file on the host: whom to trust for a private server), ``addresses`` (of the host),
            ``skip_checks``. All may be missing.
        check_mode: only say whether something would change.

    Returns:
        ``{"changed", "certificate": see above; with check_mode it may be None}``.

    Raises:
        HitlessError: ``config_invalid``, ``name_not_here``, ``port80_unreachable``, ``certbot_missing``, ``acme_failed``, ``renewal_failed``.
            What served is untouched.
    """
    order = _certbot.checked_order(check_name("app", app), normalised(names), options)
    certbot, name = _certbot.Certbot(), order["names"][0]
    if check_mode:
        return {"changed": not _is_right(certbot, order), "certificate": _known(name)}
    with _locked():
        certbot.prepare()
        if _is_right(certbot, order):
            changed = _renewal.install()
            return {"changed": router.set_certificate(order["names"], _text(_path(name, "pem"))) or changed, "certificate": _known(name)}
        if order["challenge"] == "http-01" and not options.get("skip_checks"):
            _reachable.check(router, order["names"], options.get("addresses") or [])
        try:
            _install_certbot()
            _renewal.install()
            _order(router, certbot, order)
        except HitlessError:
            _retire()
            raise
        return {"changed": True, "certificate": _known(name)}


def _is_right(certbot, order):
    """Whether the certificate that is kept is what an order wants, and not due."""
    known = _known(order["names"][0])
    if not known or known["source"] != "acme" or not _is_kept(known["name"]) or certbot.order(known["name"]) != order:
        return False
    return (known["names"], known["server"], known["app"]) == (order["names"], order["server"], order["app"]) and not _is_spent(known)


def _is_spent(known):
    """Whether so little is left of a certificate that a new one is wanted now. That the last try failed is no reason to wait, for somebody asks."""
    return is_due(dict(known, renewal=_NEVER), _now())


def _order(router, certbot, order):
    """Get the certificate of an order and serve it: the one that certbot has already, when a run was cut after it got it."""
    name = order["names"][0]
    pem = _usable(certbot, order)
    if pem is None:
        try:
            pem = certbot.obtain(order)
        except HitlessError as error:
            _failed(order, error)
            raise
    described = _described(order["names"], order["app"], "acme", pem, order, {"last_attempt": _x509.time_text(_now()), "last_error": None})
    certbot.keep(order)
    known = _known(name)
    if known and known["serial"] == described["serial"]:
        described["renewal"] = known["renewal"]
    _put(router, described, pem)


def _usable(certbot, order):
    """What certbot has for an order, when that is for the same names and not due; None otherwise."""
    pem = certbot.found(order)
    facts = _x509.read(first_certificate(pem)) if pem else None
    if facts is None or sorted(facts.names) != sorted(order["names"]):
        return None
    return None if _is_spent({"not_before": facts.not_before, "not_after": facts.not_after}) else pem


def _failed(order, error):
    """Keep why a renewal failed, for the certificate that goes on serving."""
    known = _known(order["names"][0])
    if known and known["source"] == "acme" and known["names"] == order["names"]:
        why = error.details.get("reason") or error.message
        write_json(_path(known["name"], "json"), dict(known, renewal={"last_attempt": _x509.time_text(_now()), "last_error": why}))


def _install_certbot():
    if _certbot.is_installed():
        return
    env, lines = dict(os.environ, DEBIAN_FRONTEND="noninteractive", NEEDRESTART_MODE="l", LC_ALL="C.UTF-8"), []
    for words in (("apt-get", "-qq", "update"), _APT):
        done = subprocess.run(
            words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace", check=False
        )
        lines += done.stdout.splitlines()
    if not _certbot.is_installed():
        message = "certbot could not be installed, so no certificate was asked for; what served is untouched."
        raise HitlessError("certbot_missing", message, "see log_tail; on the host: apt-get install certbot", {"log_tail": lines[-20:]})


def renew(router, now):
    """Renew every certificate that is due, once what is kept is served. ``now``: datetime in UTC, without zone.

    Returns ``[(name, what failed or None)]`` of those that were due.
    """
    done = []
    with _locked():
        certbot = _certbot.Certbot()
        certbot.prepare()
        _make_equal(router, certbot)
        for known in listing():
            if known["source"] == "acme" and is_due(known, now):
                done.append((known["name"], _renew_one(router, certbot, known)))
        for known in listing():
            _staple(router, known["name"], now)
    return done


def _renew_one(router, certbot, known):
    """Renew one certificate; returns why it failed, or None."""
    order = certbot.order(known["name"])
    if order is None:
        error = HitlessError("acme_failed", "its order is lost", "ask for the certificate again")
        _failed(known, error)
        return error.message
    try:
        _order(router, certbot, order)
    except HitlessError as error:
        return error.message
    return None


# from somebody


def install_own(router, app, names, certificate_pem, key_pem, check_mode=False):
    """Serve ``names`` with a certificate that somebody brings.

    Args:
        certificate_pem: the certificate, and those above it in order, up to one that the host knows or that needs none above it.
        key_pem: its private key, not encrypted.
        check_mode: check it, and only say whether something would change.

    Returns:
        ``{"changed", "certificate"}``.

    Raises:
        HitlessError: ``certificate_invalid`` with one sentence that says why, ``config_invalid``.
    """
    names = normalised(names)
    check_name("app", app)
    _x509.check_own(names, certificate_pem, key_pem, _now())
    pem = bundle(key_pem, certificate_pem)
    described = _described(names, app, "own", pem)
    if check_mode:
        return {"changed": _known(names[0]) != described or _text(_path(names[0], "pem")) != pem, "certificate": described}
    with _locked():
        changed = _put(router, described, pem)
        # It may have taken the place of one that was renewed.
        changed = _certbot.Certbot().remove(names[0]) or changed
        changed = (_renewal.install() if _is_timer_wanted() else False) or changed
        _retire()
    return {"changed": changed, "certificate": described}


# all of them


def remove(router, name):
    """Take a certificate out of the router, off the disk, and out of what is renewed; the others stay. Returns True when it was there."""
    name = normalise_domain(name)
    with _locked():
        # First the order: a run that is cut after it leaves nothing that would bring the certificate back.
        was_there = _certbot.Certbot().remove(name)
        was_there = router.remove_certificate(name) or was_there
        if os.path.exists(_path(name, "json")):
            os.unlink(_path(name, "json"))
            fsync_dir(_paths.HAPROXY_CERTS)
            was_there = True
        _retire()
        return was_there


def _is_timer_wanted():
    """Whether there is something to renew: a certificate, or the word of one's authority."""
    return bool(_certbot.Certbot().orders()) or any(_ocsp.source(_text(_path(known["name"], "pem")) or "") for known in listing())


def _retire():
    """Without something to renew there is no timer."""
    if not _is_timer_wanted():
        _renewal.uninstall()


def sync(router, check_mode=False):
    """Make the running router equal to what is on disk, and the disk whole again where certbot still has what is lost.

    Returns True when something had to be done.
    """
    if check_mode:
        return {
            known["name"]: router.fingerprint(_text(_path(known["name"], "pem"))) for known in listing() if _is_kept(known["name"])
        } != router.certificates()
    with _locked():
        certbot = _certbot.Certbot()
        certbot.prepare()
        changed = _make_equal(router, certbot)
        return (_renewal.install() if _is_timer_wanted() else False) or changed


def _make_equal(router, certbot):
    """Mend what is kept, and have the router serve that and nothing else. Returns True when something had to be done."""
    changed = _mend(router, certbot)
    for known in listing():
        changed = router.set_certificate(known["names"], _text(_path(known["name"], "pem"))) or changed
    for name in sorted(set(router.certificates()) - {known["name"] for known in listing()}):
        changed = router.remove_certificate(name) or changed
    return changed


def _mend(router, certbot):
    """Make certificates and their JSON whole again from what is left of them. Returns True when something was lost."""
    changed = False
    for order in certbot.orders():
        known, pem = _known(order["names"][0]), certbot.found(order)
        if pem and not (known and _is_kept(known["name"])):
            changed = _put(router, _described(order["names"], order["app"], "acme", pem, order), pem) or changed
    for known in listing():
        if not _is_kept(known["name"]):
            # Nobody but its owner has it.
            os.unlink(_path(known["name"], "json"))
            changed = True
    for path in glob.glob(glob.escape(_paths.HAPROXY_CERTS) + "/*.pem"):
        changed = _adopt(path) or changed
    return changed


def _adopt(path):
    """Describe a certificate that is there alone; that it is somebody's own is all that can be known of it. Returns whether it was."""
    stem, pem = path[: -len(".pem")], _text(path)
    facts = None if os.path.exists(stem + ".json") else _x509.read(first_certificate(pem))
    names = [name for name in facts.names if file_name(name) == os.path.basename(stem)] if facts else []
    if not names:
        return False
    names += [name for name in facts.names if name not in names]
    write_json(stem + ".json", _described(names, None, "own", pem))
    return True
