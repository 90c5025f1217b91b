"""Test numbers and recordings."""

from __future__ import annotations

import math
import struct
import wave
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.plugs.contract import Plug
from gateway.plugs.numbers import ECHO, PLAY, TONE, EchoOptions, PlayOptions, ToneOptions, tone
from gateway.plugs.wav import apology, read_wav
from gateway.units import Nanos, Samples
from tests.unit.plugs.desk import Call, Leg, Provider


def write(path: Path, *, rate: int = 8000, channels: int = 1, width: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setframerate(rate)
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.writeframes(bytes(rate * channels * width))
    return path


async def connected(plug: Plug) -> tuple[Call, Leg, object]:
    call, leg = Call(Provider()), Leg()
    session = plug.open(call)
    await session.start(leg)  # type: ignore[arg-type]
    session.answered()
    return call, leg, session


@pytest.mark.parametrize(("level", "rms"), [(0.0, 32124 / 10 ** (3.17 / 20) / math.sqrt(2)), (-10.0, 4987)])
def test_the_tone_has_its_level_and_joins_itself(level: float, rms: float) -> None:
    samples = struct.unpack("<8000h", tone(1004, level).pcm)
    assert math.sqrt(sum(s * s for s in samples) / 8000) == pytest.approx(rms, rel=0.001)
    assert samples[0] == 0
    assert abs(samples[-1] + samples[1]) <= 1


async def test_the_tone_never_ends() -> None:
    _, leg, session = await connected(TONE.create(ToneOptions()))
    assert len(leg.played) == 2
    session.on_mark(0, Nanos(0), Samples(0))  # type: ignore[attr-defined]
    assert len(leg.played) == 3


async def test_echo_is_the_planes_affair_and_pauses_on_hold() -> None:
    _, leg, session = await connected(ECHO.create(EchoOptions()))
    for held in (True, False):
        session.on_hold(held)  # type: ignore[attr-defined]
    assert leg.echoes == [True, False, True]


@pytest.mark.parametrize("loop", [False, True])
async def test_a_recording_ends_the_call_or_begins_again(tmp_path: Path, loop: bool) -> None:
    plug = PLAY.create(PlayOptions(file=write(tmp_path / "a.wav", rate=16000), loop=loop))
    call, leg, session = await connected(plug)
    assert leg.played[0] == (bytes(32000), 16000)
    session.on_mark(0, Nanos(0), Samples(0))  # type: ignore[attr-defined]
    assert call.hung_up == ([] if loop else ["recording played"])


@pytest.mark.parametrize("shape", [{"channels": 2}, {"width": 1}, {"rate": 11025}])
def test_a_recording_of_another_shape_is_refused_in_one_line(tmp_path: Path, shape: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="16-bit mono at 8000") as refused:
        read_wav(write(tmp_path / "a.wav", **shape))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [None, b"", b"RIFF", b"not a wav file at all"])
def test_what_is_no_recording_is_refused_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"a\.wav: cannot be played"):
        read_wav(path)


def test_the_built_in_apology_is_speech() -> None:
    clip = apology()
    assert 2 * 8000 < clip.samples < 8 * 8000
    assert max(struct.unpack(f"<{len(clip.pcm) // 2}h", clip.pcm)) > 8000
