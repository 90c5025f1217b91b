"""Whole, truncated, mutated, oversize: the parser raises ``SipError`` or nothing, the endpoint nothing at all."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import SdpError, SipError
from gateway.sdp import answer
from gateway.sdp import parse as parse_sdp
from gateway.sip.endpoint import Endpoint
from gateway.sip.events import Invited
from gateway.sip.flow import Flow
from gateway.sip.message import Message
from gateway.sip.options import EndpointOptions
from gateway.sip.parser import parse
from gateway.units import SECOND, Nanos
from tests.fuzz.messages import MESSAGES, SDP
from tests.sim.scale import SCALE

FLOW = Flow("udp", ("127.0.0.1", 5060), ("127.0.0.1", 5070))
NASTY = [
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b'"',
    b"<",
    b">",
    b";",
    b",",
    b":",
    b"@",
    b"=",
    b"\\",
    b"[",
    b"%",
    b"\xff",
    b" " * 300,
]


def read_everything(data: bytes) -> None:
    """Touches every lazy value; only ``SipError`` may come out."""
    try:
        message: Message = parse(data)
    except SipError:
        return
    for read in (
        lambda: message.via, lambda: message.cseq, lambda: message.to.uri, lambda: message.from_.uri,
        lambda: message.contact, lambda: message.call_id, lambda: message.all("Route"), lambda: message.all("Via"),
        lambda: message.content_type, lambda: message.sdp,
    ):  # fmt: skip
        with suppress(SipError):
            read()
    message.encode()


def feed(data: bytes) -> None:
    """An endpoint that takes the message, answers what it can, and lives on for a minute."""
    endpoint = Endpoint(EndpointOptions(), random.Random(1), FLOW.local)
    endpoint.receive(data, FLOW, Nanos(0))
    for event in endpoint.events():
        if isinstance(event, Invited):
            event.caller.encode()
            event.called.encode()
            endpoint.ring(event.call, Nanos(0))
            endpoint.answer(event.call, SDP, Nanos(0))
    endpoint.handle_timer(Nanos(40 * SECOND))
    for datagram in endpoint.outgoing():
        read_everything(datagram.data)
    endpoint.close(Nanos(41 * SECOND))
    for second in (41, 80, 160):
        endpoint.handle_timer(Nanos(second * SECOND))
    assert (endpoint.calls, endpoint.transactions, endpoint.next_timer()) == (0, 0, None)


@pytest.mark.parametrize("message", MESSAGES)
def test_whole_messages_are_accepted(message: bytes) -> None:
    parse(message)
    read_everything(message)
    feed(message)


@pytest.mark.parametrize("message", MESSAGES)
def test_cut_at_every_byte(message: bytes) -> None:
    for end in range(len(message)):
        with pytest.raises(SipError):
            parse(message[:end])
        feed(message[:end])


@settings(max_examples=300 * SCALE, deadline=None)
@given(st.sampled_from(MESSAGES), st.lists(st.tuples(st.integers(0, 1 << 16), st.sampled_from(NASTY)), max_size=6))
def test_nasty_bytes_put_in(message: bytes, edits: list[tuple[int, bytes]]) -> None:
    for position, piece in edits:
        at = position % len(message)
        message = message[:at] + piece + message[at + position % 2 :]
    read_everything(message)
    feed(message)


@settings(max_examples=300 * SCALE, deadline=None)
@given(st.sampled_from(MESSAGES), st.data())
def test_headers_replaced_by_anything(message: bytes, data: st.DataObject) -> None:
    lines = message.split(b"\r\n")
    at = data.draw(st.integers(0, len(lines) - 1))
    name = lines[at].partition(b":")[0]
    lines[at] = name + b":" + data.draw(st.binary(max_size=40).map(lambda junk: junk.replace(b"\n", b" ")))
    read_everything(b"\r\n".join(lines))
    feed(b"\r\n".join(lines))


@settings(max_examples=200 * SCALE, deadline=None)
@given(st.binary(max_size=200))
def test_noise(data: bytes) -> None:
    read_everything(data)
    feed(data)


def test_oversize() -> None:
    limits = EndpointOptions(max_message_bytes=2000, max_headers=20)
    long_header = MESSAGES[0].replace(b"Max-Forwards: 70", b"X-Long: " + b"x" * 3000)
    many_headers = MESSAGES[0].replace(b"Max-Forwards: 70", b"\r\n".join([b"X-Many: 1"] * 30))
    for message in (long_header, many_headers):
        with pytest.raises(SipError) as caught:
            parse(message, max_bytes=limits.max_message_bytes, max_headers=limits.max_headers)
        assert caught.value.status == 513
    read_everything(b"INVITE " + b"sip:" * 10_000 + b" SIP/2.0\r\n\r\n")
    read_everything(MESSAGES[0].replace(b"314159", b"9" * 50_000))


@pytest.mark.parametrize("depth", [10, 5000])
def test_nested_punctuation_takes_linear_time(depth: int) -> None:
    for piece in (b'"', b"<", b'"\\', b";a=", b", ", b'<">'):
        feed(MESSAGES[0].replace(b'"A" <sip:alice', piece * depth + b'"A" <sip:alice'))


@settings(max_examples=300 * SCALE, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1 << 16), st.sampled_from(NASTY)), max_size=6), st.integers(0, 400))
def test_session_descriptions(edits: list[tuple[int, bytes]], cut: int) -> None:
    sdp = SDP
    for position, piece in edits:
        at = position % len(sdp)
        sdp = sdp[:at] + piece + sdp[at + position % 2 :]
    for data in (sdp, sdp[:cut]):
        with suppress(SdpError):
            parse_sdp(data)
            answer(data, ("127.0.0.1", 1), 1)
