# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replicas on a real systemd: what they see, when they are healthy, and what is said when they are not."""

from __future__ import annotations

import json
import textwrap

import pytest

_HEALTH = {
    "type": "http", "path": "/", "command": None, "expect": "200-399", "interval": 0.3, "timeout": 2.0,
    "successes": 1, "failures": 3, "start_period": 0.0, "deadline": 20.0,
}  # fmt: skip
_SERVER = """
import http.server, json, os, signal, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = answer(self.path)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
def answer(path):
    return 200, b"ok"
"""
_SERVE = """
http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""
_IDS = (f"202611210900{second:02d}" for second in range(60))


def service(**values):
    """The resolved settings of a service."""
    health = {**_HEALTH, **values.pop("health", {})}
    kind = values.get("type", "web")
    if kind == "worker":
        health["type"] = "none"
    return {"type": kind, "command": "python3 app.py", "replicas": 1, "resources": {}, "stop_timeout": 5.0, "env": {}, "health": health, **values}


class App:
    """An app on the host, with as many artifacts and releases as a test wants."""

    def __init__(self, host, name):
        self.host = host
        self.name = name
        folders = f"/srv/{name}/artifacts /srv/{name}/releases /srv/{name}/shared /var/lib/hitless/{name}/deployments /etc/hitless"
        host.run(f"useradd --system hitless-{name}; mkdir -p {folders}")

    def artifact(self, digest, files, folders=()):
        """Freeze an artifact."""
        for path, text in files.items():
            self.host.write(f"/srv/{self.name}/artifacts/{digest}/{path}", text)
        for folder in folders:
            self.host.run(f"mkdir -p /srv/{self.name}/artifacts/{digest}/{folder}")
        self.host.run(f"chmod -R a+rX,a-w /srv/{self.name}/artifacts/{digest}")
        return digest

    def release(self, artifact, services, deployment=None, **args):
        """Run the step ``release``."""
        deployment = deployment or next(_IDS)
        args = {"release": deployment, "artifact": artifact, "services": services, **args}
        self.host.begin(self.name, deployment)
        return self.host.step("release", app=self.name, deployment=deployment, **args)

    def hook(self, artifact, command, name="pre_deploy", **args):
        """Run the step ``hook``."""
        deployment = next(_IDS)
        self.host.begin(self.name, deployment)
        return self.host.step("hook", app=self.name, deployment=deployment, release=deployment, artifact=artifact, name=name, command=command, **args)

    def get(self, replica, path="/"):
        """(status, body) of a GET to a replica."""
        url = f"http://127.0.0.1:{replica['port']}{path}"
        body, _newline, status = self.host.run(f"curl -s --path-as-is -w '\\n%{{http_code}}' '{url}'").rpartition("\n")
        return int(status), body

    def units(self):
        """What systemd still knows of the app."""
        loaded = self.host.run(f"systemctl list-units --all --plain --no-legend 'hitless-{self.name}.*' | cut -d' ' -f1").split()
        files = self.host.run(f"find /etc/systemd/system -name 'hitless-{self.name}.*'").split()
        return loaded + files


@pytest.fixture
def app(host, request):
    """An app named after the test."""
    found = App(host, "a" + format(abs(hash(request.node.name)) % 16**8, "x"))
    yield found
    units = f"'hitless-{found.name}.*'"
    host.run(f"systemctl kill -s KILL {units}; systemctl stop {units}; rm -f /etc/systemd/system/hitless-{found.name}.*", check=False)


def test_all_replicas_of_all_services_run_and_come_back_after_a_reboot(app):
    artifact = app.artifact("aaaaaaaa", {"app.py": _SERVER + _SERVE, "worker.py": "import time\nwhile True: time.sleep(60)\n"})
    services = {"web": service(replicas=2), "worker": service(type="worker", command="python3 worker.py")}
    done = app.release(artifact, services)
    assert not done.get("failed"), done
    assert {name: len(replicas) for name, replicas in done["replicas"].items()} == {"web": 2, "worker": 1}
    assert [app.get(replica) for replica in done["replicas"]["web"]] == [(200, "ok")] * 2
    app.host.reboot()
    for replica in done["replicas"]["web"]:
        app.host.run(f"until curl -sf 127.0.0.1:{replica['port']}; do sleep 0.1; done")


def test_a_second_run_changes_nothing_and_a_cut_one_is_finished(app):
    artifact = app.artifact("aaaaaaaa", {"app.py": _SERVER + _SERVE})
    first = app.release(artifact, {"web": service(replicas=2)}, "20261121100000")
    app.host.run(f"systemctl stop {first['replicas']['web'][1]['unit']}")
    second = app.release(artifact, {"web": service(replicas=2)}, "20261121100000")
    third = app.release(artifact, {"web": service(replicas=2)}, "20261121100000")
    assert (first["changed"], second["changed"], third["changed"]) == (True, True, False)
    assert first["replicas"] == second["replicas"] == third["replicas"]


def test_what_a_cut_left_is_listed_and_removed(app):
    artifact = app.artifact("aaaaaaaa", {"app.py": _SERVER + _SERVE})
    done = app.release(artifact, {"web": service(replicas=2)})
    lost = done["replicas"]["web"][0]["unit"]
    app.host.run(f"rm /etc/systemd/system/{lost} /etc/systemd/system/multi-user.target.wants/{lost}; systemctl daemon-reload")
    script = f"""
        from ansible_collections.hitless.paas.plugins.module_utils._runtime import runtime
        run = runtime("systemd")
        found = run.list("{app.name}")
        print(len(found), sorted(state.state for state in run.inspect(found).values()))
        run.remove(found)
        run.remove(found)
        print(run.list("{app.name}"))
    """
    assert app.host.run("cd /opt/hitless && python3 -", stdin=textwrap.dedent(script)) == "2 ['running', 'running']\n[]\n"
    # systemd read the other unit again, as wanted, before it was removed: it remembers that until the next time.
    app.host.run("systemctl daemon-reload")
    assert app.units() == []


def test_env_reaches_the_app_byte_for_byte_and_no_secret_is_seen(app):
    env = {
        "QUOTES": "it's \"q\" `x` \\", "SPACES": "  two  spaces ", "LINES": "\nfirst\n\nlast\n", "DOLLAR": "$HOME ${X} $$ $(id)", "PERCENT": "%n %% %H",
        "CJK": "漢字", "EMOJI": "😀🎉", "EMPTY": "", "HASH": "#x;y", "TAB": "\tx", "JINJA": "{{ 1 + 1 }}", "ONE": "1", "TOKEN": "s3cret-\"$v%alue",
    }  # fmt: skip
    seen = 'def answer(path):\n    return 200, json.dumps(dict(os.environ)).encode()\nprint("it is", os.environ["TOKEN"], flush=True)\n'
    artifact = app.artifact("aaaaaaaa", {"app.py": _SERVER + seen + _SERVE})
    services = {"web": service(env={"MINE": "a b", "CJK": "字"})}
    done = app.release(artifact, services, env={**env, "PORT": "1", "HOST": "x"}, plan_env={"LANGUAGE_HOME": "/app/x", "EMPTY": "no"}, secret_names=["TOKEN"])
    assert not done.get("failed"), done
    replica = done["replicas"]["web"][0]
    got = json.loads(app.get(replica)[1])
    assert {name: got.get(name) for name in env} == {**env, "CJK": "字"}
    assert (got["MINE"], got["LANGUAGE_HOME"], got["PORT"], got["HOST"]) == ("a b", "/app/x", str(replica["port"]), "127.0.0.1")
    assert [event["message"] for event in done["events"] if event["event"] == "warning"][0].startswith("env sets PORT")
    assert "s3cret" not in done["shown"]
    assert "s3cret" not in app.host.run("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    places = f"/srv/{app.name} /etc/systemd /var/lib/hitless /var/log/hitless /run/systemd"
    readable = app.host.run(f"grep -rls s3cret {places} 2>/dev/null | xargs -r stat -c '%a %U %n'")
    assert all(line.startswith("600 root ") for line in readable.splitlines()), readable


def test_a_replica_sees_its_files_read_only_and_nothing_of_others(app):
    look = """
