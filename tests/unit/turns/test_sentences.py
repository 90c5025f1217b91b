"""Sentences leave as soon as they are complete, and text never gets lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.turns.sentences import SentenceSplitter


def split(text: str, step: int = 1) -> list[str]:
    splitter = SentenceSplitter()
    pieces = [text[i : i + step] for i in range(0, len(text), step)]
    return [sentence for piece in pieces for sentence in splitter.feed(piece)] + splitter.finish()


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Sure. What size?", ["Sure.", "What size?"]),
        ("It is 3.50 euros. Fine?", ["It is 3.50 euros.", "Fine?"]),
        ("See example.com for more", ["See example.com for more"]),
        ("Dr. Miller is here. Hello.", ["Dr. Miller is here.", "Hello."]),
        ('"Really?" he said.', ['"Really?"', "he said."]),
        ("はい。わかりました。", ["はい。", "わかりました。"]),
        ("one\ntwo", ["one", "two"]),
        ("", []),
        ("  \n ", []),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert split(text) == sentences
    assert split(text, 100) == sentences


def test_the_first_sentence_does_not_wait_for_the_second() -> None:
    splitter = SentenceSplitter()
    assert splitter.feed("Sure.") == []  # "Sure.50" may follow
    assert splitter.feed(" W") == ["Sure."]


def test_an_endless_text_is_cut_at_a_word() -> None:
    sentences = split("word " * 200)
    assert len(sentences) > 1
    assert all(len(sentence) <= 240 and not sentence.startswith("ord") for sentence in sentences)


@given(st.text(alphabet='ab .!?\n"3。', max_size=600), st.integers(1, 50))
def test_no_word_is_lost_however_the_text_is_cut(text: str, step: int) -> None:
    assert "".join("".join(split(text, step)).split()) == "".join(text.split())
