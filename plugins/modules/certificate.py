#!/usr/bin/python
# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate
short_description: Serve host names with a certificate, from an ACME server or your own
version_added: 0.1.0
description:
  - Gets a certificate through certbot, or takes yours, and puts it in the running router without a reload, and on disk in the form that the router
    loads when it starts.
  - A certificate from an ACME server is renewed by a timer on the host once less than a third of its life is left.
  - Before a certificate authority is asked, each name has to resolve, and to lead to the router of this host.
  - Whatever fails leaves untouched what served.
author:
  - The hitless maintainers (@hitless)
options:
  app:
    description: The app whose names they are. Required with O(state=present).
    type: str
  name:
    description:
      - The host names of one certificate. It is called by the first of them.
      - With O(state=absent), the certificates that are called so.
    type: list
    elements: str
    default: []
  state:
    description:
      - With V(present) the names have a certificate.
      - With V(absent) the certificates are gone, with all that would renew them; other certificates stay.
      - With V(synced) the running router has what is on disk, and what was lost of that is made anew where it can be.
    type: str
    choices: [present, absent, synced]
    default: present
  certificate:
    description: Your own certificate as PEM, and after it those above it in order. Without it an ACME server is asked.
    type: str
  key:
    description: Its private key as PEM, not encrypted.
    type: str
  email:
    description: Where the certificate authority writes to.
    type: str
  server:
    description: The URL of the ACME server's directory. By default that of Let's Encrypt.
    type: str
  staging:
    description: Ask Let's Encrypt's staging server, whose certificates nobody trusts and whose limits are generous.
    type: bool
    default: false
  eab_kid:
    description: The id of the key for external account binding, where the authority wants one.
    type: str
  eab_hmac_key:
    description: The key for external account binding.
    type: str
  challenge:
    description:
      - How the authority sees that the names are yours. V(http-01) is answered by the router while apps serve.
      - V(dns-01) is for wildcards and for hosts that the authority cannot reach. It needs O(dns_auth_hook).
    type: str
    choices: [http-01, dns-01]
    default: http-01
  dns_auth_hook:
    description:
      - A command on the host that writes the TXT record C(_acme-challenge) of E(CERTBOT_DOMAIN) with E(CERTBOT_VALIDATION), and waits until it is known.
    type: str
  dns_cleanup_hook:
    description: A command on the host that removes the record.
    type: str
  ca_bundle:
    description: A file on the host with the certificates to trust when a private ACME server is asked.
    type: path
  addresses:
    description: The addresses by which the host is reached. They are only said in errors.
    type: list
    elements: str
    default: []
  skip_checks:
    description: Ask the authority although this host cannot see itself under the name, as behind some routers.
    type: bool
    default: false
  router:
    description: The router of the host.
    type: str
    choices: [haproxy]
    default: haproxy
attributes:
  check_mode:
    description: Says whether a certificate would be asked for, or put in place. Your own is checked.
    support: full
  diff_mode:
    description: Shows the certificate before and after.
    support: full
"""

EXAMPLES = r"""
- name: Get a certificate
  hitless.paas.certificate:
    app: shop
    name: [shop.example.com, www.shop.example.com]
    email: ops@example.com

- name: Get a certificate for every name below
  hitless.paas.certificate:
    app: shop
    name: ["*.shop.example.com"]
    challenge: dns-01
    dns_auth_hook: /usr/local/bin/dns-record set
    dns_cleanup_hook: /usr/local/bin/dns-record unset

- name: Bring your own
  hitless.paas.certificate:
    app: shop
    name: [shop.example.com]
    certificate: "{{ lookup('file', 'fullchain.pem') }}"
    key: "{{ lookup('file', 'key.pem') }}"
"""

RETURN = r"""
certificates:
  description: Every certificate of the app, or of the host where no app is given.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: What it is called by.
      type: str
      sample: shop.example.com
    names:
      description: The names that it is for.
      type: list
      elements: str
      sample: [shop.example.com, www.shop.example.com]
    app:
      description: The app whose names they are; V(none) where that was lost.
      type: str
      sample: shop
    source:
      description: V(acme) or V(own).
      type: str
      sample: acme
    server:
      description: The ACME server.
      type: str
      sample: https://acme-v02.api.letsencrypt.org/directory
    challenge:
      description: How the authority saw that the names are yours.
      type: str
      sample: http-01
    issuer:
      description: Who signed it.
      type: str
      sample: CN=E7,O=Let's Encrypt,C=US
    serial:
      description: Its serial number, in hexadecimal.
      type: str
      sample: 04C3F1A2
    not_before:
      description: When it began.
      type: str
      sample: "2026-11-21T08:00:00Z"
    not_after:
      description: When it ends.
      type: str
      sample: "2027-02-19T08:00:00Z"
    renewal:
      description: The last try to get it, and why it failed when it did.
      type: dict
      sample: {last_attempt: "2026-11-21T08:00:00Z", last_error: null}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hitless.paas.plugins.module_utils import _certificates
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._router import router

ARGUMENTS = {
    "app": {"type": "str"},
    "name": {"type": "list", "elements": "str", "default": []},
    "state": {"type": "str", "choices": ["present", "absent", "synced"], "default": "present"},
    "certificate": {"type": "str"},
    "key": {"type": "str", "no_log": True},
    "email": {"type": "str"},
    "server": {"type": "str"},
    "staging": {"type": "bool", "default": False},
    "eab_kid": {"type": "str"},
    "eab_hmac_key": {"type": "str", "no_log": True},
    "challenge": {"type": "str", "choices": ["http-01", "dns-01"], "default": "http-01"},
    "dns_auth_hook": {"type": "str"},
    "dns_cleanup_hook": {"type": "str"},
    "ca_bundle": {"type": "path"},
    "addresses": {"type": "list", "elements": "str", "default": []},
    "skip_checks": {"type": "bool", "default": False},
    "router": {"type": "str", "choices": ["haproxy"], "default": "haproxy"},
}


def present(params, check_mode):
    """Whether the names got another certificate than they had."""
    routed, app, names = router(params["router"]), params["app"], params["name"]
    if params["certificate"]:
        return _certificates.install_own(routed, app, names, params["certificate"], params["key"], check_mode)["changed"]
    return _certificates.ensure_acme(routed, app, names, params, check_mode)["changed"]


def absent(params, check_mode):
    """Whether a certificate went."""
    names = _certificates.normalised(params["name"])
    if check_mode:
        return any(known["name"] in names for known in _certificates.listing())
    removed = [_certificates.remove(router(params["router"]), name) for name in names]
    return any(removed)


def synced(params, check_mode):
    """Whether something was not as it has to be."""
    return _certificates.sync(router(params["router"]), check_mode)


_STATES = {"present": present, "absent": absent, "synced": synced}


def _lines(certificates):
    return "".join("%(name)s: %(names)s, %(source)s, %(issuer)s, %(serial)s, until %(not_after)s\n" % known for known in certificates)


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_if=[("state", "present", ["app", "name"]), ("state", "absent", ["name"])],
        required_together=[("certificate", "key"), ("eab_kid", "eab_hmac_key")],
    )
    try:
        before = _certificates.listing(module.params["app"])
        changed = _STATES[module.params["state"]](module.params, module.check_mode)
        after = _certificates.listing(module.params["app"])
    except HitlessError as error:
        module.fail_json(**error.as_result())
    module.exit_json(changed=changed, certificates=after, diff={"before": _lines(before), "after": _lines(after)})


if __name__ == "__main__":
    main()
