# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where everything lies on a host. The one place that knows a path."""

from __future__ import annotations

import os.path

HAPROXY_CONFIG = "/etc/haproxy/haproxy.cfg"
HAPROXY_DIR = "/etc/haproxy/hitless"
HAPROXY_APPS = HAPROXY_DIR + "/apps"
HAPROXY_CERTS = HAPROXY_DIR + "/certs"
HAPROXY_ADMIN_SOCKET = "/run/haproxy/admin.sock"
HAPROXY_MASTER_SOCKET = "/run/haproxy/master.sock"
SYSTEMD_UNITS = "/etc/systemd/system"
MARKER_CREATED = "/etc/hitless/created"
MARKER_CONFIGURED = "/etc/hitless/configured"
APP_MOUNT = "/app"
# No app can have this name.
LIBRARY = "/var/lib/hitless/.library"
# certbot's folder, and what renews certificates.
ACME = "/var/lib/hitless/.acme"
ACME_LOGS = "/var/log/hitless/.acme"
FIRST_PORT = 20000
LAST_PORT = 29999


def app_user(app):
    """The system user that an app's builds and replicas run as."""
    return "hitless-" + app


class AppPaths:
    """The folders and files of one app.

    Args:
        app: the app's name, already checked.
        root: prefix put before every path; only tests set it.
    """

    def __init__(self, app, root=""):
        self.app = app
        self.etc = root + "/etc/hitless/apps/" + app
        self.srv = root + "/srv/" + app
        self.releases = self.srv + "/releases"
        self.current = self.srv + "/current"
        self.artifacts = self.srv + "/artifacts"
        self.cache = self.srv + "/cache"
        self.shared = self.srv + "/shared"
        self.state = root + "/var/lib/hitless/" + app
        self.lock = self.state + "/lock"
        self.domains = self.state + "/domains.json"
        self.step_lock = self.state + "/step.lock"
        self.deployments = self.state + "/deployments"
        self.staged = self.state + "/staged"
        self.logs = root + "/var/log/hitless/" + app
        self.router_config = root + HAPROXY_APPS + "/" + app + ".cfg"

    def release(self, release):
        """The folder of one release."""
        return os.path.join(self.releases, release)

    def artifact(self, digest):
        """The frozen tree of one artifact."""
        return os.path.join(self.artifacts, digest)

    def building(self, deployment):
        """The work folder of a build; a leftover of a dead run."""
        return os.path.join(self.artifacts, ".building-" + deployment)

    def record(self, deployment):
        """The record of one deployment."""
        return os.path.join(self.deployments, deployment + ".json")

    def log(self, deployment, name):
        """The log ``name`` (``build``, ``pre_deploy``, ...) of one deployment."""
        return os.path.join(self.logs, deployment, name + ".log")
