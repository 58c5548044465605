# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A YAML file as plain values that remember their lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Key = tuple[str | int, ...]

_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"
_TEXT = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp")
_PLAIN = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", _NULL)
# Aliases can make a small file huge; no hitless.yml comes near this.
_MOST_NODES = 20000


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a file.

    Attributes:
        key: path of the key, such as ``("services", "web")``; () for the file itself.
    """

    file: str
    line: int
    key: Key
    message: str

    def __str__(self) -> str:
        where = f"{self.file} line {self.line}: " if self.line else f"{self.file}: "
        return f"{where}{dotted(self.key)} {self.message}" if self.key else where + self.message


@dataclass
class Document:
    """Values of a file and where they stand.

    Attributes:
        lines: line (from 1) of each key path; of a mapping's entry it is the key's line.
        raw: text of each scalar as written, without its quotes.
    """

    value: Any = None
    lines: dict[Key, int] = field(default_factory=dict)
    raw: dict[Key, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, key: Key) -> int:
        """The line of the key, or of the nearest one above it that has a line."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)


def dotted(key: Key) -> str:
    """``("hosts", 0)`` as ``hosts[0]``."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if part and "." not in part else f'"{part}"')
    return text


def read(path: Path, name: str) -> Document:
    """The file's values; what is wrong with its YAML is in ``problems``, and then the value may be incomplete.

    Args:
        name: what messages call the file.
    """
    document = Document()
    try:
        text = path.read_text(encoding="utf-8-sig")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        document.problems.append(Problem(name, 0, (), f"is not UTF-8 text (byte {error.start})"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        document.problems.append(Problem(name, line, (), f"is not valid YAML: {error.problem}"))
    except (yaml.YAMLError, RecursionError) as error:
        document.problems.append(Problem(name, 0, (), f"is not valid YAML: {str(error).splitlines()[0] if str(error) else 'nested too deep'}"))
    else:
        if node is not None:
            document.value = _Reader(document, name).build(node, ())
    return document


class _Reader:
    """Turns nodes into values. SafeConstructor would lose lines and keep the last of two equal keys in silence."""

    def __init__(self, document: Document, name: str) -> None:
        self._document = document
        self._name = name
        self._scalars = yaml.constructor.SafeConstructor()
        self._nodes = 0
        self._open: set[int] = set()

    def build(self, node: yaml.Node, key: Key) -> Any:
        self._document.lines.setdefault(key, node.start_mark.line + 1)
        self._nodes += 1
        if self._nodes > _MOST_NODES or id(node) in self._open:
            if not any("aliases" in problem.message for problem in self._document.problems):
                self._problem(node, key, "holds aliases that repeat themselves or make the file too large")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, key)
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*key, index)) for index, item in enumerate(node.value)]
            return self._scalar(node, key)
        finally:
            self._open.discard(id(node))

    def _problem(self, node: yaml.Node, key: Key, message: str) -> None:
        self._document.problems.append(Problem(self._name, node.start_mark.line + 1, key, message))

    def _scalar(self, node: yaml.Node, key: Key) -> Any:
        self._document.raw[key] = node.value
        if node.tag in _TEXT:
            return node.value
        if node.tag in _PLAIN:
            try:
                return self._scalars.construct_object(node)
            except (ValueError, yaml.YAMLError):
                return node.value
        advice = "; put encrypted values into the extra variable hitless_secrets" if node.tag == "!vault" else ""
        self._problem(node, key, f"has the tag {node.tag}; allowed: no tags{advice}")
        return None

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for name_node, value_node in node.value:
            if name_node.tag == _MERGE:
                for source in self._merge_sources(value_node, key):
                    merged = {**self.build(source, key), **merged}
                continue
            if not isinstance(name_node, yaml.ScalarNode):
                self._problem(name_node, key, "has a key that is not text")
                continue
            name = str(name_node.value)
            here = (*key, name)
            if name in own:
                self._problem(name_node, here, f"stands twice, first in line {self._document.lines[here]}; allowed: once")
                continue
            self._document.lines[here] = name_node.start_mark.line + 1
            own[name] = self.build(value_node, here)
        return {**merged, **own}

    def _merge_sources(self, node: yaml.Node, key: Key) -> Iterator[yaml.MappingNode]:
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if isinstance(source, yaml.MappingNode):
                yield source
            else:
                self._problem(node, key, "merges (<<) something that is not a map")
