"""Of the agent's words, the history keeps those that were played."""

from __future__ import annotations

from gateway.turns.playback import Playback, heard_of
from gateway.units import Samples


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
