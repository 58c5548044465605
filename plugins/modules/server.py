#!/usr/bin/python
# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: server
short_description: Make or remove the server of a target
version_added: 0.1.0
description:
  - Makes a server in a container of the local Docker engine, with systemd and SSH, that an app can be deployed to as to any other server.
  - Runs on the controller. What is needed to log in is kept in C(<state_home>/hitless/<app>/<target>/) and is made again when it is lost.
  - Port 80 of the server is the first free one of the controller's loopback address from 8080 on, 443 from 8443 on, 22 from 2200 on.
    They stay the same as long as the server lives.
author:
  - The hitless maintainers (@hitless)
options:
  app:
    description: Name of the app.
    type: str
    required: true
  target:
    description: Name of the target.
    type: str
    required: true
  state:
    description:
      - With V(present) the server exists, runs and can be logged in to.
      - With V(absent) the server, all that is on it, and the key for it are gone.
    type: str
    choices: [present, absent]
    default: present
  provider:
    description: Where the server is.
    type: str
    choices: [docker]
    default: docker
  image:
    description:
      - The image that the server's own image is made from, with Debian 12 or newer, or Ubuntu 22.04 or newer.
      - By default it is C(debian:12) where a registry answers, and otherwise made from Debian's packages.
    type: str
  state_home:
    description: The folder that stands in for E(XDG_STATE_HOME), which stands in for C(~/.local/state).
    type: path
  timeout:
    description: How long the server may take to start, in seconds.
    type: int
    default: 120
requirements:
  - docker (the command)
  - mmdebstrap, to make the image the first time, where no registry answers
  - ssh-keygen
attributes:
  check_mode:
    description: Says what would change.
    support: full
  diff_mode:
    description: Shows what C(target.json) says before and after.
    support: full
"""

EXAMPLES = r"""
- name: Make the server
  hitless.paas.server:
    app: shop
    target: dev
  delegate_to: localhost
  vars:
    ansible_connection: local
"""

RETURN = r"""
server:
  description: Where the server is and how to log in; empty when there is none.
  returned: success
  type: dict
  contains:
    v: {description: Version of this form., type: int, sample: 1}
    provider: {description: Where the server is., type: str, sample: docker}
    container: {description: Name of the container., type: str, sample: hitless-shop-dev}
    id: {description: Id of the container., type: str, sample: 3f4ac1}
    host: {description: Address., type: str, sample: 127.0.0.1}
    port: {description: Port of SSH., type: int, sample: 2200}
    user: {description: Who to log in as., type: str, sample: root}
    http_port: {description: What the server's port 80 is reached at., type: int, sample: 8080}
    https_port: {description: What the server's port 443 is reached at., type: int, sample: 8443}
"""

import os
import shutil
import subprocess

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hitless.paas.plugins.module_utils import _server
from ansible_collections.hitless.paas.plugins.module_utils._docker_server import DockerServer, check_engine, wait_for_ssh
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import read_json, write_atomic, write_json
from ansible_collections.hitless.paas.plugins.module_utils._names import check_name

ARGUMENTS = {
    "app": {"type": "str", "required": True},
    "target": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "provider": {"type": "str", "choices": ["docker"], "default": "docker"},
    "image": {"type": "str"},
    "state_home": {"type": "path"},
    "timeout": {"type": "int", "default": 120},
}


class Server:
    """The server of one target and what the controller keeps of it."""

    def __init__(self, params, check_mode):
        app, target = check_name("app", params["app"]), check_name("target", params["target"])
        self.container = DockerServer(app, target, params["image"])
        self.folder = _server.target_folder(app, target, params["state_home"])
        self.key = os.path.join(self.folder, "id_ed25519")
        self.file = os.path.join(self.folder, "target.json")
        self.timeout = params["timeout"]
        self.check_mode = check_mode
        self.known = self._known()

    def _known(self):
        try:
            value = read_json(self.file, {})
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def present(self):
        """Make what is missing; returns whether anything was, and what ``target.json`` says."""
        before = self.container.inspect()
        running = bool(before) and before["State"]["Running"]
        complete = running and self._is_complete(_server.server_of(before))
        if self.check_mode:
            return not complete, self.known
        if complete:
            # The machine, or the engine, may have started a moment ago.
            wait_for_ssh(self.known["port"], self.timeout)
            return False, self.known
        server = _server.server_of(self.container.ensure(self._wanted_ports()))
        self.container.wait(self.timeout)
        self._remember(server)
        wait_for_ssh(server["port"], self.timeout)
        return True, server

    def _wanted_ports(self):
        kept = {_server.SSH: "port", _server.HTTP: "http_port", _server.HTTPS: "https_port"}
        return {inside: self.known.get(name) for inside, name in kept.items()}

    def _is_complete(self, server):
        needed = (self.key, self.key + ".pub", os.path.join(self.folder, "known_hosts"))
        return self.known == server and all(os.path.isfile(path) for path in needed)

    def _remember(self, server):
        """Write what is needed to log in; ``target.json`` last, since it says that the rest is there."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        self.container.authorize(self._public_key())
        write_atomic(os.path.join(self.folder, "known_hosts"), _server.known_hosts(server, self.container.host_key()), 0o600)
        write_json(self.file, server, 0o600)

    def _public_key(self):
        if not (os.path.exists(self.key) and os.path.exists(self.key + ".pub")):
            for path in (self.key, self.key + ".pub"):
                if os.path.exists(path):
                    os.unlink(path)
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.container.name, "-f", self.key]
            done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False)
            if done.returncode:
                raise HitlessError("key_failed", "No SSH key could be made in %s: %s" % (self.folder, done.stdout.strip()))
        with open(self.key + ".pub", encoding="utf-8") as stream:
            return stream.read()

    def absent(self):
        """Remove the server and what is kept of it; returns whether there was anything."""
        found = self.container.inspect()
        changed = bool(found) or os.path.lexists(self.folder)
        if not self.check_mode:
            if found:
                self.container.remove()
            if os.path.isdir(self.folder):
                shutil.rmtree(self.folder)
                self._remove_empty_parent()
        return changed, {}

    def _remove_empty_parent(self):
        parent = os.path.dirname(self.folder)
        if not os.listdir(parent):
            os.rmdir(parent)


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        check_engine()
        server = Server(module.params, module.check_mode)
        changed, now = server.present() if module.params["state"] == "present" else server.absent()
    except HitlessError as error:
        module.fail_json(**error.as_result())
    except OSError as error:
        module.fail_json(
            **HitlessError("state_unwritable", "What is kept of the server cannot be written: %s" % error, "check the owner of that folder").as_result()
        )
    module.exit_json(changed=changed, server=now, diff={"before": server.known, "after": now})


if __name__ == "__main__":
    main()