def answer(path):
    found = {}
    for name in ["/srv", "/etc/hitless", "/var/lib/hitless", "/root"]:
        try: found[name] = os.listdir(name)
        except OSError as error: found[name] = error.strerror
    for name in ["/app/x", "/etc/x", "/srv/x", "/app/kept/x", "/tmp/x"]:
        try: open(name, "w").close(); found[name] = "written"
        except OSError as error: found[name] = error.strerror
    return 200, json.dumps(found).encode()
"""
    artifact = app.artifact("aaaaaaaa", {"app.py": _SERVER + look + _SERVE}, ["kept"])
    done = app.release(artifact, {"web": service()}, mounts={"/app/kept": "kept"})
    assert not done.get("failed"), done
    found = json.loads(app.get(done["replicas"]["web"][0])[1])
    assert [found[name] for name in ("/app/kept/x", "/tmp/x")] == ["written"] * 2
    assert [found[name] for name in ("/app/x", "/etc/x", "/srv/x")] == ["Read-only file system"] * 3
    assert found["/srv"] == []
    assert "Permission denied" in (found["/etc/hitless"], found["/var/lib/hitless"])
    assert found["/root"] in ([], "Permission denied")


def test_a_mount_keeps_its_data_across_releases_and_a_rollback(app):
    count = """
