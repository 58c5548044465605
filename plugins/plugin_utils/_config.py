# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``hitless.yml``: read, checked against its schema, defaults filled in (docs/architecture.md, Settings)."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.hitless.paas.plugins.module_utils import _domains as _wishes
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils import _dotenv, _yaml
from ansible_collections.hitless.paas.plugins.plugin_utils._origin import origin_of
from ansible_collections.hitless.paas.plugins.plugin_utils._yaml import Document, Key, Problem, dotted

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

SCHEMA = Path(__file__).parent / "schema" / "hitless.schema.json"
NAMES = ("hitless.yml", "hitless.yaml")
DEFAULT_TARGET = "dev"

_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_TYPES = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "object": "a map", "array": "a list"}
_TARGET_OVERRIDES = ("env", "services", "domains", "preview_domain", "keep_releases")


@dataclass(frozen=True)
class Settings:
    """One app at one target.

    Attributes:
        values: docs/architecture.md, Settings.
        env: ``.env``, ``env`` and ``secrets`` merged, later ones winning.
        secret_names: names of variables whose values must never be shown.
        missing_secrets: names in ``secrets`` that have no value; a deployment cannot begin with any.
        path: the file; None for an app without one.
    """

    values: dict[str, Any]
    env: dict[str, str] = field(repr=False)
    secret_names: list[str]
    missing_secrets: list[str]
    path: Path | None = None

    @property
    def app(self) -> str:
        return str(self.values["app"])

    @property
    def target(self) -> str:
        return str(self.values["target"])

    @property
    def provider(self) -> dict[str, Any]:
        """Options of the target, ``name`` among them."""
        return dict(self.values["provider"])

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values of one's own."""
        return copy.deepcopy(self.values)


def load(
    path: str | os.PathLike[str],
    target: str | None = None,
    env: Mapping[str, str] | None = None,
    secrets: Mapping[str, Any] | None = None,
    folder: str | os.PathLike[str] | None = None,
    checked: str | None = None,
) -> Settings:
    """Read a ``hitless.yml``.

    Args:
        path: the file, or the folder that holds it.
        target: name of the target; the only one when there is one.
        env: where ``secrets`` are looked up; this process's environment by default.
        secrets: values that win over ``env`` (of Ansible Vault, decrypted).
        folder: the app's folder, when the file lies elsewhere.
        checked: ``fingerprint`` of a file that was found without error before; it is not checked against the schema again.

    Raises:
        HitlessError: ``config_invalid``; ``details["errors"]`` has every error as file, line, key and message.
    """
    file = find(path)
    document = _yaml.read(file, file.name)
    problems = list(document.problems)
    data: dict[str, Any] = {}
    if not problems:
        data, found = _check(document, file.name, known=bool(checked) and checked == fingerprint(file))
        problems += found
    root = Path(folder).absolute() if folder else file.parent
    dotenv, found = _read_dotenv(root)
    problems += found
    _refuse(problems)
    name = _pick_target(data.get("targets"), target, file.name, document)
    secret_values, missing = _secrets(data.get("secrets", ()), os.environ if env is None else env, secrets or {}, root, document, file.name)
    return _settings(data, name, root, dotenv, secret_values, missing, file)


def fingerprint(file: Path) -> str:
    """What stands for a file that was checked by this version's schema."""
    return hashlib.sha256(SCHEMA.read_bytes() + b"\0" + file.read_bytes()).hexdigest()


def assume(folder: str | os.PathLike[str], target: str | None = None) -> tuple[Settings, list[str]]:
    """Settings of an app without a ``hitless.yml``, and what was assumed, as sentences."""
    root = Path(folder).resolve()
    if not root.is_dir():
        raise HitlessError("config_invalid", f"{folder} is not a folder; nothing was changed", hint="give the app's folder")
    name = target or DEFAULT_TARGET
    if name != DEFAULT_TARGET:
        message = f"there is no target {name} in {root}: it has no hitless.yml; nothing was changed"
        raise HitlessError("config_invalid", message, hint="hitless init, then add the target to hitless.yml")
    dotenv, problems = _read_dotenv(root)
    _refuse(problems)
    app = app_name(root.name)
    assumptions = [
        f'the app is called "{app}", after its folder',
        "its services are what detection finds",
        f'the target is "{name}", a server in a local container',
    ]
    return _settings({"app": app}, name, root, dotenv, {}, [], None), assumptions


