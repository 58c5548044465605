# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/configuration.md and docs/events.md from the schemas: ``python docs/generate.py [--check]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = ROOT / "plugins" / "plugin_utils" / "schema"
TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "object": "map", "array": "list", "null": "nothing"}


def configuration() -> str:
    """docs/configuration.md."""
    schema = json.loads((SCHEMAS / "hitless.schema.json").read_text(encoding="utf-8"))
    intro = (ROOT / "docs" / "configuration.in.md").read_text(encoding="utf-8")
    return intro + "\n" + "\n".join(_section("Keys at the top", schema, schema)) + "\n"


def events() -> str:
    """docs/events.md."""
    schema = json.loads((SCHEMAS / "event.schema.json").read_text(encoding="utf-8"))
    lines = [(ROOT / "docs" / "events.in.md").read_text(encoding="utf-8"), "## In every event", "", *_fields(schema["properties"])]
    for name, rule in schema["$defs"].items():
        lines += ["", f"## {name}", "", rule["description"], "", *_fields({key: value for key, value in rule["properties"].items() if key != "event"})]
    return "\n".join(lines) + "\n"


def _fields(properties: dict[str, Any]) -> list[str]:
    rows = [f"| `{name}` | {_type(rule)} | {rule.get('description', '')} |" for name, rule in properties.items()]
    return ["| field | type | meaning |", "| --- | --- | --- |", *rows]


def _resolved(rule: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema["$defs"][rule["$ref"].rpartition("/")[2]], **rule} if "$ref" in rule else rule


def _section(title: str, rule: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    lines = [f"## {title}", "", "| key | type | default | meaning | example |", "| --- | --- | --- | --- | --- |"]
    inner = []
    for name, given in rule["properties"].items():
        one = _resolved(given, schema)
        default = _code(one["default"]) if one.get("default") is not None else ("required" if name in rule.get("required", ()) else "")
        example = _code(one["examples"][0]) if one.get("examples") else ""
        lines.append(f"| `{name}` | {_type(one)} | {default} | {one.get('description', '')} | {example} |")
        prefix = "" if title == "Keys at the top" else title.strip("`") + "."
        if "properties" in one and "object" in one.get("type", ()):
            inner.append((f"`{prefix}{name}`", one))
        entry = one.get("additionalProperties")
        if isinstance(entry, dict) and "properties" in _resolved(entry, schema) and not prefix:
            inner.append((f"`{prefix}{name}.<name>`", _resolved(entry, schema)))
        items = _resolved(one.get("items") or {}, schema)
        if "properties" in items and not prefix:
            inner.append((f"`{name}[]`", items))
    for heading, one in inner:
        lines += ["", *_section(heading, one, schema)]
    return lines


def _type(rule: dict[str, Any]) -> str:
    if "enum" in rule or "const" in rule:
        return ", ".join(_code(value) for value in rule.get("enum", [rule.get("const")]))
    if rule.get("x-type") == "duration":
        return "duration"
    if rule.get("x-type") == "size":
        return "size"
    types = rule.get("type", "object")
    return " or ".join(TYPES[name] for name in ([types] if isinstance(types, str) else types))


def _code(value: Any) -> str:
    return "`" + (value if isinstance(value, str) else json.dumps(value)).replace("|", "\\|") + "`"


PAGES = {"configuration.md": configuration, "events.md": events}


def main() -> int:
    """Write the pages, or with --check say which are out of date."""
    stale = 0
    for name, make in PAGES.items():
        path = ROOT / "docs" / name
        if "--check" not in sys.argv:
            path.write_text(make(), encoding="utf-8")
        elif path.read_text(encoding="utf-8") != make():
            print(f"docs/{name} is out of date: python docs/generate.py")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
