"""Reading a model's connection on the media thread: what is played there, what is handed up, and in which order.

The oracle is the reader of the event loop: what comes up is put through it, and with what was played it makes what was
sent, in order for each stream.
"""

from __future__ import annotations

import json
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codecs_ext.intake import Inlet
from codecs_ext.wsframe import Reader

STREAMS = [1, 7, 4097]
PCM = 320
PLENTY = 1 << 40


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    size = len(payload)
    head = bytes([0x80 * fin | opcode])
    if size < 126:
        return head + bytes([size]) + payload
    return head + (struct.pack("!BH", 126, size) if size < 65536 else struct.pack("!BQ", 127, size)) + payload


def audio(stream: int, pcm: bytes, number: int = 0) -> bytes:
    return frame(2, struct.pack("!IIQIHH", stream, number, 0, 1, 0, 0) + pcm)


def text(**fields: object) -> bytes:
    return frame(1, json.dumps(fields).encode())


def voice(number: int, size: int = PCM) -> bytes:
    return random.Random(number).randbytes(size)


class Table:
    """An inlet, and an event loop that deals with what comes up when it is told to."""

    def __init__(self, blocks: int = 1000, streams: list[int] = STREAMS) -> None:
        self.inlet = Inlet(streams, blocks)
        self.streams = streams
        for index in range(len(streams)):
            self.inlet.allow(index, PLENTY)
        self.log: dict[int, list[bytes | str]] = {stream: [] for stream in streams}
        """Of each stream: audio as one piece, and its messages."""
        self.straight = 0
        self._reader = Reader(masked=False)
        self._up: list[bytes] = []
        self.up = 0
        self.control = b""

    def feed(self, data: bytes) -> None:
        for event in self.inlet.feed(data):
            if event[0] == "piped":
                self._up.append(event[-1])
        for index, stream in enumerate(self.streams):
            played = self.inlet.played(index)
            self.straight += len(played)
            self._heard(stream, played)

    def turn(self) -> None:
        """The event loop comes round."""
        for data in self._up:
            self.up += len(data)
            for item in self._reader.feed(data):
                if isinstance(item, tuple):
                    self._heard(item[0], item[-1])
                else:
                    self._message(item)
        self._up.clear()
        self.inlet.ack(self.up)

    def _message(self, data: bytes) -> None:
        self.control += data
        while self.control:
            size = self.control[1] & 127
            head = {126: 4, 127: 10}.get(size, 2)
            size = int.from_bytes(self.control[2:head], "big") if head > 2 else size
            if len(self.control) < head + size:
                return
            payload, opcode = self.control[head : head + size], self.control[0]
            self.control = self.control[head + size :]
            if opcode == 0x81:
                message = json.loads(payload)
                for stream in [message["stream"]] if "stream" in message else self.streams:
                    if stream in self.log:
                        self.log[stream].append(message["text"])

    def _heard(self, stream: int, pcm: bytes) -> None:
        log = self.log.get(stream)
        if log is None or not pcm:
            return
        if log and isinstance(log[-1], bytes):
            log[-1] += pcm
        else:
            log.append(pcm)


def test_audio_of_a_patched_stream_is_played_and_not_handed_up() -> None:
    table = Table()
    for number in range(10):
        table.feed(audio(7, voice(number), number))
    assert table.log[7] == [b"".join(voice(number) for number in range(10))]
    assert (table.straight, table.up) == (10 * PCM, 0)


def test_what_is_no_audio_of_ours_comes_up_as_it_came() -> None:
    table = Table()
    sent = [
        text(type="hello", text="é"),
        audio(99, voice(1)),
        frame(9, b"are you there"),
        frame(2, voice(2), fin=False) + frame(0, voice(3)),
        frame(2, b"short"),
        frame(1, b"x" * 70000),
    ]
    up = b"".join(
        event[-1] for data in sent for piece in (data[:50000], data[50000:]) for event in table.inlet.feed(piece)
    )
    assert up == b"".join(sent)


def test_frames_may_be_torn_anywhere() -> None:
    data = audio(1, voice(0)) + text(stream=7, text="a") + audio(7, voice(1)) + frame(9, b"") + audio(1, voice(2))
    for cut in range(len(data)):
        table = Table()
        table.feed(data[:cut])
        table.feed(data[cut:])
        table.turn()
        assert table.log[1] == [voice(0) + voice(2)]
        assert table.log[7] == ["a", voice(1)]


def test_byte_by_byte() -> None:
    table = Table()
    for byte in audio(1, voice(0)) + text(stream=1, text="flush") + audio(1, voice(1)):
        table.feed(bytes([byte]))
    table.turn()
    assert table.log[1] == [voice(0), "flush", voice(1)]


