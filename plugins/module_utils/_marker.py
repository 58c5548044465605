# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The markers of a host: that it was created or configured, when, and to what."""

from __future__ import annotations

import os
from datetime import datetime, timezone

from ansible_collections.hitless.paas.plugins.module_utils._files import read_json, write_json


def marked(path):
    """The digest in a marker, or None."""
    try:
        marker = read_json(path, {})
    except ValueError:
        return None
    return marker.get("digest") if isinstance(marker, dict) else None


def mark(path, digest):
    """Write a marker."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    write_json(path, {"v": 1, "time": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), "digest": digest})
