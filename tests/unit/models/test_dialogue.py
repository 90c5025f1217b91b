"""The scripted dialogue: a function of the history, whatever a barge-in left of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.models import dialogue
from gateway.models.dialogue import Dialogue, Script
from gateway.models.grammar import generate


@pytest.fixture(scope="module")
def pizza() -> Dialogue:
    return dialogue.load()


def talk(pizza: Dialogue, *turns: str, heard: bool = True) -> tuple[list[str], bool]:
    """What the agent answers to each turn, and whether it hangs up at the end."""
    history: list[tuple[str, str]] = [("assistant", "Welcome.")]
    answers, hang_up = [], False
    for turn in turns:
        history.append(("user", turn))
        answer = pizza.answer(history)
        answers.append(answer.text)
        hang_up = answer.hang_up
        if heard:
            history.append(("assistant", answer.text))
    return answers, hang_up


def test_an_order_from_greeting_to_goodbye(pizza: Dialogue) -> None:
    answers, hang_up = talk(
        pizza,
        "I would like a large pizza with mushrooms, please.",
        "delivery please",
        "no pick up please",
        "yes please",
    )
    assert answers[0] == "Is that for delivery or pickup?"
    assert "large mushroom pizza for delivery" in answers[1]
    assert "for pickup" in answers[2]
    assert answers[3].endswith("Goodbye.")
    assert hang_up


def test_questions_are_answered_and_the_form_goes_on(pizza: Dialogue) -> None:
    answers, _ = talk(pizza, "what toppings do you have", "vegetarian please")
    assert "pepperoni" in answers[0]
    assert answers[0].endswith("What size would you like: small, medium, or large?")
    assert answers[1].startswith("What size")


def test_no_starts_again(pizza: Dialogue) -> None:
    answers, _ = talk(pizza, "a small cheese pizza", "pickup", "no")
    assert answers[2].startswith("Sorry about that")
    assert "size" in answers[2]


def test_yes_counts_only_if_the_question_was_heard(pizza: Dialogue) -> None:
    answers, hang_up = talk(pizza, "a small cheese pizza", "pickup", "yes", heard=False)
    assert not hang_up
    assert answers[-1].startswith("So that is")


def test_a_question_heard_in_part_was_heard(pizza: Dialogue) -> None:
    history = [("user", "a small cheese pizza for pickup"), ("assistant", "So that is a sm"), ("user", "yes")]
    assert pizza.answer(history).hang_up


def test_goodbye_hangs_up(pizza: Dialogue) -> None:
    assert talk(pizza, "thank you goodbye")[1]


def test_repeat_says_the_last_answer_again(pizza: Dialogue) -> None:
    answers, _ = talk(pizza, "medium please", "could you repeat that")
    assert answers[0] == answers[1]


def test_other_words_still_fill_slots(pizza: Dialogue) -> None:
    assert pizza.understand("erm well I guess the large one with pepperoni on it") == (
        "spotted",
        {"size": "large", "topping": "pepperoni"},
    )


def test_what_is_not_understood_says_so(pizza: Dialogue) -> None:
    assert pizza.answer([("user", "fuzzy wuzzy")]).text.startswith(pizza.script.answers["fallback"])


def test_an_empty_history_is_greeted(pizza: Dialogue) -> None:
    assert pizza.answer([]).text == pizza.script.answers["greeting"]
    assert pizza.answer([("system", "You are a robot.")]).text == pizza.script.answers["greeting"]


def test_every_example_is_covered_by_a_pattern(pizza: Dialogue) -> None:
    assert [text for text in pizza.script.examples if not pizza.covers(text)] == []


def test_the_grammar_names_every_intent_and_slot_and_its_dictionary_every_word(pizza: Dialogue) -> None:
    grammar = generate(pizza)
    for intent in pizza.intents:
        assert f"<intent_{intent}> =" in grammar.jsgf
    words = {line.split()[0].partition("(")[0] for line in grammar.dictionary.splitlines()}
    assert {"mushrooms", "please", "i'd"} <= words


def test_a_word_without_a_sound_is_named() -> None:
    with pytest.raises(ConfigError, match="xyzzyplugh"):
        generate(Dialogue(Script(name="x", intents={"a": ["say xyzzyplugh"]}, answers={"fallback": "?"})))


def test_all_problems_of_a_script_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Dialogue(
            Script(
                name="x",
                intents={"a": ["<nope>"]},
                answers={},
                hang_up=["b"],
                confirm="{what}",
                form=[{"slot": "s", "ask": "?"}],
            )
        )
    assert len(caught.value.problems) == 5


@pytest.mark.parametrize(
    "text", ["intents: [", "name: x", "- 1", "name: x\nintents: {a: [b]}\nanswers: {fallback: f}\nmore: 1"]
)
def test_a_bad_file_is_a_config_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"d\.yaml"):
        dialogue.load(path)


def test_a_missing_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        dialogue.load(tmp_path / "none.yaml")
