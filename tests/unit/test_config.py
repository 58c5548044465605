# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""hitless.yml: settings, defaults, and errors that name the line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils import _config, _dotenv
from jsonschema import Draft202012Validator

FULL = """\
app: shop
build: {builder: auto, memory: 1G}
services:
  web:
    command: gunicorn shop.wsgi
    replicas: 2
    health: {path: /healthz, interval: 500ms, timeout: 5, deadline: 2m}
    resources: {memory: 512M, cpu: 1.0}
  worker: {type: worker, command: celery -A shop worker}
hooks: {pre_deploy: python manage.py migrate}
env: {VERSION: 1.10, DEBUG: yes, EMPTY: , SHARED: env}
secrets: [DATABASE_URL]
mounts: {/app/uploads: uploads}
domains: [Shop.example.com]
targets:
  prod: {hosts: [203.0.113.7], env: {DEBUG: no}, services: {web: {replicas: 4}}}
  second: {hosts: [203.0.113.8], user: deploy}
  dev: {provider: docker}
"""


def _write(folder: Path, text: str, dotenv: str | None = None) -> Path:
    path = folder / "hitless.yml"
    path.write_text(text, encoding="utf-8")
    if dotenv is not None:
        (folder / ".env").write_text(dotenv, encoding="utf-8")
    return path