def find(path: str | os.PathLike[str]) -> Path:
    """The configuration file at ``path``, which is the file or its folder."""
    given = Path(path).absolute()
    candidates = [given / name for name in NAMES] if given.is_dir() else [given]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise HitlessError("config_invalid", f"there is no {candidates[0]}; nothing was changed", hint="hitless init")


def app_name(text: str) -> str:
    """``text`` as an app's name: ``My_Shop 2`` becomes ``my-shop-2``."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-").lstrip("0123456789-")
    return name[:24].strip("-") or "app"


def seconds(value: str | float) -> float:
    """A duration that the schema accepts, in seconds."""
    match = re.fullmatch(r"([0-9.]+)([a-z]*)", str(value))
    return round(float(match[1]) * _UNITS[match[2]], 6) if match else float(value)


def size_bytes(value: str | int) -> int:
    """A size that the schema accepts, in bytes."""
    match = re.fullmatch(r"([0-9.]+)([KMGT]?)(i?B)?", str(value))
    return int(float(match[1]) * 1024 ** _POWERS[match[2]]) if match else int(value)


@functools.cache
def schema() -> dict[str, Any]:
    """The JSON Schema of ``hitless.yml``."""
    value: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return value


def dump(settings: Settings) -> str:
    """``hitless.yml`` for these settings: what differs from the defaults, and comments that say what else there is."""
    values = settings.values
    services = {name: _written_service(service) for name, service in values["services"].items()}
    lines = [
        f"# yaml-language-server: $schema={schema()['$id']}",
        "# Every key: docs/configuration.md",
        "plugin: hitless.paas.hitless  # ansible-playbook -i hitless.yml hitless.paas.deploy works as well",
        f"app: {_flow(values['app'])}",
        *_block("services", services, "# services:  # detection or a Procfile supplies them\n#   web: {replicas: 2, health: {path: /healthz}}"),
        *_block("hooks", _differing(values["hooks"], _defaults_of(schema()["properties"]["hooks"])), "# hooks: {pre_deploy: ./migrate.sh}"),
        "# env: {LANG: C.UTF-8}  # .env beside this file is read too",
        "# secrets: [DATABASE_URL]  # from the environment, a file or Ansible Vault",
        *_block("mounts", values["mounts"], "# mounts: {/app/uploads: uploads}  # kept across releases"),
        *([f"domains: {_flow([_written_domain(one) for one in values['domains']])}"] if values["domains"] else ["# domains: [shop.example.com]"]),
        "targets:",
        f"  {values['target']}: {_flow(_target_options(values['provider']))}",
        "  # prod: {hosts: [203.0.113.7], user: root}",
    ]
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """``value`` as YAML in one line; JSON is YAML."""
    plain = isinstance(value, str) and re.fullmatch(r"[a-z][a-z_-]*[a-z]", value) and value not in ("yes", "no", "on", "off", "true", "false", "null")
    return value if plain else json.dumps(value, ensure_ascii=False)


def _block(name: str, value: Mapping[str, Any], otherwise: str) -> list[str]:
    if not value:
        return otherwise.splitlines()
    return [f"{name}:", *(f"  {_flow(key)}: {_flow(entry)}" for key, entry in value.items())]


def _differing(value: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, entry in value.items():
        if isinstance(entry, dict) and isinstance(defaults.get(key), dict):
            entry = _differing(entry, defaults[key]) or defaults[key]
        if entry != defaults.get(key):
            found[key] = entry
    return found


def _written_service(service: Mapping[str, Any]) -> dict[str, Any]:
    """What has to be written of a service; the defaults of its health check depend on its type."""
    kind = {} if service["type"] == "web" else {"type": service["type"]}
    return {**kind, **_differing(service, _service({"type": service["type"]}))}


def _written_domain(wish: Mapping[str, Any]) -> str | dict[str, Any]:
    """What has to be written of a domain: its name alone where that says all."""
    plain = _wishes.checked(wish["name"], "config")
    written = {key: value for key, value in wish.items() if value != plain[key]}
    return {"name": wish["name"], **written} if written else str(wish["name"])


def _target_options(provider: Mapping[str, Any]) -> dict[str, Any]:
    defaults = _defaults_of(schema()["$defs"]["target"])
    options = {key: value for key, value in provider.items() if key != "name" and value != defaults.get(key)}
    return options if provider["name"] == "byos" else {"provider": provider["name"], **options}


# --- checking


def _pattern(validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    # Python's $ also matches before a last newline; JSON Schema's does not.
    if isinstance(instance, str) and not re.search(re.sub(r"(?<!\\)\$", r"\\Z", pattern), instance):
        from jsonschema.exceptions import ValidationError

        yield ValidationError(f"{instance!r} does not match")


@functools.cache
def _validator() -> Any:
    try:
        from jsonschema import Draft202012Validator
        from jsonschema.validators import extend
    except ImportError as error:
        message = "hitless.yml cannot be checked, because Python's jsonschema is missing on this machine; nothing was changed"
        raise HitlessError("config_invalid", message, hint="pip install jsonschema") from error
    checked = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]
    return checked(schema())


def _check(document: Document, file: str, known: bool) -> tuple[dict[str, Any], list[Problem]]:
    """The file's values with the texts of ``env`` as written, and what is wrong with them; of a known file only what the schema cannot tell."""
    data = {} if document.value is None else document.value
    if not isinstance(data, dict):
        return {}, [Problem(file, document.line(()), (), f"is {_shown(data)}; allowed: a map of keys, app: at least")]
    for key in _environments(data):
        _as_written(data, key, document)
    errors = () if known else _validator().iter_errors(data)
    problems = [problem for error in errors for problem in _explain(error, document, file)]
    problems = sorted(set(problems), key=lambda problem: (problem.line, dotted(problem.key)))
    return data, problems or list(_cross_check(data, document, file))


