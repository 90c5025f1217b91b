from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import Callable

import pytest

from gateway.bench.callers.speech import FRAME, RATE, prepare, synthesise
from gateway.errors import ProviderError
from gateway.providers.contract import Failed, ModelInfo, Provider, Speech, SpeechDone, TtsResult
from tests.unit.bench.measure.signals import pcm, silence, voice

CLIP = pcm(silence(130) + voice(500, -33, pitch=200) + silence(170))


def level(clip: bytes) -> float:
    samples = array("h", clip)
    return 20 * math.log10(math.sqrt(sum(x * x for x in samples) / len(samples)) / 32768)


@pytest.mark.parametrize("wanted", [-30.0, -20.0, -14.0])
def test_a_clip_is_cut_to_its_sound_brought_to_level_and_fills_whole_packets(wanted: float) -> None:
    clip = prepare(CLIP, wanted)
    assert len(clip) % (2 * FRAME) == 0
    assert len(clip) / 2 / RATE == pytest.approx(0.5, abs=0.025)
    assert level(clip) == pytest.approx(wanted, abs=1.5)
    assert max(map(abs, array("h", clip[:20]))) < max(map(abs, array("h", clip)))


def test_a_clip_without_sound_is_an_error_of_its_maker() -> None:
    with pytest.raises(ProviderError, match="no sound"):
        prepare(pcm(silence(300)), -20)


class FakeTts:
    """A provider whose only session answers as it is told."""

    name = "fake"
    model = ModelInfo("fake", "1")

    def __init__(self, *, rate: int = RATE, fails: bool = False) -> None:
        self.rate, self.fails, self.closed, self.spoken = rate, fails, False, list[str]()

    async def open_tts(self, listener: Callable[[TtsResult], None], *, rate: int, language: str) -> FakeTts:
        self.listener = listener
        return self

    def speak(self, request: int, text: str) -> None:
        self.spoken.append(text)
        if self.fails:
            self.listener(Failed(ProviderError("fake", "no voice", transient=False), request))
            return
        self.listener(Speech(request, CLIP[:4000], self.rate))
        self.listener(Speech(request, CLIP[4000:], self.rate))
        self.listener(SpeechDone(request))

    def close(self) -> None:
        self.closed = True


def make(provider: FakeTts, *texts: str) -> dict[str, bytes]:
    fake: Provider = provider  # type: ignore[assignment]
    return asyncio.run(synthesise(fake, texts, -20))


def test_each_text_is_synthesised_once() -> None:
    provider = FakeTts()
    clips = make(provider, "one", "two", "one")
    assert provider.spoken == ["one", "two"]
    assert clips == {"one": prepare(CLIP, -20), "two": prepare(CLIP, -20)}
    assert provider.closed


@pytest.mark.parametrize("provider", [FakeTts(rate=16000), FakeTts(fails=True)])
def test_a_failing_voice_is_told_and_its_session_closed(provider: FakeTts) -> None:
    with pytest.raises(ProviderError):
        make(provider, "one")
    assert provider.closed
