# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates of HAProxy: its crt-list and the files that it names, and the same in the running process, changed without a reload."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import ssl
import subprocess
import tempfile
from typing import NamedTuple

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import fsync_dir, write_atomic
from ansible_collections.hitless.paas.plugins.module_utils._haproxy_config import parse_certs, render_certs
from ansible_collections.hitless.paas.plugins.module_utils._hostnames import file_name
from ansible_collections.hitless.paas.plugins.module_utils._pem import compact, first_certificate

# HAProxy looks for it by itself when it starts.
_STAPLE = ".ocsp"
_HINT = "journalctl -u haproxy -n 30"
# HAProxy takes a command with what belongs to it only when all of it fits into one buffer (tune.bufsize).
_LONGEST = 15000
_CHECK = "defaults\n  mode http\n  timeout client 1s\n  timeout server 1s\n  timeout connect 1s\nfrontend f\n"
_ENTRY = re.compile(r"(/\S+):([0-9]+)((?: \S+)*)\Z")
_PRINT = re.compile(r"^SHA1 FingerPrint: ([0-9A-F]+)$", re.MULTILINE)
_TRANSACTION = re.compile(r"^\*(/\S+)$", re.MULTILINE)


class Entry(NamedTuple):
    """A line of the running crt-list: ``line`` is the number that HAProxy gave it, ``names`` those that it is for."""

    path: str
    line: int
    names: tuple


def parse_entries(text):
    """The Entries of a ``show ssl crt-list -n`` answer."""
    found = (_ENTRY.match(line.strip()) for line in text.splitlines())
    return [Entry(match.group(1), int(match.group(2)), tuple(match.group(3).split())) for match in found if match]


def fingerprint(pem):
    """What HAProxy calls a certificate: the SHA-1 of its first block, in upper case."""
    return hashlib.sha1(ssl.PEM_cert_to_DER_cert(first_certificate(pem))).hexdigest().upper()


