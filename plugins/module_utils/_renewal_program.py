# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on a host without Ansible: ``renew`` for the timer, ``answer`` and ``forget`` as certbot's hooks."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timezone

from ansible_collections.hitless.paas.plugins.module_utils import _certificates
from ansible_collections.hitless.paas.plugins.module_utils._certbot import ORDER
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import read_json
from ansible_collections.hitless.paas.plugins.module_utils._router import router

_ROUTER = "haproxy"


def renew():
    """Renew what is due, and say what came of it. 1 when one of them failed."""
    failed = 0
    for name, error in _certificates.renew(router(_ROUTER), datetime.now(timezone.utc).replace(tzinfo=None)):
        failed += bool(error)
        sys.stdout.write("%s: %s\n" % (name, error or "renewed"))
    return int(bool(failed))


def _hook(is_answer):
    """Show the authority what it asks to see, or take it away: in the router, or by a hook of the user's in the DNS."""
    order = read_json(os.environ[ORDER])
    if order["challenge"] == "dns-01":
        hook = order["dns_auth_hook" if is_answer else "dns_cleanup_hook"]
        return subprocess.run(["/bin/sh", "-c", hook], stdin=subprocess.DEVNULL, check=False).returncode if hook else 0
    token = os.environ["CERTBOT_TOKEN"]
    if is_answer:
        router(_ROUTER).set_challenge(token, os.environ["CERTBOT_VALIDATION"])
    else:
        router(_ROUTER).remove_challenge(token)
    return 0


def answer():
    """certbot's hook before a question."""
    return _hook(True)


def forget():
    """certbot's hook after it."""
    return _hook(False)


_VERBS = {"renew": renew, "answer": answer, "forget": forget}


def main():
    """Do what the first word says."""
    if len(sys.argv) != 2 or sys.argv[1] not in _VERBS:
        raise SystemExit("usage: python3 %s renew" % sys.argv[0])
    try:
        status = _VERBS[sys.argv[1]]()
    except HitlessError as error:
        raise SystemExit(error.message) from error
    raise SystemExit(status)
