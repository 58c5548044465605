# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate authority for tests: a root, an intermediate, and whatever certificates a test needs, good or bad."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

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
    return builder.sign(issuer_key, options.get("algorithm", hashes.SHA256()))


class Authority:
    """``root`` and ``intermediate`` are PEM texts."""

    def __init__(self, name: str = "Test") -> None:
        self.name = name + " Intermediate"
        root_key, self.key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self.root = pem(_signed(name + " Root", root_key, name + " Root", root_key, is_ca=True))
        self.intermediate = pem(_signed(self.name, self.key, name + " Root", root_key, is_ca=True))

    def leaf(self, *names: str, key: Any = None, **options: Any) -> tuple[str, str]:
        """``(certificate, key)``. ``begin``, ``end``, ``algorithm``, ``usage`` and ``must_staple`` as the test needs them."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        options.setdefault("usage", ExtendedKeyUsageOID.SERVER_AUTH)
        return pem(_signed(names[0], key, self.name, self.key, names, **options)), key_pem(key)

    def chain(self, *names: str, **options: Any) -> tuple[str, str]:
        """``(leaf and all above it, key)``."""
        certificate, key = self.leaf(*names, **options)
        return certificate + self.intermediate + self.root, key


def serial_of(certificate: str) -> str:
    """The serial number of the first certificate, as openssl writes it."""
    number = x509.load_pem_x509_certificate(certificate.encode()).serial_number
    return number.to_bytes((number.bit_length() + 7) // 8, "big").hex().upper()
