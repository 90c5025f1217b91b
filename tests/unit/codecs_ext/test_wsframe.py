"""Audio frames: our builder against websockets' parser, our reader against websockets' serialiser, at any cut."""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from codecs_ext.wsframe import HEADER_BYTES, MAX_PAYLOAD, Outbox, Reader, Voice, Writer, unpack

ids = st.integers(0, 2**32 - 1)
audio = st.tuples(ids, ids, st.integers(0, 2**64 - 1), ids, st.integers(0, 0xFFFF), st.binary(max_size=400))
others = st.tuples(st.sampled_from([Opcode.TEXT, Opcode.PING, Opcode.PONG, Opcode.CLOSE]), st.binary(max_size=125))


def parsed(data: bytes, mask: bool) -> Frame:
    reader = StreamReader()
    reader.feed_data(data)
    parser = Frame.parse(reader.read_exact, mask=mask)
    try:
        next(parser)
    except StopIteration as stop:
        frame: Frame = stop.value
        return frame
    raise AssertionError("not a whole frame")


def message(item: tuple[int, int, int, int, int, bytes]) -> bytes:
    *numbers, pcm = item
    return struct.pack(">IIQIHH", *numbers, 0) + pcm


@pytest.mark.parametrize("masked", [True, False])
@given(item=audio)
def test_what_we_build_websockets_parses(masked: bool, item: tuple[int, int, int, int, int, bytes]) -> None:
    frame = parsed(Writer(masked=masked).audio(*item), masked)
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.BINARY, True, message(item))
    assert unpack(bytes(frame.data)) == item


