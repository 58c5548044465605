# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When certificates are renewed, and what does it on a host: a timer, and a program made of these very modules, which needs no Ansible."""

from __future__ import annotations

import ast
import importlib
import io
import os
import subprocess
import zipfile
from datetime import timedelta

from ansible_collections.hitless.paas.plugins.module_utils import _paths
from ansible_collections.hitless.paas.plugins.module_utils._certbot import PROGRAM
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import write_atomic
from ansible_collections.hitless.paas.plugins.module_utils._x509 import parse_time, time_text

_PACKAGE = "ansible_collections.hitless.paas.plugins.module_utils."
_TIMER = "hitless-renew.timer"
_WARN_DAYS = 14
_SOONEST, _LATEST = timedelta(minutes=5), timedelta(hours=12)

UNITS = {
    "hitless-renew.service": """# Managed by hitless. Changes made here are lost.
[Unit]
Description=Renew the certificates of hitless
Wants=network-online.target
After=network-online.target haproxy.service
# Whoever mends something starts it again and again.
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -I %s renew
UMask=0077
Nice=10
"""
    % PROGRAM,
    "hitless-renew.timer": """# Managed by hitless. Changes made here are lost.
[Unit]
Description=Look for certificates of hitless that have to be renewed

[Timer]
OnCalendar=hourly
RandomizedDelaySec=20min
Persistent=true

[Install]
WantedBy=timers.target
""",
}


def is_due(certificate, now):
    """Whether a certificate is to be renewed: less than a third of its life is left, and the last try, if it failed, is long enough ago. Pure.

    Args:
        certificate: one of ``_certificates.listing``.
        now: datetime in UTC, without zone.
    """
    begin, end = parse_time(certificate["not_before"]), parse_time(certificate["not_after"])
    if end - now > (end - begin) / 3:
        return False
    renewal = certificate["renewal"]
    if not renewal["last_error"]:
        return True
    # Authorities count failures: of a certificate of 90 days, two tries a day.
    pause = min(max((end - begin) / 30, _SOONEST), _LATEST)
    tried = parse_time(renewal["last_attempt"])
    return not tried <= now < tried + pause


def expiry_warnings(certificates, now):
    """See _certificates."""
    found, text = [], time_text(now)
    soon = time_text(now + timedelta(days=_WARN_DAYS))
    for certificate in certificates:
        end, error = certificate["not_after"], certificate["renewal"]["last_error"]
        if end > soon or (certificate["source"] == "acme" and not error):
            continue
        said = "The certificate of %s %s on %s" % (", ".join(certificate["names"]), "ended" if end <= text else "ends", end)
        if error:
            found.append({"message": "%s, and its renewal failed on %s: %s" % (said, certificate["renewal"]["last_attempt"], error), "hint": _renew_hint()})
        else:
            found.append({"message": said + "; it is your own, so nobody renews it.", "hint": "put a new one in its place"})
    return found


def _renew_hint():
    return "mend what it says, then on the host: systemctl start hitless-renew; journalctl -u hitless-renew"


def _source(name):
    """The text of one of our modules, from wherever it is run: a folder, Ansible's archive, the library of a host, or the program itself."""
    module = importlib.import_module(_PACKAGE + name)
    return module.__loader__.get_source(module.__name__)


def _needed(text):
    """The names of our modules that a module's text imports."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            whole = node.module + "."
            if whole == _PACKAGE:
                found += [alias.name for alias in node.names]
            elif whole.startswith(_PACKAGE):
                found.append(node.module[len(_PACKAGE) :])
    return found


def program():
    """The program as the bytes of a zip file that Python runs: ``_renewal_program`` and all that it imports. The same modules make the same bytes."""
    # It imports this module, and Ansible sends what is imported by name.
    from ansible_collections.hitless.paas.plugins.module_utils import _renewal_program

    texts, wanted = {}, [_renewal_program.__name__[len(_PACKAGE) :]]
    while wanted:
        name = wanted.pop()
        if name not in texts:
            texts[name] = _source(name)
            wanted += _needed(texts[name])
    files = {_PACKAGE.replace(".", "/") + name + ".py": text for name, text in texts.items()}
    folders = _PACKAGE.split(".")[:-1]
    files.update({"/".join([*folders[: depth + 1], "__init__.py"]): "" for depth in range(len(folders))})
    files["__main__.py"] = "from %s_renewal_program import main\n\nmain()\n" % _PACKAGE
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(files):
            # Without the time of today, so that it is the same each time.
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), files[path], zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def install(program_path=PROGRAM, units=_paths.SYSTEMD_UNITS):
    """Make sure that the program is there and that the timer runs. Returns True when something was different."""
    files = {program_path: program(), **{"%s/%s" % (units, name): text.encode("ascii") for name, text in UNITS.items()}}
    wrong = {path: content for path, content in files.items() if _read(path) != content}
    for path, content in wrong.items():
        write_atomic(path, content, 0o600 if path == program_path else 0o644)
    if not wrong and subprocess.run(["systemctl", "is-active", "--quiet", _TIMER], check=False).returncode == 0:
        return False
    for words in (["daemon-reload"], ["enable", "--now", "--quiet", _TIMER]):
        done = subprocess.run(["systemctl", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace", check=False)
        if done.returncode:
            raise HitlessError("renewal_failed", "The timer that renews certificates does not start: %s." % done.stdout.strip(), "systemctl status " + _TIMER)
    return True


def uninstall(program_path=PROGRAM, units=_paths.SYSTEMD_UNITS):
    """Remove the timer and the program."""
    paths = [program_path] + ["%s/%s" % (units, name) for name in UNITS]
    if not any(os.path.exists(path) for path in paths):
        return
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["systemctl", "disable", "--now", "--quiet", _TIMER], check=False, **quiet)
    for path in paths:
        if os.path.exists(path):
            os.unlink(path)
    subprocess.run(["systemctl", "daemon-reload"], check=False, **quiet)


def _read(path):
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
