from __future__ import annotations

import json

import pytest

from gateway.bench.measure.inside import InsideTurn, joined, read_interruption, read_line, read_turn
from gateway.bench.measure.results import Saying, TurnResult
from gateway.units import MS, SECOND, Nanos

LINE = {
    "event": "turn",
    "call_id": "abc@host",
    "turn": 2,
    "heard": "a large pizza",
    "said": "With what?",
    "gap_ms": 230.0,
    "stages_ms": {"hangover": 200.0, "stt": 30.0},
    "stamps": {"speech_ended": 5 * SECOND},
}


@pytest.mark.parametrize("text", ["", "plain words", "[1, 2]", '{"no": "event"}', b"\xff\xfe", '{"event": 7}'])
def test_what_is_not_one_of_our_lines_is_skipped(text: str | bytes) -> None:
    assert read_line(text) is None


def test_a_turn_is_read_and_what_is_missing_is_empty() -> None:
    line = read_line(json.dumps(LINE))
    assert line is not None
    turn = read_turn(line)
    assert (line.call_id, turn.number, turn.heard, turn.gap_ms, turn.model_ms) == (
        "abc@host",
        2,
        "a large pizza",
        230,
        {},
    )


def test_an_interruption_is_read() -> None:
    line = read_line('{"event": "barge_in", "turn": 2, "confirm_ms": 120.5, "stop_ms": 140}')
    assert line is not None
    assert read_interruption(line).stop_ms == 140


def inside(number: int, ended: int) -> InsideTurn:
    return InsideTurn(number, "", "", 200.0, {}, stamps={"speech_ended": ended})


def test_a_turn_is_joined_to_the_one_that_ended_at_the_same_time() -> None:
    turn = TurnResult(1, Saying("text", Nanos(0), Nanos(5 * SECOND)), None)
    near, far = inside(2, 5 * SECOND + 3 * MS), inside(1, 3 * SECOND)
    assert joined(turn, [far, near, InsideTurn(0, "", "Hello", None, {})]) is near
    assert joined(turn, [inside(9, 60 * SECOND)]) is None
    assert joined(turn, []) is None
