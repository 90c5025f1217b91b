from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.bench.callers.caller import Caller, Happening, PickedUp, Rang, Speaks
from gateway.bench.callers.scenario import Scenario
from gateway.bench.measure.results import CallResult
from gateway.units import to_ms
from tests.unit.bench.callers.fake_agent import TARGET, FakeAgent
from tests.unit.bench.callers.virtual import run
from tests.unit.bench.measure.signals import pcm, tone

CLIPS = {"hello": pcm(tone(800)), "stop": pcm(tone(400))}


def scenario(*steps: Any, **more: Any) -> Scenario:
    return Scenario(name="test", steps=list(steps), **more)


async def place(agent: FakeAgent, plot: Scenario, told: list[Happening] | None = None) -> CallResult:
    notify = (lambda _: None) if told is None else told.append
    caller = Caller(plot, CLIPS, agent, agent, notify=notify, clock=agent.loop.nanos)
    return await caller.run(TARGET)


def test_a_whole_call_is_measured() -> None:
    told: list[Happening] = []

    async def main() -> tuple[CallResult, FakeAgent]:
        agent = FakeAgent((0.25, 1.0), (0.4, 0.6))
        plot = scenario("listen", {"think": "200ms"}, {"say": "hello"}, "listen", {"say": "stop"}, "listen", "hang_up")
        return await place(agent, plot, told), agent

    result, agent = run(main())
    assert result.success
    assert result.failure is None
    assert to_ms(result.set_up or 0) == 50
    assert to_ms(result.greeted_after or 0) == pytest.approx(100, abs=21)
    assert [to_ms(turn.gap or 0) for turn in result.turns] == pytest.approx([250, 400], abs=21)
    assert (agent.hung_up, agent.closed) == (["the caller has finished"], True)
    assert [type(happening) for happening in told] == [Rang, PickedUp, Speaks, Speaks]


def test_an_interruption_falls_into_the_agents_speech_and_its_stop_is_measured() -> None:
    async def main() -> CallResult:
        agent = FakeAgent((0.25, 3.0), (0.3, 0.5))
        plot = scenario({"say": "hello"}, {"interrupt": {"after": "700ms", "say": "stop"}}, "listen", "hang_up")
        return await place(agent, plot)

    first, second = run(main()).turns
    assert (first.saying.interrupting, second.saying.interrupting) == (False, True)
    began = first.answer.start.packet if first.answer else 0
    assert to_ms(second.saying.first_sent - began) == pytest.approx(700, abs=25)
    assert to_ms(second.stop or 0) == pytest.approx(120, abs=25)
    assert to_ms(second.gap or 0) == pytest.approx(300, abs=20)


def test_an_agent_that_never_stops_talking_ends_at_the_limit() -> None:
    async def main() -> CallResult:
        agent = FakeAgent(greeting=(0.1, 1000), obeys=False)
        return await place(agent, scenario("listen", {"say": "hello"}, "hang_up", limit="20s"))

    result = run(main())
    assert result.failure == "the call reached its limit of 20 s"


def test_an_agent_that_says_nothing_leaves_turns_unanswered() -> None:
    async def main() -> CallResult:
        plot = scenario("listen", {"say": "hello"}, {"listen": {"within": "2s"}}, "hang_up")
        return await place(FakeAgent(greeting=(0.1, 0.5)), plot)

    result = run(main())
    assert [turn.gap for turn in result.turns] == [None]
    assert (result.outcome, result.failure, result.success) == ("unanswered-turn", "1 of 1 turns got no answer", False)


def test_an_agent_that_stops_sending_while_silent_is_heard_to_finish() -> None:
    async def main() -> CallResult:
        agent = FakeAgent((0.25, 0.5), dtx=True)
        return await place(agent, scenario("listen", {"say": "hello"}, "listen", "hang_up"))

    result = run(main())
    assert result.success
    assert to_ms(result.turns[0].gap or 0) == pytest.approx(250, abs=20)


@pytest.mark.parametrize(("status", "failure"), [(486, "not answered: 486 Busy Here"), (0, "limit of 20 s")])
def test_a_call_that_is_not_answered_says_why(status: int, failure: str) -> None:
    result = run(_place(scenario({"say": "hello"}, "hang_up", limit="20s"), status=status))
    assert failure in (result.failure or "")
    assert not result.success


def test_an_agent_that_hangs_up_in_the_middle_is_reported() -> None:
    result = run(_place(scenario("listen", {"say": "hello"}, "hang_up"), hangs_up_after=0.5))
    assert result.failure == "the call ended (remote: goodbye) before the caller had said everything"


def test_without_hang_up_the_caller_waits_for_the_agent_to_end_the_call() -> None:
    result = run(_place(scenario("listen"), hangs_up_after=5.0))
    assert (result.failure, result.ended_by) == (None, "remote: goodbye")


def test_a_cancelled_caller_hangs_up_and_closes_its_socket() -> None:
    async def main() -> FakeAgent:
        agent = FakeAgent()
        task = asyncio.create_task(place(agent, scenario("listen", {"say": "hello"}, "hang_up")))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return agent

    agent = run(main())
    assert agent.hung_up
    assert agent.closed


async def _place(plot: Scenario, **agent: Any) -> CallResult:
    return await place(FakeAgent(**agent), plot)
