"""A collector gets a call's trace, and those who serve the call are told which one it is."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.system import g711
from tests.system.collector import Collector, attributes, collector
from tests.system.house import configuration, house
from tests.system.phone import SILENCE, Phone
from tests.system.puppet_models import PuppetModels
from tests.unit.plugs.bots import WORDS, played

SPEECH = [
    g711.encode([int(6000 * math.sin(2 * math.pi * 250 * (160 * k + n) / 8000)) for n in range(160)]) for k in range(40)
]


def traced(endpoint: str, **options: Any) -> dict[str, Any]:
    config = configuration(hangover="300ms")
    config["telemetry"] = {"tracing": {"endpoint": endpoint, **options}}
    return config


async def test_a_call_is_a_trace_of_its_turns_and_their_stages(tmp_path: Path) -> None:
    models = PuppetModels()
    async with collector() as otlp:
        config = traced(otlp.url, headers={"x-key": "secret"})
        config["providers"]["embedded"]["url"] = f"ws://127.0.0.1:{await models.start()}/"
        before = time.time_ns()
        try:
            async with house(tmp_path, config) as built:
                await built.gateway.line("provider.connected")
                phone = await Phone(built.sip, "pizza").dial()
                await phone.packets(lambda heard: sum(packet.level > 300 for packet in heard) > 10)
                await phone.talk([*SPEECH, *[SILENCE] * 60])
                turn = await built.gateway.line("turn", lambda line: line["gap_ms"] is not None)
                phone.bye()
                await phone.response(200, "BYE")
                await built.gateway.line("call.ended")
                await otlp.until(lambda: bool(otlp.named("call pizza")))
                assert await built.gateway.stop() == 0
        finally:
            await models.stop()
        _check_the_call(otlp, turn, before)
        (call,) = otlp.named("call pizza")
        expected = f"00-{call.trace_id.hex()}-{call.span_id.hex()}-01"
        assert {opened["role"]: opened["traceparent"] for opened in models.opened} == dict.fromkeys(
            ("stt", "llm", "tts"), expected
        )
        assert otlp.headers[0]["x-key"] == "secret"


def _check_the_call(otlp: Collector, turn: dict[str, Any], before: int) -> None:
    (call,) = otlp.named("call pizza")
    (answered,) = otlp.named(f"turn {turn['turn']}")
    stages = {name: otlp.named(name) for name in turn["stages_ms"]}
    assert otlp.resources[0]["service.name"] == "linecard"
    assert (call.parent_span_id, answered.parent_span_id) == (b"", call.span_id)
    assert len({span.trace_id for span in otlp.spans}) == 1
    assert len({span.span_id for span in otlp.spans}) == len(otlp.spans)
    for name, length in turn["stages_ms"].items():
        (span,) = [one for one in stages[name] if one.parent_span_id == answered.span_id]
        assert abs((span.end_time_unix_nano - span.start_time_unix_nano) / 1e6 - length) < 0.001
    assert before < call.start_time_unix_nano < answered.start_time_unix_nano < call.end_time_unix_nano < time.time_ns()
    told = attributes(call)
    assert told["linecard.caller"] == "…56"
    assert told["linecard.plug"] == "pizza"
    assert attributes(answered)["linecard.heard"] == "(1 words)"
    assert attributes(otlp.named("stt")[0])["linecard.model"] == "puppet-stt 1"


async def test_a_bot_is_told_the_trace(tmp_path: Path) -> None:
    async with collector() as otlp, played(WORDS["twilio"]) as (bot, url):
        config = traced(otlp.url)
        config["plugs"]["bot"] = {"kind": "twilio", "url": url, "parameters": {"customer": "42"}}
        config["routes"].append({"to": "bot", "plug": "bot"})
        async with house(tmp_path, config) as built:
            phone = await Phone(built.sip, "bot").dial()
            await bot.until(lambda: any(bot.words.begun(message) for message in bot.texts()))
            told = bot.texts()[1]["start"]["customParameters"]
            assert told["customer"] == "42"
            phone.bye()
            await phone.response(200, "BYE")
            await otlp.until(lambda: bool(otlp.named("call bot")))
            (call,) = otlp.named("call bot")
            assert told["traceparent"] == f"00-{call.trace_id.hex()}-{call.span_id.hex()}-01"
            assert bot.headers["traceparent"] == told["traceparent"]
            assert "bot.connected" in [event.name for event in call.events]


async def test_a_collector_that_is_away_costs_no_call(tmp_path: Path) -> None:
    config = traced(f"http://127.0.0.1:{free_port()}/v1/traces", timeout="200ms")
    config["records"] = {"database": "off", "file": str(tmp_path / "records.jsonl")}
    async with house(tmp_path, config) as built:
        for _ in range(3):
            phone = await Phone(built.sip, "short").dial()
            await phone.asked("BYE")
        await built.gateway.line("call.ended")
        assert await built.gateway.stop() == 0
    kept = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert sum(record["event"] == "call.ended" for record in kept) == 3


async def test_what_is_not_sampled_is_not_traced(tmp_path: Path) -> None:
    async with collector() as otlp:
        async with house(tmp_path, traced(otlp.url, sample=0)) as built:
            phone = await Phone(built.sip, "short").dial()
            await phone.asked("BYE")
            assert "traceparent" not in await built.gateway.line("call.started")
            assert await built.gateway.stop() == 0
        assert otlp.spans == []