def _errors(folder: Path, text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(HitlessError) as caught:
        _config.load(_write(folder, text), env={})
    assert caught.value.code == "config_invalid"
    assert caught.value.exit == 2
    return [(entry["line"], entry["key"], entry["message"]) for entry in caught.value.details["errors"]]


def test_schema_is_a_schema_and_describes_every_key():
    Draft202012Validator.check_schema(_config.schema())

    def undescribed(rule, path):
        rule = {**_config.schema()["$defs"][rule["$ref"].rpartition("/")[2]], **rule} if "$ref" in rule else rule
        for name, inner in rule.get("properties", {}).items():
            resolved = {**_config.schema()["$defs"][inner["$ref"].rpartition("/")[2]], **inner} if "$ref" in inner else inner
            if "description" not in resolved:
                yield f"{path}.{name}"
            yield from undescribed(inner, f"{path}.{name}")

    assert list(undescribed(_config.schema(), "")) == []


def test_settings_have_units_defaults_and_overrides(tmp_path):
    settings = _config.load(_write(tmp_path, FULL), "prod", env={"DATABASE_URL": "postgres://x"})
    values = settings.as_dict()
    web, worker = values["services"]["web"], values["services"]["worker"]
    assert values["source"] == str(tmp_path)
    assert values["build"]["memory"] == 1024**3
    assert (web["replicas"], web["resources"], worker["resources"]) == (4, {"memory": 512 * 1024**2, "cpu": 1.0}, {"memory": None, "cpu": None})
    assert (web["health"]["interval"], web["health"]["timeout"], web["health"]["deadline"]) == (0.5, 5.0, 120.0)
    assert worker["health"]["type"] == "none"
    assert [(domain["name"], domain["path"], domain["tls"]) for domain in values["domains"]] == [("shop.example.com", "/", True)]
    assert values["provider"] == {"name": "byos", "hosts": ["203.0.113.7"], "user": "root", "port": 22, "key": None, "host_key_checking": "accept-new"}
    assert values["lock"] == {"lease": 60.0, "wait": 0.0}
    assert json.loads(json.dumps(values)) == values


def test_variables_merge_and_stay_as_written(tmp_path):
    path = _write(tmp_path, FULL, "SHARED=dotenv\nTOKEN='a $b % 日本 🙂'\n")
    settings = _config.load(path, "prod", env={"DATABASE_URL": "from environment"}, secrets={"DATABASE_URL": "from vault"})
    assert settings.env == {"SHARED": "env", "TOKEN": "a $b % 日本 🙂", "VERSION": "1.10", "DEBUG": "no", "EMPTY": "", "DATABASE_URL": "from vault"}
    assert settings.secret_names == ["DATABASE_URL", "TOKEN"]
    assert "from vault" not in repr(settings)


def test_secret_without_a_value_is_reported_not_fatal(tmp_path):
    assert _config.load(_write(tmp_path, FULL), "prod", env={}).missing_secrets == ["DATABASE_URL"]


def test_secret_from_a_file(tmp_path):
    (tmp_path / "key").write_text("two\nlines\n")
    settings = _config.load(_write(tmp_path, "app: a\nsecrets: [{name: KEY, file: key}]\n"), env={})
    assert settings.env == {"KEY": "two\nlines"}
    assert _errors(tmp_path, "app: a\nsecrets:\n  - {name: KEY, file: none}\n")[0][:2] == (3, "secrets[0]")


@pytest.mark.parametrize(
    ("text", "line", "key", "part"),
    [
        ("services: {}\n", 1, "app", "is missing"),
        ("app: Shop\n", 1, "app", '"Shop"'),
        ("app: a--b\n", 1, "app", "no --"),
        ('app: "a\\n"\n', 1, "app", "a-z"),
        ("app: 7\n", 1, "app", "is 7"),
        ("app: a\nkeep_releases: 0\n", 2, "keep_releases", "from 1 to 1000"),
        ("app: a\nkeep_releases: true\n", 2, "keep_releases", "a whole number"),
        ("app: a\nservces: {}\n", 2, "servces", "did you mean services?"),
        ("app: a\nservices:\n  web:\n    replicas: two\n", 4, "services.web.replicas", "a whole number from 1 to 100"),
        ("app: a\nservices:\n  web:\n    health:\n      intervall: 1s\n", 5, "services.web.health.intervall", "did you mean interval?"),
        ("app: a\nservices:\n  web:\n    health:\n      interval: 0s\n", 5, "services.web.health.interval", "more than 0"),
        ("app: a\nservices:\n  web:\n    health:\n      type: command\n", 4, "services.web.health.command", "is missing"),
        ("app: a\nservices:\n  Web: {}\n", 3, "services.Web", "not a name"),
        ("app: a\nservices:\n  w: {type: worker, health: {type: http}}\n", 3, "services.w.health.type", "a worker has no port"),
        ("app: a\nservices:\n  w: {strategy: blue-green}\n", 3, "services.w.strategy", "blue_green"),
        ("app: a\nservices:\n  w: {strategy: canary}\n", 3, "services.w.strategy", "blue_green"),
        ("app: a\nrouter: traefik\n", 2, "router", "haproxy"),
        ("app: a\ntargets:\n  t: {provider: hetzner}\n", 3, "targets.t.provider", "byos, docker"),
        ("app: a\nservices:\n  w: {resources: {memory: 5X}}\n", 3, "services.w.resources.memory", "512M"),
        ("app: a\nservices:\n  w:\n    root: ../x\n", 4, "services.w.root", "without .."),
        ("app: a\nservices:\n  w:\n    build: {build: ' '}\n", 4, "services.w.build.build", 'or "" for nothing'),
        ("app: a\nservices:\n  w:\n    build: {install: }\n", 4, "services.w.build.install", 'or "" for nothing'),
        ("app: a\nservices:\n  w:\n    build: {instal: x}\n", 4, "services.w.build.instal", "did you mean install?"),
        ("app: a\nservices:\n  w:\n    build: make\n", 4, "services.w.build", "a map"),
        ("app: a\nservices:\n  w:\n    command: |\n      a\n      b\n", 4, "services.w.command", "one line"),
        ("app: a\nmounts:\n  /app/../etc: x\n", 3, 'mounts."/app/../etc"', "without .."),
        ("app: a\nmounts:\n  app/x: x\n", 3, "mounts.app/x", "an absolute path"),
        ("app: a\nmounts:\n  /etc: x\n", 3, "mounts./etc", "not /app itself"),
        ("app: a\nmounts:\n  /app/a: ../x\n", 3, "mounts./app/a", "letters, digits"),
        ("app: a\nmounts:\n  /app/a: x\n  /app/b: x\n", 3, "mounts./app/a", "shares the name"),
        ("app: a\ndomains:\n  - https://x.example\n", 3, "domains[0]", "host name"),
        ("app: a\nenv:\n  1A: x\n", 3, "env.1A", "letters, digits and _"),
        ("app: a\nenv:\n  A: [x]\n", 3, "env.A", "text, a number"),
        ("app: a\nsecrets: [a-b]\n", 2, "secrets[0]", "variable's name"),
        ("app: a\ntargets:\n  prod: {hosts: []}\n", 3, "targets.prod.hosts", "an empty list"),
        ("app: a\ntargets:\n  prod: {provider: byos}\n", 3, "targets.prod.hosts", "is missing"),
        ("app: a\ntargets:\n  prod: {provider: docker, hosts: [h]}\n", 3, "targets.prod.hosts", "makes its own server"),
        ("app: a\ntargets:\n  prod:\n    hosts:\n      - -oProxyCommand=x\n", 5, "targets.prod.hosts[0]", "user@host"),
        ("app: a\ntargets:\n  prod: {hosts: [h, 'root@h:22']}\n", 3, "targets.prod.hosts[1]", "same host"),
        ("app: a\ntargets:\n  prod: {hosts: ['h:99999']}\n", 3, "targets.prod.hosts[0]", "1 to 65535"),
        ("app: a\nenv: {}\nenv: {}\n", 3, "env", "stands twice, first in line 2"),
        ("app: !!python/object:os.system x\n", 1, "app", "no tags"),
        ("app: a\nenv:\n  K: !vault x\n", 3, "env.K", "hitless_secrets"),
        ("- a\n", 1, "", "a map of keys"),
        ("app: [a\n", 2, "", "not valid YAML"),
        ("", 1, "app", "is missing"),
    ],
)
def test_error_names_line_key_and_what_is_allowed(tmp_path, text, line, key, part):
    errors = _errors(tmp_path, text)
    assert errors[0][:2] == (line, key)
    assert part in errors[0][2]
    assert "hitless.yml line" in errors[0][2]


def test_all_errors_come_at_once(tmp_path):
    assert [line for line, _key, _message in _errors(tmp_path, "app: A\nkeep_releases: x\nrouter: y\n")] == [1, 2, 3]


def test_aliases_work_and_cannot_explode(tmp_path):
    settings = _config.load(_write(tmp_path, "app: a\nservices:\n  x: &x {command: run, replicas: 2}\n  y: {<<: *x, replicas: 3}\n"), env={})
    assert [(service["command"], service["replicas"]) for service in settings.values["services"].values()] == [("run", 2), ("run", 3)]
    bomb = "app: a\nenv:\n  a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"  {new}: &{new} [{','.join(['*' + old] * 10)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
    )
    assert any("aliases" in message for _line, _key, message in _errors(tmp_path, bomb))
    assert any("aliases" in message for _line, _key, message in _errors(tmp_path, "app: a\nenv: &e\n  x: *e\n"))


def test_no_value_of_a_variable_is_in_an_error(tmp_path):
    assert not any("hunter2" in message for _line, _key, message in _errors(tmp_path, "app: a\nenv:\n  A: [hunter2]\n  B: {c: hunter2}\n"))


@pytest.mark.parametrize(
    ("target", "expected"),
    [("", {"install": None, "build": "make"}), ('services: {w: {build: {install: ""}}}', {"install": "", "build": "make"})],
)
def test_commands_of_a_service_are_merged_one_by_one(tmp_path, target, expected):
    text = f"app: x\nservices: {{w: {{build: {{build: make}}}}, v: {{}}}}\ntargets: {{dev: {{{target}}}}}\n"
    services = _config.load(_write(tmp_path, text), env={}).values["services"]
    assert services["w"]["build"] == expected
    assert services["v"]["build"] == {"install": None, "build": None}


@pytest.mark.parametrize(
    ("targets", "named", "picked"),
    [("", None, "dev"), ("", "dev", "dev"), ("targets: {prod: {hosts: [h]}}\n", None, "prod"), ("targets: {a: {}, b: {}}\n", "b", "b")],
)
def test_target_is_picked(tmp_path, targets, named, picked):
    assert _config.load(_write(tmp_path, "app: x\n" + targets), named, env={}).target == picked


@pytest.mark.parametrize(("named", "part"), [(None, "several (prod, stage)"), ("prd", "did you mean prod?")])
def test_target_that_cannot_be_picked_lists_them(tmp_path, named, part):
    with pytest.raises(HitlessError, match="line 2") as caught:
        _config.load(_write(tmp_path, "app: x\ntargets: {prod: {}, stage: {}}\n"), named, env={})
    assert part in caught.value.message


@pytest.mark.parametrize(
    ("value", "expected"), [("500ms", 0.5), ("1s", 1.0), ("2m", 120.0), ("1.5h", 5400.0), ("1d", 86400.0), (5, 5.0), ("7", 7.0), (0.25, 0.25)]
)
def test_durations(value, expected):
    assert _config.seconds(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("512M", 512 * 1024**2), ("1G", 1024**3), ("1.5GiB", 3 * 512 * 1024**2), ("2KB", 2048), (4096, 4096), ("77", 77)]
)
def test_sizes(value, expected):
    assert _config.size_bytes(value) == expected


@pytest.mark.parametrize(("folder", "name"), [("My_Shop 2", "my-shop-2"), ("2048", "app"), ("--x--y--", "x-y"), ("a" * 40, "a" * 24), ("日本", "app")])
def test_app_name_from_a_folder(folder, name):
    assert _config.app_name(folder) == name


def test_assumed_settings_and_what_init_writes(tmp_path):
    folder = tmp_path / "My Shop"
    folder.mkdir()
    settings, assumptions = _config.assume(folder)
    assert (settings.app, settings.target, settings.provider, settings.path) == ("my-shop", "dev", {"name": "docker"}, None)
    assert any("my-shop" in sentence for sentence in assumptions)
    text = _config.dump(settings)
    assert text.startswith("# yaml-language-server: $schema=https://")
    assert yaml.safe_load(text)["plugin"] == "hitless.paas.hitless"
    assert _config.load(_write(folder, text), env={}).as_dict() == settings.as_dict()


def test_dump_gives_the_same_services_back(tmp_path):
    settings = _config.load(_write(tmp_path, FULL), "prod", env={})
    (tmp_path / "again").mkdir()
    again = _config.load(_write(tmp_path / "again", _config.dump(settings)), env={}).as_dict()
    for key in ("app", "target", "services", "hooks", "mounts", "domains", "provider"):
        assert again[key] == settings.values[key], key


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=1\n", {"A": "1"}),
        ("export A=1", {"A": "1"}),
        ("# c\n\n A = b c  # d\nB=x#y\n", {"A": "b c", "B": "x#y"}),
        ("A=# only a comment", {"A": ""}),
        ("A='x $y \\n' # c", {"A": "x $y \\n"}),
        ('A="a\\nb \\"q\\" \\$ \\x"', {"A": 'a\nb "q" $ \\x'}),
        ('A="-----BEGIN\nxyz\n-----END"\nB=2', {"A": "-----BEGIN\nxyz\n-----END", "B": "2"}),
        ("\ufeffA=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=", {"A": ""}),
        ("A=a=b", {"A": "a=b"}),
        ("A=$HOME ${X} %d 日本", {"A": "$HOME ${X} %d 日本"}),
    ],
)
def test_dotenv(text, values):
    found = _dotenv.parse(text)
    assert (found.values, found.problems) == (values, [])


@pytest.mark.parametrize(("text", "line"), [("A=1\nB", 2), ("1A=x", 1), ('X=1\nA="open\nmore', 2), ("A='x' y\nB=1", 1), ("A B=1", 1)])
def test_dotenv_errors_name_the_line_and_hold_no_value(tmp_path, text, line):
    found = _dotenv.parse(text)
    assert [number for number, _message in found.problems] == [line]
    with pytest.raises(HitlessError, match=rf"\.env line {line}:"):
        _config.load(_write(tmp_path, "app: a\n", text), env={})
