"""Callers and the reference agent over real SIP and RTP: the measuring chain against delays that are known, and every
way in which a far end can fail, by its name."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.bench.callers.host import CallerHost, find
from gateway.bench.callers.scenario import Scenario
from gateway.bench.callers.speech import lifted, prepare
from gateway.bench.measure.entry import call_entry
from gateway.bench.measure.onset import first_sound, last_sound
from gateway.bench.measure.results import CallResult, Ticket
from gateway.bench.reference.agent import ReferenceAgent
from gateway.bench.reference.options import Manners
from gateway.bench.reference.sound import voice
from gateway.units import MS, Nanos, to_ms

pytestmark = pytest.mark.slow

CLIPS = {
    name: lifted(prepare(voice(Nanos(ms * MS)), -20.0)) for name, ms in (("hello", 613), ("no", 355), ("mhm", 200))
}
SLACK_MS = 5.0


@asynccontextmanager
async def agent(delay_ms: int = 180, **manners: Any) -> AsyncIterator[tuple[ReferenceAgent, list[dict[str, Any]]]]:
    told: list[dict[str, Any]] = []
    async with ReferenceAgent(Manners(Nanos(delay_ms * MS), **manners), told.append, ports="53000-53999") as opened:
        yield opened, told


async def place(
    opened: ReferenceAgent, steps: list[Any], *, user: str = "x", calls: int = 1, **more: Any
) -> list[CallResult]:
    plot = Scenario.model_validate({"name": "test", "limit": "20s", "steps": steps, **more})
    host, port = opened.local
    patience = Nanos(1500 * MS)
    async with CallerHost(await find(f"sip:{user}@{host}:{port}", patience), ports="54000-54999") as callers:
        every = (callers.run(callers.caller(plot, CLIPS, ticket=Ticket(n, seed=n))) for n in range(calls))
        return await asyncio.gather(*every)


QUIET = {"listen": {"quiet": "250ms", "within": "3s", "expect": "800ms"}}
TURN = [{"think": {"from": "50ms", "to": "90ms"}}, {"say": "hello"}, QUIET]


@pytest.mark.parametrize("delay_ms", [0, 50, 180, 800])
async def test_the_gap_that_is_measured_is_the_one_that_was_produced(delay_ms: int) -> None:
    async with agent(delay_ms) as (opened, told):
        results = await place(opened, [QUIET, *TURN, *TURN, "hang_up"], calls=4)
    turns = [(result.call_id, turn) for result in results for turn in result.turns]
    assert [result.outcome for result in results] == ["ok"] * 4
    assert len(turns) == 8
    for call_id, turn in turns:
        (real,) = [
            line
            for line in told
            if line["event"] == "answer"
            and line["call_id"] == call_id
            and abs(line["heard"] - turn.saying.ended) < 20 * MS
        ]
        assert turn.gap is not None
        assert abs(to_ms(turn.gap) - real["delay_ms"]) <= SLACK_MS
        assert turn.clipped is not None
        assert to_ms(turn.clipped) <= SLACK_MS
    assert sorted(abs(one["delay_ms"] - delay_ms) for one in told if one["event"] == "answer")[4] <= max(
        SLACK_MS, 30 - delay_ms
    )


async def test_an_interruption_is_obeyed_and_measured_to_the_sample() -> None:
    async with agent(400, answer=Nanos(3000 * MS)) as (opened, told):
        (result,) = await place(opened, [{"interrupt": {"after": "700ms", "say": "no"}}, QUIET, "hang_up"])
    (turn,), (stopped,) = result.turns, [line for line in told if line["event"] == "stopped"]
    assert (result.outcome, turn.saying.interrupting, turn.talked_over) == ("ok", True, False)
    assert turn.stop is not None
    assert abs(to_ms(turn.stop) - stopped["stop_ms"]) <= SLACK_MS
    assert abs(to_ms(turn.overlap) - stopped["stop_ms"]) <= SLACK_MS
    assert turn.gap is not None
    assert result.greeting is not None
    assert turn.saying.first_sent - result.greeting.start.at == pytest.approx(700 * MS, abs=30 * MS)


async def test_who_is_stopped_by_a_backchannel_was_stopped_falsely() -> None:
    async with agent(1500, answer=Nanos(3000 * MS)) as (opened, _):
        steps = [{"backchannel": {"after": "600ms", "say": "mhm"}}, {"silence": "1s"}, "hang_up"]
        (result,) = await place(opened, steps)
    (turn,) = result.turns
    assert (turn.saying.manner, turn.false_barge_in, turn.unanswered) == ("backchannel", True, False)


@pytest.mark.parametrize(
    ("user", "outcome"),
    [
        ("busy", "busy"),
        ("decline", "busy"),
        ("404", "refused"),
        ("503", "refused"),
        ("488", "other-codec"),
        ("480", "no-answer"),
        ("never-answers", "no-answer"),
        ("rings", "no-answer"),
        ("no-audio", "no-audio"),
        ("mute", "no-audio"),
        ("other-codec", "other-codec"),
        ("never-stops", "never-silent"),
        ("hangs-up", "hung-up-early"),
    ],
)
async def test_every_way_to_fail_has_its_name(user: str, outcome: str) -> None:
    short = {"listen": {"quiet": "200ms", "within": "600ms"}}
    async with agent() as (opened, _):
        (result,) = await place(opened, [short, {"say": "mhm"}, short, "hang_up"], user=user, limit="4s")
    assert result.outcome == outcome
    assert result.failure
    assert "Traceback" not in result.failure
    entry = call_entry(result, result.invited or Nanos(0))
    assert (entry["outcome"], entry["failure"]) == (outcome, result.failure)


async def test_a_held_call_goes_on_after_it_and_digits_get_an_answer() -> None:
    async with agent(180) as (opened, _):
        steps = [QUIET, {"hold": "400ms"}, *TURN, {"digits": "42#"}, QUIET, "hang_up"]
        (result,) = await place(opened, steps)
    assert (result.outcome, result.failure) == ("ok", None)
    assert [str(turn.saying.manner) for turn in result.turns] == ["turn", "digits"]


async def test_dead_air_is_told_and_thinking_is_none() -> None:
    async with agent(3000) as (opened, _):
        (result,) = await place(
            opened, [QUIET, {"think": "2500ms"}, {"say": "mhm"}, {"listen": {"quiet": "200ms"}}, "hang_up"]
        )
    (silence,) = result.dead_air
    assert to_ms(silence.length) == pytest.approx(3000, abs=60)


async def test_a_bad_line_is_heard_and_told_and_the_same_seed_loses_the_same() -> None:
    line = {
        "send": {"loss": "10%", "burst": 3, "delay": "20ms", "jitter": "wifi", "duplicate": "5%"},
        "receive": {"loss": "5%", "delay": "60ms", "reorder": "5%"},
    }
    did = []
    async with agent(180) as (opened, _):
        for _ in range(2):
            steps = [QUIET, {"say": "hello"}, {"listen": {"quiet": "400ms"}}, "hang_up"]
            (result,) = await place(opened, steps, impairments=line)
            did.append(result)
    first, second = did
    assert first.impairments is not None
    told = first.impairments["did"]
    assert told["sent"]["lost"] > 0
    assert told["sent"]["duplicated"] > 0
    assert told["received"]["reordered"] > 0
    assert first.stats.packets_lost + first.stats.packets_late > 0
    assert first.stats.packets_received == pytest.approx(told["received"]["packets"] - told["received"]["lost"], abs=8)
    assert first.greeted_after is not None
    assert to_ms(first.greeted_after) >= 60, "the delay of the way back"
    assert second.stats.line_sent is not None
    lengths = [told["sent"]["packets"], second.stats.line_sent.packets]
    if abs(lengths[0] - lengths[1]) < 3:
        assert abs(told["sent"]["lost"] - second.stats.line_sent.lost) < 4


async def test_the_delay_of_a_line_is_in_the_gap_both_ways() -> None:
    line = {"send": {"delay": "70ms"}, "receive": {"delay": "50ms"}}
    async with agent(180) as (opened, _):
        (result,) = await place(opened, [QUIET, *TURN, "hang_up"], impairments=line)
    assert to_ms(result.turns[0].gap or 0) == pytest.approx(300, abs=12)


@pytest.mark.parametrize(("more", "outcome"), [({"leaves_after": "500ms"}, "ok"), ({"abandons_after": "300ms"}, "ok")])
async def test_callers_who_leave_early_are_no_failures(more: dict[str, str], outcome: str) -> None:
    user = "rings" if "abandons_after" in more else "x"
    async with agent() as (opened, _):
        (result,) = await place(opened, ["listen", {"say": "hello"}, "hang_up"], user=user, **more)
    assert (result.outcome, result.failure) == (outcome, None)


async def test_the_same_seed_gives_the_same_call() -> None:
    """Think times are drawn: two runs of the same seeds wait as long, two callers do not."""
    steps = [QUIET, {"think": {"from": "50ms", "to": "500ms"}}, {"say": "mhm"}, "hang_up"]
    thoughts = []
    async with agent() as (opened, _):
        for _ in range(2):
            results = await place(opened, steps, calls=3)
            thoughts.append(
                [one.turns[0].saying.first_sent - (one.heard[0].end or one.heard[0].start).at for one in results]
            )
    assert thoughts[0] == pytest.approx(thoughts[1], abs=25 * MS)
    assert len({round(thought / (10 * MS)) for thought in thoughts[0]}) > 1


async def test_a_recording_shows_the_gap_to_whoever_measures_it(tmp_path: Path) -> None:
    """Caller left, agent right, on one time line: the second opinion."""
    file = tmp_path / "call.wav"
    plot = Scenario.model_validate(
        {"name": "x", "limit": "20s", "steps": [{"think": "333ms"}, {"say": "hello"}, QUIET, "hang_up"]}
    )
    async with agent(180, greets=False) as (opened, _):
        target = await find(f"sip:x@{opened.local[0]}:{opened.local[1]}")
        async with CallerHost(target, ports="54000-54999") as callers:
            result = await callers.run(callers.caller(plot, CLIPS, record=True), file)
    with wave.open(str(file)) as recording:
        samples = memoryview(recording.readframes(recording.getnframes())).cast("h")
    ended, begun = last_sound(samples[0::2].tobytes(), 8000), first_sound(samples[1::2].tobytes(), 8000)
    assert ended is not None
    assert begun is not None
    assert result.recording == "call.wav"
    assert (begun - ended) / 8 == pytest.approx(to_ms(result.turns[0].gap or 0), abs=SLACK_MS)
