# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PEM texts: what is in them, without what is around it. Pure."""

from __future__ import annotations

import re

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s+(.*?)-----END \1-----", re.DOTALL)
_BODY = re.compile(r"[A-Za-z0-9+/=\s]+\Z")


def blocks(text):
    """``[(label, block)]`` of a PEM text, each block with its first and last line. What is around blocks, and blocks that hold no base64, are left out."""
    found = []
    for match in _BLOCK.finditer(text):
        label, body = match.group(1), match.group(2)
        # An old kind of encrypted key has headers, and is kept as it is for openssl to say so.
        if _BODY.match(body) or "ENCRYPTED" in body:
            lines = [line.strip() for line in body.splitlines() if line.strip()]
            found.append((label, "\n".join(["-----BEGIN %s-----" % label, *lines, "-----END %s-----" % label]) + "\n"))
    return found


def certificates(text):
    """The certificates of a PEM text, in order."""
    return [block for label, block in blocks(text) if label in ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")]


def keys(text):
    """The private keys of a PEM text, in order."""
    return [block for label, block in blocks(text) if label.endswith("PRIVATE KEY")]


def compact(text):
    """The blocks of a PEM text alone: there is no empty line, which would end it too early on a router's socket."""
    return "".join(block for _label, block in blocks(text))


def first_certificate(text):
    """The first certificate of a PEM text; ValueError when there is none."""
    found = certificates(text)
    if not found:
        raise ValueError("there is no certificate in it")
    return found[0]


def bundle(key, chain):
    """What a router loads: the key, then the certificates, leaf first."""
    return "".join([*keys(key), *certificates(chain)])
