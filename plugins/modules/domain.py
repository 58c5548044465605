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
  certificate:
    description:
      - How the certificate is had, where O(tls) says that there is to be one and none is live yet.
      - Names of the same C(name) are on one certificate. By default each name has its own.
    type: dict
    default: {}
    suboptions:
      email:
        description: Where the certificate authority writes to.
        type: str
      server:
        description: The directory of another certificate authority than Let's Encrypt.
        type: str
      staging:
        description: Take Let's Encrypt's staging server, whose certificates nobody trusts.
        type: bool
      challenge:
        description: How the certificate authority sees that a name is ours. Wildcards need V(dns-01).
        type: str
        choices: [http-01, dns-01]
      dns_auth_hook:
        description: With V(dns-01), the shell command on the host that puts a record into the DNS. It sees C(CERTBOT_DOMAIN) and C(CERTBOT_VALIDATION).
        type: str
      dns_cleanup_hook:
        description: With V(dns-01), the shell command on the host that takes the record out again.
        type: str
      eab_kid:
        description: Key id of an account at the certificate authority; see O(eab_key).
        type: str
      ca_bundle:
        description: A file on the host that says whom to trust, for a private certificate authority.
        type: str
      skip_checks:
        description: Ask the certificate authority although the name does not seem to lead to this host.
        type: bool
      name:
        description: What the certificate is called.
        type: str
      own:
        description: The certificate is brought, so no certificate authority is asked.
        type: bool
  eab_key:
    description: The key of the account at the certificate authority.
    type: str
  certificate_pem:
    description: Your own certificate for the names, with its chain, as PEM text.
    type: str
  certificate_file:
    description: A file on the controller that holds O(certificate_pem).
    type: path
  key_pem:
    description: The key of O(certificate_pem), as PEM text.
    type: str
  key_file:
    description: A file on the controller that holds O(key_pem).
    type: path
  strict:
    description:
      - Whether it is a failure with O(state=synced) when a certificate cannot be had. Otherwise it is a warning.
      - With O(state=present) it always is, and then nothing was changed.
    type: bool
    default: true
  config:
    description: The domains of C(hitless.yml) for O(state=synced), names, or mappings of the options from O(name) to O(certificate).
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

- name: Lead a name to the app with your own certificate
  hitless.paas.domain:
    app: shop
    name: [shop.example.com]
    certificate_file: shop.pem
    key_file: shop.key

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

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hitless.paas.plugins.module_utils import _certificates, _domains
from ansible_collections.hitless.paas.plugins.module_utils._arguments import OPTIONS, REQUIRED_IF
from ansible_collections.hitless.paas.plugins.module_utils._domain_book import DomainBook
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._hostnames import normalise_domain
from ansible_collections.hitless.paas.plugins.module_utils._lock import step
from ansible_collections.hitless.paas.plugins.module_utils._names import check_name
from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.module_utils._record import now
from ansible_collections.hitless.paas.plugins.module_utils._router import router
from ansible_collections.hitless.paas.plugins.module_utils._step_module import host_error

_OPTIONS = ("path", "service", "redirect_to", "tls", "hsts", "certificate")


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
        defaults = _domains.default_wishes(params["app"], _domains.usable(params["addresses"]), known) if services else []
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


