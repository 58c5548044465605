# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HAProxy driver. A deploy changes servers through the runtime socket and never reloads; the files are written first."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
import time

from ansible_collections.hitless.paas.plugins.module_utils import _haproxy_config as _config
from ansible_collections.hitless.paas.plugins.module_utils import _haproxy_socket as _socket
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import write_atomic
from ansible_collections.hitless.paas.plugins.module_utils._haproxy_certs import Certificates, fingerprint
from ansible_collections.hitless.paas.plugins.module_utils._names import check_name
from ansible_collections.hitless.paas.plugins.module_utils._router import FULL_WEIGHT, Counters, LiveEndpoint, Router, backend_name, refuse_taken

OLDEST = (2, 6)
_RELOAD_LIMIT = 20.0
_REMOVE_LIMIT = 10.0
_BACKENDS, _SERVERS = 2, 4


def plan_sync(wanted, running):
    """What makes a backend's servers equal to its configuration.

    Args:
        wanted: ``{server name: (address, port, weight)}`` of the configuration.
        running: the same of the running process; no value is None.

    Returns:
        ``(add, reweigh, remove)``: sorted lists of server names. One that moved to another port is removed and added.
    """
    moved = {name for name in wanted if name in running and wanted[name][:2] != running[name][:2]}
    add = sorted(moved | (set(wanted) - set(running)))
    remove = sorted(moved | (set(running) - set(wanted)))
    reweigh = sorted(name for name in set(wanted) & set(running) - moved if wanted[name][2] != running[name][2])
    return add, reweigh, remove


def state_of(status, check):
    """up, down or checking, from the columns ``status`` and ``check_status`` of ``show stat``; "* " marks a check under way."""
    if status.startswith(("DOWN", "MAINT", "NOLB")):
        return "down"
    return "up" if check.replace("* ", "") in ("L4OK", "L6OK", "L7OK", "L7OKC") else "checking"


def counters_of(rows):
    """The Counters in the ``show stat`` rows of one backend. Errors are the answers 5xx that any client got."""
    for row in rows:
        if row["svname"] == "BACKEND":
            number = {key: int(row.get(key) or 0) for key in ("req_tot", "econ", "eresp", "wretr", "wredis", "hrsp_5xx")}
            return Counters(number["req_tot"], number["econ"] + number["eresp"], 0, number["wretr"] + number["wredis"], number["hrsp_5xx"])
    return Counters(0, 0, 0, 0, 0)


def may_be_asked(workers, keep_alive):
    """True while a replaced worker may still get a request: it keeps an idle connection no longer than ``keep_alive`` seconds."""
    newest = min((process.uptime for process in workers.processes if not process.stale), default=0)
    return newest <= keep_alive + 1 and any(process.stale for process in workers.processes)


def next_health(model, health, deployment):
    """The health check that a backend has now, when ``deployment`` wants ``health``: replicas of an older one may not answer to a new check."""
    asked = [{key: check.get(key) for key in ("type", "path", "expect")} for check in (model["health"], health)]
    older = any(name.partition("-")[0] != deployment for name in model["servers"])
    return dict(health, type="tcp") if older and asked[0] != asked[1] else health


def _split(address):
    host, _colon, port = address.rpartition(":")
    return host.strip("[]"), int(port)


