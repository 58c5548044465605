# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports for new replicas. Several apps may deploy at once, so ports are chosen and written down under one lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import socket

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._paths import FIRST_PORT, LAST_PORT

_LOCK = "/var/lib/hitless/ports.lock"
_COUNT = LAST_PORT - FIRST_PORT + 1


@contextlib.contextmanager
def ports_lock(path=_LOCK):
    """Held from choosing ports until the units that say so are on disk."""
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def is_free(port):
    """True when nothing listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_ports(count, taken, start=None, free=is_free):
    """``count`` different ports that are neither in ``taken`` nor in use, searched from the ``start``-th on (random by default).

    A random start keeps a late request to a port of the last deployment from reaching the next one.
    """
    start = random.randrange(_COUNT) if start is None else start
    found = []
    for step in range(_COUNT):
        if len(found) == count:
            break
        port = FIRST_PORT + (start + step) % _COUNT
        if port not in taken and free(port):
            found.append(port)
    if len(found) < count:
        message = "no port from %d to %d is left for a replica; nothing was started" % (FIRST_PORT, LAST_PORT)
        raise HitlessError("ports_taken", message, "stop an app on this host")
    return found
