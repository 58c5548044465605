# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The replicas of a new deployment: which there are to be, where they listen, and how they are started and checked."""

from __future__ import annotations

import contextlib

from ansible_collections.hitless.paas.plugins.module_utils import _health
from ansible_collections.hitless.paas.plugins.module_utils._command import mask, replica_settings, run_command
from ansible_collections.hitless.paas.plugins.module_utils._ports import free_ports, ports_lock
from ansible_collections.hitless.paas.plugins.module_utils._runtime import Replica
from ansible_collections.hitless.paas.plugins.module_utils._units import unit_text

_ADDRESS = "127.0.0.1"


def wanted(app, deployment, services, existing, take):
    """The replicas of a deployment, as {Replica: settings of its service}.

    Args:
        services: the resolved services by name.
        existing: the replicas of this deployment that an earlier run started; they keep their ports.
        take: callable, a count -> that many free ports.
    """
    names = [(service, n) for service in sorted(services) for n in range(1, services[service]["replicas"] + 1)]
    ports = {(replica.service, replica.n): replica.port for replica in existing}
    lacking = [name for name in names if services[name[0]]["type"] != "worker" and not ports.get(name)]
    ports.update(zip(lacking, take(len(lacking))))
    found = {}
    for service, n in names:
        port = ports.get((service, n))
        found[Replica(app, service, deployment, n, _ADDRESS if port else None, port)] = services[service]
    return found


def by_service(replicas):
    """``services`` of a deployment's record."""
    services = {}
    for replica in replicas:
        services.setdefault(replica.service, {"replicas": []})["replicas"].append(replica.as_dict())
    return services


class Fleet:
    """All replicas of one deployment.

    Args:
        runtime: a Runtime.
        app: name of the app.
        deployment: id of the deployment.
        release: id of the release that they run.
        facts: what the release's folder says of it.
        secrets: values that no error may show.
    """

    def __init__(self, runtime, app, deployment, release, facts, secrets):
        self._runtime = runtime
        self._app = app
        self._deployment = deployment
        self._release = release
        self._facts = facts
        self._secrets = secrets
        self._replicas = {}

    @property
    def replicas(self):
        """The replicas, sorted."""
        return list(self._replicas)

    def start(self):
        """Start every replica that does not run yet, and give those up that are not wanted; true when something changed."""
        with self._removed_on_failure(), ports_lock():
            existing = [replica for replica in self._runtime.list(self._app) if replica.deployment == self._deployment]
            self._replicas = wanted(self._app, self._deployment, self._facts["services"], existing, self._take)
            running = {replica for replica, state in self._runtime.inspect(existing).items() if state.state == "running"}
            missing = [replica for replica in self._replicas if replica not in running]
            if missing:
                self._runtime.start({replica: self._text(replica) for replica in missing})
        spare = [replica for replica in existing if replica not in self._replicas]
        self._runtime.remove(spare)
        return bool(missing or spare)

    def _take(self, count):
        return free_ports(count, self._runtime.ports_in_use()) if count else []

    def _text(self, replica):
        return unit_text(replica, self._release, self._facts["artifact"], self._replicas[replica], self._facts["mounts"])

    def remove(self):
        """Stop and forget every replica of the deployment, whoever started it."""
        self._runtime.remove([replica for replica in self._runtime.list(self._app) if replica.deployment == self._deployment])

    @contextlib.contextmanager
    def _removed_on_failure(self):
        """Leave nothing running when the body fails, for whatever reason."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.remove)
            yield
            stack.pop_all()

    def wait(self, report):
        """Wait until every replica is healthy. Raises HitlessError ``unhealthy``.

        Args:
            report: callable (Replica, Answer), called when an answer changes.
        """
        checks = {replica: service["health"] for replica, service in self._replicas.items()}
        with self._removed_on_failure():
            found = _health.wait(_health.Watch(checks, self._runtime.inspect, self._probe, report))
            error = _health.unhealthy(found, checks, self._runtime)
            if error:
                error.details["log_tail"] = [mask(line, self._secrets) for line in error.details["log_tail"]]
                raise error

    def _probe(self, replicas):
        return _health.together(self._ask, replicas)

    def _ask(self, replica):
        health = self._replicas[replica]["health"]
        if health["type"] == "command":
            return self._ask_command(replica, health)
        if health["type"] == "none" or not replica.port:
            return None
        return _health.probe_tcp(replica, health) if health["type"] == "tcp" else _health.probe_http(replica, health)

    def _ask_command(self, replica, health):
        settings = replica_settings(replica, self._release, self._facts["artifact"], self._facts["mounts"])
        ending = run_command(health["command"], settings, health["timeout"])
        said = ["%s: %s" % (ending.reason, mask(line, self._secrets)) for line in ending.lines[-1:]]
        return _health.Answer(not ending.reason, "exit status 0" if not ending.reason else "".join(said) or ending.reason)
