# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate authority for tests: a root, an intermediate, and whatever certificates a test needs, good or bad."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: Any, password: bytes | None = None) -> str:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _signed(subject: str, key: Any, issuer: str, issuer_key: Any, names: tuple[str, ...] = (), **options: Any) -> x509.Certificate:
    begin, end = options.get("begin", now() - DAY), options.get("end", now() + 90 * DAY)
    builder = x509.CertificateBuilder(common_name(issuer), common_name(subject), key.public_key(), x509.random_serial_number(), begin, end)
    builder = builder.add_extension(x509.BasicConstraints(options.get("is_ca", False), None), True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    if options.get("usage"):
        builder = builder.add_extension(x509.ExtendedKeyUsage([options["usage"]]), False)
    if options.get("must_staple"):
        builder = builder.add_extension(x509.TLSFeature([x509.TLSFeatureType.status_request]), False)
    if options.get("responder"):
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(options["responder"]))
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), False)
    return builder.sign(issuer_key, options.get("algorithm", hashes.SHA256()))


class Authority:
    """``root`` and ``intermediate`` are PEM texts."""

    def __init__(self, name: str = "Test") -> None:
        self.name = name + " Intermediate"
        root_key, self.key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self.root = pem(_signed(name + " Root", root_key, name + " Root", root_key, is_ca=True))
        self.intermediate = pem(_signed(self.name, self.key, name + " Root", root_key, is_ca=True))

    def leaf(self, *names: str, key: Any = None, **options: Any) -> tuple[str, str]:
        """``(certificate, key)``. ``begin``, ``end``, ``algorithm``, ``usage``, ``must_staple`` and ``responder`` (URL) as the test needs them."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        options.setdefault("usage", ExtendedKeyUsageOID.SERVER_AUTH)
        return pem(_signed(names[0], key, self.name, self.key, names, **options)), key_pem(key)

    def chain(self, *names: str, **options: Any) -> tuple[str, str]:
        """``(leaf and all above it, key)``."""
        certificate, key = self.leaf(*names, **options)
        return certificate + self.intermediate + self.root, key


class Responder:
    """openssl as the OCSP responder of an authority: every certificate that it is told of is good, for an hour each time."""

    def __init__(self, authority: Authority, folder: Path, port: int) -> None:
        self.url = "http://127.0.0.1:%d" % port
        self._folder, self._port, self._process = folder, port, None
        self._authority = authority

    def start(self, *certificates: str, signer: Authority | None = None) -> None:
        """Answer for ``certificates``, by somebody who signs in the name of the authority, or of ``signer``."""
        certificate, key = (signer or self._authority).leaf("ocsp.example.com", usage=ExtendedKeyUsageOID.OCSP_SIGNING)
        lines = ["V\t%s\t\t%s\tunknown\t/CN=x\n" % ((now() + DAY).strftime("%y%m%d%H%M%SZ"), serial_of(text)) for text in certificates]
        for name, text in (("index", "".join(lines)), ("ca.pem", self._authority.intermediate), ("signer.pem", certificate), ("signer.key", key)):
            (self._folder / name).write_text(text)
        who = ["-index", "index", "-CA", "ca.pem", "-rsigner", "signer.pem", "-rkey", "signer.key"]
        words = ["openssl", "ocsp", "-port", str(self._port), *who, "-nmin", "60"]
        self._process = subprocess.Popen(words, cwd=self._folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = self._process.stdout.readline()
        while "ACCEPT" not in line and "waiting" not in line:
            assert line, "the responder does not start"
            line = self._process.stdout.readline()

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.communicate()
            self._process = None


def serial_of(certificate: str) -> str:
    """The serial number of the first certificate, as openssl writes it."""
    number = x509.load_pem_x509_certificate(certificate.encode()).serial_number
    return number.to_bytes((number.bit_length() + 7) // 8, "big").hex().upper()
