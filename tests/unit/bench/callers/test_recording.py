from __future__ import annotations

import wave
from array import array
from pathlib import Path

from gateway.bench.callers.caller import Caller
from gateway.bench.callers.recording import interleave, write_recording
from gateway.bench.callers.scenario import Scenario
from gateway.bench.measure.onset import first_sound
from tests.unit.bench.callers.fake_agent import TARGET, FakeAgent
from tests.unit.bench.callers.virtual import run
from tests.unit.bench.measure.signals import pcm, tone


def test_pieces_lie_where_they_belong() -> None:
    stereo = array("h", interleave([(2, pcm([1, 2]))], [(0, pcm([9])), (4, pcm([8, 7]))]))
    assert list(stereo[0::2]) == [0, 0, 1, 2, 0, 0]
    assert list(stereo[1::2]) == [9, 0, 0, 0, 8, 7]
    assert interleave([], []) == b""


def test_the_gap_can_be_measured_in_the_file(tmp_path: Path) -> None:
    """The second opinion: caller left, agent right, the gap between them as long as the table says."""
    file = tmp_path / "call.wav"

    async def main() -> Caller:
        agent = FakeAgent((0.25, 1.0), greeting=(60, 1))
        plot = Scenario(name="x", steps=[{"think": "100ms"}, {"say": "hello"}, "listen", "hang_up"])  # type: ignore[list-item]
        caller = Caller(plot, {"hello": pcm(tone(800))}, agent, agent, record=True, clock=agent.loop.nanos)
        await caller.run(TARGET)
        write_recording(file, caller)
        return caller

    caller = run(main())
    with wave.open(str(file)) as recording:
        assert (recording.getnchannels(), recording.getframerate()) == (2, 8000)
        samples = array("h", recording.readframes(recording.getnframes()))
    left, right = samples[0::2], samples[1::2]
    said, answered = first_sound(left.tobytes(), 8000), first_sound(right.tobytes(), 8000)
    assert said is not None
    assert answered is not None
    gap = caller.result.turns[0].gap
    assert gap is not None
    assert abs((answered - said - 0.8 * 8000) / 8 - gap / 1e6) < 20


def test_a_call_in_which_nothing_was_heard_writes_no_file(tmp_path: Path) -> None:
    async def main() -> None:
        agent = FakeAgent(status=486)
        caller = Caller(Scenario(name="x", steps=["listen"]), {}, agent, agent, record=True, clock=agent.loop.nanos)  # type: ignore[list-item]
        await caller.run(TARGET)
        write_recording(tmp_path / "call.wav", caller)

    run(main())
    assert not (tmp_path / "call.wav").exists()