class Change:
    """One run of the module."""

    def __init__(self, params):
        if bool(params["certificate_pem"]) != bool(params["key_pem"]):
            raise HitlessError("config_invalid", "a certificate of your own needs its key, and a key its certificate; nothing was changed", "give both")
        shared = params["name"][0] if len(params["name"]) > 1 else None
        self.params = dict(params, certificate={"own": True, "name": shared}) if params["certificate_pem"] else params
        self.router = router(params["router"])
        self.paths = AppPaths(check_name("app", params["app"]))
        self.book = DomainBook(self.paths, self.router, _certificates.live_names)
        self.events = []

    def foresee(self):
        """The wishes and the Domains before and after, as a dictionary. Reads only; raises name_taken and config_invalid."""
        before, services, known = self.book.wishes(), self.book.services(), self.book.known()
        wishes = next_wishes(self.params, before, known, services)
        wanted = self.book.wanted(wishes, services)
        changes = self.book.changes(wanted)
        old = {key: domain for key, domain in known.items() if domain.app == self.params["app"] and not domain.server}
        changed = wishes != before or bool(changes.put or changes.remove)
        return {"before": before, "wishes": wishes, "services": services, "old": old, "wanted": wanted, "changed": changed}

    def run(self):
        """Change the names, and what certificates they need; returns what was foreseen, as it came about."""
        os.makedirs(self.paths.state, exist_ok=True)
        certified = self._prepare()
        seen = self._put()
        if self.params["state"] == "synced" and self._certify(seen["wishes"], seen["wishes"]):
            seen = dict(self._put(), before=seen["before"], old=seen["old"])
            certified = True
        certified = self._forget(_domains.orphaned(seen["before"], seen["wishes"])) or certified
        if not seen["services"] and self.params["state"] != "absent" and seen["wishes"]:
            self._warn("%s is not deployed on this host yet: until then its names are answered with 404." % self.params["app"], "hitless deploy")
        return dict(seen, changed=seen["changed"] or certified)

    def _prepare(self):
        """What comes before names are led anywhere: their certificates, or those that were lost. True when something changed."""
        if self.params["state"] == "synced":
            return _certificates.sync(self.router)
        return self.params["state"] == "present" and self._certify_all_or_none(self.foresee()["wishes"])

    def _certify_all_or_none(self, wishes):
        """Get the certificates of the names that are asked for; when one cannot be had, those that came before it go again."""
        kept = {certificate["name"] for certificate in _certificates.listing()}
        try:
            return self._certify(self.asked(wishes), wishes)
        except HitlessError:
            self._forget(sorted({certificate["name"] for certificate in _certificates.listing()} - kept))
            raise

    def _put(self):
        """Keep and route what is wished, while no step of a deployment is at work."""
        with step(self.paths, self.params["wait"]):
            seen = self.foresee()
            return dict(seen, changed=self.book.put(seen["wishes"], seen["services"]) or seen["changed"])

    def asked(self, wishes):
        """Those of ``wishes`` that this run is about."""
        if self.params["state"] != "present":
            return wishes if self.params["state"] == "synced" else {}
        names = {normalise_domain(name) for name in self.params["name"]}
        return {key: wish for key, wish in wishes.items() if wish["name"] in names}

    def _certify(self, asked, wishes):
        """Get the certificates that ``asked`` of all ``wishes`` lack. True when there is a new one."""
        if self.params["certificate_pem"]:
            names = _domains.certificate_names(_domains.certificate_name(next(iter(asked.values()))), wishes)
            return _certificates.install_own(self.router, self.params["app"], names, self.params["certificate_pem"], self.params["key_pem"])["changed"]
        changed = False
        for name, group in self.book.lacking(asked).items():
            changed = self._ask_authority(name, wishes, group[0]["certificate"]) or changed
        return changed

    def _forget(self, names):
        """Remove certificates, and lead nobody to a name by HTTPS that none is left for. True when there was one."""
        gone = [name for name in names if _certificates.remove(self.router, name)]
        if gone:
            left = _certificates.live_names()
            bare = [domain for domain in self.router.domains().values() if domain.https and not _domains.is_covered(domain.name, left)]
            self.router.change_domains([domain._replace(https=False, hsts=None) for domain in bare])
        return bool(gone)

    def _ask_authority(self, name, wishes, options):
        order = dict(options, eab_hmac_key=self.params["eab_key"], addresses=self.params["addresses"])
        try:
            return _certificates.ensure_acme(self.router, self.params["app"], _domains.certificate_names(name, wishes), order)["changed"]
        except HitlessError as error:
            if self.params["state"] == "present" or self.params["strict"]:
                raise
            self._warn(error.message, error.hint)
            return False

    def _warn(self, message, hint):
        self.events.append({"event": "warning", "time": now(), "message": message, "hint": hint})


def change(params, check_mode):
    """Do what was asked for; returns the module's results."""
    work = Change(params)
    if check_mode:
        seen = work.foresee()
        seen["changed"] = seen["changed"] or bool(work.book.lacking(work.asked(seen["wishes"])))
    else:
        seen = work.run()
    diff = {"before": _lines(seen["old"]), "after": _lines(seen["wanted"])}
    return {"changed": seen["changed"], "domains": _domains.table(seen["wishes"], seen["wanted"]), "events": work.events, "diff": diff}


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=OPTIONS["domain"], supports_check_mode=True, required_if=REQUIRED_IF["domain"])
    try:
        result = change(module.params, module.check_mode)
    except HitlessError as error:
        module.fail_json(events=[], **error.as_result())
    except OSError as error:
        module.fail_json(events=[], **host_error(error).as_result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
