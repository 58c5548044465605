# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a host as _host_config says. Each step looks at what is there, so a run that was cut is finished by the next."""

from __future__ import annotations

import glob
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from ansible_collections.hitless.paas.plugins.module_utils import _host_config, _paths
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import fsync_dir, write_atomic
from ansible_collections.hitless.paas.plugins.module_utils._haproxy_config import HEALTH_PATH, MARKER
from ansible_collections.hitless.paas.plugins.module_utils._host_checks import OLDEST_HAPROXY, haproxy, haproxy_refusal

_APT = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
_READY_SECONDS = 15
_SAVED = _paths.HAPROXY_CONFIG + ".before-hitless"


def is_router_ours():
    """Whether the HAProxy of this host is the one that hitless set up."""
    return (_text(_paths.HAPROXY_CONFIG) or "").startswith(MARKER)


def is_router_running():
    """Whether HAProxy's service runs."""
    return subprocess.run(["systemctl", "is-active", "--quiet", "haproxy.service"], check=False).returncode == 0


def missing_packages():
    """The Debian packages that have to be installed."""
    return [package for package, path in _host_config.PACKAGES.items() if not glob.glob(path)]


def wrong_folders():
    """The folders that are not there, or that others than root may change."""
    return [path for path, mode in _host_config.FOLDERS.items() if not _is_folder(path, mode)]


def wrong_texts():
    """path -> text of the files that are not as they have to be."""
    wrong = {path: text for path, text in _host_config.kept_texts().items() if _text(path) != text}
    wrong.update({path: text for path, text in _host_config.first_texts().items() if not os.path.exists(path)})
    return wrong


def differences():
    """What has to change, as a list of Ansible's diffs; [] when nothing has to."""
    listed = ["install %s" % package for package in missing_packages()] + ["make %s" % path for path in wrong_folders()]
    if not os.path.exists(_host_config.DEFAULT_CERTIFICATE):
        listed.append("make %s" % _host_config.DEFAULT_CERTIFICATE)
    found = [{"prepared": "".join(line + "\n" for line in listed)}] if listed else []
    texts = sorted(wrong_texts().items())
    return found + [{"before_header": path, "after_header": path, "before": _text(path) or "", "after": text} for path, text in texts]


def configure(was_finished):
    """Make this host as it has to be. HitlessError when it cannot be.

    Args:
        was_finished: whether an earlier run came to the end of this.
    """
    _install(missing_packages())
    _check_haproxy(_output(["haproxy", "-v"]))
    for path in wrong_folders():
        os.makedirs(path, exist_ok=True)
        os.chmod(path, _host_config.FOLDERS[path])
    _make_certificate()
    texts = wrong_texts()
    for path, text in sorted(texts.items()):
        if path != _paths.HAPROXY_CONFIG:
            write_atomic(path, text)
    if _paths.HAPROXY_CONFIG in texts:
        _replace_config(texts[_paths.HAPROXY_CONFIG])
    _start_router(was_finished and not texts)


def _text(path):
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def _is_folder(path, mode):
    try:
        # A link will do: what is above these folders is root's alone.
        found = os.stat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0:
        raise HitlessError("path_taken", "%s is no folder of root's; it was left as it is." % path, "ls -ld %s" % path)
    return stat.S_IMODE(found.st_mode) & ~mode == 0


def _call(words, code, message, hint=None):
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive", NEEDRESTART_MODE="l", LC_ALL="C.UTF-8")
    done = subprocess.run(
        words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode:
        raise HitlessError(code, "%s: %s ended with %d." % (message, words[0], done.returncode), hint, {"log_tail": done.stdout.splitlines()[-20:]})
    return done.stdout


def _output(words):
    return _call(words, "router_failed", "HAProxy cannot be run")


def _install(packages):
    if not packages:
        return
    said = "The packages %s could not be installed; the host was not configured" % " ".join(packages)
    for words in (["dpkg", "--configure", "-a"], [*_APT, "update"]):
        _call(words, "packages_failed", said, "see log_tail, then: hitless configure")
    # A host whose package lists were empty or old could not be asked before.
    error = haproxy_refusal(haproxy())
    if error:
        raise error
    if "nginx-light" in packages:
        # Static sites get nginx processes of their own; the distribution's service would take port 80.
        _call(["systemctl", "mask", "nginx.service"], "packages_failed", "The service nginx cannot be masked; nothing was installed")
    _call([*_APT, "install", "--yes", "--no-install-recommends", *packages], "packages_failed", said, "see log_tail, then: hitless configure")


def _check_haproxy(said):
    found = re.search(r"version (\d+)\.(\d+)", said)
    if not found or tuple(map(int, found.groups())) < OLDEST_HAPROXY:
        message = "The HAProxy of this host is older than 2.6 and cannot change endpoints without a reload; the router was not set up."
        raise HitlessError("host_unsupported", message, "use a server with Debian 12 or Ubuntu 24.04, or install a newer HAProxy there")


def _make_certificate():
    """A certificate for names that have none: TLS needs one to say anything at all."""
    if os.path.exists(_host_config.DEFAULT_CERTIFICATE):
        return
    with tempfile.TemporaryDirectory(prefix="hitless-") as folder:
        key, certificate = os.path.join(folder, "key"), os.path.join(folder, "certificate")
        words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"]
        words += ["-subj", "/CN=hitless.invalid", "-keyout", key, "-out", certificate]
        _call(words, "certificate_failed", "The default certificate could not be made; the router was not set up")
        write_atomic(_host_config.DEFAULT_CERTIFICATE, _text(certificate) + _text(key), 0o600)


def _replace_config(text):
    if os.path.exists(_paths.HAPROXY_CONFIG) and not is_router_ours() and not os.path.exists(_SAVED):
        shutil.copy2(_paths.HAPROXY_CONFIG, _SAVED)
    candidate = _paths.HAPROXY_CONFIG + ".hitless-new"
    write_atomic(candidate, text)
    words = ["haproxy", "-c", "-q", "-f", candidate, "-f", _paths.HAPROXY_APPS + "/"]
    _call(words, "router_config", "HAProxy refuses the configuration; the one that runs was left as it is", "see log_tail")
    os.rename(candidate, _paths.HAPROXY_CONFIG)
    fsync_dir(os.path.dirname(_paths.HAPROXY_CONFIG))


def _start_router(is_settled):
    hint = "journalctl -u haproxy -n 50"
    _call(["systemctl", "daemon-reload"], "router_failed", "systemd does not read its units")
    _call(["systemctl", "enable", "--quiet", "haproxy.service"], "router_failed", "The service haproxy cannot be enabled", hint)
    action = _host_config.router_action(_router_started(), os.stat(_host_config.DROP_IN).st_mtime, is_settled)
    if action:
        _call(["systemctl", action, "haproxy.service"], "router_failed", "HAProxy does not start", hint)
    _wait_for_router()


def _router_started():
    """When HAProxy was started, in seconds since the epoch; None when it does not run."""
    if not is_router_running():
        return None
    said = _call(["systemctl", "show", "--value", "-p", "ActiveEnterTimestampMonotonic", "haproxy.service"], "router_failed", "systemd does not know HAProxy")
    return time.time() - (time.monotonic() - int(said) / 1e6)


def _wait_for_router():
    until = time.monotonic() + _READY_SECONDS
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open("http://127.0.0.1%s" % HEALTH_PATH, timeout=2):
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > until:
                message = "HAProxy was started but does not answer on port 80 after %d s: %s." % (_READY_SECONDS, error)
                raise HitlessError("router_failed", message, "journalctl -u haproxy -n 50") from error
        time.sleep(0.05)
