# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host names, from the command that a person types to the bytes that are served under them."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable
from typing import Any

from authority import Authority
from conftest import App, until
from loadgen import Load


def ask(app: App, name: str, path: str = "/", method: str = "GET") -> tuple[int, str, dict[str, str]]:
    """The status, the body and the headers of what the router answers under ``name``."""
    connection = http.client.HTTPConnection("127.0.0.1", app.host.http_port, timeout=60)
    try:
        connection.request(method, path, headers={"Host": name})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), {key.lower(): value for key, value in answer.getheaders()}
    finally:
        connection.close()


def listed(app: App) -> dict[str, dict[str, Any]]:
    """What ``domain list`` says, by name and path."""
    code, events = app.hitless("domain", "list")
    assert code == 0, events[-1]
    return {row["name"] + row["path"]: row for event in events if event["event"] == "info" for row in event["data"]["domains"]}


def test_a_name_is_served_from_add_to_remove_and_kept_by_deploys_and_restarts(app: App) -> None:
    app.deploy("1")
    name = f"shop.{app.name}.test"
    assert ask(app, name)[0] == 404
    code, events = app.hitless("domain", "add", name.upper() + ".", "--no-tls")
    assert code == 0, events[-1]
    assert (events[-1]["event"], events[-1]["changed"]) == ("deployed", True)
    assert ask(app, name)[:2] == (200, "1")
    assert app.hitless("domain", "add", name, "--no-tls")[1][-1]["changed"] is False
    app.deploy("2")
    app.host.sh("systemctl restart haproxy")
    assert ask(app, name)[:2] == (200, "2")
    assert {key: row["from"] for key, row in listed(app).items()} == {f"{name}/": "command", f"{app.domain}/": "config"}
    assert app.hitless("domain", "remove", name)[0] == 0
    assert ask(app, name)[0] == 404
    assert app.get() == (200, "2")


def test_a_name_of_another_app_is_refused_with_its_owner_until_it_is_free(app: App, new_app: Callable[[], App]) -> None:
    other = new_app()
    app.deploy("1")
    other.deploy("9")
    assert app.hitless("domain", "add", f"www.{app.name}.test", "--no-tls")[0] == 0
    code, events = other.hitless("domain", "add", f"www.{app.name}.test", "--no-tls")
    assert (code, events[-1]["event"]) == (2, "failed")
    assert f"www.{app.name}.test" in events[-1]["reason"]
    assert f"the app {app.name} " in events[-1]["reason"]
    other.write("9", domains=[other.domain, f"www.{app.name}.test"])
    code, events = other.hitless("deploy")
    assert (code, events[-1]["event"]) == (2, "failed")
    assert ask(app, f"www.{app.name}.test")[1] == "1"
    assert app.hitless("domain", "remove", f"www.{app.name}.test")[0] == 0
    assert other.hitless("deploy")[0] == 0
    assert ask(app, f"www.{app.name}.test")[1] == "9"


def test_a_deploy_that_wants_a_name_of_another_app_is_refused_before_anything_is_uploaded(app: App, new_app: Callable[[], App]) -> None:
    other = new_app()
    app.deploy("1")
    other.deploy("9")
    other.write("10", domains=[other.domain, app.domain.upper()])
    code, events = other.hitless("deploy")
    assert (code, events[-1]["event"]) == (2, "failed")
    assert f"{app.domain} belongs to the app {app.name}" in events[-1]["reason"]
    assert not [event for event in events if event["event"] == "phase" and event["name"] in ("upload", "build", "start")]
    assert (app.get(), other.get()) == ((200, "1"), (200, "9"))
    other.deploy("11", domains=[other.domain])


def test_hitless_yml_is_synced_and_what_the_command_added_stays(app: App) -> None:
    app.deploy("1", domains=[app.domain, {"name": f"old.{app.name}.test", "redirect_to": app.domain}])
    assert app.hitless("domain", "add", f"extra.{app.name}.test", "--no-tls")[0] == 0
    status, _body, headers = ask(app, f"old.{app.name}.test", "/a?b=c")
    assert (status, headers["location"]) == (301, f"http://{app.domain}/a?b=c")
    assert ask(app, f"old.{app.name}.test", "/a", "POST")[0] == 308
    app.write("1", domains=[app.domain, f"new.{app.name}.test"])
    code, events = app.hitless("domain", "sync")
    assert (code, events[-1]["changed"]) == (0, True)
    served = {name: ask(app, f"{name}.{app.name}.test")[0] for name in ("old", "new", "extra")}
    assert served == {"old": 404, "new": 200, "extra": 200}
    assert app.hitless("domain", "sync")[1][-1]["changed"] is False


