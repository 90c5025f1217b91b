from __future__ import annotations

import base64
import io
import sys
import wave
from pathlib import Path

import av
import pytest

from gateway.bench.report.audio import Clip, cut
from gateway.bench.report.facts import Heard, slowest
from gateway.bench.runs.run_file import Run

from .sample import sample_run


def _clip(run: Run, directory: Path) -> tuple[Heard, Clip]:
    one = slowest(run, 3)[-1]
    clip = cut(one, directory)
    assert clip is not None
    return one, clip


def _data(clip: Clip) -> io.BytesIO:
    return io.BytesIO(base64.b64decode(clip.uri.partition(",")[2]))


def test_a_clip_is_opus_and_lasts_as_long_as_it_says(tmp_path: Path) -> None:
    _, clip = _clip(sample_run(calls=10, recordings=tmp_path), tmp_path)
    assert clip.uri.startswith("data:audio/ogg;base64,")
    with av.open(_data(clip)) as container:
        assert container.streams.audio[0].channels == 2
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert samples / 48000 == pytest.approx(clip.length_s, abs=0.05)


def test_the_silence_lies_where_the_gap_was_measured(tmp_path: Path) -> None:
    one, clip = _clip(sample_run(calls=10, recordings=tmp_path), tmp_path)
    assert clip.onset_s is not None
    assert one.turn.gap_ms is not None
    assert clip.onset_s - clip.ended_s == pytest.approx(one.turn.gap_ms / 1000, abs=0.001)
    column = clip.length_s / len(clip.agent)
    first = next(i for i, peak in enumerate(clip.agent) if peak) * column
    last = max(i for i, peak in enumerate(clip.caller) if peak) * column
    assert first == pytest.approx(clip.onset_s, abs=0.05)
    assert last == pytest.approx(clip.ended_s, abs=0.05)


def test_without_pyav_it_is_a_small_wave_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    _, clip = _clip(sample_run(calls=10, recordings=tmp_path), tmp_path)
    assert clip.uri.startswith("data:audio/wav;base64,")
    with wave.open(_data(clip)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 1, 8000)
        assert file.getnframes() / 8000 == pytest.approx(clip.length_s)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0" + bytes(20)])
def test_a_recording_that_is_none_leaves_the_card_without_a_player(tmp_path: Path, content: bytes) -> None:
    run = sample_run(calls=10, recordings=tmp_path)
    one = slowest(run, 1)[0]
    (tmp_path / str(one.call.recording)).write_bytes(content)
    assert cut(one, tmp_path) is None
    (tmp_path / str(one.call.recording)).unlink()
    assert cut(one, tmp_path) is None
