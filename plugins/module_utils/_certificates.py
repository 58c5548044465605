# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates of a host: kept on disk in the form that the router loads, each with a JSON file that says what it is."""

from __future__ import annotations


def ensure_acme(router, app, names, options):
    """One certificate for ``names`` from an ACME server. Returns ``{"changed", "certificate"}``."""
    raise NotImplementedError


def install_own(router, app, names, certificate_pem, key_pem):
    """Put a certificate that somebody brings in place. Returns ``{"changed", "certificate"}``."""
    raise NotImplementedError


def remove(router, name):
    """Forget a certificate, by its name. Returns True when it was there."""
    raise NotImplementedError


def listing(app=None):
    """What is known of every certificate, or those of ``app``: a list of dict, by name."""
    raise NotImplementedError


def sync(router):
    """Make the running router equal to what is on disk. Returns True when something had to be done."""
    raise NotImplementedError


def expiry_warnings(certificates, now):
    """``[{"message", "hint"}]`` for those of ``certificates`` (of listing) that will end soon. Pure; ``now`` is a datetime in UTC."""
    raise NotImplementedError
