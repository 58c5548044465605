#!/usr/bin/python
# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: domain
short_description: Lead host names to an app
version_added: 0.1.0
description:
  - Adds, changes and removes the host names of an app while it serves. Nothing is reloaded, and no request is lost.
  - A name belongs to one app of a host. It is an error when another app has it, and nothing is changed then.
  - Names are kept in one form, in lower case and in ASCII. What is no host name is refused.
author:
  - The hitless maintainers (@hitless)
options:
  app:
    description: Name of the app.
    type: str
    required: true
  state:
    description:
      - With V(present) the names lead where the options say. They stay until they are removed by V(absent).
      - With V(absent) the names, or only O(path) of them, lead nowhere. They are free for other apps then.
      - With V(synced) the names are those in O(config), and those that were added by V(present) before. What the router has lost is put back.
    type: str
    choices: [present, absent, synced]
    default: present
  name:
    description:
      - The host names. C(*.example.com) stands for every name with one label more.
      - Needed unless O(state=synced).
    type: list
    elements: str
    default: []
  path:
    description: Only this path and what is below it. The rest of the name is not touched.
    type: str
  service:
    description: The service that answers. By default C(web), or else the first by name that takes requests.
    type: str
  redirect_to:
    description: Send requests to the same path of this host name, or below this URL, in place of answering them.
    type: str
  tls:
    description:
      - Whether the names have a certificate, and plain requests are sent to HTTPS.
      - By default they do when a certificate authority can see that they are ours, so not for addresses, names for private use, and wildcards.
    type: bool
  hsts:
    description: Seconds for which browsers ask for the names by HTTPS alone. Not said by default.
    type: int
  config:
    description: The domains of C(hitless.yml) for O(state=synced), names or mappings of the options O(path), O(service), O(redirect_to), O(tls), O(hsts).
    type: list
    elements: raw
    default: []
  addresses:
    description: The host's own addresses, for an app without domains. For O(state=synced).
    type: list
    elements: str
    default: []
  wait:
    description: Seconds to wait for a step of a deployment of the same app.
    type: float
    default: 120
  router:
    description: The router of the host.
    type: str
    choices: [haproxy]
    default: haproxy
attributes:
  check_mode:
    description: Can run in check mode and say what would change without changing it.
    support: full
  diff_mode:
    description: Shows where the names lead before and after.
    support: full
seealso:
  - module: hitless.paas.domain_info
"""

EXAMPLES = r"""
- name: Lead two names to the app
  hitless.paas.domain:
    app: shop
    name: [shop.example.com, www.example.com]
    tls: false

- name: Lead a part of a name to another service
  hitless.paas.domain:
    app: shop
    name: [shop.example.com]
    path: /api
    service: api

- name: Send an old name to the new one
  hitless.paas.domain:
    app: shop
    name: [old.example.com]
    redirect_to: shop.example.com

- name: Give a name back
  hitless.paas.domain:
    app: shop
    name: [old.example.com]
    state: absent
"""

RETURN = r"""
domains:
  description: Every name of the app, as M(hitless.paas.domain_info) returns them.
  returned: success
  type: list
  elements: dict
  sample: [{name: shop.example.com, path: /, leads_to: shop.web, tls: false, https: false, hsts: null, from: command, url: "http://shop.example.com"}]
events:
  description: What happened, in order.
  returned: always
  type: list
  elements: dict
  sample: []
"""

import contextlib
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hitless.paas.plugins.module_utils import _domains
from ansible_collections.hitless.paas.plugins.module_utils._domain_book import DomainBook
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._hostnames import normalise
from ansible_collections.hitless.paas.plugins.module_utils._lock import step
from ansible_collections.hitless.paas.plugins.module_utils._names import check_name
from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.module_utils._record import now
from ansible_collections.hitless.paas.plugins.module_utils._router import router
from ansible_collections.hitless.paas.plugins.module_utils._step_module import host_error

ARGUMENTS = {
    "app": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent", "synced"], "default": "present"},
    "name": {"type": "list", "elements": "str", "default": []},
    "path": {"type": "str"},
    "service": {"type": "str"},
    "redirect_to": {"type": "str"},
    "tls": {"type": "bool"},
    "hsts": {"type": "int"},
    "config": {"type": "list", "elements": "raw", "default": []},
    "addresses": {"type": "list", "elements": "str", "default": []},
    "wait": {"type": "float", "default": 120.0},
    "router": {"type": "str", "choices": ["haproxy"], "default": "haproxy"},
}
REQUIRED_IF = [("state", "present", ("name",)), ("state", "absent", ("name",))]
_OPTIONS = ("path", "service", "redirect_to", "tls", "hsts")


def next_wishes(params, current, known, services):
    """The wishes that the module is asked for. Pure; raises config_invalid.

    Args:
        current: ``{key: wish}`` so far.
        known: ``{key: Domain}`` of the router.
        services: names of the app's services that take requests; none before its first deployment.
    """
    if params["state"] == "absent":
        return _domains.removed(current, params["name"], params["path"])
    if params["state"] == "synced":
        addresses = [normalise(address) for address in params["addresses"]]
        defaults = _domains.default_wishes(params["app"], addresses, known) if services else []
        asked = [_domains.checked(given, "config") for given in params["config"]]
        wishes = _domains.synced(current, asked, defaults)
    else:
        options = {name: params[name] for name in _OPTIONS}
        asked = [_domains.checked(dict(options, name=name), "command") for name in params["name"]]
        wishes = _domains.added(current, asked)
    if services:
        _domains.refuse_services(asked, services)
    return wishes


def _lines(wanted):
    return "".join("%s %s\n" % (key, _domains.leads_to(wanted[key])) for key in sorted(wanted))


def _warnings(params, services, asked):
    if services or params["state"] == "absent" or not asked:
        return []
    message = "%s is not deployed on this host yet: until then its names are answered with 404." % params["app"]
    return [{"event": "warning", "time": now(), "message": message, "hint": "hitless deploy"}]


def change(params, check_mode):
    """Do what was asked for; returns the module's results."""
    paths = AppPaths(check_name("app", params["app"]))
    book = DomainBook(paths, router(params["router"]))
    if not check_mode:
        os.makedirs(paths.state, exist_ok=True)
    with contextlib.nullcontext() if check_mode else step(paths, params["wait"]):
        before, services, known = book.wishes(), book.services(), book.known()
        wishes = next_wishes(params, before, known, services)
        wanted = book.wanted(wishes, services)
        changes = book.changes(wanted)
        changed = wishes != before or bool(changes.put or changes.remove)
        if not check_mode:
            changed = book.put(wishes, services) or changed
    old = {key: domain for key, domain in known.items() if domain.app == params["app"] and not domain.server}
    diff = {"before": _lines(old), "after": _lines(wanted)}
    return {"changed": changed, "domains": _domains.table(wishes, wanted), "events": _warnings(params, services, wishes), "diff": diff}


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, required_if=REQUIRED_IF)
    try:
        result = change(module.params, module.check_mode)
    except HitlessError as error:
        module.fail_json(events=[], **error.as_result())
    except OSError as error:
        module.fail_json(events=[], **host_error(error).as_result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
