"""Recordings of real legs: packets over loopback, the plane, the recorder's thread, a file."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import wave
from array import array
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from codecs_ext import g711
from codecs_ext.codec import Coder
from gateway.media.leg import PlaneLeg
from gateway.media.plane import MediaPlane
from gateway.media.recording.options import RecordingOptions, fill_in
from gateway.media.recording.recorder import LegTape
from gateway.media.recording.sinks import WavSink, create
from tests.unit.media.peer import Ear, Phone, phone_running, plane_running

CODER = Coder(g711.PCMU)
LOUD = CODER.encode(array("h", [8000] * 160).tobytes())
LEVEL = array("h", CODER.decode(LOUD))[0]


def read(path: Path) -> tuple[int, array[int], array[int]]:
    """Rate, left, right."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        samples = array("h", file.readframes(file.getnframes()))
        return file.getframerate(), samples[0::2], samples[1::2]


def options(directory: Path, **more: Any) -> RecordingOptions:
    return RecordingOptions(file=str(directory / "{call_id}"), **more)


async def talk(phone: Phone, leg: PlaneLeg, packets: int) -> None:
    """In step with what comes back, so that a busy machine stretches both."""
    for _ in range(packets):
        phone.send(leg, LOUD)
        await phone.receive()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.02)


async def recorded(
    directory: Path, act: Callable[[MediaPlane, PlaneLeg, LegTape, Phone], Awaitable[None]], **more: Any
) -> Any:
    """What the reports say after ``act``."""
    async with plane_running() as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear, uplink_rate=8000)
        leg.connect(phone.stream())
        tape = plane.tape(leg)
        tape.record(directory / "call.wav", options(directory, **more), 8000)
        await act(plane, leg, tape, phone)
        leg.close()
        await ear.wait("closed")
        recording, _ = await tape.finish(failed=False)
        return recording


async def test_the_caller_is_left_and_the_agent_right(tmp_path: Path) -> None:
    async def act(plane: MediaPlane, leg: PlaneLeg, tape: LegTape, phone: Phone) -> None:
        await talk(phone, leg, 5)
        leg.play(array("h", [-8000] * 1600).tobytes(), 8000)
        await talk(phone, leg, 30)

    report = await recorded(tmp_path, act)
    assert report.file == str(tmp_path / "call.wav")
    assert not report.failed
    rate, left, right = read(tmp_path / "call.wav")
    assert rate == 8000
    assert left.count(LEVEL) >= 20 * 160
    assert set(left[left.index(LEVEL) : left.index(LEVEL) + 5 * 160]) <= {0, LEVEL}
    start = right.index(-8000)
    assert right[start : start + 1600] == array("h", [-8000] * 1600), "what was played is contiguous, to the sample"
    assert right.count(-8000) == 1600
    assert stat.S_IMODE((tmp_path / "call.wav").stat().st_mode) == 0o600


async def test_nothing_of_a_pause_is_kept(tmp_path: Path) -> None:
    async def act(plane: MediaPlane, leg: PlaneLeg, tape: LegTape, phone: Phone) -> None:
        leg.play(array("h", [100] * 800).tobytes(), 8000)
        await talk(phone, leg, 12)
        tape.pause(True)
        await talk(phone, leg, 3)
        leg.play(array("h", [7777] * 800).tobytes(), 8000)
        await talk(phone, leg, 12)
        tape.pause(False)
        await talk(phone, leg, 3)
        leg.play(array("h", [200] * 800).tobytes(), 8000)
        await talk(phone, leg, 12)

    await recorded(tmp_path, act)
    _, _, right = read(tmp_path / "call.wav")
    assert right.count(100) == right.count(200) == 800
    assert 7777 not in right


