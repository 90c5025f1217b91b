"""A turn of a pipeline whose three models are of three vendors, each played; and one of them that dies in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from gateway.audio import Encoding
from gateway.plugs.pipeline import SPEC, PipelineOptions, PipelineSession
from gateway.providers.contract import ProviderSpec
from gateway.registry import PROVIDERS, load
from gateway.units import MS, Nanos, Samples
from tests.played.cast import CAST, Part
from tests.played.stage import Fault, staged
from tests.unit.plugs.desk import Call, Leg

LIMIT = 5.0
SPEECH = 1
LOUD = b"\x40\x1f"


class Line(Leg):
    """Remembers how each burst was written."""

    def __init__(self) -> None:
        super().__init__()
        self.encodings: list[Encoding] = []

    def play(self, pcm: bytes, rate: int, encoding: Encoding = Encoding.PCM) -> None:
        super().play(pcm, rate, encoding)
        self.encodings.append(encoding)


def part(kind: str, role: str, name: str = "") -> Part:
    return next(one for one in CAST if (one.kind, one.role, one.name) == (kind, role, name))


@asynccontextmanager
async def call(faults: dict[str, Fault], **roles: list[Part]) -> AsyncIterator[tuple[Call, Line, PipelineSession]]:
    async with AsyncExitStack() as stack:
        made: list[Any] = []
        for parts in roles.values():
            for one in parts:
                _, at = await stack.enter_async_context(staged(one.script, faults.get(one.id, Fault.NONE)))
                spec = load(PROVIDERS, one.kind)
                assert isinstance(spec, ProviderSpec)
                block = {"api_key": "key", "base_url": one.base_url.format(at=at), **one.block}
                made.append(spec.create(one.id, spec.options.model_validate(block)))
                stack.push_async_callback(made[-1].close)
        view, line = Call(*made), Line()
        options = PipelineOptions.model_validate({role: [one.id for one in parts] for role, parts in roles.items()})
        session: Any = SPEC.create(options).open(view)
        await session.start(line)
        session.answered()
        try:
            yield view, line, session
        finally:
            await session.close()


async def speak(view: Call, session: PipelineSession) -> None:
    """Four hundred milliseconds of a caller, and the end of them."""
    now = view.now()
    session.on_speech_started(Samples(0), now)
    size = session.uplink_rate // 50
    for number in range(20):
        session.on_audio(LOUD * size, Samples(160 * number), now, SPEECH)
    session.on_speech_ended(Samples(3200), Nanos(now - 2000 * MS))


async def until(true: Any) -> None:
    async with asyncio.timeout(LIMIT):
        while not true():
            await asyncio.sleep(0.005)


async def test_a_turn_through_three_vendors() -> None:
    roles = {
        "stt": [part("deepgram", "stt", "nova")],
        "llm": [part("anthropic", "llm")],
        "tts": [part("cartesia", "tts")],
    }
    async with call({}, **roles) as (view, line, session):
        assert session.uplink_rate == 8000
        await speak(view, session)
        said = "You said: 400 ms"
        await until(lambda: sum(len(audio) for audio, _ in line.played) >= 160 * len(said))
        assert view.logged("heard")[0]["heard"] == "400 ms"
        assert set(line.encodings) == {Encoding.ULAW}
        assert sum(len(audio) for audio, _ in line.played) == 160 * len(said)
        assert not view.logged("provider.failed")


@pytest.mark.parametrize("fault", [Fault.DOWN, Fault.WRONG_KEY, Fault.BUSY], ids=lambda fault: fault.name)
async def test_a_vendor_that_refuses_is_replaced_by_the_next(fault: Fault) -> None:
    roles = {
        "stt": [part("deepgram", "stt", "nova"), part("elevenlabs", "stt")],
        "llm": [part("anthropic", "llm"), part("openai", "llm", "responses")],
        "tts": [part("cartesia", "tts"), part("inworld", "tts")],
    }
    faults = {"deepgram-nova": fault, "anthropic-llm": fault, "cartesia-tts": fault}
    async with call(faults, **roles) as (view, line, session):
        await speak(view, session)
        await until(lambda: line.samples >= 160 * len("You said: 400 ms"))
        assert view.logged("heard")[0]["heard"] == "400 ms"
