# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The domains of an app on its host: the file that says what is wished, and the router that is told."""

from __future__ import annotations

import os

from ansible_collections.hitless.paas.plugins.module_utils import _domains
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import read_json, write_json
from ansible_collections.hitless.paas.plugins.module_utils._router import refuse_taken


class DomainBook:
    """What is wished of the names of one app, and what is routed.

    Args:
        paths: AppPaths of the app.
        router: a Router.
        secured: callable that gives the names for which certificates are live.
    """

    def __init__(self, paths, router, secured=frozenset):
        self._paths = paths
        self._router = router
        self._secured = secured

    def wishes(self):
        """``{key: wish}``. Where the file is lost, what the router has is what is wished."""
        try:
            kept = read_json(self._paths.domains)
        except ValueError as error:
            raise HitlessError("state_broken", "%s; nothing was changed" % error, "mv %s{,.broken}, then: hitless domain sync" % self._paths.domains) from error
        return _domains.adopted(self._paths.app, self._router.domains()) if kept is None else kept["domains"]

    def known(self):
        """``{key: Domain}`` of the router, of every app."""
        return self._router.domains()

    def services(self):
        """The services that the router can lead names to."""
        return [backend.partition(".")[2] for backend in self._router.backends(self._paths.app)]

    def wanted(self, wishes, services):
        """``{key: Domain}`` of ``wishes``; see _domains.domains_of."""
        return _domains.domains_of(self._paths.app, wishes, services, self._secured())

    def lacking(self, wishes):
        """The wishes without a live certificate; see _domains.lacking."""
        return _domains.lacking(wishes, self._secured())

    def preview(self, endpoint, preview_domain):
        """The Domain of a deployment's own name, at the first of its replicas. Reads only; raises name_taken."""
        domain = _domains.preview_of(endpoint, preview_domain, self._secured())
        refuse_taken(self.known().values(), domain.app, [domain.name])
        return domain

    def changes(self, wanted):
        """What the router has to change to have ``wanted``. Reads only; raises name_taken."""
        return _domains.changes(self._paths.app, self._router.domains(), wanted)

    def put(self, wishes, services):
        """Keep ``wishes`` and route them; True when something changed. Raises name_taken, and then nothing was changed."""
        changes = self.changes(self.wanted(wishes, services))
        rewritten = self._write(wishes)
        return self._router.change_domains(changes.put, changes.remove) or rewritten

    def _write(self, wishes):
        if os.path.exists(self._paths.domains) and self.wishes() == wishes:
            return False
        os.makedirs(self._paths.state, exist_ok=True)
        write_json(self._paths.domains, {"v": 1, "domains": wishes}, 0o600)
        return True
