"""``--caller pjsua2``: the bench's scenarios through a SIP and media stack that nobody here wrote."""

from __future__ import annotations

import asyncio
import wave
from array import array
from importlib.util import find_spec
from pathlib import Path

import pytest

from gateway.bench.callers.host import find
from gateway.bench.callers.scenario import parse_scenario
from gateway.bench.independent import host as independent
from gateway.bench.independent.host import Pjsua2Caller, Pjsua2Host, require_pjsua2
from gateway.bench.measure.outcome import Outcome
from gateway.bench.reference.agent import ReferenceAgent
from gateway.bench.reference.options import Manners
from gateway.errors import ConfigError
from gateway.units import MS

SCENARIO = parse_scenario(
    "two turns",
    """
name: two turns
limit: 30s
steps: [listen, think: 200ms, say: one, listen, say: two, listen, hang_up]
""",
    Path(),
)
TONE = array("h", [8000 if n // 8 % 2 else -8000 for n in range(6000)]).tobytes()
CLIPS = {"one": TONE, "two": TONE}

_MISSING = find_spec("pjsua2") is None
needs_pjsua2 = [
    pytest.mark.interop,
    pytest.mark.skipif(_MISSING, reason="pjsua2 is not there: see test_pjsua2.py"),
]


async def call(who: str, record: Path | None = None, patience: int | None = None) -> Pjsua2Caller:
    async with ReferenceAgent(Manners(180 * MS), lambda line: None) as agent:
        target = await find(f"sip:{who}@127.0.0.1:{agent.local[1]}", patience)
        async with Pjsua2Host(target) as host:
            caller = host.caller(SCENARIO, CLIPS)
            await host.run(caller, record)
            return caller


class TestCalls:
    pytestmark = needs_pjsua2

    async def test_gaps_are_those_of_the_agent_and_a_jitter_buffer(self, tmp_path: Path) -> None:
        result = (await call("180ms", tmp_path / "call.wav")).result
        assert result.outcome == Outcome.OK, result.failure
        assert result.greeting is not None
        assert [turn.saying.text for turn in result.turns] == ["one", "two"]
        for turn in result.turns:
            assert turn.saying.ended - turn.saying.first_sent == pytest.approx(750 * MS, abs=5 * MS)
            assert turn.gap is not None
            assert 175 * MS <= turn.gap <= 280 * MS
        with wave.open(str(tmp_path / "call.wav")) as file:
            assert file.getnchannels() == 2

    @pytest.mark.parametrize(
        ("who", "outcome"),
        [
            ("busy", Outcome.BUSY),
            ("503", Outcome.REFUSED),
            ("never-answers", Outcome.NO_ANSWER),
            ("hangs-up", Outcome.HUNG_UP_EARLY),
        ],
    )
    async def test_every_failure_has_its_name(self, who: str, outcome: Outcome) -> None:
        result = (await call(who, patience=2000 * MS)).result
        assert result.outcome == outcome, result.failure

    async def test_whoever_ends_the_run_ends_the_call(self) -> None:
        async with ReferenceAgent(Manners(180 * MS), lambda line: None) as agent:
            host = Pjsua2Host(await find(f"sip:180ms@127.0.0.1:{agent.local[1]}"))
            caller = host.caller(SCENARIO, CLIPS)
            task = asyncio.create_task(host.run(caller))
            async with asyncio.timeout(20):
                while caller.result.answered is None:
                    await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert caller.result.outcome == Outcome.CANCELLED
            assert caller.result.ended_by.startswith("local")


def test_a_missing_module_is_told_with_where_its_makers_say_how_to_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(independent, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"no module pjsua2.*docs\.pjsip\.org"):
        require_pjsua2([SCENARIO], impaired=False)


def test_what_it_cannot_do_is_refused_before_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(independent, "find_spec", lambda name: object())
    text = "name: rude\nsteps: [listen, interrupt: {after: 1s, say: no}, hold: 2s, hang_up]"
    with pytest.raises(ConfigError) as refused:
        require_pjsua2([SCENARIO, parse_scenario("rude", text, Path())], impaired=True)
    assert [problem.split(": ", 1)[1] for problem in refused.value.problems] == [
        "rude: it cannot hold; it can listen, think, say, silence, hang_up",
        "rude: it cannot interrupt; it can listen, think, say, silence, hang_up",
        "its line cannot be impaired: that is done by our own media plane",
    ]