def _environments(data: Mapping[str, Any]) -> Iterator[Key]:
    """Where variables stand: at the top, in services, in targets and in their services."""
    targets = data.get("targets")
    layers: list[tuple[Key, Any]] = [((), data), *((("targets", name), target) for name, target in (targets.items() if isinstance(targets, dict) else ()))]
    for key, layer in layers:
        if not isinstance(layer, dict):
            continue
        yield (*key, "env")
        services = layer.get("services")
        yield from ((*key, "services", name, "env") for name in (services if isinstance(services, dict) else ()))


def _as_written(data: dict[str, Any], key: Key, document: Document) -> None:
    """Take variables as they are written: ``1.10`` and ``yes`` are texts there."""
    values: Any = data
    for part in key:
        values = values.get(part) if isinstance(values, dict) else None
    if not isinstance(values, dict):
        return
    for name, value in values.items():
        text = document.raw.get((*key, name))
        if text is not None and not (value is None and text):
            values[name] = text


def _explain(error: ValidationError, document: Document, file: str) -> Iterator[Problem]:
    key: Key = tuple(error.absolute_path)
    rule: Mapping[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    instance: Any = error.instance
    if error.validator == "additionalProperties":
        yield from (_problem(document, file, (*key, name), _unknown(name, rule)) for name in instance if name not in rule["properties"])
    elif error.validator == "required":
        missing = [name for name in rule["required"] if name not in instance]
        yield from (_problem(document, file, (*key, name), "is missing") for name in missing)
    elif "propertyNames" in error.absolute_schema_path:
        yield _problem(document, file, (*key, str(instance)), f"is not a name that can be used here; allowed: {rule.get('x-allowed')}")
    elif error.validator == "uniqueItems":
        yield _problem(document, file, key, "has an entry twice; allowed: each once")
    else:
        shown = "has a value that cannot be used" if "env" in key else f"is {_shown(instance)}"
        yield _problem(document, file, key, f"{shown}; allowed: {_allowed(rule)}")


def _problem(document: Document, file: str, key: Key, message: str) -> Problem:
    return Problem(file, document.line(key), key, message)


def _nearest(name: str, known: Iterable[str]) -> list[str]:
    """The known name that is most like ``name``, if one is."""
    import difflib  # only a mistake needs it

    return difflib.get_close_matches(name, known, 1)


def _unknown(name: str, rule: Mapping[str, Any]) -> str:
    known = sorted(rule["properties"])
    near = _nearest(str(name), known)
    return f"is not a key that is known here{f'; did you mean {near[0]}?' if near else ''}; allowed: {', '.join(known)}"


def _allowed(rule: Mapping[str, Any]) -> str:
    if "x-allowed" in rule:
        return str(rule["x-allowed"])
    if "enum" in rule or "const" in rule:
        return ", ".join(_plain(value) for value in rule.get("enum", [rule.get("const")]))
    types = rule.get("type", "object")
    text = " or ".join(_TYPES[name] for name in ([types] if isinstance(types, str) else types))
    if "minimum" in rule:
        text += f" from {rule['minimum']} to {rule['maximum']}"
    return text + (", not empty" if "minItems" in rule or "minLength" in rule else "")


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, (dict, list)):
        return "a map" if isinstance(value, dict) else "a list" if value else "an empty list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "…"