async def test_a_beep_is_heard_and_recorded(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def act(plane: MediaPlane, leg: PlaneLeg, tape: LegTape, phone: Phone) -> None:
        for _ in range(20):
            phone.send(leg)
            heard.append((await phone.receive())[0][5])

    await recorded(tmp_path, act, beep={"every": "1s"})
    loud = [array("h", CODER.decode(payload)) for payload in heard if payload.strip(b"\xff")]
    assert 5 <= len(loud) <= 10, "200 ms"
    assert max(max(samples) for samples in loud) == pytest.approx(1640, rel=0.05)
    _, left, right = read(tmp_path / "call.wav")
    assert max(right) == pytest.approx(1640, rel=0.01)
    assert max(left) == 0


async def test_the_file_is_valid_while_it_grows(tmp_path: Path) -> None:
    async def act(plane: MediaPlane, leg: PlaneLeg, tape: LegTape, phone: Phone) -> None:
        await until(lambda: (tmp_path / "call.wav").exists() and (tmp_path / "call.wav").stat().st_size > 20_000)
        _, left, _ = read(tmp_path / "call.wav")
        assert len(left) * 4 + 44 <= (tmp_path / "call.wav").stat().st_size

    await recorded(tmp_path, act)


async def test_a_file_that_cannot_be_made_costs_the_recording_and_not_the_call(tmp_path: Path) -> None:
    (tmp_path / "call.wav").mkdir()

    async def act(plane: MediaPlane, leg: PlaneLeg, tape: LegTape, phone: Phone) -> None:
        await talk(phone, leg, 5)

    plain = tmp_path / "plain"
    plain.write_text("no directory")
    report = await recorded(plain / "below", act)
    assert report.file is None
    assert report.failed == "Not a directory"


FULL = """
import asyncio, resource, sys
from pathlib import Path
from tests.unit.media.test_recording import recorded, talk, until
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

async def act(plane, leg, tape, phone):
    file = Path(sys.argv[1], "call.wav")
    await until(lambda: file.exists() and file.stat().st_size >= 40_000)
    leg.play(b"\\1\\1" * 800, 8000)
    await talk(phone, leg, 20)

report = asyncio.run(recorded(Path(sys.argv[1]), act))
assert report.failed and report.file, report
print(report.failed)
"""


def test_a_full_disk_loses_the_recording_and_never_the_call(tmp_path: Path) -> None:
    """The kernel refuses to let a file grow beyond 40 kB, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    _, left, _ = read(tmp_path / "call.wav")
    assert 9_000 < len(left) <= 10_000
    assert "recording.failed" in done.stdout


def test_a_disk_that_is_full_in_the_middle_of_a_write(tmp_path: Path) -> None:
    """The write is cut short; what is there is valid."""
    code = f"""
import resource, sys
from pathlib import Path
from gateway.media.recording.sinks import WavSink
resource.setrlimit(resource.RLIMIT_FSIZE, (1001, 1001))
sink = WavSink(Path({str(tmp_path / "cut.wav")!r}), 8000)
try:
    sink.write(bytes(4000))
except OSError as error:
    print(error)
sink.close()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "the disk is full\n"
    _, left, _ = read(tmp_path / "cut.wav")
    assert len(left) == (1001 - 44) // 4
    assert (tmp_path / "cut.wav").stat().st_size == 44 + 4 * len(left)


async def test_opus_in_ogg(tmp_path: Path) -> None:
    av = pytest.importorskip("av")

    async def act(plane: MediaPlane, leg: PlaneLeg, tape: LegTape, phone: Phone) -> None:
        leg.play(array("h", [round(9000 * (-1) ** (n // 8)) for n in range(4000)]).tobytes(), 8000)
        await talk(phone, leg, 40)

    report = await recorded(tmp_path, act, format="opus")
    with av.open(report.file) as file:
        (stream,) = file.streams
        assert stream.codec_context.name in {"opus", "libopus"}
        assert stream.codec_context.layout.nb_channels == 2
        seconds = sum(frame.samples for frame in file.decode(stream)) / 48000
    assert seconds >= 0.6
    assert stat.S_IMODE(Path(report.file).stat().st_mode) == 0o600


async def test_a_second_recording_takes_another_name(tmp_path: Path) -> None:
    first, second = WavSink(tmp_path / "a.wav", 8000), WavSink(tmp_path / "a.wav", 8000)
    first.close()
    second.close()
    assert (first.path.name, second.path.name) == ("a.wav", "a-1.wav")


def test_directories_are_made_for_us_alone(tmp_path: Path) -> None:
    fd, path = create(tmp_path / "day" / "call.wav")
    os.close(fd)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


NOW = datetime(2026, 11, 20, 9, 5, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("template", "file"),
    [
        ("/rec/{date}/{time}-{call_id}", "/rec/2026-11-20/090507-a_b@host_example.wav"),
        ("/rec/{caller}.wav", "/rec/______etc_passwd.wav"),
        ("/rec/{called}-{trunk}", "/rec/_-_.wav"),
    ],
)
def test_what_a_file_is_called(template: str, file: str) -> None:
    values = {"call_id": "a/b@host.example", "caller": "../../etc/passwd", "called": "", "trunk": ""}
    assert str(fill_in(template, ".wav", NOW, **values)) == file


@pytest.mark.parametrize("template", ["{password}", "{0}", "{", "{date.__class__.x}", ""])
def test_a_template_that_cannot_be_filled_in(template: str) -> None:
    with pytest.raises(ValidationError):
        RecordingOptions(file=template)


async def test_thread_and_names_come_back(tmp_path: Path) -> None:
    """As many recordings as there are ports, one after the other, twice over."""
    async with plane_running(ports="42000-42007") as plane:
        for number in range(8):
            ear = Ear()
            leg = plane.open_leg(ear)
            tape = plane.tape(leg)
            tape.record(tmp_path / f"{number}.wav", options(tmp_path), 8000)
            leg.close()
            await ear.wait("closed")
            await tape.finish(failed=False)
    assert len(list(tmp_path.iterdir())) == 8
