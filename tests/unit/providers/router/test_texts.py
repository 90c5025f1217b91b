"""Nothing is said twice: where an answer is taken up again, and where a sentence is cut."""

from __future__ import annotations

import pytest

from gateway.audio import Encoding
from gateway.providers.contract import Word
from gateway.providers.router.echo import Echo
from gateway.providers.router.splice import Cut, cut, levels
from gateway.units import MS, Nanos

SAID = "Sure. One large pizza."


@pytest.mark.parametrize(
    ("answer", "heard"),
    [
        ("sure, one large pizza! With mushrooms?", " With mushrooms?"),
        ("With mushrooms?", "With mushrooms?"),
        ("Sure, why not.", "Sure, why not."),
        ("Sure. One large pasta.", " pasta."),
        ("Sure. One large pizza.", ""),
        ("", ""),
        ("Sur", "Sur"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_what_a_model_repeats_is_left_out(answer: str, heard: str, size: int) -> None:
    echo = Echo(SAID)
    out = "".join(echo.feed(answer[n : n + size]) for n in range(0, len(answer), size)) + echo.finish()
    assert out == heard


def test_word_times_decide_exactly() -> None:
    words = [Word(text, Nanos(200 * n * MS), Nanos((200 * n + 150) * MS)) for n, text in enumerate("abcdef")]
    assert cut("a b, c d e f", 1000, 7000, 533, loudness=(), words=words) == Cut(6400, "e f")
    assert cut("a b, c d e f", 1300, 1500, 533, loudness=(), words=words) == Cut(1300, "b, c d e f")
    assert cut("a b, c d e f", 0, 9600, 533, loudness=(), words=words).rest == ""


def test_words_that_are_told_in_another_way_are_joined_by_their_letters() -> None:
    words = [Word("twenty", Nanos(0), Nanos(300 * MS)), Word("five", Nanos(300 * MS), Nanos(600 * MS))]
    assert cut("twenty-five euros", 0, 4800, 533, loudness=(), words=words) == Cut(4800, "euros")


def test_without_times_a_pause_near_the_estimate_is_taken() -> None:
    loudness = [100] * 30 + [0] * 10 + [100] * 60  # a pause from 2400 to 3200
    assert cut("word word word", 500, 8000, 533, loudness=loudness) == Cut(2800, "word word")


def test_what_was_played_is_never_taken_back() -> None:
    place = cut("word word word word", 4000, 9000, 533, loudness=[100] * 120)
    assert place.at >= 4000
    assert place.rest in ("word word", "word")


def test_a_sentence_of_which_nothing_came_is_said_whole() -> None:
    assert cut("a b c", 0, 0, 533, loudness=()) == Cut(0, "a b c")


@pytest.mark.parametrize(("encoding", "silence", "sound"), [
    (Encoding.PCM, b"\0\0", b"\x00\x40"), (Encoding.ULAW, b"\xff", b"\x90"), (Encoding.ALAW, b"\xd5", b"\x90"),
])  # fmt: skip
def test_levels_tell_silence_from_sound(encoding: Encoding, silence: bytes, sound: bytes) -> None:
    quiet, loud = levels(silence * 80 + sound * 80, 8000, encoding)
    assert quiet * 10 < loud


def test_g711_to_pcm_is_what_the_kernels_say() -> None:
    from codecs_ext.g711 import ulaw_to_linear

    assert Encoding.ULAW.to_pcm(bytes(range(256))) == bytes(ulaw_to_linear(bytes(range(256))))