def _cross_check(data: Mapping[str, Any], document: Document, file: str) -> Iterator[Problem]:
    """What a schema cannot say in words that help."""
    layers: list[tuple[Key, Mapping[str, Any]]] = [((), data)]
    layers += [(("targets", name), target) for name, target in data.get("targets", {}).items()]
    for above, layer in layers:
        for name, service in layer.get("services", {}).items():
            base = {**data.get("services", {}).get(name, {}), **service}
            yield from _check_service((*above, "services", name), base, document, file)
    for name, target in data.get("targets", {}).items():
        yield from _check_target(("targets", name), target, document, file)
    for above, layer in layers:
        yield from _check_domains((*above, "domains"), layer.get("domains", ()), document, file)
    names = list(data.get("mounts", {}).values())
    for path, name in data.get("mounts", {}).items():
        if names.count(name) > 1:
            yield _problem(document, file, ("mounts", path), f"shares the name {name} with another mount; allowed: one name a mount")
    secret_names = [_secret_name(entry) for entry in data.get("secrets", ())]
    for index, name in enumerate(secret_names):
        if name in secret_names[:index]:
            yield _problem(document, file, ("secrets", index), f"names {name} again; allowed: each once")


def _check_service(key: Key, service: Mapping[str, Any], document: Document, file: str) -> Iterator[Problem]:
    health = service.get("health", {})
    kind = health.get("type")
    if service.get("type") == "worker" and kind in ("http", "tcp"):
        yield _problem(document, file, (*key, "health", "type"), f"is {kind}, but a worker has no port; allowed: command, none")
    if kind == "command" and not health.get("command"):
        yield _problem(document, file, (*key, "health", "command"), "is missing; a check of type command needs it")
    if health.get("command") and kind not in (None, "command"):
        yield _problem(document, file, (*key, "health", "command"), f"is set, but the check is of type {kind}; allowed: type: command")
    if service.get("type") == "static" and service.get("command"):
        yield _problem(document, file, (*key, "command"), "is set, but a static service has none; allowed: type: web")


def _check_domains(key: Key, given: Iterable[str | Mapping[str, Any]], document: Document, file: str) -> Iterator[Problem]:
    wishes: dict[str, dict[str, Any]] = {}
    for index, one in enumerate(given):
        try:
            wish = _wishes.checked(one, "config")
            if _wishes.wish_key(wish) in wishes:
                yield _problem(document, file, (*key, index), f"names {_wishes.wish_key(wish)} again; allowed: each once")
            wishes[_wishes.wish_key(wish)] = wish
            _wishes.refuse_loops(wishes)
        except HitlessError as error:
            said = error.message.rpartition(";")[0] + (f"; {error.hint}" if error.hint else "")
            yield _problem(document, file, (*key, index), f"cannot be used: {said}")
            return