def test_sync_puts_back_what_the_router_lost(app: App) -> None:
    app.deploy("1")
    assert app.hitless("domain", "add", f"x.{app.name}.test", "--no-tls")[0] == 0
    kept = app.host.sh("cat /etc/haproxy/hitless/maps/domains.map")
    app.host.sh(f"sed -i '/{app.name}/d' /etc/haproxy/hitless/maps/domains.map; systemctl restart haproxy")
    assert app.get()[0] == 404
    assert app.hitless("domain", "sync")[0] == 0
    assert app.get() == (200, "1")
    assert ask(app, f"x.{app.name}.test")[:2] == (200, "1")
    assert app.host.sh("cat /etc/haproxy/hitless/maps/domains.map") == kept


def test_a_path_leads_to_another_service_and_the_rest_stays(app: App) -> None:
    web = {"command": "python3 server.py", "health": {"deadline": "20s"}}
    api = {**web, "command": "echo api > /tmp/VERSION; cp server.py /tmp; cd /tmp; exec python3 server.py"}
    app.deploy("1", services={"web": web, "api": api})
    assert app.hitless("domain", "add", app.domain, "--path", "/api/", "--service", "api", "--no-tls")[0] == 0
    answers = {path: ask(app, app.domain, path)[1] for path in ("/", "/api", "/api/x?y", "/apix", "/x/api")}
    assert answers == {"/": "1", "/api": "api", "/api/x?y": "api", "/apix": "1", "/x/api": "1"}
    code, events = app.hitless("domain", "add", f"z.{app.name}.test", "--service", "none", "--no-tls")
    assert code == 2
    assert "api, web" in events[-1]["hint"]
    assert app.hitless("domain", "remove", app.domain, "--path", "/api")[0] == 0
    assert ask(app, app.domain, "/api")[1] == "1"


def test_what_is_no_host_name_is_refused_and_changes_nothing(app: App) -> None:
    app.deploy("1")
    before = listed(app)
    for name in ("http://x.test", "a_b.test", "*.com", "x.test;y", "x-.test"):
        code, events = app.hitless("domain", "add", name, "--no-tls")
        assert (code, events[-1]["event"]) == (2, "failed"), name
        assert "host name" in events[-1]["reason"]
    assert listed(app) == before


def test_clients_lose_nothing_through_changes_of_names(app: App) -> None:
    app.deploy("1")
    with Load(("127.0.0.1", app.host.http_port), app.domain, clients=20, pause=0.02).running() as seen:
        for words in (("add", "a.test", "--no-tls"), ("add", "a.test", "--no-tls", "--redirect-to", app.domain), ("remove", "a.test")):
            assert app.hitless("domain", *words)[0] == 0
    assert dict(seen.failures) == {}
    assert seen.sent > 100


def test_each_deployment_is_seen_under_a_name_of_its_own_while_it_runs(app: App) -> None:
    first = app.deploy("1", preview_domain="preview.test")
    names = [f"{first['release']}.{app.name}.preview.test"]
    assert first["preview_url"] == f"http://{names[0]}"
    assert ask(app, names[0])[:2] == (200, "1")
    second = app.deploy("2")
    names.append(f"{second['release']}.{app.name}.preview.test")
    assert [ask(app, name)[0] for name in names] == [404, 200]
    app.write("3", services={"web": {"command": "python3 -c 'import sys; sys.exit(3)'", "health": {"deadline": "20s"}}})
    assert app.hitless("deploy")[0] == 1
    failed = app.records()[0]
    assert failed["status"] == "FAILED"
    assert ask(app, f"{failed['id']}.{app.name}.preview.test")[0] == 404
    code, events = app.hitless("rollback")
    assert code == 0
    assert ask(app, events[-1]["preview_url"].removeprefix("http://"))[:2] == (200, "1")
    assert ask(app, names[1])[0] == 404


def ask_secured(app: App, name: str, authority: Authority) -> str:
    """What is answered under ``name`` over TLS to a client that trusts ``authority``: the head and the body."""
    context = ssl.create_default_context(cadata=authority.root)
    with socket.create_connection(("127.0.0.1", app.host.https_port), timeout=60) as link, context.wrap_socket(link, server_hostname=name) as tls:
        tls.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: tls.recv(65536), b"")).decode()


