# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.hitless.paas.plugins.plugin_utils._ignore import ignores_within, parse

PATHS = (
    "a", "a.log", "b/a.log", "b/c/a.log", "build/x", "b/build/x", "dir/x", "x/dir", "keep.log", "a b", "a ", "#x",
    "!x", "[x]", "ab", "ac", "a/b/c/d", "a.txt/x",
    "docs/a.txt", "docs/sub/a.txt", "x/docs/a.txt", "foo/bar", "foo/x/bar", "foo/x/y/bar", "star*", "a\\b", "A.LOG",
    "é", "ünï.log", "a-b", "a]b", "1.tmp", "q/1.tmp",
)  # fmt: skip
CASES = (
    "*.log", "/a.log", "build/", "/build", "dir/", "dir", "*.log\n!keep.log", "a\\ ", "a ", "\\#x", "\\!x", "[[]x]",
    "a[bc]", "a[!b]", "a[^b]", "?", "a?", "**/a.log", "b/**", "foo/**/bar",
    "docs/*.txt", "/docs/", "a/b", "/*\n!/docs", "*\n!*/\n!*.txt", "# comment", "", "   ", "!", "/", "**", "star\\*",
    "a\\\\b", "é", "*.log\n!*.log\na.log", "b/\n!b/a.log", "[0-9].tmp",
    "[[:digit:]].tmp", "[![:alpha:]]", "a[[:punct:]]b", "a]b", "a[]]b", "*a*", "foo/*", "foo/**", "**/bar", "x/**/dir", "a/**/d", "*.txt/",
)  # fmt: skip


@pytest.mark.parametrize("text", CASES)
def test_same_answers_as_git(text: str, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    for path in sorted(PATHS, key=lambda one: -one.count("/")):
        full = tmp_path / path
        if not any(parent.is_file() for parent in full.parents) and not full.exists():
            full.parent.mkdir(parents=True, exist_ok=True)
            full.touch()
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file() and ".git/" not in str(path)}
    (tmp_path / ".gitignore").write_text(text + "\n")
    listed = (
        subprocess.run(["git", "-C", str(tmp_path), "ls-files", "-o", "--exclude-standard", "-z"], check=True, capture_output=True).stdout.decode().split("\0")
    )
    rules = parse(text)
    assert {path for path in files if not ignores_within(rules, path)} == files & set(listed)


def test_rules_of_a_sub_folder_count_below_it_only() -> None:
    rules = parse("/x\n*.log", "sub")
    assert [ignores_within(rules, path) for path in ("sub/x", "x", "sub/a/x", "sub/a/b.log", "b.log")] == [True, False, False, True, False]