def test_audio_behind_a_message_waits_for_the_event_loop_and_that_of_other_streams_does_not() -> None:
    table = Table()
    table.feed(text(type="interrupted", stream=7, text="flush"))
    table.feed(audio(7, voice(1)) + audio(1, voice(2)))
    assert table.log[7] == []
    assert table.log[1] == [voice(2)]
    table.turn()
    assert table.log[7] == ["flush", voice(1)]
    table.feed(audio(7, voice(3)))
    assert table.straight == 2 * PCM, "once the event loop is done, the short way is open again"


@pytest.mark.parametrize("message", [
    b'{"type":"hello"}',
    b'{"stream":1,"more":{"stream":7},"text":""}',
    b'{"text":"\\"stream\\":1"}',
])  # fmt: skip
def test_a_message_whose_stream_is_not_certain_holds_up_all(message: bytes) -> None:
    table = Table()
    table.feed(frame(1, message) + audio(1, voice(1)) + audio(7, voice(2)))
    assert table.straight == 0


def test_names_inside_of_strings_are_not_taken_for_the_stream() -> None:
    table = Table()
    table.feed(text(text='he said "stream": 1', stream=7) + audio(1, voice(1)) + audio(7, voice(2)))
    assert table.log[1] == [voice(1)]
    assert table.log[7] == []


def test_more_than_the_credit_comes_up_for_the_event_loop_to_complain() -> None:
    table = Table(streams=[5])
    table.inlet.allow(0, -PLENTY + PCM)
    table.feed(audio(5, voice(1)) + audio(5, voice(2)))
    assert table.straight == PCM
    table.turn()
    assert table.log[5] == [voice(1) + voice(2)]


def test_a_burst_that_finds_no_block_takes_the_long_way_and_keeps_its_order() -> None:
    table = Table(blocks=2)
    table.inlet.feed(audio(1, voice(0, 1280)))  # both blocks wait in the queue
    for number in range(1, 4):
        for event in table.inlet.feed(audio(1, voice(number))):
            table._up.append(event[-1])
    table._heard(1, table.inlet.played(0))
    table.turn()
    table.feed(audio(1, voice(4)))
    assert table.log[1] == [voice(0, 1280) + b"".join(voice(number) for number in range(1, 5))]


def test_the_beginning_of_an_answer_is_told_once() -> None:
    table = Table()
    table.inlet.attend(0)
    told = [event[0] for number in range(3) for event in table.inlet.feed(audio(1, voice(number)))]
    assert told == ["answered"]


def test_half_a_sample_comes_up() -> None:
    table = Table()
    table.feed(audio(1, b"abc"))
    table.turn()
    assert table.log[1] == [b"abc"]
    assert table.straight == 0


MESSAGES = st.lists(
    st.one_of(
        st.tuples(st.just("audio"), st.sampled_from([*STREAMS, 50]), st.integers(0, 4100).map(lambda n: 2 * n)),
        st.tuples(st.just("text"), st.sampled_from([*STREAMS, 50, None]), st.integers(0, 9000)),
        st.tuples(st.just("ping"), st.none(), st.integers(0, 125)),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(MESSAGES, st.randoms(use_true_random=False), st.integers(0, 30))
def test_each_stream_hears_what_was_sent_in_order_whatever_the_pieces(
    messages: list[tuple[str, int | None, int]], chance: random.Random, blocks: int
) -> None:
    table, wanted = Table(blocks=blocks), Table()
    data = b""
    for number, (kind, stream, size) in enumerate(messages):
        if kind == "audio" and stream is not None:
            data += audio(stream, voice(number, size), number)
            wanted._heard(stream, voice(number, size))
        elif kind == "text":
            label = f"{number}" + "x" * size
            data += text(text=label) if stream is None else text(stream=stream, text=label)
            for one in [stream] if stream is not None else STREAMS:
                if one in wanted.log:
                    wanted.log[one].append(label)
        else:
            data += frame(9, bytes(size))
    here = 0
    while here < len(data):
        step = chance.choice([1, 3, 30, 700, 5000, 60000])
        table.feed(data[here : here + step])
        here += step
        if chance.random() < 0.3:
            table.turn()
    table.turn()
    assert table.log == wanted.log


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=3000), st.randoms(use_true_random=False))
def test_whatever_comes_is_handed_up_or_played_and_nothing_is_lost(data: bytes, chance: random.Random) -> None:
    """Noise: what is no audio of ours is there again as it came, but the beginning of a frame that waits for more."""
    inlet = Inlet([9], 10)
    up, here = b"", 0
    while here < len(data):
        step = chance.randint(1, 400)
        up += b"".join(event[-1] for event in inlet.feed(data[here : here + step]))
        here += step
    assert data.startswith(up)
