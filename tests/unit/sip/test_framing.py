from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sip.framing import Frame, KeepAlive, RawMessage, StreamFramer

PING, PONG = KeepAlive.PING, KeepAlive.PONG

BODY = b"v=0\r\n\r\no=- 1 1 IN IP4 10.0.0.2\r\n"  # an empty line in a body ends nothing


def message(body: bytes = b"", length: str | None = None, *, name: bytes = b"Content-Length") -> bytes:
    size = str(len(body)) if length is None else length
    return b"INVITE sip:a@b SIP/2.0\r\nSubject: x\r\n" + name + b": " + size.encode() + b"\r\n\r\n" + body


def frames(data: bytes, *cuts: int, limit: int = 65_535) -> list[Frame]:
    framer = StreamFramer(max_bytes=limit)
    edges = [0, *sorted(cuts), len(data)]
    return [frame for low, high in pairwise(edges) for frame in framer.feed(data[low:high])]


def test_two_messages_in_one_read() -> None:
    assert frames(message(BODY) + message()) == [RawMessage(message(BODY)), RawMessage(message())]


def test_cut_at_each_byte() -> None:
    stream = message(BODY) + b"\r\n\r\n" + message() + b"\r\n" + message(b"x")
    whole = frames(stream)
    assert whole == [
        RawMessage(message(BODY)), PONG, PING, RawMessage(message()), PONG, RawMessage(message(b"x")),
    ]  # fmt: skip
    for cut in range(len(stream)):
        assert frames(stream, cut) == whole
    assert frames(stream, *range(len(stream))) == whole


def test_nothing_is_given_before_the_last_byte_of_the_body() -> None:
    framer, data = StreamFramer(), message(BODY)
    assert framer.feed(data[:-1]) == []
    assert framer.pending == len(data) - 1
    assert framer.feed(data[-1:]) == [RawMessage(data)]
    assert framer.pending == 0


@pytest.mark.parametrize("name", [b"content-length", b"l", b"L", b"CONTENT-LENGTH", b"Content-Length \t"])
def test_the_length_is_found_however_it_is_written(name: bytes) -> None:
    assert frames(message(BODY, name=name)) == [RawMessage(message(BODY, name=name))]


def test_a_folded_length_counts_and_a_length_within_a_folded_line_does_not() -> None:
    folded = b"BYE sip:a@b SIP/2.0\r\nSubject: x\r\n Content-Length: 99\r\nl:\r\n 3\r\n\r\nabc"
    assert frames(folded) == [RawMessage(folded)]


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (message(length="ten"), "malformed Content-Length"),
        (message(length="-1"), "malformed Content-Length"),
        (message(length="+1"), "malformed Content-Length"),
        (message(length=""), "malformed Content-Length"),
        (message(length="9" * 5000), "malformed Content-Length"),
        (message(length="\u0663"), "malformed Content-Length"),
        (message(length="0\r\nContent-Length: 0"), "Content-Length comes twice"),
        (message(length="0\r\nl: 5"), "Content-Length comes twice"),
        (b"OPTIONS sip:a@b SIP/2.0\r\nSubject: x\r\n\r\n", "Content-Length is missing"),
    ],
)
def test_a_length_that_frames_nothing_breaks_the_stream(data: bytes, rule: str) -> None:
    framer = StreamFramer()
    (frame,) = framer.feed(data + message())
    assert isinstance(frame, RawMessage)
    assert frame.data == data
    assert frame.fault is not None
    assert frame.fault.status == 400
    assert rule in frame.fault.rule
    assert framer.broken
    assert framer.feed(message()) == []


def test_a_message_over_the_limit_is_refused_before_its_body_comes() -> None:
    head = message(length="2000")
    (frame,) = frames(head, limit=1000)
    assert isinstance(frame, RawMessage)
    assert frame.fault is not None
    assert (frame.data, frame.fault.status) == (head, 513)
    fits = message(b"x" * 100)
    assert frames(fits, limit=len(fits)) == [RawMessage(fits)]
    (over,) = frames(fits, limit=len(fits) - 1)
    assert isinstance(over, RawMessage)
    assert over.fault is not None


@pytest.mark.parametrize("noise", [b"\x16\x03\x01" * 400, b"A" * 1001, b"INVITE\r\n" * 200, b"\r" * 1001])
def test_headers_without_an_end_are_held_up_to_the_limit_and_no_further(noise: bytes) -> None:
    framer = StreamFramer(max_bytes=1000)
    assert framer.feed(noise[:1000]) == []
    (frame,) = framer.feed(noise[1000:])
    assert isinstance(frame, RawMessage)
    assert frame.data == b""
    assert frame.fault is not None
    assert frame.fault.status == 513
    assert framer.pending == 0


_PIECES = st.lists(
    st.one_of(
        st.binary(max_size=60).map(message),
        st.sampled_from([b"\r\n", b"\r\n\r\n", b"\r", message(length="x"), message(length="500")]),
        st.binary(max_size=80),
    ),
    max_size=6,
).map(b"".join)


@given(_PIECES, st.lists(st.integers(0, 600), max_size=12))
def test_any_cut_of_any_stream_gives_the_same_frames(stream: bytes, cuts: list[int]) -> None:
    whole = frames(stream, limit=300)
    cut = frames(stream, *(min(cut, len(stream)) for cut in cuts), limit=300)
    assert [str(frame) for frame in cut] == [str(frame) for frame in whole]  # a fault equals itself alone
    for frame in whole:
        assert not isinstance(frame, RawMessage) or len(frame.data) <= 300


@given(st.lists(st.binary(max_size=60).map(message), max_size=5))
def test_what_was_sent_comes_out(messages: list[bytes]) -> None:
    assert frames(b"".join(messages)) == [RawMessage(one) for one in messages]
