from __future__ import annotations

from dataclasses import replace

from gateway.bench.measure.inside import InsideInterruption, InsideTurn
from gateway.bench.measure.onset import Edge
from gateway.bench.measure.results import CallResult, Manner, Saying, Span, TurnResult
from gateway.bench.verdict import faults
from gateway.units import MS, SECOND, Nanos, Samples

STAGES = {"hangover": 200.0, "stt": 30.0, "llm": 1.0, "tts": 2.0, "first_packet": 4.0}


def outside(number: int, gap_ms: float, stop_ms: float | None = None) -> TurnResult:
    first, last = Nanos(number * 10 * SECOND), Nanos(number * 10 * SECOND + SECOND)
    start = Nanos(round(last + gap_ms * MS))
    stopped = None if stop_ms is None else Nanos(round(first + stop_ms * MS))
    return TurnResult(
        number,
        Saying("text", first, last, Manner.TURN if stop_ms is None else Manner.INTERRUPTION),
        Span(Edge(True, start, start, Samples(0)), None),
        stopped,
    )


def inside(number: int, **more: object) -> InsideTurn:
    turn = InsideTurn(number, "text", "said", 237.0, STAGES, stamps={"speech_ended": number * 10 * SECOND + SECOND})
    return replace(turn, **more)  # type: ignore[arg-type]


def check(turns: list[TurnResult], within: list[InsideTurn], stops: int = 0, interruptions: int = 0) -> list[str]:
    result = CallResult(answered=Nanos(1), turns=turns)
    return faults(result, within, [InsideInterruption(1, 120, 140)] * stops, interruptions)


def test_a_good_call_has_no_faults() -> None:
    assert check([outside(1, 238), outside(2, 240, stop_ms=140)], [inside(1), inside(2)], 1, 1) == []


def test_each_fault_has_its_line() -> None:
    assert check([outside(1, 238)], []) == ["turn 1: the gateway has not written it down"]
    assert check([outside(1, 238)], [inside(1, understood=False)]) == [
        "turn 1: the gateway did not understand the caller"
    ]
    assert check([outside(1, 238)], [inside(1, gap_ms=None)]) == ["turn 1: the gateway has not measured its gap"]
    assert "add up to" in check([outside(1, 238)], [inside(1, stages_ms={"hangover": 200.0})])[0]
    assert "the caller measured 290.0" in check([outside(1, 290)], [inside(1)])[0]
    assert "the gateway 0" in check([outside(1, 238, stop_ms=140)], [inside(1)], 0, 1)[0]
    silent = replace(outside(1, 238), answer=None)
    assert check([silent], [inside(1)]) == ["turn 1: no answer was heard"]


def test_a_call_that_failed_says_so_first() -> None:
    assert faults(CallResult(failure="not answered: 486"), [], [], 0) == ["not answered: 486"]
