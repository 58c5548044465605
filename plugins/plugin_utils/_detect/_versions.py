# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions that an app asks for, and the versions that distributions have."""

from __future__ import annotations

import re

from ._plan import Plan
from ._tree import Files, table

# What `apt-get install` gives. A language that is missing from a distribution is not in its row.
DISTRIBUTIONS = {
    "debian-12": {
        "python": "3.11", "node": "18.20", "ruby": "3.1", "php": "8.2", "go": "1.19",
        "rust": "1.63", "java": "17", "elixir": "1.14", "hugo": "0.111",
    },
    "debian-13": {
        "python": "3.13", "node": "20.19", "ruby": "3.3", "php": "8.4", "go": "1.24",
        "rust": "1.85", "java": "21", "elixir": "1.18", "hugo": "0.131",
    },
    "ubuntu-22.04": {
        "python": "3.10", "node": "12.22", "ruby": "3.0", "php": "8.1", "go": "1.18",
        "rust": "1.75", "java": "11", "elixir": "1.12", "hugo": "0.92", "dotnet": "8.0",
    },
    "ubuntu-24.04": {
        "python": "3.12", "node": "18.19", "ruby": "3.2", "php": "8.3", "go": "1.22",
        "rust": "1.75", "java": "21", "elixir": "1.14", "hugo": "0.123", "dotnet": "8.0",
    },
}  # fmt: skip
DEFAULT_DISTRIBUTION = "debian-12"

# The names that version managers use for a language.
_ALIASES = {
    "python": ("python",), "node": ("nodejs", "node"), "ruby": ("ruby",), "php": ("php",), "go": ("golang", "go"), "rust": ("rust",),
    "java": ("java",), "elixir": ("elixir",), "deno": ("deno",), "bun": ("bun",), "dotnet": ("dotnet-core", "dotnet"), "hugo": ("hugo", "gohugo"),
}  # fmt: skip
# Files of one line that hold a version, and what stands before it.
_PINS = {
    "python": ((".python-version", r"(?:cpython-)?"), ("runtime.txt", r"python-")),
    "node": ((".nvmrc", r"v?"), (".node-version", r"v?")),
    "ruby": ((".ruby-version", r"(?:ruby-)?"),),
    "php": ((".php-version", ""),),
    "go": ((".go-version", r"(?:go)?"),),
    "rust": (("rust-toolchain", ""),),
    "java": ((".java-version", r"(?:\w+-)?"), ("system.properties", r"(?s:.*)java\.runtime\.version\s*=\s*")),
    "bun": ((".bun-version", r"v?"),),
    "deno": ((".dvmrc", r"v?"),),
}  # fmt: skip
_WILD = ("*", "x", "X", "latest", "lts/*", "node", "stable", "lts")


def pinned(files: Files, language: str) -> tuple[str, str] | None:
    """The version that a version file asks for, and the file; the nearest folder counts."""
    for where, folder in [("", files), *((f"{path}/", above) for path, above in files.above())]:
        found = _pinned_here(folder, language)
        if found:
            return found[0], where + found[1]
    return None


def _pinned_here(files: Files, language: str) -> tuple[str, str] | None:
    for file, before in _PINS.get(language, ()):
        match = re.match(rf"\s*{before}(\d[\w.]*)", files.text(file))
        if match:
            return match[1], file
    for name in _ALIASES.get(language, (language,)):
        match = re.search(rf"^{re.escape(name)}\s+(\d\S*)", files.text(".tool-versions"), re.MULTILINE)
        if match:
            return match[1], ".tool-versions"
        for file in ("mise.toml", ".mise.toml"):
            tool = table(files.toml(file), "tools").get(name)
            version = tool[0] if isinstance(tool, list) and tool else tool.get("version") if isinstance(tool, dict) else tool
            if version:
                return str(version), file
    return None


def satisfies(version: str, wanted: str) -> bool:
    """Whether ``version`` (as exact as a distribution says it) meets ``wanted``: a version, a prefix of one, or an npm, Python, Ruby or Cargo range."""
    wanted = wanted.strip()
    if not wanted or wanted in _WILD:
        return True
    if "||" in wanted:
        return any(satisfies(version, part) for part in wanted.split("||"))
    hyphen = re.fullmatch(r"v?([\d.]+)\s+-\s+v?([\d.]+)", wanted)
    if hyphen:
        wanted = f">={hyphen[1]} <={hyphen[2]}"
    parts = re.findall(r"(>=|<=|~>|~=|===|==|!=|\^|~|>|<|=)?\s*v?(\d[\w.*+-]*)", wanted)
    return all(_meets(_numbers(version), operator, _numbers(number)) for operator, number in parts)


def _numbers(version: str) -> list[int]:
    numbers = []
    for part in re.split(r"[.+-]", version):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return numbers


def _meets(have: list[int], operator: str, want: list[int]) -> bool:
    # A distribution gives later patches of its release, so only the parts that both name are compared.
    shared = min(len(have), len(want))
    mine, theirs = have[:shared], want[:shared]
    if operator in (">=", ">"):
        return mine >= theirs
    if operator == "<=":
        return mine <= theirs
    if operator == "<":
        return mine < theirs
    if operator == "!=":
        return mine != theirs
    if operator == "^":
        return mine[:1] == theirs[:1] and mine >= theirs
    if operator in ("~>", "~=") or (operator == "~" and len(want) > 2):
        fixed = max(1, len(want) - 1)
        return mine[:fixed] == theirs[:fixed] and mine >= theirs
    return mine == theirs


def set_version(plan: Plan, language: str, wanted: tuple[str, str] | None, distribution: str) -> None:
    """Record the version that is asked for, and warn when the distribution has another."""
    if wanted is None:
        return
    version, file = wanted
    plan.version = version
    plan.because("version", version, file)
    have = DISTRIBUTIONS.get(distribution, {}).get(language)
    if have is None or satisfies(have, version):
        return
    plan.warn(
        f"{file} asks for {language} {version}; {distribution} has {have}, and the build uses that, "
        f"unless mise is on the host and can install {language} {version}."
    )
