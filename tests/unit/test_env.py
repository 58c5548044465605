# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._env import environment_file, from_json, parse
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", 'A=""\n'),
        (" x ", 'A=" x "\n'),
        ("it's", 'A="it\'s"\n'),
        ('"$`\\', 'A="\\"\\$\\`\\\\"\n'),
        ("%n #;", 'A="%n #;"\n'),
        ("a\nb\t", 'A="a\nb\t"\n'),
        ("漢😀", 'A="漢😀"\n'),
    ],
)
def test_every_value_is_quoted(value, text):
    assert environment_file({"A": value}) == text


@pytest.mark.parametrize(("name", "value"), [("A", "s3cret\0"), ("A", "s3cret\udcff"), ("1A", "s3cret"), ("A B", "s3cret"), ("A\n", "s3cret"), ("", "s3cret")])
def test_a_refusal_names_the_variable_and_not_the_value(name, value):
    with pytest.raises(HitlessError) as caught:
        environment_file({name: value})
    assert name.strip() in caught.value.message
    assert "s3cret" not in str(caught.value.as_result())


@pytest.mark.parametrize("value", ["", "1", 'a\nB="x"\n', '"', "\\", '\\"', "$x `y`", "a\\\nb", "漢😀"])
def test_a_file_is_read_back(value):
    env = {"A": value, "B_2": "end"}
    assert parse(environment_file(env)) == env


@pytest.mark.parametrize(("text", "env"), [("", {}), ("{}", {}), ('{"A": "1", "B": 2}', {"A": "1", "B": "2"})])
def test_variables_come_as_json(text, env):
    assert from_json(text) == env


@pytest.mark.parametrize("text", ["[1]", "s3cret=1", '"s3cret"', "{'A': 's3cret'}"])
def test_what_is_no_json_object_is_refused_without_showing_it(text):
    with pytest.raises(HitlessError) as caught:
        from_json(text)
    assert "s3cret" not in str(caught.value.as_result())
