# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certbot: it asks an ACME server for one certificate. What it is told is in files of 0600, and what it says is read for the authority's own reason."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile

from ansible_collections.hitless.paas.plugins.module_utils import _paths
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import read_json, write_atomic, write_json
from ansible_collections.hitless.paas.plugins.module_utils._hostnames import file_name
from ansible_collections.hitless.paas.plugins.module_utils._pem import bundle

PRODUCTION = "https://acme-v02.api.letsencrypt.org/directory"
STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
# What a hook is told by certbot, and by us: which order it works for.
ORDER = "HITLESS_ORDER"
PROGRAM = _paths.ACME + "/program.pyz"
_SECONDS = 600
_TAIL = 30
_URL = re.compile(r"https://[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]+)?(?:/(?!\.\.?(?:/|\Z))[A-Za-z0-9._~%=&?-]*)*\Z")
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\Z")
_WORD = re.compile(r"[A-Za-z0-9_=.+/-]+\Z")
_PLAIN = re.compile(r"[^\x00-\x1f\x7f]+\Z")
_PROBLEM = re.compile(r"^\s*Domain:\s*(\S+)\s*\n\s*Type:\s*(\S+)\s*\n\s*Detail:\s*(.+?)\s*$", re.MULTILINE)
_URN = re.compile(r"urn:ietf:params:acme:error:(\w+)(?: :: (.*))?")
_DETAIL = re.compile(r'"detail": ("(?:[^"\\]|\\.)*")')


def _invalid(what, value):
    raise HitlessError("config_invalid", "%s %r cannot be used for a certificate; nothing was changed" % (what, value), "see docs/certificates.md")


def checked_order(app, names, options):
    """The order for one certificate, as it is kept for its renewal: ``app``, ``names`` and the options that matter, checked. Raises config_invalid.

    Args:
        names: of normalise_domain, at least one.
        options: see ``_certificates.ensure_acme``.
    """
    order = {"v": 1, "app": app, "names": list(names), "server": options.get("server") or (STAGING if options.get("staging") else PRODUCTION)}
    order["challenge"] = options.get("challenge") or "http-01"
    for key in ("email", "eab_kid", "eab_hmac_key", "dns_auth_hook", "dns_cleanup_hook", "ca_bundle"):
        order[key] = options.get(key) or None
    patterns = {
        "server": _URL,
        "email": _EMAIL,
        "eab_kid": _WORD,
        "eab_hmac_key": _WORD,
        "ca_bundle": _PLAIN,
        "dns_auth_hook": _PLAIN,
        "dns_cleanup_hook": _PLAIN,
    }
    for key, pattern in patterns.items():
        value = order[key]
        if value is not None and (not isinstance(value, str) or not pattern.match(value)):
            _invalid("the option %s" % key, "..." if key == "eab_hmac_key" else value)
    if order["challenge"] not in ("http-01", "dns-01"):
        _invalid("the challenge", order["challenge"])
    if bool(order["eab_kid"]) != bool(order["eab_hmac_key"]):
        raise HitlessError("config_invalid", "External account binding needs the key's id and the key; nothing was changed", "give both, or neither")
    _check_challenge(order)
    return order


def _check_challenge(order):
    wildcards = [name for name in order["names"] if name.startswith("*.")]
    if wildcards and order["challenge"] != "dns-01":
        raise HitlessError(
            "config_invalid",
            "A certificate for %s needs the challenge dns-01; nothing was changed" % wildcards[0],
            "give dns-01 and a hook that writes the record",
        )
    if order["challenge"] == "dns-01" and not order["dns_auth_hook"]:
        raise HitlessError("config_invalid", "The challenge dns-01 needs a hook that writes the record; nothing was changed", "give dns_auth_hook")


def settings(order, folder=_paths.ACME, logs=_paths.ACME_LOGS, program=PROGRAM):
    """certbot's settings for an order, as the text of its configuration file. Pure: the order was checked."""
    hook = "/usr/bin/python3 -I %s %%s" % program
    pairs = [
        ("config-dir", folder + "/config"),
        ("work-dir", folder + "/work"),
        ("logs-dir", logs),
        ("max-log-backups", "20"),
        ("non-interactive", "true"),
        ("agree-tos", "true"),
        ("server", order["server"]),
        ("cert-name", file_name(order["names"][0])),
        ("domains", ",".join(order["names"])),
        ("key-type", "ecdsa"),
        ("force-renewal", "true"),
        ("renew-with-new-domains", "true"),
        ("authenticator", "manual"),
        ("preferred-challenges", "dns" if order["challenge"] == "dns-01" else "http"),
        ("manual-auth-hook", hook % "answer"),
        ("manual-cleanup-hook", hook % "forget"),
    ]
    pairs.append(("email", order["email"]) if order["email"] else ("register-unsafely-without-email", "true"))
    if order["eab_kid"]:
        pairs += [("eab-kid", order["eab_kid"]), ("eab-hmac-key", order["eab_hmac_key"])]
    return "".join("%s = %s\n" % pair for pair in pairs)


def reason(output, log=""):
    """The authority's own reason for a failure, in what certbot printed and wrote to its log; its last line where there is none. Pure."""
    problems = ["%s: %s (%s)" % (name, detail, kind) for name, kind, detail in _PROBLEM.findall(output)]
    if problems:
        return "; ".join(problems)
    for text in (output, log):
        urns = _URN.findall(text)
        if urns:
            kind, said = urns[-1]
            details = _DETAIL.findall(log)
            detail = json.loads(details[-1]) if details else said.rpartition(" :: ")[2].strip()
            return "%s (%s)" % (detail, kind) if detail else kind
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith(("Saving debug log", "Ask for help", "See the logfile"))]
    return lines[-1] if lines else "it gave none"


