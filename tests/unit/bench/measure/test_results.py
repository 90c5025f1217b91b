from __future__ import annotations

import pytest

from gateway.bench.measure.onset import Edge
from gateway.bench.measure.outcome import Ending, judge
from gateway.bench.measure.results import (
    CallResult,
    DeadAir,
    Manner,
    Saying,
    Span,
    Summary,
    dead_air,
    measure,
    spans,
    summarise,
)
from gateway.units import MS, Nanos, Samples


def at(ms: float) -> Nanos:
    return Nanos(round(ms * MS))


def edge(ms: float, *, started: bool) -> Edge:
    return Edge(started, at(ms), at(ms), Samples(0))


def heard(*pieces: tuple[float, float | None]) -> list[Span]:
    return [Span(edge(a, started=True), None if b is None else edge(b, started=False)) for a, b in pieces]


def said(first: float, last: float, *, interrupting: bool = False) -> Saying:
    manner = Manner.INTERRUPTION if interrupting else Manner.TURN
    return Saying("text", at(first), at(last), manner)


def call(sayings: list[Saying], agent: list[Span]) -> CallResult:
    result = CallResult(invited=at(0), answered=at(10))
    measure(result, sayings, agent)
    return result


def test_greeting_and_gap() -> None:
    result = call([said(2000, 3000)], heard((30, 1500), (3250, 4000)))
    assert result.greeted_after == 20 * MS
    assert [turn.gap for turn in result.turns] == [250 * MS]
    assert result.success


def test_the_answer_is_the_first_piece_after_the_turn_and_before_the_next() -> None:
    result = call([said(2000, 3000), said(6000, 7000)], heard((3200, 3900), (4200, 5000), (7100, 8000)))
    assert [turn.gap for turn in result.turns] == [200 * MS, 100 * MS]
    assert result.greeting is None


def test_a_turn_without_an_answer_is_no_success() -> None:
    result = call([said(2000, 3000), said(6000, 7000)], heard((30, 1500), (7100, 8000)))
    assert [turn.gap for turn in result.turns] == [None, 100 * MS]
    assert not result.success


def test_an_interruption_measures_when_the_agent_fell_silent() -> None:
    result = call([said(2000, 3000, interrupting=True)], heard((30, 2140), (3300, 4000)))
    (turn,) = result.turns
    assert (turn.stop, turn.gap, turn.talked_over) == (140 * MS, 300 * MS, False)


def test_an_interruption_into_a_pause_stopped_at_once_and_one_never_obeyed_has_no_stop() -> None:
    assert call([said(2000, 3000, interrupting=True)], heard((30, 1900), (3300, None))).turns[0].stop == 0
    assert call([said(2000, 3000, interrupting=True)], heard((30, None))).turns[0].stop is None
    assert call([said(2000, 3000)], heard((30, 2140), (3300, 4000))).turns[0].stop is None


def test_a_sentence_begun_before_the_agent_noticed_counts_as_not_stopped() -> None:
    agent = heard((30, 1950), (2050, 2200), (3300, 4000))
    assert call([said(2000, 3000, interrupting=True)], agent).turns[0].stop == 200 * MS


def test_an_agent_that_answers_too_early_talks_over_the_caller() -> None:
    (turn,) = call([said(2000, 3000)], heard((30, 1500), (2900, 4000))).turns
    assert turn.talked_over
    assert turn.gap == -100 * MS


def test_edges_make_spans() -> None:
    edges = [edge(1, started=True), edge(2, started=False), edge(3, started=True)]
    assert spans(edges) == heard((1, 2), (3, None))
    assert spans([edge(2, started=False)]) == []


def test_a_call_that_was_not_answered_is_no_success() -> None:
    assert not CallResult(status=486, failure="486 Busy Here").success
    assert CallResult().set_up is None


def test_percentiles_are_values_that_were_measured() -> None:
    assert summarise(range(1, 101)) == Summary(100, 50, 95, 99, 100)
    assert summarise([7.0]) == Summary(1, 7.0, 7.0, 7.0, 7.0)
    assert summarise([]) is None
    assert summarise([3, 1]) == Summary(2, 1, 3, 3, 3)


def test_dead_air_is_what_nobody_filled() -> None:
    sounds = [(at(500), at(1500)), (at(1200), at(3000)), (at(6000), at(7000))]
    assert [(one.since, one.length) for one in dead_air(at(0), at(8000), sounds)] == [(at(3000), at(3000))]
    assert list(dead_air(at(0), at(2500), [])) == [DeadAir(at(0), 2500 * MS)]
    assert list(dead_air(at(0), at(2000), [])) == []


@pytest.mark.parametrize(
    ("agent", "false"),
    [
        (heard((0, 9000)), False),
        (heard((0, 2500), (2900, 9000)), False),
        (heard((0, 2500), (4000, 9000)), True),
        (heard((0, 2500)), True),
        (heard((0, 3500)), False),
    ],
)
def test_a_backchannel_stops_an_agent_falsely_if_it_does_not_go_on(agent: list[Span], false: bool) -> None:
    result = CallResult(invited=at(0), answered=at(0))
    measure(result, [Saying("mhm", at(2000), at(2300), Manner.BACKCHANNEL, awaited=False)], agent)
    (turn,) = result.turns
    assert (turn.false_barge_in, turn.answer, turn.unanswered) == (false, None, False)


def test_talk_over_is_what_both_said_at_once_and_clipped_is_what_was_not_heard() -> None:
    edges = [edge(1500, started=True), Edge(False, at(2400), at(2400), Samples(0), 700 * MS), *heard_edges(3500, 4000)]
    result = CallResult(invited=at(0), answered=at(0))
    measure(result, [Saying("no", at(2000), at(3000), Manner.TALK_OVER)], spans(edges), [800 * MS])
    (turn,) = result.turns
    assert (turn.overlap, turn.stop) == (400 * MS, None)
    assert turn.clipped == 300 * MS


def heard_edges(start: float, end: float) -> list[Edge]:
    return [edge(start, started=True), Edge(False, at(end), at(end), Samples(0), 500 * MS)]


@pytest.mark.parametrize(
    ("result", "ending", "name"),
    [
        (CallResult(status=486, ended_by="remote: Busy Here"), Ending(False), "busy"),
        (CallResult(status=500, ended_by="remote: no"), Ending(False), "refused"),
        (CallResult(ended_by="network: timeout"), Ending(False), "no-answer"),
        (CallResult(answered=at(1)), Ending(True), "ok"),
        (CallResult(answered=at(1)), Ending(True, sound=False), "no-audio"),
        (CallResult(answered=at(1)), Ending(False, limit=True, speaking=True), "never-silent"),
        (CallResult(answered=at(1)), Ending(False, limit=True), "too-long"),
        (CallResult(answered=at(1)), Ending(False), "hung-up-early"),
        (CallResult(answered=at(1)), Ending(False, left=True), "ok"),
        (CallResult(answered=at(1), outcome="cancelled"), Ending(False), "cancelled"),
    ],
)
def test_every_call_ends_with_a_name(result: CallResult, ending: Ending, name: str) -> None:
    judge(result, ending)
    assert result.outcome == name
    assert (result.failure is None) is (name in {"ok", "cancelled", "never-silent", "too-long"})