class HaproxyRouter(Router):
    """HAProxy >= 2.6, run as ``haproxy -Ws -S <master socket> -f haproxy.cfg -f apps/``."""

    def __init__(self, layout=None):
        self.layout = layout or _config.Layout()
        self._admin = _socket.Socket(self.layout.admin_socket)
        self._master = _socket.Socket(self.layout.master_socket)
        self._supported = False
        self._certificates = Certificates(self.layout, self._admin)

    # files

    @contextlib.contextmanager
    def _locked(self):
        """One change at a time on this host: the map of names and reloads belong to every app."""
        with open(self.layout.folder + "/.lock", "a", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _file(self, app):
        return "%s/%s.cfg" % (self.layout.apps, check_name("app", app))

    def _good(self, app):
        return "%s/good/%s.cfg" % (self.layout.folder, app)

    def _services(self, app):
        """The model in the app's file; when that cannot be read, in the last good one."""
        for path in (self._file(app), self._good(app)):
            with contextlib.suppress(FileNotFoundError, ValueError), open(path, encoding="utf-8") as stream:
                return _config.parse_app(stream.read())
        return {}

    def _valid(self, text, name="app"):
        """HAProxy's complaint about ``text`` as the only app beside the main file, or None."""
        with tempfile.TemporaryDirectory(prefix="hitless-router-") as folder:
            with open("%s/%s.cfg" % (folder, name), "w", encoding="utf-8") as stream:
                stream.write(text)
            done = subprocess.run(
                ["haproxy", "-c", "-f", self.layout.config, "-f", folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60
            )
        return None if done.returncode == 0 else done.stdout.decode("utf-8", "replace").strip()

    def _write(self, app, services, before=""):
        text = _config.render_app(app, services)
        complaint = self._valid(text, app) if _config.says_more(before, text) else None
        if complaint:
            raise HitlessError(
                "router_config",
                "HAProxy refuses the new configuration of %s; the one in use was left as it was" % app,
                "haproxy -c -f %s" % self.layout.config,
                {"answer": complaint},
            )
        write_atomic(self._file(app), text)
        os.makedirs(os.path.dirname(self._good(app)), exist_ok=True)
        write_atomic(self._good(app), text)

    def _mend(self):
        """Before a reload: a file that is broken by itself is replaced by the last one that was good, so that it blocks nobody."""
        for name in sorted(os.listdir(self.layout.apps)):
            path, good = os.path.join(self.layout.apps, name), os.path.join(self.layout.folder, "good", name)
            if not name.endswith(".cfg"):
                continue
            with open(path, encoding="utf-8", errors="replace") as stream:
                text = stream.read()
            if not self._valid(text):
                continue
            write_atomic(path + ".broken", text)
            if os.path.exists(good):
                shutil.copyfile(good, path + ".new")
                os.rename(path + ".new", path)
            else:
                os.unlink(path)

    # the running process

    def _rows(self, backend="-1", kind=_BACKENDS):
        self._check_version()
        return _socket.parse_table(self._admin.ask("show stat %s %d -1" % (backend, kind)))

    def _check_version(self):
        if self._supported:
            return
        version = _socket.parse_version(self._admin.ask("show info"))
        if version is None or version < OLDEST:
            raise HitlessError(
                "router_unsupported",
                "HAProxy %s is older than %d.%d, which is needed; nothing was changed" % ("%d.%d" % version if version else "of an unknown version", *OLDEST),
                "install HAProxy 2.6 or newer",
            )
        self._supported = True

    def _workers(self):
        return _socket.parse_workers(self._master.ask("show proc"))

    def _sockets(self):
        """The sockets of every worker that lives: the current one first."""
        stale = [process.pid for process in self._workers().processes if process.stale]
        return [self._admin] + [_socket.Socket(self.layout.master_socket, pid) for pid in stale]

    def _reload(self):
        self._mend()
        before = self._workers()
        self._master.ask("reload")
        until = time.monotonic() + _RELOAD_LIMIT
        while time.monotonic() < until:
            with contextlib.suppress(HitlessError):
                now = self._workers()
                if now.reloads > before.reloads or now.failed_reloads > before.failed_reloads:
                    return self._reloaded(before, now)
            time.sleep(0.05)
        raise HitlessError("router_failed", "HAProxy did not come back from a reload within %d s" % _RELOAD_LIMIT, "journalctl -u haproxy -n 30")

    def _reloaded(self, before, now):
        known = {process.pid for process in before.processes if not process.stale}
        if now.failed_reloads > before.failed_reloads or known & {process.pid for process in now.processes if not process.stale}:
            raise HitlessError("router_failed", "HAProxy refused to reload; it serves on with what it had", "journalctl -u haproxy -n 30")
        self._admin.ask("show info")

    # backends

    def backends(self, app):
        """See Router."""
        return sorted(row["pxname"] for row in self._rows() if row["pxname"].startswith(check_name("app", app) + "."))

    def ensure_backend(self, app, service, options):
        """See Router."""
        health = _config.checked_health(options["health"])
        with self._locked():
            services = self._services(app)
            model = services.setdefault(service, {"health": health, "servers": {}})
            model["health"] = next_health(model, health, options["deployment"])
            missing = backend_name(app, service) not in self.backends(app)
            if not missing and self._services(app) == services:
                return False
            self._write(app, services)
            self._reload()
            return True

    # endpoints

    def _change(self, endpoints, change):
        """Change the models of the services of ``endpoints``, in the files first. ``change(servers, endpoint)`` edits one service's servers."""
        for app in sorted({endpoint.app for endpoint in endpoints}):
            services = self._services(app)
            before = _config.render_app(app, services)
            for endpoint in endpoints:
                if endpoint.app == app:
                    change(self._model(services, _config.check_endpoint(endpoint))["servers"], endpoint)
            if _config.render_app(app, services) != before:
                self._write(app, services, before)

    @staticmethod
    def _model(services, endpoint):
        if endpoint.service not in services:
            raise HitlessError("router_failed", "HAProxy has no backend for %s; nothing was changed" % endpoint.backend, "deploy the app again")
        return services[endpoint.service]

    def add_endpoints(self, endpoints):
        """See Router."""
        with self._locked():
            self._change(endpoints, lambda servers, e: servers.setdefault(e.name, {"address": e.address, "port": e.port, "weight": 0}))
            self._sync_all(endpoints)

    def enable(self, endpoints):
        """See Router."""
        self.set_weights(dict.fromkeys(endpoints, FULL_WEIGHT))

    def drain(self, endpoints):
        """See Router."""
        self.set_weights(dict.fromkeys(endpoints, 0))

    def switch(self, new, old):
        """See Router."""
        self.set_weights({**dict.fromkeys(old, 0), **dict.fromkeys(new, FULL_WEIGHT)})

    def set_weights(self, weights):
        """See Router."""
        with self._locked():
            self._change(list(weights), lambda servers, e: servers.update({e.name: {"address": e.address, "port": e.port, "weight": weights[e]}}))
            self._sync_all(weights)

    def remove_endpoints(self, endpoints):
        """See Router."""
        with self._locked():
            self._change(endpoints, lambda servers, e: servers.pop(e.name, None))
            self._sync_all(endpoints)

    def _sync_all(self, endpoints):
        for app, service in sorted({(endpoint.app, endpoint.service) for endpoint in endpoints}):
            self._sync_service(app, service)

    def _sync_service(self, app, service):
        """Make the running servers of one backend equal to the file. Returns True when something had to be done."""
        model, backend = self._services(app)[service], backend_name(app, service)
        wanted = {e.name: (e, weight) for e, weight in _config.endpoints_of(app, service, model).items()}
        running = {row.name: (row.address, row.port, row.weight) for row in self.endpoints(app, service)}
        add, reweigh, remove = plan_sync({name: (e.address, e.port, weight) for name, (e, weight) in wanted.items()}, running)
        for name in [name for name in remove if name in wanted]:
            self._delete(backend, name)
        for name in add:
            self._add(backend, name, *wanted[name], model["health"])
        # Those that gain weight come first: there is no moment at which nobody serves.
        order = sorted(reweigh, key=lambda name: -wanted[name][1])
        self._admin.tell(["set server %s/%s weight %d" % (backend, name, wanted[name][1]) for name in order])
        for name in [name for name in remove if name not in wanted]:
            self._delete(backend, name)
        return bool(add or reweigh or remove)

    def _add(self, backend, name, endpoint, weight, health):
        server = "%s/%s" % (backend, name)
        self._admin.expect("add server %s %s" % (server, _config.server_words(endpoint, weight, health)), "New server registered")
        self._admin.tell(["enable health %s" % server, "set server %s state ready" % server])

    def _delete(self, backend, name):
        server = "%s/%s" % (backend, name)
        self._admin.tell(["set server %s state maint" % server, "shutdown sessions server %s" % server])
        until = time.monotonic() + _REMOVE_LIMIT
        while True:
            answer = self._admin.ask("del server %s" % server).strip()
            if "Server deleted" in answer or "No such server" in answer:
                return
            if time.monotonic() > until:
                raise HitlessError("router_failed", "HAProxy would not forget the server %s: %s" % (server, answer), "journalctl -u haproxy -n 30")
            time.sleep(0.02)

    def endpoints(self, app, service):
        """See Router."""
        rows = self._rows(backend_name(app, service), _SERVERS)
        return [
            LiveEndpoint(
                row["svname"],
                *_split(row["addr"]),
                state_of(row["status"], row["check_status"]),
                int(row["uweight"] or 0),
                int(row["scur"]),
                row["last_chk"] or row["check_desc"],
            )
            for row in rows
        ]

    def configured(self, app, service):
        """See Router."""
        services = self._services(app)
        return _config.endpoints_of(app, service, services[service]) if service in services else {}

    # what is in flight

    def in_flight(self, endpoints):
        """See Router."""
        found = dict.fromkeys(endpoints, 0)
        for link in self._sockets():
            for backend in {endpoint.backend for endpoint in endpoints}:
                rows = {row["svname"]: int(row["scur"]) for row in _socket.parse_table(link.ask("show stat %s %d -1" % (backend, _SERVERS)))}
                for endpoint in endpoints:
                    if endpoint.backend == backend:
                        found[endpoint] += rows.get(endpoint.name, 0)
        return found

    def _sessions(self, endpoints):
        """``[(socket, session id, endpoint, is a tunnel)]`` of every worker."""
        wanted = {(endpoint.backend, endpoint.name): endpoint for endpoint in endpoints}
        return [
            (link, session, wanted[backend, server], tunnel)
            for link in self._sockets()
            for session, backend, server, tunnel in _socket.parse_sessions(link.ask("show sess all"))
            if (backend, server) in wanted
        ]

    def long_lived(self, endpoints):
        """See Router."""
        found = dict.fromkeys(endpoints, 0)
        for _link, _session, endpoint, tunnel in self._sessions(endpoints):
            found[endpoint] += tunnel
        return found

    def cut(self, endpoints, long_lived_only=False):
        """See Router."""
        ended = [(link, session) for link, session, _endpoint, tunnel in self._sessions(endpoints) if tunnel or not long_lived_only]
        for link, session in ended:
            link.ask("shutdown session %s" % session)
        return len(ended)

    def stale(self):
        """See Router."""
        return may_be_asked(self._workers(), self.layout.keep_alive)

    # names

    def domains(self):
        """See Router."""
        try:
            with open(self.layout.domains_map, encoding="utf-8") as stream:
                return _config.parse_domains(stream.read())
        except FileNotFoundError:
            # Names of other apps must not go with the file: the running process still has them.
            running = _socket.parse_map(self._admin.ask("show map %s" % self.layout.domains_map))
            return _config.parse_domains("".join("%s %s\n" % pair for pair in running.items()))

    def change_domains(self, put=(), remove=()):
        """See Router."""
        with self._locked():
            known = self.domains()
            for domain in put:
                refuse_taken(known.values(), domain.app, [domain.name])
            wanted = {key: domain for key, domain in known.items() if key not in remove}
            wanted.update({domain.key: domain for domain in put})
            written = self._write_domains(_config.render_domains(wanted))
            return self._sync_domains() or written

    def _write_domains(self, text):
        """Keep the map of names; True when it was not so, or was not there at all."""
        with contextlib.suppress(FileNotFoundError), open(self.layout.domains_map, encoding="utf-8") as stream:
            if stream.read() == text:
                return False
        write_atomic(self.layout.domains_map, text)
        return True

    def _sync_domains(self):
        """Make the running map equal to the file. Returns True when something had to be done."""
        path, wanted = self.layout.domains_map, _config.domain_entries(self.domains())
        running = _socket.parse_map(self._admin.ask("show map %s" % path))
        commands = [
            "%s map %s %s %s" % ("set" if place in running else "add", path, place, wanted[place])
            for place in sorted(wanted)
            if running.get(place) != wanted[place]
        ]
        commands += ["del map %s %s" % (path, place) for place in sorted(set(running) - set(wanted))]
        self._admin.tell(commands)
        return bool(commands)

    # certificates

    def certificates(self):
        """See Router."""
        return self._certificates.running()

    def fingerprint(self, pem):
        """See Router."""
        return fingerprint(pem)

    def set_certificate(self, names, pem):
        """See Router."""
        with self._locked():
            written = self._certificates.put(names, pem)
            return self._certificates.sync(self._reload) or written

    def set_staple(self, name, answer):
        """See Router."""
        with self._locked():
            self._certificates.staple(name, answer)

    def remove_certificate(self, name):
        """See Router."""
        with self._locked():
            known = self._certificates.drop(name)
            return self._certificates.sync(self._reload) or known

    def set_challenge(self, token, answer):
        """See Router."""
        self._change_challenges({token: answer}, ())

    def remove_challenge(self, token):
        """See Router."""
        self._change_challenges({}, (token,))

    def _change_challenges(self, put, remove):
        """Make the file and the running map have these, and nothing that the file does not have."""
        with self._locked():
            path, known = self.layout.challenges_map, {}
            with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as stream:
                known = _config.parse_challenges(stream.read())
            wanted = {**{token: answer for token, answer in known.items() if token not in remove}, **put}
            write_atomic(path, _config.render_challenges(wanted))
            running = _socket.parse_map(self._admin.ask("show map %s" % path))
            commands = ["del map %s %s" % (path, token) for token in sorted(set(running) - set(wanted))]
            commands += ["add map %s %s %s" % (path, token, wanted[token]) for token in sorted(set(wanted) - set(running))]
            self._admin.tell(commands)

    # all of it

    def counters(self, app, service):
        """See Router."""
        return counters_of(self._rows(backend_name(app, service), _BACKENDS))

    def sync(self, app):
        """See Router."""
        with self._locked():
            services, running = self._services(app), set(self.backends(app))
            if {backend_name(app, service) for service in services} != running:
                self._reload()
            done = [self._sync_service(app, service) for service in sorted(services)]
            return any([*done, self._sync_domains()])

    def remove_app(self, app):
        """See Router."""
        with self._locked():
            self._write_domains(_config.render_domains({key: domain for key, domain in self.domains().items() if domain.app != app}))
            self._sync_domains()
            present = False
            for path in (self._file(app), self._good(app)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
                    present = True
            if present or self.backends(app):
                self._reload()
