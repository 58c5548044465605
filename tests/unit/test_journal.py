# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Following the journal: what an answer of journalctl says."""

from __future__ import annotations

import json

import pytest
from ansible_collections.hitless.paas.plugins.plugin_utils._journal import news_script, parse_news

UNIT = "hitless-shop.web.20261121080000.1.service"


def entry(cursor, unit=UNIT, message="hello"):
    return json.dumps({"__CURSOR": cursor, "_SYSTEMD_UNIT": unit, "MESSAGE": message})


@pytest.mark.parametrize(
    ("answer", "lines", "cursor"),
    [
        ("", [], "before"),
        (entry("c1"), [("web", "hello")], "c1"),
        (entry("c1") + "\n" + entry("c2", message="two\nlines"), [("web", "hello"), ("web", "two"), ("web", "lines")], "c2"),
        (entry("c1", message=list(b"caf\xc3\xa9 \xff")), [("web", "café \ufffd")], "c1"),
        (entry("c1", message=None), [], "c1"),
        (entry("c1", unit="init.scope"), [], "c1"),
        (entry("c1", unit="hitless-shop.20261121080000.pre_deploy.service"), [], "c1"),
        ("-- Journal begins --\n" + entry("c1") + "\r\n", [("web", "hello")], "c1"),
    ],
)
def test_an_answer_gives_the_lines_of_replicas_and_where_to_go_on(answer, lines, cursor):
    assert parse_news(answer, "before") == (lines, cursor)


def test_the_first_question_is_for_the_last_lines_and_the_next_ones_for_what_came_after():
    assert "--lines=200" in news_script("shop", None, 200)
    assert "--after-cursor='s=1;i=2'" in news_script("shop", "s=1;i=2", 200)
