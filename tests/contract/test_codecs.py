"""What every registered codec keeps, ours and those of installed extensions."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecs_ext import rtp
from codecs_ext.codec import Coder, Kernel
from codecs_ext.downlink import Sender
from codecs_ext.uplink import Receiver
from gateway.errors import ResourceError
from gateway.media.codecs.contract import Codecs, CodecSpec
from gateway.registry import CODECS, load, names
from gateway.sdp import Stream, accept, answer, offer
from gateway.sdp.types import PCMU

MS = 1_000_000
HERE, THERE = ("192.0.2.1", 4000), ("192.0.2.2", 5000)
LOUD, CONCEALED = 1, 2


def spec_of(name: str) -> CodecSpec:
    spec = load(CODECS, name)
    assert isinstance(spec, CodecSpec)
    return spec


every_codec = pytest.mark.parametrize(
    "spec", [spec_of(name) for name in names(CODECS)], ids=names(CODECS), scope="module"
)


@pytest.fixture(scope="module")
def kernel(spec: CodecSpec) -> Kernel:
    try:
        return spec.kernel_for()
    except ResourceError as error:
        pytest.skip(str(error))


def tone(rate: int, seconds: float, peak: int = 8000) -> list[int]:
    return [round(peak * math.sin(2 * math.pi * 440 / rate * n)) for n in range(round(rate * seconds))]


def pack(samples: list[int]) -> bytes:
    return struct.pack(f"<{len(samples)}h", *samples)


def unpack(pcm: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(pcm) // 2}h", pcm))


def packets(kernel: Kernel, samples: list[int], ms: int = 20) -> list[bytes]:
    coder, step = Coder(kernel), kernel.rate * ms // 1000
    return [coder.encode(pack(samples[at : at + step])) for at in range(0, len(samples) - step + 1, step)]


def snr(sent: list[int], heard: list[int], longest_delay: int) -> float:
    """Decibels, at the delay where it is best."""

    def at(delay: int) -> float:
        pairs = list(zip(sent[longest_delay:], heard[longest_delay + delay :], strict=False))
        noise = sum((a - b) ** 2 for a, b in pairs)
        return 10 * math.log10(sum(a * a for a, _ in pairs) / (noise or 1e-9))

    return max(at(delay) for delay in range(longest_delay))


@every_codec
@pytest.mark.parametrize("ms", [10, 20, 60])
def test_a_tone_survives_the_round_trip(kernel: Kernel, ms: int) -> None:
    sent, decoder = tone(kernel.rate, 0.6), Coder(kernel)
    heard = unpack(b"".join(decoder.decode(payload) for payload in packets(kernel, sent, ms)))
    assert len(heard) == len(sent)
    assert snr(sent, heard, kernel.rate // 100) > 20


@every_codec
def test_silence_stays_silent(kernel: Kernel) -> None:
    decoder = Coder(kernel)
    for payload in packets(kernel, [0] * kernel.rate):
        assert max(map(abs, unpack(decoder.decode(payload)))) <= 8


@every_codec
@given(payload=st.binary(max_size=1920))
def test_any_payload_decodes_to_whole_samples_or_to_none(kernel: Kernel, payload: bytes) -> None:
    coder = Coder(kernel)
    if len(payload) > kernel.max_bytes:
        with pytest.raises(ValueError, match="more than"):
            coder.decode(payload)
    else:
        assert len(coder.decode(payload)) <= 2 * 5760


@every_codec
@pytest.mark.parametrize("size", [0, 1, 641, 2 * 2881])
def test_what_is_no_packet_is_not_encoded(kernel: Kernel, size: int) -> None:
    with pytest.raises(ValueError, match="no packet"):
        Coder(kernel).encode(bytes(size))


@every_codec
def test_media_time_goes_on_through_loss_and_is_marked(kernel: Kernel) -> None:
    receiver, step = Receiver(kernel, rate=16000), kernel.clock // 50
    for number, payload in enumerate(packets(kernel, tone(kernel.rate, 0.4))):
        if number not in (7, 8):
            receiver.receive(rtp.build(0, False, number, number * step, 1, payload), number * 20 * MS)
        receiver.tick(number * 20 * MS + 19 * MS)
    receiver.tick(1000 * MS)
    frames = [record for record in receiver.take() if record[0] == "audio"]
    assert [frame[2] for frame in frames[:20]] == [160 * number for number in range(20)]
    assert [number for number, frame in enumerate(frames[:20]) if frame[4] & CONCEALED] == [7, 8]
    assert all(len(frame[5]) == 640 for frame in frames[:20])


@every_codec
def test_what_is_played_arrives_with_the_clock_of_the_codec(kernel: Kernel) -> None:
    sender, decoder, heard = Sender(kernel, timestamp=100), Coder(kernel), []
    sender.connect(0)
    sender.play(pack(tone(24000, 0.4)), 24000, 0)
    for tick in range(0, 120, 4):
        _, _, _, timestamp, _, payload = rtp.parse(sender.tick(tick, tick * 5 * MS))
        assert timestamp == 100 + len(heard) * kernel.clock // 50
        heard.append(decoder.decode(payload))
    assert {len(pcm) for pcm in heard} == {kernel.rate // 25}
    assert max(unpack(heard[10])) == pytest.approx(8000, rel=0.1)
    assert max(map(abs, unpack(heard[-1]))) <= 8
    ended = next(event for event in sender.take() if event[0] == "playout_idle")
    assert ended[2] == pytest.approx(3200, abs=8)  # positions are at 8 kHz, whatever the codec


@every_codec
def test_it_is_negotiated_with_its_clock_and_parameters(spec: CodecSpec, kernel: Kernel) -> None:
    ours = (spec.format,)
    description = offer(HERE, 1, ours)
    agreement = answer(description, THERE, 2, ours)
    here, there = accept(agreement.sdp, description, ours), agreement.stream
    for stream in (here, there):
        assert (stream.codec, stream.clock) == (spec.format.name.upper(), spec.format.clock)
        assert stream.event_payload_type is not None
    assert here.payload_type == there.payload_type
    assert kernel.clock == spec.format.clock


@every_codec
def test_own_concealment_is_as_long_as_what_was_lost(kernel: Kernel) -> None:
    coder, payloads = Coder(kernel), packets(kernel, tone(kernel.rate, 0.2))
    for payload in payloads[:5]:
        coder.decode(payload)
    for count, following in ((kernel.rate // 50, payloads[6]), (kernel.rate // 400, b""), (kernel.rate // 20, b"\xff")):
        made = coder.conceal(count, following)
        assert made is None or len(made) == 2 * count
    assert coder.decode(payloads[6])


@every_codec
def test_packet_times_are_those_it_can_be_encoded_to(spec: CodecSpec, kernel: Kernel) -> None:
    for ms in spec.packet_times_ms:
        assert len(Coder(kernel).decode(packets(kernel, tone(kernel.rate, 0.3), ms)[2])) == kernel.rate * ms // 500


def test_a_stream_finds_its_kernel_by_name_and_clock() -> None:
    codecs = Codecs(["l16-8k", "l16-16k"])
    assert codecs.kernel(Stream(HERE, 96, "L16", clock=16000), 8000).rate == 16000
    assert codecs.kernel(Stream(HERE, 96, "l16", clock=8000), 16000).rate == 8000


def test_pre_emphasis_is_no_l16_of_ours() -> None:
    offered = offer(HERE, 1, (spec_of("l16-16k").format, PCMU)).replace(
        b"a=rtpmap:0 PCMU", b"a=fmtp:96 emphasis=50-15\r\na=rtpmap:0 PCMU"
    )
    assert answer(offered, THERE, 2, (spec_of("l16-16k").format, PCMU)).stream.codec == "PCMU"
