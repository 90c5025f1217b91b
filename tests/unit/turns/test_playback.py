"""Of the agent's words, the history keeps those that were played."""

from __future__ import annotations

from gateway.turns.alignment import Word
from gateway.turns.playback import Playback, heard_of
from gateway.units import Samples, from_ms

TEXT = "one two three"


def ledger() -> Playback:
    playback = Playback()
    for request, text, samples in ((1, "one two three four", 8000), (2, "five six", 4000)):
        playback.expect(request, text)
        assert playback.queue(request, samples)
        playback.complete(request)
    return playback


def test_all_of_it() -> None:
    playback = ledger()
    assert not playback.finished
    playback.idle(Samples(12000))
    assert playback.finished
    assert playback.take() == "one two three four five six"


def test_a_cut_keeps_whole_words_up_to_the_position() -> None:
    sentences = ledger().cut()
    assert heard_of(sentences, 0) == ""
    assert heard_of(sentences, 5000) == "one two"
    assert heard_of(sentences, 8000) == "one two three four"
    assert heard_of(sentences, 10500) == "one two three four five"


def test_longer_words_take_longer() -> None:
    playback = Playback()
    playback.expect(1, "a b internationalization")
    playback.queue(1, 8000)
    playback.complete(1)
    [sentence] = playback.cut()
    assert sentence.heard(1500) == "a b"
    assert sentence.heard(7000) == "a b"


def test_a_voice_that_tells_its_words_is_believed() -> None:
    playback = Playback()
    playback.expect(2, "One hundred, and so on.")
    playback.told(2, [Word("One hundred", from_ms(0), from_ms(100)), Word("and", from_ms(900), from_ms(950))])
    playback.queue(2, 8000)
    playback.complete(2)
    [sentence] = playback.cut()
    start = sentence.start
    assert [sentence.heard(start + at) for at in (700, 800, 7500, 7600)] == [
        "",
        "One hundred,",
        "One hundred,",
        "One hundred, and",
    ]
    assert sentence.heard(start + 7790) == "One hundred, and so"


def test_what_was_told_of_a_tail_that_was_taken_back_is_forgotten() -> None:
    playback = Playback()
    playback.expect(1, TEXT)
    playback.told(1, [Word(text, from_ms(200 * n), from_ms(200 * n + 200)) for n, text in enumerate(TEXT.split())])
    playback.queue(1, 3200)
    playback.trim(1, 1600)  # another voice says the rest, slowly
    playback.told(1, [Word("two", from_ms(200), from_ms(1000)), Word("three", from_ms(1000), from_ms(2000))])
    playback.queue(1, 14_400)
    playback.complete(1)
    [sentence] = playback.cut()
    assert [sentence.heard(at) for at in (1600, 4800, 8000)] == ["one", "one", "one two"]


def test_an_undelivered_sentence_counts_by_the_length_of_its_text() -> None:
    playback = Playback()
    playback.expect(1, "a sentence whose sound has only begun to arrive")
    playback.queue(1, 4000)
    assert heard_of(playback.cut(), 4000) == "a"


def test_audio_queued_between_cut_and_flush_belongs_to_the_next_answer() -> None:
    playback = ledger()
    playback.cut()
    playback.expect(3, "sorry")
    playback.queue(3, 1600)
    playback.complete(3)
    playback.flushed(Samples(2000))
    assert not playback.finished
    playback.idle(Samples(3600))
    assert playback.finished
    assert playback.take() == "sorry"


def test_what_nobody_expects_is_not_played() -> None:
    playback = ledger()
    playback.cut()
    assert not playback.queue(1, 100)