def test_a_certificate_of_ones_own_is_served_and_goes_with_its_name(app: App) -> None:
    app.deploy("1")
    name, authority = f"own.{app.name}.test", Authority()
    certificate, key = authority.chain(name, f"www.{name}")
    (app.folder / "own.pem").write_text(certificate)
    (app.folder / "own.key").write_text(key)
    words = (name, f"www.{name}", "--certificate", "own.pem", "--key", "own.key", "--hsts", "300")
    code, events = app.hitless("domain", "add", *words)
    assert code == 0, events[-1]
    said = ask_secured(app, name, authority)
    assert said.endswith("\r\n\r\n1")
    assert "strict-transport-security: max-age=300" in said.lower()
    status, _body, headers = ask(app, name, "/x")
    assert (status, headers["location"]) == (301, f"https://{name}/x")
    assert app.hitless("domain", "add", *words)[1][-1]["changed"] is False
    app.deploy("2")
    app.host.sh("systemctl restart haproxy")
    assert ask_secured(app, name, authority).endswith("\r\n\r\n2")
    assert {row["url"]: row["https"] for row in listed(app).values() if row["name"] == name} == {f"https://{name}": True}
    bad = app.hitless("domain", "add", f"else.{app.name}.test", "--certificate", "own.pem", "--key", "own.key")
    assert (bad[0], bad[1][-1]["event"]) == (1, "failed")
    assert ask(app, f"else.{app.name}.test")[0] == 404
    assert app.hitless("domain", "remove", name)[0] == 0
    assert ask(app, name)[0] == 404
    assert ask_secured(app, f"www.{name}", authority).endswith("\r\n\r\n2")
    assert app.hitless("domain", "remove", f"www.{name}")[0] == 0
    assert "PRIVATE KEY" not in app.host.sh(f"cat /etc/haproxy/hitless/certs/{name}* 2>/dev/null || true")
    assert key.splitlines()[1] not in repr(events)


def test_a_certificate_that_cannot_be_had_leaves_everything_as_it_was(app: App) -> None:
    app.deploy("1")
    before = listed(app)
    code, events = app.hitless("domain", "add", f"shop.{app.name}.example.com", "--acme-server", "https://127.0.0.1:1/dir")
    assert (code, events[-1]["event"]) == (1, "failed")
    assert "does not resolve" in events[-1]["reason"]
    assert listed(app) == before
    assert ask(app, f"shop.{app.name}.example.com")[0] == 404


def test_a_deploy_serves_plain_and_warns_where_a_certificate_cannot_be_had(app: App) -> None:
    name = f"shop.{app.name}.example.com"
    app.write("1", domains=[app.domain, name], certificates={"server": "https://127.0.0.1:1/dir"})
    code, events = app.hitless("deploy")
    assert code == 0, events[-1]
    assert [event["message"] for event in events if event["event"] == "warning" and name in event["message"]]
    assert ask(app, name)[:2] == (200, "1")
    code, events = app.hitless("domain", "sync")
    assert (code, events[-1]["event"]) == (1, "failed")
    assert ask(app, name)[:2] == (200, "1")


def test_a_change_while_a_step_works_is_refused_when_it_has_waited(app: App) -> None:
    app.deploy("1")
    lock = f"/var/lib/hitless/{app.name}/step.lock"
    holder = app.host.sh(f"setsid flock {lock} sleep 300 >/dev/null 2>&1 </dev/null & echo $!").strip()
    until(lambda: app.host.sh(f"flock -n {lock} true && echo free || echo held").strip() == "held")
    try:
        code, events = app.hitless("domain", "add", f"x.{app.name}.test", "--no-tls", "--wait", "1")
    finally:
        app.host.sh(f"kill -- -{holder}")
    assert (code, events[-1]["event"]) == (3, "failed")
    assert ask(app, f"x.{app.name}.test")[0] == 404
    assert app.hitless("domain", "add", f"x.{app.name}.test", "--no-tls")[0] == 0


def test_an_app_without_domains_answers_to_a_name_of_its_own_until_it_has_one(app: App) -> None:
    app.deploy("1", domains=[])
    assert ask(app, f"{app.name}.localhost")[:2] == (200, "1")
    assert {row["from"] for row in listed(app).values()} == {"default"}
    app.deploy("1", domains=[f"{app.name}.test"])
    assert ask(app, f"{app.name}.test")[:2] == (200, "1")
    assert ask(app, f"{app.name}.localhost")[0] == 404