def _check_target(key: Key, target: Mapping[str, Any], document: Document, file: str) -> Iterator[Problem]:
    provider = _provider_name(target)
    if provider == "byos" and not target.get("hosts"):
        yield _problem(document, file, (*key, "hosts"), "is missing; provider byos needs the hosts")
    if provider != "byos" and target.get("hosts"):
        yield _problem(document, file, (*key, "hosts"), f"is set, but provider {provider} makes its own server; allowed: provider: byos")
    seen: dict[tuple[str, int], str] = {}
    for index, text in enumerate(target.get("hosts", ())):
        host, port = host_parts(text)[1:]
        if port is not None and not 1 <= port <= 65535:
            yield _problem(document, file, (*key, "hosts", index), f"has the port {port}; allowed: 1 to 65535")
        login = (host, port or target.get("port", 22))
        if login in seen:
            yield _problem(document, file, (*key, "hosts", index), f"is the same host as {seen[login]}; allowed: each once")
        seen[login] = text


def host_parts(text: str) -> tuple[str | None, str, int | None]:
    """``user@host:port`` as its three parts; ``[2001:db8::1]:22`` and ``2001:db8::1`` are IPv6. ``local`` is localhost."""
    user, _at, rest = text.rpartition("@")
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::([0-9]+))?", rest)
    plain = re.fullmatch(r"([^:]+)(?::([0-9]+))?", rest)
    match = bracketed or plain
    host, port = (match[1], match[2]) if match else (rest, None)
    return user or None, "localhost" if host == "local" else host, int(port) if port else None


def _refuse(problems: list[Problem]) -> None:
    if not problems:
        return
    more = len(problems) - 1
    message = str(problems[0]) + (f" (and {more} more error{'s' if more > 1 else ''})" if more else "") + "; nothing was changed"
    errors = [{"file": problem.file, "line": problem.line, "key": dotted(problem.key), "message": str(problem)} for problem in problems]
    hint = f"correct {problems[0].file}; docs/configuration.md lists every key"
    raise HitlessError("config_invalid", message, hint=hint, details={"errors": errors})


# --- filling in


def _pick_target(targets: Mapping[str, Any] | None, name: str | None, file: str, document: Document) -> str:
    known = list(targets or {DEFAULT_TARGET: {}})
    line = document.line(("targets",))
    if name is None and len(known) == 1:
        return known[0]
    if name is None:
        hint = f"name one: --target {known[0]} (ansible-playbook: -e target={known[0]})"
        raise HitlessError("config_invalid", f"{file} line {line}: targets has several ({', '.join(known)}) and none was named; nothing was changed", hint=hint)
    if name not in known:
        near = _nearest(name, known)
        message = f"{file} line {line}: targets has no {name}{f'; did you mean {near[0]}?' if near else ''}; allowed: {', '.join(known)}; nothing was changed"
        raise HitlessError("config_invalid", message, hint=f"--target {near[0] if near else known[0]}")
    return name


def _read_dotenv(folder: Path) -> tuple[dict[str, str], list[Problem]]:
    path = folder / ".env"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}, []
    except UnicodeDecodeError as error:
        return {}, [Problem(".env", 0, (), f"is not UTF-8 text (byte {error.start})")]
    except OSError as error:
        return {}, [Problem(".env", 0, (), f"cannot be read: {error.strerror}")]
    found = _dotenv.parse(text)
    problems = [Problem(".env", line, (), message) for line, message in found.problems]
    problems += [Problem(".env", 0, (), f"{name}: a value cannot hold a NUL byte") for name, value in found.values.items() if "\0" in value]
    return found.values, problems


def _secret_name(entry: str | Mapping[str, str]) -> str:
    return entry if isinstance(entry, str) else entry["name"]


def _secrets(
    entries: Iterable[str | Mapping[str, str]], env: Mapping[str, str], given: Mapping[str, Any], folder: Path, document: Document, file: str
) -> tuple[dict[str, str], list[str]]:
    """Values of the secrets, and the names that have none."""
    values: dict[str, str] = {}
    missing: list[str] = []
    problems: list[Problem] = []
    for index, entry in enumerate(entries):
        name = _secret_name(entry)
        if name in given:
            values[name] = str(given[name])
        elif not isinstance(entry, str):
            try:
                values[name] = (folder / Path(entry["file"]).expanduser()).read_text(encoding="utf-8").removesuffix("\n")
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
                problems.append(_problem(document, file, ("secrets", index), f"cannot read {entry['file']}: {why}"))
        elif name in env:
            values[name] = env[name]
        else:
            missing.append(name)
    _refuse(problems)
    return values, missing


