#!/usr/bin/python
# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: domain_info
short_description: List the host names of an app
version_added: 0.1.0
description:
  - Says which host names an app has on a host, where they lead and who asked for them. Nothing is changed.
  - Through its action plugin the answer is also one C(info) event.
author:
  - The hitless maintainers (@hitless)
options:
  app:
    description: Name of the app.
    type: str
    required: true
  http_port:
    description: The port that people reach the router's port 80 at, for the URLs.
    type: int
    default: 80
  https_port:
    description: The port that people reach the router's port 443 at, for the URLs.
    type: int
    default: 443
  router:
    description: The router of the host.
    type: str
    choices: [haproxy]
    default: haproxy
attributes:
  check_mode:
    description: Nothing is ever changed.
    support: full
  diff_mode:
    description: Not supported.
    support: none
seealso:
  - module: hitless.paas.domain
"""

EXAMPLES = r"""
- name: List the names
  hitless.paas.domain_info:
    app: shop
  register: names
"""

RETURN = r"""
domains:
  description: Every name of the app.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The host name.
      type: str
      sample: shop.example.com
    path:
      description: The path that is led elsewhere, or C(/).
      type: str
      sample: /
    leads_to:
      description: The service that answers, or where requests are sent.
      type: str
      sample: shop.web
    tls:
      description: Whether a certificate is wished for.
      type: bool
      sample: true
    https:
      description: Whether plain requests are sent to HTTPS, which they are once a certificate is live.
      type: bool
      sample: true
    hsts:
      description: Seconds of HSTS, or null.
      type: int
      sample: 31536000
    from:
      description: V(config) for C(hitless.yml), V(command), or V(default) for the names of an app without domains.
      type: str
      sample: config
    url:
      description: The address, as people type it.
      type: str
      sample: https://shop.example.com
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hitless.paas.plugins.module_utils import _certificates, _domains
from ansible_collections.hitless.paas.plugins.module_utils._arguments import OPTIONS
from ansible_collections.hitless.paas.plugins.module_utils._domain_book import DomainBook
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._names import check_name
from ansible_collections.hitless.paas.plugins.module_utils._paths import AppPaths
from ansible_collections.hitless.paas.plugins.module_utils._router import router


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=OPTIONS["domain_info"], supports_check_mode=True)
    params = module.params
    try:
        book = DomainBook(AppPaths(check_name("app", params["app"])), router(params["router"]), _certificates.live_names)
        wishes = book.wishes()
        domains = _domains.table(wishes, book.wanted(wishes, book.services()), (params["http_port"], params["https_port"]))
    except HitlessError as error:
        module.fail_json(**error.as_result())
    module.exit_json(changed=False, domains=domains)


if __name__ == "__main__":
    main()
