from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.yaml_source import parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("no", "no"),  # Norwegian, not a boolean
        ("on", "on"),
        ("0123", "0123"),  # a number to dial, not 83
        ("0", 0),
        ("5060", 5060),
        ("-3", -3),
        ("1.5", 1.5),
        ("20:30", "20:30"),  # not a number of base 60
        ("0x1F", "0x1F"),
        ("+4930123", "+4930123"),
        ("2026-11-20", "2026-11-20"),
        ("1e5", "1e5"),
        ("~", None),
        ("null", None),
        ("", None),
        ("'null'", "null"),
        ("'100'", "100"),
        ("20000-29999", "20000-29999"),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    document = parse(f"key: {text}\n")
    assert document.value == {"key": value}
    assert type(document.value["key"]) is type(value)  # type: ignore[index]
    assert document.problems == []


def test_every_value_knows_its_line() -> None:
    document = parse("a:\n  b: 1\n  c:\n    - x\n    - y: 2\n")
    assert document.line(("a",)) == 1
    assert document.line(("a", "c")) == 3
    assert document.line(("a", "c", 1, "y")) == 5
    assert document.line(("a", "missing")) == 1


def test_a_key_given_twice_is_a_problem() -> None:
    document = parse("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n")
    assert [line for line, _ in document.problems] == [4, 5]
    assert "first in line 1" in document.problems[1][1]


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("a:\n\tb: 1\n", 2, "tab"),
        ("a: [1, 2\nb: 3\n", 2, "not valid YAML"),
        ("a: 'open\n", 2, "not valid YAML"),
        ("a: {b: ${NAME}}\n", 1, "needs quotes: '${NAME}'"),
        ("a: &x [*x]\n", 1, "alias"),
        ("a: !!python/object:os.system {}\n", 1, ""),
        ("a: !env HOME\n", 1, "tag"),
        ("? [a]\n: 1\n", 1, "key must be a plain word"),
        ("a: \x00\n", 1, "not YAML"),
        ("a: 1\n---\nb: 2\n", 2, "not valid YAML"),
    ],
)
def test_what_is_not_our_yaml_is_a_problem(text: str, line: int, hint: str) -> None:
    problems = parse(text).problems
    assert not hint or (problems[0][0] == line and hint in problems[0][1])


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!#|>'\"\n\t ,?%@`0"), max_size=60))
def test_no_text_raises(text: str) -> None:
    parse(text)
