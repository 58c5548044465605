# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An authority's word that a certificate is not revoked (OCSP): who is asked for it, when, and what it says. openssl asks, and checks who signed it."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import tempfile
from datetime import datetime, timezone
from typing import NamedTuple

from ansible_collections.hitless.paas.plugins.module_utils import _x509
from ansible_collections.hitless.paas.plugins.module_utils._files import write_atomic
from ansible_collections.hitless.paas.plugins.module_utils._pem import certificates

_SECONDS = 10
_LONGEST = 10 * 1024
_GOOD = re.compile(r": good\s*$", re.MULTILINE)
_UPDATE = re.compile(r"^\s*(This|Next) Update: ([A-Z][a-z]{2} +[0-9]+ [0-9:]{8} [0-9]{4} GMT)\s*$", re.MULTILINE)


class Source(NamedTuple):
    """What an answer is about: two PEM texts, and the URL of who is asked."""

    leaf: str
    issuer: str
    url: str


class Word(NamedTuple):
    """From when to when (datetime in UTC, without zone) an answer is good."""

    since: datetime
    until: datetime


def source(pem):
    """The Source of a certificate (key, leaf, chain); None when it names nobody who could be asked, or is without its issuer."""
    chain = certificates(pem)
    facts = _x509.read(chain[0]) if len(chain) > 1 else None
    return Source(chain[0], chain[1], facts.responder) if facts and facts.responder else None


def is_due(word, now):
    """Whether an answer is to be asked for: there is none, or half of its life is over. Pure."""
    return word is None or not word.since <= now < word.since + (word.until - word.since) / 2


def is_over(word, now):
    """Whether an answer is of no use any more. Pure."""
    return word is None or word.until <= now


def parse(said):
    """The Word in what openssl says of an answer; None when that is not signed by who may, not "good", or without an end. Pure."""
    times = {kind: ssl.cert_time_to_seconds(text) for kind, text in _UPDATE.findall(said)}
    if "Response verify OK" not in said or not _GOOD.search(said) or len(times) != 2:
        return None
    return Word(*(datetime.fromtimestamp(times[kind], timezone.utc).replace(tzinfo=None) for kind in ("This", "Next")))


def read(about, answer):
    """The Word of an answer (bytes) about a Source, or None when it is of no worth for that."""
    with tempfile.TemporaryDirectory(prefix="hitless-") as folder:
        write_atomic(folder + "/answer", answer, 0o600)
        return _openssl(folder, about, ["-respin", folder + "/answer"])


def ask(about, now):
    """An answer (bytes) that is good now, or None when none is to be had."""
    with tempfile.TemporaryDirectory(prefix="hitless-") as folder:
        path = folder + "/answer"
        word = _openssl(folder, about, ["-url", about.url, "-respout", path])
        if is_over(word, now) or os.path.getsize(path) > _LONGEST:
            return None
        with open(path, "rb") as stream:
            return stream.read()


def _openssl(folder, about, words):
    leaf, issuer = folder + "/leaf.pem", folder + "/issuer.pem"
    write_atomic(leaf, about.leaf, 0o600)
    write_atomic(issuer, about.issuer, 0o600)
    # The issuer alone is trusted: it signs itself, or somebody in its name.
    trust = ["-partial_chain", "-no-CApath", "-no-CAstore", "-CAfile", issuer, "-verify_other", issuer]
    words = ["openssl", "ocsp", "-no_nonce", *trust, "-issuer", issuer, "-cert", leaf, *words]
    try:
        # Its own time limit has openssl try again and again where nobody listens.
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace", check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        return None
    return parse(done.stdout) if done.returncode == 0 else None
