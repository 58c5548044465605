# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a configured host has: packages, folders, files. Values only; _host_setup makes them so."""

from __future__ import annotations

import hashlib
import json

from ansible_collections.hitless.paas.plugins.module_utils import _paths
from ansible_collections.hitless.paas.plugins.module_utils._haproxy_config import Layout, render_certs, render_challenges, render_domains, render_main

# package -> what is there when it is not needed.
PACKAGES = {
    "haproxy": "/usr/sbin/haproxy",
    "rsync": "/usr/bin/rsync",
    "nginx-light": "/usr/sbin/nginx",
    "openssl": "/usr/bin/openssl",
    "python3-venv": "/usr/lib/python3*/ensurepip",
}
DROP_IN = _paths.SYSTEMD_UNITS + "/haproxy.service.d/hitless.conf"
DEFAULT_CERTIFICATE = _paths.HAPROXY_CERTS + "/default.pem"
FOLDERS = {
    "/etc/hitless": 0o755,
    "/etc/hitless/apps": 0o700,
    "/srv": 0o755,
    "/var/lib/hitless": 0o755,
    "/var/log/hitless": 0o755,
    _paths.HAPROXY_DIR: 0o755,
    _paths.HAPROXY_APPS: 0o755,
    _paths.HAPROXY_DIR + "/maps": 0o755,
    _paths.HAPROXY_CERTS: 0o700,
    _paths.SYSTEMD_UNITS + "/haproxy.service.d": 0o755,
}


def drop_in(layout):
    """What is put over the distribution's haproxy.service: the files of the apps, and a master socket that only root may use."""
    files = "-f %s -f %s/" % (layout.config, layout.apps)
    return "\n".join(
        (
            "# Managed by hitless. Changes made here are lost.",
            "[Service]",
            "ExecStartPre=",
            "ExecStartPre=/usr/sbin/haproxy %s -c -q" % files,
            "ExecStart=",
            "ExecStart=/usr/sbin/haproxy -Ws %s -p /run/haproxy.pid -S %s,mode,600" % (files, layout.master_socket),
            "ExecReload=",
            "ExecReload=/usr/sbin/haproxy %s -c -q" % files,
            "ExecReload=/bin/kill -USR2 $MAINPID",
            "",
        )
    )


def kept_texts(layout=None):
    """path -> text of the files that are made equal to this each time."""
    layout = layout or Layout()
    return {layout.config: render_main(layout), DROP_IN: drop_in(layout)}


def first_texts(layout=None):
    """path -> text of the files that are only made where there are none: deployments change them."""
    layout = layout or Layout()
    return {
        layout.domains_map: render_domains({}),
        layout.challenges_map: render_challenges({}),
        layout.certs_list: render_certs([(DEFAULT_CERTIFICATE, ())]),
    }


def config_digest():
    """Names what a host is configured to; another one means that it has to be configured again."""
    folders = {path: "%o" % mode for path, mode in FOLDERS.items()}
    text = json.dumps([sorted(PACKAGES), folders, kept_texts(), sorted(first_texts())], sort_keys=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def router_action(started, drop_in_written, is_settled):
    """What HAProxy needs: ``restart``, ``reload`` or None.

    A restart closes connections: it is for a process that does not run, or that was started with other words.

    Args:
        started: when HAProxy was started (seconds since the epoch), or None.
        drop_in_written: when its drop-in was written. Not whether this run wrote it: an earlier one may have been cut after that.
        is_settled: whether no file was changed, by this run or by one that was cut.
    """
    if started is None or drop_in_written > started:
        return "restart"
    return None if is_settled else "reload"
