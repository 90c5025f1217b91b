"""Spans are the stamps of the timeline, and nothing else."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from gateway.daemon.spans import Span, Spans
from gateway.trace import TraceContext

MS = 1_000_000
OFFSET = 1_700_000_000_000_000_000
CONTEXT = TraceContext(1 << 100, 77)
STAMPS = {
    "speech_started": 1000 * MS, "speech_ended": 2000 * MS, "endpoint": 2500 * MS, "stt_final": 2530 * MS,
    "llm_first_token": 2800 * MS, "tts_first_audio": 2900 * MS, "first_packet": 2905 * MS, "last_packet": 5000 * MS,
}  # fmt: skip


def _told(*records: dict[str, Any], traced: bool = True) -> list[Span]:
    spans = Spans()
    started = {"event": "call.started", "at": 1_700_000_000.5, "call_id": "a", "plug": "pizza"}
    found = spans.hear({**started, "traceparent": CONTEXT.traceparent} if traced else started, OFFSET)
    for record in records:
        found += spans.hear({"at": 1_700_000_010.0, "call_id": "a", **record}, OFFSET)
    return found


ENDED = {"event": "call.ended", "plug": "pizza", "by": "remote", "talk_s": 9.0, "status": None}
TURN = {
    "event": "turn",
    "turn": 1,
    "stamps": STAMPS,
    "models": {"stt": "ear 1"},
    "model_ms": {"stt": 25.0},
    "heard": "yes",
}


def test_the_parts_of_a_turn_follow_each_other_and_make_up_the_gap() -> None:
    turn, *parts = _told(TURN)
    assert [part.name for part in parts] == ["caller", "hangover", "stt", "llm", "tts", "first_packet", "agent"]
    assert all(part.parent == turn.context for part in parts)
    assert all(before.end == after.start for before, after in pairwise(parts))
    gap = sum(part.end - part.start for part in parts[1:-1])
    assert gap == STAMPS["first_packet"] - STAMPS["speech_ended"]
    assert (turn.start, turn.end) == (OFFSET + 1000 * MS, OFFSET + 5000 * MS)
    assert parts[2].attributes == {"linecard.model": "ear 1", "linecard.model_ms": 25.0}


def test_a_stage_that_a_plug_does_not_have_counts_to_the_one_after_it() -> None:
    stamps = {name: STAMPS[name] for name in ("speech_ended", "tts_first_audio", "first_packet")}
    _, *parts = _told({**TURN, "stamps": stamps})
    assert [(part.name, (part.end - part.start) // MS) for part in parts] == [("tts", 900), ("first_packet", 5)]


def test_an_interruption_and_a_failover_are_events_of_their_turn() -> None:
    barge_in = {"event": "barge_in", "turn": 1, "stop_ms": 117.0, "stamps": {"speech_started": 4000 * MS}}
    move = {"role": "llm", "from": "a", "to": "b", "reason": "busy", "waited_ms": 80.0}
    turn = _told(barge_in, {**TURN, "failovers": [move]})[0]
    assert [(event.name, (event.at - OFFSET) // MS) for event in turn.events] == [
        ("failover", 2800),
        ("barge_in", 4000),
    ]
    assert turn.events[0].attributes["linecard.to"] == "b"


def test_a_call_holds_what_happened_beside_its_turns() -> None:
    (call,) = _told({"event": "call.transferred", "target": "sip:x@y", "status": 200}, ENDED)
    assert (call.name, call.context, call.parent) == ("call pizza", CONTEXT, None)
    assert (call.end - call.start) // MS == 9500
    assert [event.name for event in call.events] == ["answered", "call.transferred"]
    assert call.failure is None


@pytest.mark.parametrize(
    ("ended", "failure"),
    [
        ({"by": "network", "reason": "RTP timeout"}, "RTP timeout"),
        ({"by": "local", "status": 488, "reason": "no codec"}, "488 no codec"),
    ],
)
def test_a_call_that_failed_says_why(ended: dict[str, Any], failure: str) -> None:
    assert _told({**ENDED, **ended})[0].failure == failure


def test_a_turn_without_an_answer_is_an_error() -> None:
    stamps = {name: STAMPS[name] for name in ("speech_started", "speech_ended", "endpoint")}
    assert _told({**TURN, "stamps": stamps})[0].failure == "no answer"


def test_two_turns_of_one_number_are_two_spans() -> None:
    found = _told(TURN, TURN)
    assert len({span.context for span in found}) == len(found) == 16


def test_a_call_that_is_not_traced_leaves_nothing() -> None:
    assert _told(TURN, ENDED, traced=False) == []


def test_a_long_call_does_not_fill_the_memory() -> None:
    (call,) = _told(*[{"event": "call.hold", "held": True}] * 1000, ENDED)
    assert len(call.events) < 200