class Certbot:
    """certbot with folders of its own, so that the distribution's timer has nothing to do with our certificates.

    Args:
        folder, logs: where it keeps what it has, and its logs; root's alone.
    """

    def __init__(self, folder=_paths.ACME, logs=_paths.ACME_LOGS):
        self.folder = folder
        self._logs = logs

    def prepare(self):
        """Make the folders, and remove what a run that was cut left."""
        for path in (self.folder, self._logs, self.folder + "/orders"):
            os.makedirs(path, mode=0o700, exist_ok=True)
            os.chmod(path, 0o700)
        for left in glob.glob(glob.escape(self.folder) + "/run-*"):
            shutil.rmtree(left, ignore_errors=True)

    def _order_path(self, name):
        return "%s/orders/%s.json" % (self.folder, file_name(name))

    def order(self, name):
        """The order of the certificate called ``name``, or None."""
        return read_json(self._order_path(name))

    def keep(self, order):
        """Keep an order for renewals."""
        if self.order(order["names"][0]) != order:
            write_json(self._order_path(order["names"][0]), order, 0o600)

    def orders(self):
        """Every order that is kept: what is to be renewed."""
        return [read_json(path) for path in sorted(glob.glob(glob.escape(self.folder) + "/orders/*.json"))]

    def obtain(self, order):
        """Ask for the certificate of an order, and return it (key, leaf, chain). HitlessError ``acme_failed`` with the authority's reason."""
        self._mend(order["names"][0])
        done = self._ask(order)
        if done.returncode and "urn:ietf:params:acme:error:accountDoesNotExist" in self._log():
            # The authority has begun anew: so does the account.
            shutil.rmtree("%s/config/accounts/%s" % (self.folder, order["server"][len("https://") :]), ignore_errors=True)
            done = self._ask(order)
        found = self.found(order)
        if done.returncode or not found:
            self._fail(order, done.stdout)
        return found

    def _ask(self, order):
        with tempfile.TemporaryDirectory(prefix="run-", dir=self.folder) as work:
            write_json(work + "/order.json", order, 0o600)
            write_atomic(work + "/cli.ini", settings(order, self.folder, self._logs), 0o600)
            env = dict(os.environ, LC_ALL="C.UTF-8", **{ORDER: work + "/order.json"})
            if order["ca_bundle"]:
                env["REQUESTS_CA_BUNDLE"] = order["ca_bundle"]
            words, pipes = ["certbot", "certonly", "--config", work + "/cli.ini"], {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
            try:
                return subprocess.run(words, env=env, stdin=subprocess.DEVNULL, encoding="utf-8", errors="replace", timeout=_SECONDS, check=False, **pipes)
            except FileNotFoundError as error:
                raise HitlessError("certbot_missing", "There is no certbot on this host; what served is untouched.", "apt-get install certbot") from error
            except subprocess.TimeoutExpired as error:
                message = "The certificate authority gave no certificate for %s within %d s; what served is untouched." % (order["names"][0], _SECONDS)
                raise HitlessError("acme_failed", message, "look into %s" % self._logs) from error

    def _fail(self, order, output):
        why, lines = reason(output, self._log()), output.splitlines()[-_TAIL:]
        message = "%s gave no certificate for %s: %s; what served is untouched." % (order["server"], ", ".join(order["names"]), why.rstrip("."))
        raise HitlessError(
            "acme_failed",
            message,
            "mend that first: authorities count failures; the log is %s/letsencrypt.log" % self._logs,
            {"log_tail": lines, "reason": why},
        )

    def _log(self):
        with contextlib.suppress(OSError), open(self._logs + "/letsencrypt.log", encoding="utf-8", errors="replace") as stream:
            return stream.read()
        return ""

    def found(self, order):
        """The certificate (key, leaf, chain) that certbot has for an order, of the same server; None when it has none that is whole."""
        live = "%s/config/live/%s" % (self.folder, file_name(order["names"][0]))
        try:
            with open("%s/config/renewal/%s.conf" % (self.folder, file_name(order["names"][0])), encoding="utf-8") as stream:
                servers = re.findall(r"^server = (\S+)$", stream.read(), re.MULTILINE)
            with open(live + "/privkey.pem", encoding="ascii") as key, open(live + "/fullchain.pem", encoding="ascii") as chain:
                return bundle(key.read(), chain.read()) if servers == [order["server"]] else None
        except FileNotFoundError:
            return None

    def _parts(self, name):
        kinds = ("config/renewal/%s.conf", "config/live/%s", "config/archive/%s")
        return [self.folder + "/" + kind % file_name(name) for kind in kinds]

    def _mend(self, name):
        """Remove what certbot has of a certificate unless it is whole: it would keep the new one under another name."""
        live = self._parts(name)[1]
        whole = all(os.path.exists(part) for part in self._parts(name)) and all(
            os.path.exists("%s/%s.pem" % (live, kind)) for kind in ("privkey", "cert", "chain", "fullchain")
        )
        if not whole:
            self._remove_lineage(name)

    def _remove_lineage(self, name):
        for path in self._parts(name):
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.lexists(path):
                os.unlink(path)

    def remove(self, name):
        """Forget the order and all that certbot has of the certificate called ``name``; True when there was something."""
        was_there = any(os.path.lexists(path) for path in [self._order_path(name), *self._parts(name)])
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._order_path(name))
        self._remove_lineage(name)
        return was_there


def is_installed():
    """Whether there is a certbot on this host."""
    return shutil.which("certbot") is not None