class Certificates:
    """See Router for what the methods do. The caller holds the router's lock.

    Args:
        layout: Layout.
        admin: Socket of the running process.
    """

    def __init__(self, layout, admin):
        self._layout = layout
        self._admin = admin

    def path(self, name):
        """The file of the certificate called ``name``."""
        return "%s/%s.pem" % (os.path.dirname(self._layout.certs_list), file_name(name))

    def running(self):
        """``{name: fingerprint}`` of the running process."""
        return {entry.names[0]: self._fingerprint(entry.path) for entry in self._entries() if entry.names}

    def put(self, names, pem):
        """Write the file and its line; True when something is different. It is live after ``sync``."""
        path, text = self.path(names[0]), compact(pem)
        lines = self._lines()
        wanted = [line for line in lines if line[0] != path] + [(path, tuple(names))]
        changed = _read(path) != text
        if changed:
            self._check(text)
            _unlink(path + _STAPLE)
            write_atomic(path, text, 0o600)
        if sorted(wanted) != sorted(lines):
            write_atomic(self._layout.certs_list, render_certs(wanted), 0o644)
            return True
        return changed

    def drop(self, name):
        """Forget the line, then the file; True when there was one. It is out of the running process after ``sync``."""
        path, lines = self.path(name), self._lines()
        kept = [line for line in lines if line[0] != path]
        if kept != lines:
            write_atomic(self._layout.certs_list, render_certs(kept), 0o644)
        _unlink(path + _STAPLE)
        return _unlink(path) or kept != lines

    def staple(self, name, answer):
        """See Router.set_staple. The running process comes first: it says whether it takes the answer, and what is not on disk is asked for again."""
        path = self.path(name)
        if answer is None:
            _unlink(path + _STAPLE)
            return
        self._staple(path, answer)
        write_atomic(path + _STAPLE, answer, 0o600)

    def sync(self, reload):
        """Make the running process equal to the files; ``reload`` is called for what cannot be done otherwise. True when something had to be done."""
        wanted = {path: names for path, names in self._whole_lines() if names}
        texts = {path: _read(path) for path in wanted}
        if any(len(text) > _LONGEST and self._fingerprint(path) != fingerprint(text) for path, text in texts.items()):
            reload()
            return True
        running = self._entries()
        done = [self._load(path, texts[path], names, running) for path, names in sorted(wanted.items())]
        gone = sorted({entry.path for entry in running if entry.names} - set(wanted))
        for path in gone:
            self._unload(path, [entry for entry in running if entry.path == path])
        return bool(any(done) or gone)

    def _lines(self):
        lines = parse_certs(_read(self._layout.certs_list))
        # Without a first certificate for names that have none TLS would not start at all.
        return lines if any(not names for _path, names in lines) else [(os.path.dirname(self._layout.certs_list) + "/default.pem", ()), *lines]

    def _whole_lines(self):
        """The lines, and the list without those whose file is lost: they would keep HAProxy from starting."""
        lines = self._lines()
        whole = [line for line in lines if os.path.exists(line[0])]
        if whole != lines:
            write_atomic(self._layout.certs_list, render_certs(whole), 0o644)
        return whole

    def _entries(self):
        return parse_entries(self._admin.ask("show ssl crt-list -n %s" % self._layout.certs_list))

    def _fingerprint(self, path):
        found = _PRINT.search(self._admin.ask("show ssl cert %s" % path))
        return found.group(1) if found else None

    def _load(self, path, text, names, running):
        """Make one certificate live. The new line is added before the old one goes, so that there is no moment without one."""
        entries = [entry for entry in running if entry.path == path]
        current = self._fingerprint(path)
        if current == fingerprint(text) and [entry.names for entry in entries] == [names]:
            return False
        if current != fingerprint(text):
            self._store(path, text, is_new=current is None)
            self._staple_again(path)
        stale = [entry for entry in entries if entry.names != names]
        if len(stale) == len(entries):
            self._expect("add ssl crt-list %s <<\n%s %s\n" % (self._layout.certs_list, path, " ".join(names)), "Success!", "add %s" % path)
        else:
            stale = [entry for entry in entries if entry != next(entry for entry in entries if entry.names == names)]
        self._delete(stale)
        return True

    def _store(self, path, text, is_new):
        self._abort_left()
        if is_new and path not in self._admin.ask("show ssl cert").split():
            self._expect("new ssl cert %s" % path, "New empty certificate store", "make room for %s" % path)
        self._commit(path, path, text)

    def _staple(self, path, answer):
        self._abort_left()
        self._commit(path, path + _STAPLE, base64.b64encode(answer).decode("ascii") + "\n")

    def _staple_again(self, path):
        """Give a certificate that was lost in the running process what it had; a bad answer is no reason to serve without TLS."""
        with contextlib.suppress(FileNotFoundError, HitlessError), open(path + _STAPLE, "rb") as stream:
            self._staple(path, stream.read())

    def _abort_left(self):
        for left in _TRANSACTION.findall(self._admin.ask("show ssl cert")):
            # What a run that was cut had begun.
            self._admin.ask("abort ssl cert %s" % left)

    def _commit(self, path, part, text):
        """Give the running process one file, ``part``, of the certificate at ``path``."""
        try:
            self._expect("set ssl cert %s <<\n%s" % (part, text), "Transaction", "read %s" % part)
            self._expect("commit ssl cert %s" % path, "Success!", "use %s" % part)
        except HitlessError:
            self._admin.ask("abort ssl cert %s" % path)
            raise

    def _unload(self, path, entries):
        self._delete(entries)
        self._expect("del ssl cert %s" % path, "deleted", "forget %s" % path)

    def _delete(self, entries):
        for entry in entries:
            self._expect("del ssl crt-list %s %s:%d" % (self._layout.certs_list, entry.path, entry.line), "deleted", "forget the line of %s" % entry.path)

    def _expect(self, command, answer, what):
        """Do a command whose answer must hold ``answer``. The command is not said in the error: a private key may be in it."""
        text = self._admin.ask(command).strip()
        if answer not in text:
            raise HitlessError("router_failed", "HAProxy refused to %s: %s; it serves on with what it had" % (what, text or "no answer"), _HINT)

    @staticmethod
    def _check(text):
        """Raise ``certificate_invalid`` unless HAProxy can load ``text``: a file that it cannot load would keep it from starting."""
        with tempfile.TemporaryDirectory(prefix="hitless-router-") as folder:
            write_atomic(folder + "/it.pem", text, 0o600)
            write_atomic(folder + "/check.cfg", "%s  bind abns@hitless-check ssl crt %s/it.pem\n" % (_CHECK, folder), 0o600)
            words = ["haproxy", "-c", "-f", folder + "/check.cfg"]
            done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60)
        if done.returncode:
            answer = done.stdout.decode("utf-8", "replace").strip()
            raise HitlessError("certificate_invalid", "HAProxy cannot load the certificate; nothing was changed", None, {"answer": answer})


def _read(path):
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def _unlink(path):
    """Remove a file for good; True when it was there."""
    if not os.path.exists(path):
        return False
    os.unlink(path)
    fsync_dir(os.path.dirname(path))
    return True
