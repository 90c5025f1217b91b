"""The patterns: one language for the recogniser's grammar and for what the dialogue understands."""

from __future__ import annotations

import random

import pytest

from gateway.errors import ConfigError
from gateway.models import pattern

SLOTS = {
    "size": {"large": pattern.parse("large | big"), "small": pattern.parse("small")},
    "how": {"up": pattern.parse("pick up | pickup")},
}


@pytest.mark.parametrize(
    ("text", "said", "values"),
    [
        ("yes [please]", "yes", {}),
        ("yes [please]", "yes please", {}),
        ("yes [please]", "yes please now", None),
        ("(a | b c) d", "b c d", {}),
        ("(a | b c) d", "b d", None),
        ("[a] [a <size>] pizza", "a big pizza", {"size": "large"}),
        ("<how> [please]", "pick up please", {"how": "up"}),
        ("[<size>] [<how>] x", "x", {}),
    ],
)
def test_match(text: str, said: str, values: dict[str, str] | None) -> None:
    assert pattern.match(pattern.parse(text), said.split(), SLOTS) == values


@pytest.mark.parametrize("text", ["", "[a", "a]", "(a |)", "a | ", "Hello", "a < b", "<size"])
def test_what_is_no_pattern_says_so(text: str) -> None:
    with pytest.raises(ConfigError):
        pattern.parse(text)


def test_jsgf_says_the_same() -> None:
    assert pattern.jsgf(pattern.parse("[a | b c] <size> (d | e)")) == "[(a | b c)] <size> (d | e)"


def test_many_optional_parts_do_not_explode() -> None:
    item = pattern.parse(" ".join(["[a]"] * 40) + " b")
    assert pattern.match(item, ["a"] * 40, SLOTS) is None


def say(item: pattern.Item, rng: random.Random) -> list[str]:
    """A sentence of the pattern, at random."""
    match item:
        case pattern.Word(text):
            return [text]
        case pattern.Slot(name):
            return say(rng.choice(list(SLOTS[name].values())), rng)
        case pattern.Optional(inner):
            return say(inner, rng) if rng.random() < 0.5 else []
        case pattern.Sequence(parts):
            return [word for part in parts for word in say(part, rng)]
        case pattern.Alternatives(choices):
            return say(rng.choice(choices), rng)


def test_every_sentence_of_a_pattern_matches_it() -> None:
    rng = random.Random(4)
    item = pattern.parse("[i want | give me] [a | one] [<size>] (pizza | [<how>] cake) [please | [thank] you]")
    for _ in range(300):
        assert pattern.match(item, say(item, rng), SLOTS) is not None
