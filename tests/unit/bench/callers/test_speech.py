from __future__ import annotations

import asyncio
import math
import wave
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from codecs_ext.g711 import alaw_to_linear, linear_to_alaw, linear_to_ulaw, ulaw_to_linear
from gateway.bench.callers.clip_cache import ClipCache
from gateway.bench.callers.level import active_level
from gateway.bench.callers.speech import RATE, _telephone, lifted, prepare, read_wav, synthesise
from gateway.errors import ConfigError, ProviderError
from gateway.providers.contract import Failed, ModelInfo, Provider, Speech, SpeechDone, TtsResult
from tests.unit.bench.measure.signals import pcm, silence, tone, voice

CLIP = pcm(silence(130) + voice(500, -33, pitch=200) + silence(170))


def rms(samples: Sequence[int]) -> float:
    return math.sqrt(sum(x * x for x in samples) / len(samples))


def level(clip: bytes) -> float:
    samples = array("h", clip)
    return 20 * math.log10(math.sqrt(sum(x * x for x in samples) / len(samples)) / 32768)


@pytest.mark.parametrize("wanted", [-38.0, -30.0, -20.0, -14.0])
def test_a_clip_is_cut_to_its_sound_and_brought_to_level(wanted: float) -> None:
    clip = prepare(CLIP, wanted)
    assert len(clip) / 2 / RATE == pytest.approx(0.5, abs=0.025)
    assert active_level(array("h", clip), RATE) == pytest.approx(wanted, abs=0.6)
    assert level(clip) == pytest.approx(wanted, abs=1.5), "there is no pause in it"


@pytest.mark.parametrize("wanted", [-38.0, -20.0])
@pytest.mark.parametrize("law", [(linear_to_ulaw, ulaw_to_linear), (linear_to_alaw, alaw_to_linear)])
def test_no_two_milliseconds_of_a_lifted_clip_are_silence_to_either_law_and_its_ends_are_none(
    wanted: float, law: tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]
) -> None:
    pause = pcm([*voice(300), *silence(120), *voice(200)])
    encode, decode = law
    said = array("h", decode(encode(lifted(prepare(pause, wanted)))))
    assert min(abs(said[0]), abs(said[-1])) > 8
    for start in range(len(said) - 16):
        assert sum(x * x for x in said[start : start + 16]) > 16 * 8.05**2


def test_what_recognisers_hear_has_its_pauses_as_they_were() -> None:
    said = array("h", prepare(pcm([*voice(300), *silence(120), *voice(200)]), -20.0))
    assert max(abs(x) for x in said[3000:3200]) < 8, "the filter of the band has long decayed"


@pytest.mark.parametrize(("hertz", "passes"), [(100, False), (1000, True), (3000, True), (3900, False)])
def test_only_the_telephone_band_passes(hertz: float, passes: bool) -> None:
    filtered = _telephone(tone(500, -20, hertz))[800:]
    assert (20 * math.log10(rms(filtered) / rms(tone(500, -20, hertz)[800:])) > -2) is passes


def test_a_recording_is_read_at_its_rate_and_its_left_channel(tmp_path: Path) -> None:
    file = tmp_path / "stereo.wav"
    with wave.open(str(file), "wb") as out:
        out.setparams((2, 2, 16000, 0, "NONE", "not compressed"))
        out.writeframes(array("h", [x for y in tone(400) for x in (y, 0, y, 0)]).tobytes())
    samples = array("h", read_wav(file))
    assert len(samples) == pytest.approx(3200, abs=40)
    assert rms(samples[400:2800]) == pytest.approx(rms(tone(300)), rel=0.1)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no wav at all" * 20])
def test_what_is_no_recording_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(ConfigError, match="no WAV file"):
        read_wav(tmp_path / "x.wav")


def test_clips_are_kept_and_found_by_all_that_they_depend_on(tmp_path: Path) -> None:
    async def main() -> tuple[list[str], list[str], dict[str, bytes], dict[str, bytes]]:
        cache = ClipCache(tmp_path)
        first, second = FakeTts(), FakeTts()
        made = await synthesise(first, ["a", "b"], -20, voice="x", kept=cache)  # type: ignore[arg-type]
        found = await synthesise(second, ["a", "b"], -20, voice="x", kept=cache)  # type: ignore[arg-type]
        await synthesise(second, ["a"], -25, voice="x", kept=cache)  # type: ignore[arg-type]
        await synthesise(second, ["b"], -20, voice="y", kept=cache)  # type: ignore[arg-type]
        return first.spoken, second.spoken, made, found

    first, second, made, found = asyncio.run(main())
    assert (first, second) == (["a", "b"], ["a", "b"]), "the same is found, another level or voice is made"
    assert made == found
    for file in tmp_path.iterdir():
        file.write_bytes(b"x")
    assert ClipCache(tmp_path).find("a", "x") is None


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