def answer(path):
    with open("/app/kept/log", "a+") as stream:
        stream.write(VERSION)
        stream.seek(0)
        return 200, stream.read().encode()
"""
    for version in "12":
        app.artifact(version * 8, {"app.py": f"VERSION = '{version}'" + _SERVER + count + _SERVE}, ["kept"])
    health = {"health": {"type": "tcp"}}
    said = []
    for args in ({"deployment": "20261121110001", "artifact": "1" * 8, "env": {"A": "1"}}, {"deployment": "20261121110002", "artifact": "2" * 8}):
        done = app.release(services={"web": service(**health)}, mounts={"/app/kept": "kept"}, **args)
        said.append(app.get(done["replicas"]["web"][0])[1])
    app.host.begin(app.name, "20261121110003")
    back = app.host.step("release", app=app.name, deployment="20261121110003", release="20261121110001", reuse=True)
    said.append(app.get(back["replicas"]["web"][0])[1])
    assert said == ["1", "12", "121"]


def test_a_mount_that_the_artifact_has_no_folder_for_is_refused(app):
    artifact = app.artifact("aaaaaaaa", {"app.py": _SERVER + _SERVE})
    done = app.release(artifact, {"web": service()}, mounts={"/app/kept": "kept"})
    assert (done["error"]["code"], app.units()) == ("mount_missing", [])
    assert "/app/kept" in done["msg"]


def test_the_wrong_port_is_named_with_the_right_one(app):
    wrong = 'http.server.HTTPServer(("127.0.0.1", 18123), Handler).serve_forever()\n'
    artifact = app.artifact("aaaaaaaa", {"app.py": _SERVER + wrong})
    done = app.release(artifact, {"web": service(health={"deadline": 3.0})})
    assert done["error"]["code"] == "unhealthy"
    (replica,) = done["error"]["details"]["replicas"]
    assert f"was expected to listen on {replica['endpoint']} but listens on 127.0.0.1:18123" in done["msg"]
    assert app.units() == []


def test_a_crash_on_start_ends_the_wait_and_shows_the_last_lines_without_secrets(app):
    crash = 'import os, sys\nprint("no database at", os.environ["DATABASE_URL"])\nsys.exit(3)\n'
    artifact = app.artifact("aaaaaaaa", {"app.py": crash})
    args = {"env": {"DATABASE_URL": "pg://hunter22"}, "secret_names": ["DATABASE_URL"]}
    done = app.release(artifact, {"web": service(health={"deadline": 600.0})}, **args)
    assert "ended with exit status 3" in done["msg"]
    assert "no database at ***" in done["error"]["details"]["log_tail"]
    assert ("hunter22" in done["shown"], app.units()) == (False, [])


def test_a_command_that_is_not_there_is_named(app):
    artifact = app.artifact("aaaaaaaa", {"app.py": ""})
    done = app.release(artifact, {"web": service(command="no-such-program --now", health={"deadline": 600.0})})
    assert "exit status 127" in done["msg"]
    assert any("no-such-program" in line for line in done["error"]["details"]["log_tail"])


def test_an_app_that_needs_a_while_gets_it(app):
    late = "begun = time.monotonic()\ndef answer(path):\n    return (200 if time.monotonic() - begun > 4 else 503), b''\n"
    artifact = app.artifact("aaaaaaaa", {"app.py": _SERVER + late + _SERVE})
    done = app.release(artifact, {"web": service(health={"deadline": 30.0})})
    assert not done.get("failed"), done
    said = [(event["result"], event["detail"]) for event in done["events"] if event["event"] == "health"]
    assert said == [("fail", "HTTP 503 to GET /"), ("pass", "HTTP 200 to GET /")]


def test_an_app_that_flaps_is_not_healthy(app):
    flap = "hits = iter(range(10**6))\ndef answer(path):\n    return (200 if next(hits) % 2 else 500), b''\n"
    artifact = app.artifact("aaaaaaaa", {"app.py": _SERVER + flap + _SERVE})
    done = app.release(artifact, {"web": service(health={"successes": 2, "deadline": 4.0})})
    assert "was not healthy within 4 s" in done["msg"]
    assert app.units() == []


def test_an_app_that_hangs_does_not_hide_the_others(app):
    hang = "def answer(path):\n    time.sleep(60)\n"
    artifact = app.artifact("aaaaaaaa", {"app.py": _SERVER + _SERVE, "hang.py": _SERVER + hang + _SERVE})
    services = {"good": service(), "hanging": service(command="python3 hang.py", health={"timeout": 0.5, "deadline": 3.0})}
    done = app.release(artifact, services)
    assert [replica["service"] for replica in done["error"]["details"]["replicas"]] == ["hanging"]
    assert "no answer to GET / within 0.5 s" in done["msg"]


@pytest.mark.parametrize(("command", "healthy"), [('test -e app.py && test "$PORT" -ge 20000 && test 100%s = 100%s', True), ("echo no luck; exit 4", False)])
def test_a_health_command_runs_where_the_replica_runs(app, command, healthy):
    artifact = app.artifact("aaaaaaaa", {"app.py": _SERVER + _SERVE})
    done = app.release(artifact, {"web": service(health={"type": "command", "command": command, "deadline": 3.0})})
    assert bool(done.get("failed")) is not healthy, done
    assert healthy or "exit status 4: no luck" in done["msg"]


@pytest.mark.parametrize(("handler", "within"), [("sys.exit(0)", 3), ("None", 8)])
def test_a_replica_that_obeys_or_ignores_sigterm_ends(app, handler, within):
    trap = f"signal.signal(signal.SIGTERM, lambda *words: {handler})\n"
    artifact = app.artifact("aaaaaaaa", {"app.py": _SERVER + trap + _SERVE})
    done = app.release(artifact, {"web": service(stop_timeout=2.0)})
    unit = done["replicas"]["web"][0]["unit"]
    app.host.run(f"timeout {within} systemctl stop {unit}")
    result = app.host.run(f"systemctl show -p Result --value {unit}").strip()
    assert result == ("success" if "exit" in handler else "timeout")


def test_a_static_site_is_served_by_a_server_of_its_own(app):
    files = {"dist/index.html": "<h1>home</h1>", "dist/about.html": "about", "dist/app.mjs": "x", "dist/.env": "TOKEN=x", "dist/.well-known/a": "well"}
    files["secret.txt"] = "no"
    artifact = app.artifact("aaaaaaaa", files)
    plain = app.release(artifact, {"web": service(type="static", command=None, output="dist", spa=False)})
    assert not plain.get("failed"), plain
    replica = plain["replicas"]["web"][0]
    paths = ("/", "/about", "/none", "/.env", "/.well-known/a", "/../secret.txt", "/%2e%2e/secret.txt")
    assert [app.get(replica, path)[0] for path in paths] == [200, 200, 404, 404, 200, 400, 400]
    head = app.host.run(f"curl -sI -H 'Accept-Encoding: gzip' 127.0.0.1:{replica['port']}/app.mjs").lower()
    assert "content-type: text/javascript" in head
    assert "etag: " in head
    user = app.host.run(f"ps -o user:40= -p $(systemctl show -p MainPID --value {replica['unit']})").strip()
    assert user == f"hitless-{app.name}"
    spa = app.release(artifact, {"web": service(type="static", command=None, output="dist", spa=True)})
    assert app.get(spa["replicas"]["web"][0], "/any/route") == (200, "<h1>home</h1>")


def test_a_hook_runs_once_in_the_sandbox_and_its_log_shows_no_secret(app):
    migrate = 'import os\nprint("to", os.environ["DB"], os.getcwd())\nopen("/app/kept/done", "a").write("x")\n'
    artifact = app.artifact("aaaaaaaa", {"migrate.py": migrate}, ["kept"])
    done = app.hook(artifact, "python3 migrate.py && echo $((40+2)) 100%s $DB", env={"DB": "pg://hunter22"}, secret_names=["DB"], mounts={"/app/kept": "kept"})
    assert not done.get("failed"), done
    assert '"lines": ["to *** /app", "42 100%s ***"]' in done["shown"]
    assert app.host.run(f"cat {done['log']}") == "to *** /app\n42 100%s ***\n"
    assert app.host.run(f"cat /srv/{app.name}/shared/kept/done") == "x"
    assert "hunter22" not in done["shown"]


@pytest.mark.parametrize(("command", "reason"), [("echo bad; exit 7", "exit status 7"), ("sleep 600", "it did not end in time"), ("kill -9 $$", "signal 9")])
def test_a_failed_pre_deploy_hook_is_an_error_that_says_why(app, command, reason):
    done = app.hook(app.artifact("aaaaaaaa", {"x": ""}), command, timeout=2.0)
    assert (done["error"]["code"], reason in done["msg"]) == ("hook_failed", True), done["msg"]
    assert app.units() == []


def test_a_failed_post_deploy_hook_is_a_warning(app):
    done = app.hook(app.artifact("aaaaaaaa", {"x": ""}), "echo bad; exit 7", name="post_deploy")
    assert not done.get("failed"), done
    assert ["exit status 7" in event["message"] for event in done["events"] if event["event"] == "warning"] == [True]


def test_no_hook_is_no_error(app):
    done = app.hook(app.artifact("aaaaaaaa", {"x": ""}), None)
    assert (done.get("failed", False), done["changed"]) == (False, False)