def _settings(
    data: Mapping[str, Any], target: str, root: Path, dotenv: Mapping[str, str], secrets: Mapping[str, str], missing: list[str], path: Path | None
) -> Settings:
    options = dict((data.get("targets") or {}).get(target) or {})
    merged = _over(data, {key: options.pop(key) for key in _TARGET_OVERRIDES if key in options})
    properties = schema()["properties"]
    names = ("build", "hooks", "lock", "mounts", "domains", "certificates", "preview_domain", "keep_releases", "runtime", "router")
    fill = {name: _filled(properties[name], merged.get(name)) for name in names}
    services = {name: _service(service) for name, service in (merged.get("services") or {}).items()}
    values = {
        "app": data["app"], "target": target, "source": origin_of(data.get("source"), str(root)),
        "provider": _provider(options, root), "services": services, **fill,
        "domains": [_domain(given, fill["certificates"], options) for given in fill["domains"]],
        "preview_domain": fill["preview_domain"] and fill["preview_domain"].lower(),
    }  # fmt: skip
    env = {**dotenv, **(merged.get("env") or {}), **secrets}
    secret_names = sorted({*dotenv, *secrets, *missing} - (set(merged.get("env") or {}) - set(secrets)))
    return Settings(values, env, secret_names, missing, path)


def _domain(given: str | Mapping[str, Any], certificates: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
    """One domain with all that it can have. No public authority sees the server in a local container: there TLS has to be asked for."""
    asked: dict[str, Any] = {"name": given} if isinstance(given, str) else dict(given)
    special = {key: value for key, value in (asked.get("certificate") or {}).items() if value is not None}
    wish: dict[str, Any] = _wishes.checked({**asked, "certificate": {**certificates, **special}}, "config")
    del wish["from"]
    helped = wish["certificate"].get("server") or wish["certificate"].get("own")
    unseen = asked.get("tls") is None and _provider_name(target) == "docker" and not helped
    return {**wish, "tls": False, "hsts": None} if unseen else wish


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above`` over ``below``; maps are merged, everything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        merged[key] = _over(merged[key], value) if isinstance(value, dict) and isinstance(merged.get(key), dict) else value
    return merged


def _provider_name(target: Mapping[str, Any]) -> str:
    return str(target.get("provider") or ("byos" if "hosts" in target else "docker"))


def _provider(options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What a target says of its servers; only byos has logins to fill in."""
    name = _provider_name(options)
    given = {"name": name, **{key: value for key, value in options.items() if key != "provider"}}
    if name == "byos":
        for key in ("user", "port", "key", "host_key_checking"):
            given.setdefault(key, schema()["$defs"]["target"]["properties"][key]["default"])
    if given.get("key"):
        given["key"] = str(folder / Path(given["key"]).expanduser())
    return given


def _service(service: Mapping[str, Any] | None) -> dict[str, Any]:
    given = dict(service or {})
    value: dict[str, Any] = _filled({"$ref": "#/$defs/service"}, {**given, "health": {**_default_health(given), **given.get("health", {})}})
    return value


def _default_health(service: Mapping[str, Any]) -> dict[str, Any]:
    if service.get("health", {}).get("command"):
        return {"type": "command"}
    return {"type": "none"} if service.get("type") == "worker" else {}


def _defaults_of(rule: Mapping[str, Any]) -> dict[str, Any]:
    value: dict[str, Any] = _filled(rule, {})
    return value


def _filled(rule: Mapping[str, Any], value: Any) -> Any:
    """``value`` with the defaults of its schema, durations in seconds and sizes in bytes."""
    if "$ref" in rule:
        rule = {**schema()["$defs"][rule["$ref"].rpartition("/")[2]], **rule}
    if value is None:
        value = copy.deepcopy(rule.get("default"))
    if "properties" in rule and (rule.get("type") == "object" or isinstance(value, dict)):
        given = value or {}
        return {name: _filled(inner, given.get(name)) for name, inner in rule["properties"].items()}
    if value is not None and rule.get("x-type") in ("duration", "size"):
        return seconds(value) if rule["x-type"] == "duration" else size_bytes(value)
    return value
