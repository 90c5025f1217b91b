"""Opus: against ffmpeg's in both directions, on the terms of the far end, and with what libopus does about loss."""

from __future__ import annotations

import math
import random
import struct

import numpy as np
import pytest

from codecs_ext import opus, rtp
from codecs_ext.codec import Coder, Kernel
from codecs_ext.uplink import Receiver
from gateway.errors import ResourceError
from gateway.media.codecs.contract import Codecs
from gateway.media.codecs.opus import SPEC, load_opus
from gateway.sdp import Stream, accept, answer, offer
from gateway.sdp.types import PCMU
from tests.ffmpeg import Decoder, Encoder

MS = 1_000_000
HERE, THERE = ("192.0.2.1", 4000), ("192.0.2.2", 5000)
CONCEALED = 2
PACKETS = 60


@pytest.fixture(autouse=True)
def _library() -> None:
    try:
        load_opus()
    except ResourceError as error:
        pytest.skip(str(error))


def voice(rate: int, count: int = PACKETS) -> list[bytes]:
    """Packets of 20 ms of something like a vowel, whose pitch glides."""
    phase, samples = 0.0, []
    for n in range(rate // 50 * count):
        phase += 2 * math.pi * (120 + 40 * math.sin(2 * math.pi * 2 * n / rate)) / rate
        samples.append(round(sum(6000 / k * math.sin(k * phase) for k in range(1, 8))))
    whole = struct.pack(f"<{len(samples)}h", *samples)
    return [whole[at : at + rate // 25] for at in range(0, len(whole), rate // 25)]


def unpack(pcm: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(pcm) // 2}h", pcm))


def alike(one: bytes, other: bytes) -> float:
    """Correlation at the best of all delays."""
    first, second = (np.frombuffer(pcm, np.int16).astype(float) for pcm in (one, other))
    size = len(first) + len(second)
    product = np.fft.irfft(np.fft.rfft(first, size) * np.conj(np.fft.rfft(second, size)), size)
    return float(product.max() / np.sqrt((first**2).sum() * (second**2).sum()))


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
def test_ffmpeg_hears_of_us_what_we_hear(rate: int) -> None:
    coder, theirs, ours = Coder(opus.kernel(rate)), Decoder("libopus", 48000), Coder(opus.kernel(48000))
    payloads = [coder.encode(packet) for packet in voice(rate)]
    heard, expected = (b"".join(decoder.decode(payload) for payload in payloads) for decoder in (theirs, ours))
    assert len(expected) == PACKETS * 1920
    assert alike(heard, expected) > 0.99


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
def test_we_hear_of_ffmpeg_what_it_was_given(rate: int) -> None:
    sent, encoder, decoder = voice(rate), Encoder("libopus", rate), Coder(opus.kernel(rate))
    heard = b"".join(decoder.decode(payload) for packet in sent if (payload := encoder.encode(packet)))
    assert alike(b"".join(sent), heard) > 0.9


def bits(kernel: Kernel) -> float:
    """Per second, of speech at its rate."""
    coder = Coder(kernel)
    return sum(8 * len(coder.encode(packet)) for packet in voice(kernel.rate)) / PACKETS * 50


def test_the_far_end_decides_bitrate_and_bandwidth() -> None:
    assert bits(SPEC.kernel_for("maxaveragebitrate=8000")) < 10_000
    assert 18_000 < bits(SPEC.kernel_for("")) < 30_000
    assert bits(SPEC.kernel_for("maxplaybackrate=8000")) < 0.7 * bits(SPEC.kernel_for("maxplaybackrate=16000"))
    noise = random.Random(1)
    packet = struct.pack("<320h", *(noise.randint(-9000, 9000) for _ in range(320)))
    coder = Coder(SPEC.kernel_for("maxplaybackrate=8000"))
    assert {coder.encode(packet)[0] >> 3 for _ in range(50)} <= {0, 1, 2, 3, 16, 17, 18, 19}  # narrowband, RFC 6716 3.1


def test_constant_bitrate_and_discontinuous_transmission_are_obeyed() -> None:
    coder = Coder(SPEC.kernel_for("cbr=1"))
    assert len({len(coder.encode(packet)) for packet in voice(16000)}) == 1
    quiet = Coder(SPEC.kernel_for("usedtx=1"))
    assert min(len(quiet.encode(bytes(640))) for _ in range(60)) <= 2
    awake = Coder(SPEC.kernel_for("usedtx=0"))
    assert min(len(awake.encode(bytes(640))) for _ in range(60)) > 2


@pytest.mark.parametrize(
    "fmtp",
    [
        "",
        ";;;",
        "maxplaybackrate",
        "maxaveragebitrate=-3; cbr=x",
        "maxaveragebitrate=9999999",
        "maxplaybackrate=1",
        "usedtx=99999999999999999999",
        "stereo=1;unknown=7",
        "\u0664=1",
    ],
)
def test_terms_that_make_no_sense_are_passed_over(fmtp: str) -> None:
    assert Coder(SPEC.kernel_for(fmtp)).encode(bytes(640))


def test_the_rate_is_that_of_the_leg_but_never_narrow() -> None:
    assert [SPEC.kernel_for("", rate).rate for rate in (8000, 16000, 24000, 48000)] == [16000, 16000, 24000, 48000]
    with pytest.raises(ValueError, match="no samples of 44100"):
        opus.kernel(44100)


def test_new_terms_take_effect_in_mid_stream() -> None:
    coder, sent = Coder(SPEC.kernel_for("")), voice(16000)
    before = sum(len(coder.encode(packet)) for packet in sent)
    coder.retune(Coder(SPEC.kernel_for("maxaveragebitrate=8000")))
    assert sum(len(coder.encode(packet)) for packet in sent) < 0.6 * before
    with pytest.raises(ValueError, match="another codec"):
        coder.retune(Coder(SPEC.kernel_for("", 48000)))


def heard_with_loss(fec: int) -> float:
    """How much of every fifth packet, which is lost, the decoder gets back."""
    kernel = opus.kernel(16000, bitrate=32000, fec_loss=fec)
    coder, listener, oracle = Coder(kernel), Coder(kernel), Coder(kernel)
    payloads = [coder.encode(packet) for packet in voice(16000)]
    similar = []
    for number, payload in enumerate(payloads):
        right = unpack(oracle.decode(payload))
        if number % 5 != 4:
            listener.decode(payload)
        elif number + 1 < len(payloads) and number > 20:
            made = unpack(listener.conceal(320, payloads[number + 1]) or b"")
            error = sum((a - b) ** 2 for a, b in zip(right, made, strict=True))
            similar.append(10 * math.log10(sum(a * a for a in right) / (error or 1)))
    return sum(similar) / len(similar)


def test_in_band_fec_brings_back_what_concealment_can_only_guess() -> None:
    assert heard_with_loss(20) > heard_with_loss(0) + 3


def test_the_plane_conceals_by_the_codec_and_marks_it() -> None:
    kernel = SPEC.kernel_for("useinbandfec=1")
    receiver, coder = Receiver(kernel, payload_type=111, rate=16000), Coder(kernel)
    for number, packet in enumerate(voice(16000)):
        payload = coder.encode(packet)
        if number not in (20, 25, 26, 27, 28, 29):
            receiver.receive(rtp.build(111, False, number, 960 * number, 1, payload), number * 20 * MS)
        receiver.tick(number * 20 * MS + 19 * MS)
    frames = [record for record in receiver.take() if record[0] == "audio"]
    assert [number for number, frame in enumerate(frames) if frame[4] & CONCEALED] == [20, 25, 26, 27, 28, 29]
    assert [frame[2] for frame in frames] == [160 * number for number in range(PACKETS)]
    loud = [max(map(abs, unpack(frame[5]))) for frame in frames]
    assert min(loud[20], loud[25], loud[29]) > 0.3 * loud[19]


def test_timestamps_that_jump_by_odd_amounts_are_filled() -> None:
    kernel = SPEC.kernel_for("")
    receiver, coder = Receiver(kernel, payload_type=111, rate=16000), Coder(kernel)
    payload = coder.encode(voice(16000)[0])
    for number, timestamp in enumerate((0, 961, 4001, 9999)):
        receiver.receive(rtp.build(111, False, 2 * number, timestamp, 1, payload), number * 50 * MS)
        receiver.tick(number * 50 * MS + 49 * MS)
    samples = sum(len(record[5]) // 2 for record in receiver.take() if record[0] == "audio")
    assert samples == pytest.approx((9999 + 960) // 3, abs=4)


def test_offer_and_answer() -> None:
    ours = (SPEC.format, PCMU)
    description = offer(HERE, 1, ours)
    assert b"a=rtpmap:96 opus/48000/2\r\na=fmtp:96 maxplaybackrate=24000;" in description
    assert b"telephone-event/48000" in description
    agreement = answer(description.replace(b"useinbandfec=1", b"usedtx=1"), THERE, 2, ours)
    assert agreement.stream.fmtp.endswith("usedtx=1")
    assert b"useinbandfec=1" in agreement.sdp
    assert accept(agreement.sdp, description, ours).codec == "OPUS"
    # RFC 7587 7: two channels in the name, always
    assert answer(description.replace(b"opus/48000/2", b"opus/48000"), THERE, 2, ours).stream.codec == "PCMU"


def test_packet_times_that_opus_does_not_have_are_rounded_down() -> None:
    codecs = Codecs(["opus", "pcmu"])
    stream = Stream(HERE, 96, "OPUS", clock=48000, ptime_ms=50)
    assert codecs.packet_ms(stream) == 40
    assert codecs.packet_ms(Stream(HERE, 0, "PCMU", ptime_ms=50)) == 50
    assert codecs.kernel(stream, 24000).rate == 24000


def test_a_library_that_is_none_says_so() -> None:
    with pytest.raises(OSError, match="nothing-here"):
        opus.load("/nothing-here.so")
    with pytest.raises(OSError, match="without opus_get_version_string"):
        opus.load("libm.so.6")