@pytest.mark.parametrize("size", [0, 101, 102, 125, 126, 640, 65511, 65512, MAX_PAYLOAD])
@pytest.mark.parametrize("masked", [True, False])
def test_every_length_form(masked: bool, size: int) -> None:
    item = (1, 2, 3, 4, 5, bytes(range(256)) * (size // 256) + bytes(size % 256))
    data = Writer(masked=masked).audio(*item)
    assert bytes(parsed(data, masked).data) == message(item)
    assert Reader(masked=masked).feed(data) == [item]


def test_too_much_audio_is_our_misuse() -> None:
    with pytest.raises(ValueError, match="the limit is"):
        Writer(masked=True).audio(1, 1, 1, 1, 0, bytes(MAX_PAYLOAD + 1))


def test_a_short_message_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        unpack(bytes(HEADER_BYTES - 1))


def test_masks_differ() -> None:
    writer = Writer(masked=True)
    frames = {writer.audio(1, 1, 1, 1, 0, b"") for _ in range(3000)}  # more than one draw of entropy
    assert len(frames) > 2990


@settings(max_examples=200)
@given(
    parts=st.lists(audio | others, max_size=6),
    masked=st.booleans(),
    cuts=st.lists(st.integers(1, 300), min_size=1, max_size=40),
)
def test_any_cut_of_a_stream_gives_the_same_messages(parts: list[object], masked: bool, cuts: list[int]) -> None:
    stream, wanted, rest = bytearray(), [], bytearray()
    for part in parts:
        if isinstance(part[0], Opcode):  # type: ignore[index]
            opcode, payload = part  # type: ignore[misc]
            data = Frame(opcode, payload).serialize(mask=masked)
            rest += data
        else:
            wanted.append(part)
            data = Frame(Opcode.BINARY, message(part)).serialize(mask=masked)  # type: ignore[arg-type]
        stream += data
    reader, got, passed, at = Reader(masked=masked), [], bytearray(), 0
    while at < len(stream):
        size = cuts[at % len(cuts)]
        for item in reader.feed(bytes(stream[at : at + size])):
            if isinstance(item, bytes):
                passed += item
            else:
                got.append(item)
        at += size
    assert got == wanted
    assert passed == rest


def test_order_between_audio_and_the_rest_is_kept() -> None:
    text = Frame(Opcode.TEXT, b"{}").serialize(mask=False)
    item = (1, 2, 3, 4, 5, b"ab")
    frame = Writer(masked=False).audio(*item)
    assert Reader(masked=False).feed(frame + text + frame) == [item, text, item]


def test_a_binary_frame_inside_a_fragmented_message_is_left_to_websockets() -> None:
    first = Frame(Opcode.TEXT, b"{", fin=False).serialize(mask=False)
    frame = Writer(masked=False).audio(1, 2, 3, 4, 5, b"ab")
    last = Frame(Opcode.CONT, b"}").serialize(mask=False)
    assert b"".join(Reader(masked=False).feed(first + frame + last)) == first + frame + last  # type: ignore[arg-type]


@pytest.mark.parametrize("masked", [True, False])
def test_wrong_masking_oversize_and_short_headers_are_left_to_websockets(masked: bool) -> None:
    wrong = Writer(masked=not masked).audio(1, 2, 3, 4, 5, b"ab")
    short = Frame(Opcode.BINARY, b"x").serialize(mask=masked)
    long = Frame(Opcode.BINARY, bytes(MAX_PAYLOAD + HEADER_BYTES + 2)).serialize(mask=masked)
    hostile = b"\x82" + bytes([127 | (0x80 if masked else 0)]) + b"\xff" * 12
    for data in (wrong, short, long, hostile):
        assert Reader(masked=masked).feed(data) == [data]


@given(st.lists(st.binary(max_size=64), max_size=20), st.booleans())
def test_noise_never_raises_and_is_not_lost(chunks: list[bytes], masked: bool) -> None:
    reader = Reader(masked=masked)
    for chunk in chunks:
        reader.feed(chunk)


# --- messages of model providers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("masked", [True, False])
@given(before=st.binary(max_size=130), payload=st.binary(max_size=400), after=st.binary(max_size=10))
def test_wrapped_audio_is_one_message(masked: bool, before: bytes, payload: bytes, after: bytes) -> None:
    raw = parsed(Writer(masked=masked).wrapped(before, payload, after, base64=False), masked)
    assert (raw.opcode, raw.fin, bytes(raw.data)) == (Opcode.BINARY, True, before + payload + after)
    text = parsed(Writer(masked=masked).wrapped(before, payload, after, base64=True), masked)
    assert (text.opcode, bytes(text.data)) == (Opcode.TEXT, before + b64encode(payload) + after)


@pytest.mark.parametrize("size", [0, 92, 93, 94, 95, 125, 126, 49149, 49152, MAX_PAYLOAD])
def test_wrapped_audio_of_every_length(size: int) -> None:
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert bytes(parsed(Writer(masked=True).wrapped(b"", payload, b"", base64=True), True).data) == b64encode(payload)
    with pytest.raises(ValueError, match="the limit is"):
        Writer(masked=True).wrapped(b"", bytes(MAX_PAYLOAD + 1), b"", base64=False)


messages = st.tuples(st.sampled_from([Opcode.TEXT, Opcode.BINARY]), st.binary(max_size=300))


@given(sent=st.lists(st.one_of(messages, others), max_size=8), cuts=st.lists(st.integers(1, 200), max_size=20))
def test_a_plain_reader_takes_messages_out_at_any_cut(sent: list[tuple[Opcode, bytes]], cuts: list[int]) -> None:
    data = b"".join(Frame(opcode, payload).serialize(mask=False) for opcode, payload in sent)
    reader, found = Reader(masked=False, plain=True), []
    while data:
        size = cuts.pop() if cuts else len(data)
        found += reader.feed(data[:size])
        data = data[size:]
    taken = [item for item in found if isinstance(item, tuple)]
    assert taken == [(opcode, payload) for opcode, payload in sent if opcode in {Opcode.TEXT, Opcode.BINARY}]
    rest = b"".join(item for item in found if isinstance(item, bytes))
    others_sent = [pair for pair in sent if pair[0] not in {Opcode.TEXT, Opcode.BINARY}]
    assert rest == b"".join(Frame(opcode, payload).serialize(mask=False) for opcode, payload in others_sent)


def test_a_plain_reader_leaves_fragments_and_the_oversized_to_websockets() -> None:
    fragments = Frame(Opcode.TEXT, b"a", fin=False).serialize(mask=False) + Frame(Opcode.CONT, b"b").serialize(
        mask=False
    )
    large = Frame(Opcode.TEXT, b"x" * 2000).serialize(mask=False)
    reader = Reader(masked=False, plain=True, max_payload=1000)
    assert b"".join(reader.feed(fragments + large)) == fragments + large


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.waiting = 0
        self.due: list[Callable[[], None]] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def outbox(self, limit: int = 4096) -> Outbox:
        return Outbox(Writer(masked=True), self, self.due.append, limit)

    def heard(self) -> list[tuple[int, int, int, int, int, bytes]]:
        while self.due:
            self.due.pop()()
        reader = Reader(masked=True)
        return [item for data in self.written for item in reader.feed(data)]


@given(items=st.lists(audio, min_size=1, max_size=20))
def test_what_is_gathered_goes_out_in_one_write_in_order(items: list[tuple[int, int, int, int, int, bytes]]) -> None:
    transport = Transport()
    outbox = transport.outbox(limit=1 << 20)
    assert all(outbox.audio(*item) for item in items)
    assert len(transport.due) == 1
    assert transport.heard() == items
    assert len(transport.written) == 1


def test_a_peer_that_does_not_read_is_sent_no_audio() -> None:
    transport = Transport()
    outbox = transport.outbox(limit=1000)
    transport.waiting = 1001
    assert not outbox.audio(1, 0, 0, 0, 0, bytes(320))
    transport.waiting = 0
    assert [outbox.audio(1, number, 0, 0, 0, bytes(640)) for number in range(3)] == [True, True, False]
    assert [item[1] for item in transport.heard()] == [0, 1]
    assert outbox.audio(1, 2, 0, 0, 0, bytes(320))


def test_a_frame_too_large_costs_what_was_gathered_nothing() -> None:
    transport = Transport()
    outbox = transport.outbox(limit=1 << 20)
    outbox.audio(1, 0, 0, 0, 0, b"")
    with pytest.raises(ValueError, match="limit"):
        outbox.audio(1, 1, 0, 0, 0, bytes(MAX_PAYLOAD + 2))
    assert len(transport.heard()) == 1


def test_a_voice_keeps_its_credit_and_marks_what_follows_a_frame_left_out() -> None:
    transport = Transport()
    outbox, voice = transport.outbox(), Voice(7, 16000, 3, 4)
    voice.credit = 700
    sent = [voice.send(outbox, bytes(640), 160, 1 | 32), voice.send(outbox, bytes(640), 320, 0)]
    voice.credit += 640
    sent.append(voice.send(None, bytes(640), 480, 0))
    sent += [voice.send(outbox, bytes(640), 640, 2), voice.send(outbox, b"", 800, 0)]
    assert sent == [True, False, False, True, True]
    assert [item[:5] for item in transport.heard()] == [(7, 0, 320, 0, 1), (7, 1, 1280, 0, 6), (7, 2, 1600, 0, 0)]
    assert voice.credit == 60
