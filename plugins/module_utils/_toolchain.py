# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Languages in versions that a host's distribution does not have: mise installs them, once a host, where mise is."""

from __future__ import annotations

import os
import re
import shlex

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError

FOLDER = "/opt/hitless/toolchains"
_DATA = "/opt/hitless/mise"
_COMPLETE = ".complete"
_MISE = ("/usr/local/bin/mise", "/usr/bin/mise", "/opt/hitless/bin/mise")
_FORM = {"name": re.compile(r"[a-z]+\Z"), "version": re.compile(r"[0-9][0-9A-Za-z.+-]*\Z"), "folder": re.compile(r"[a-z0-9][0-9A-Za-z.+-]*\Z")}


def distribution(os_release):
    """``debian-12`` and the like, of the text of /etc/os-release."""
    facts = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    return "%s-%s" % tuple(facts.get(name, "").strip("\"'") for name in ("ID", "VERSION_ID"))


def needed(tool, name, mise):
    """What mise has to install, or None.

    Args:
        tool: ``build.tool`` of the resolved app, or None.
        name: the host's distribution.
        mise: path of the program, or None when the host has none: then the distribution's version has to do.
    """
    if not tool or not mise or name in tool["satisfied_by"]:
        return None
    for key, form in _FORM.items():
        if not form.match(tool[key]):
            raise HitlessError("config_invalid", "%r cannot be a toolchain's %s; nothing was built." % (tool[key], key), "Look at the plan: hitless plan")
    return {"mise": mise, "spec": "%s@%s" % (tool["name"], tool["version"]), "folder": os.path.join(FOLDER, tool["folder"])}


def of_host(build):
    """What mise has to install on this host for a build (``app["build"]``), or None."""
    mise = next((path for path in _MISE if os.access(path, os.X_OK)), None)
    with open("/etc/os-release", encoding="utf-8") as stream:
        return needed(build.get("tool"), distribution(stream.read()), mise)


def is_installed(toolchain):
    """Whether what ``needed`` says is there, whole."""
    return os.path.exists(os.path.join(toolchain["folder"], _COMPLETE))


def install_command(toolchain):
    """The shell command that installs it, for root; of two that run at once the second finds it done. It reads nothing of the app."""
    folder = shlex.quote(toolchain["folder"])
    return " && ".join([
        "umask 022", "mkdir -p %s" % FOLDER, "exec 9>%s/lock" % FOLDER, "flock 9",
        "{ [ -e %s/%s ] || { rm -rf %s && cd / && %s install-into --yes %s %s && chown -R root:root %s && chmod -R a+rX,go-w %s && touch %s/%s; }; }"
        % (folder, _COMPLETE, folder, shlex.quote(toolchain["mise"]), shlex.quote(toolchain["spec"]), folder, folder, folder, folder, _COMPLETE),
    ])  # fmt: skip


def install_env():
    """The variables of that command."""
    return {"MISE_DATA_DIR": _DATA, "MISE_CACHE_DIR": _DATA + "/cache", "MISE_STATE_DIR": _DATA + "/state", "MISE_YES": "1"}
