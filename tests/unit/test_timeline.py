"""Stages are the spaces between stamps, whatever stamps there are: they add up to the gap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.timeline import STAGES, Interruption, Stamp, Timeline
from gateway.units import MS, Nanos


@given(st.lists(st.integers(0, 10**10), min_size=6, max_size=6), st.sets(st.sampled_from([s for _, s in STAGES[:-1]])))
def test_stages_add_up_to_the_gap_whichever_are_missing(times: list[int], missing: set[Stamp]) -> None:
    timeline = Timeline()
    for stamp, at in zip([Stamp.SPEECH_ENDED, *(stamp for _, stamp in STAGES)], sorted(times), strict=True):
        if stamp not in missing:
            timeline.stamp(1, stamp, Nanos(at))
    turn = timeline.take(1)
    assert sum(turn.stages().values()) == turn.gap == max(times) - min(times)
    assert list(turn.stages()) == [stage for stage, stamp in STAGES if stamp not in missing]


def test_a_turn_without_an_answer_has_no_gap() -> None:
    timeline = Timeline()
    timeline.stamp(1, Stamp.SPEECH_ENDED, Nanos(5))
    turn = timeline.take(1)
    assert (turn.gap, turn.stages(), turn.ours(Nanos(0))) == (None, {}, None)


def test_the_first_stamp_of_a_kind_stays_and_restamp_moves_it() -> None:
    timeline = Timeline()
    for at in (1, 2):
        timeline.stamp(1, Stamp.FIRST_PACKET, Nanos(at))
        timeline.restamp(1, Stamp.SPEECH_ENDED, Nanos(at))
    assert timeline.turn(1).stamps == {Stamp.FIRST_PACKET: 1, Stamp.SPEECH_ENDED: 2}


def test_a_turn_that_was_taken_is_forgotten() -> None:
    timeline = Timeline()
    timeline.stamp(1, Stamp.ANSWERED, Nanos(1))
    timeline.take(1)
    assert timeline.take(1).stamps == {}


def test_ours_is_what_neither_the_hangover_nor_the_models_took() -> None:
    timeline = Timeline()
    for stamp, at in (
        (Stamp.SPEECH_ENDED, 0),
        (Stamp.ENDPOINT, 501),
        (Stamp.STT_FINAL, 511),
        (Stamp.FIRST_PACKET, 520),
    ):
        timeline.stamp(1, stamp, Nanos(at * MS))
    timeline.model_took(1, "stt", Nanos(7 * MS))
    timeline.model_took(1, "stt", Nanos(99 * MS))  # told once
    assert timeline.turn(1).ours(Nanos(500 * MS)) == 13 * MS
    # A model that ended the turn before the hangover had passed saved that time for everybody.
    assert timeline.turn(1).ours(Nanos(900 * MS)) == 12 * MS


def test_an_agent_that_had_just_stopped_was_not_spoken_over() -> None:
    assert Interruption(1, Nanos(10), Nanos(20), Nanos(5)).stop == 0
    assert Interruption(1, Nanos(10), Nanos(20), Nanos(25)).stop == 15
