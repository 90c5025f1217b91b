from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import SipError
from gateway.sip.message import Message, Request, Response
from gateway.sip.names import canonical
from gateway.sip.parser import Malformed, parse
from tests.fuzz.messages import BYE, COMPACT, INVITE, OK, SDP


def test_an_ordinary_invite() -> None:
    message = parse(INVITE)
    assert isinstance(message, Request)
    assert (message.method, message.uri, message.sdp) == ("INVITE", "sip:pizza@127.0.0.1:5060", SDP)
    assert len(message.all("via")) == 3
    assert message.from_.display == 'Alice, "A" <not me>'
    assert message.get("no-such") is None
    assert message.all("no-such") == []


def test_compact_forms_folding_and_whitespace() -> None:
    """After RFC 4475 3.1.1.1."""
    message = parse(COMPACT)
    assert (message.to.tag, message.from_.tag, message.call_id) == ("1918181833n", "98asjd8", "wsinv.ndaksdj@192.0.2.1")
    assert (message.cseq.number, message.cseq.method, message.via.host) == (9, "INVITE", "192.0.2.2")
    assert message.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert message.get("Max-Forwards") == "0068"
    assert message.contact is not None
    assert message.contact.parameters["secondparam"] == ""
    assert message.sdp == SDP


def test_a_response_with_any_reason_phrase() -> None:
    message = parse(OK)
    assert isinstance(message, Response)
    assert (message.status, message.reason[:9]) == (200, "= 2**3 * ")
    assert isinstance(parse(OK.replace(message.reason.encode(), b"")), Response)


def test_the_body_ends_where_content_length_says() -> None:
    assert parse(b"\r\n\r\n" + BYE + b"rubbish").body == b""
    assert parse(INVITE.replace(b"Content-Length", b"X-Length") + b"more").body == SDP + b"more"
    assert parse(INVITE.replace(b"Content-Length", b"l")).body == SDP


@pytest.mark.parametrize(
    "wrong",
    [
        INVITE.replace(b"Max-Forwards", b"Max Forwards"), INVITE.replace(b"Max-Forwards:", b"Max-Forwards"),
        INVITE.replace(b"Content-Length: ", b"Content-Length: -"),
        INVITE.replace(b"Content-Length: ", b"Content-Length: 9"),
        INVITE.replace(b"Max-Forwards: 70", b"X: a\nb"), INVITE.replace(b"Max-Forwards: 70", b"X: a\rb"),
        INVITE.replace(b"Max-Forwards: 70", b"Call-ID: other"), INVITE.replace(b" SIP/2.0\r", b"  SIP/2.0\r"),
        INVITE.replace(b"INVITE sip", b"INVITE  sip"),
    ],
)  # fmt: skip
def test_malformed_requests_can_still_be_answered(wrong: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        parse(wrong)
    assert caught.value.request.call_id in ("a84b4c76e66710@127.0.0.1", "other")


@pytest.mark.parametrize(
    "wrong",
    [
        b"", b"x", BYE[:-2], b"SIP/2.0 99 X\r\n\r\n", b"SIP/3.0 200 OK\r\n\r\n", b"SIP/2.0 700 X\r\n\r\n",
        b"SIP/2.0 OK\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"INV\xc3\xa9TE sip:a SIP/2.0\r\n\r\n",
        OK.replace(b"\r\nContent-Length: ", b"\r\nContent-Length: 9"),
    ],
)  # fmt: skip
def test_what_is_no_message(wrong: bytes) -> None:
    with pytest.raises(SipError) as caught:
        parse(wrong)
    assert not isinstance(caught.value, Malformed)


def test_names() -> None:
    assert [canonical(name) for name in ("v", "V", "VIA", "call-ID", "cseq", "x-my-header", "X-MY-HEADER \t")] == [
        "Via", "Via", "Via", "Call-ID", "CSeq", "X-My-Header", "X-My-Header",
    ]  # fmt: skip


texts = st.text(st.characters(blacklist_categories=("Cc", "Cs", "Z")), min_size=1, max_size=30)
headers = st.lists(st.tuples(st.sampled_from(["Via", "Route", "Subject", "X-Any"]), texts), max_size=8)


def same(one: Message, other: Message) -> None:
    ignored = ("Content-Length",)
    assert [header for header in one.headers if header[0] not in ignored] == [
        header for header in other.headers if header[0] not in ignored
    ]
    assert (one.start_line, one.body) == (other.start_line, other.body)


@given(headers, st.binary(max_size=50))
def test_what_is_written_is_read(headers: list[tuple[str, str]], body: bytes) -> None:
    for message in (Request("OPTIONS", "sip:a@b", headers, body), Response(200, "All right", headers, body)):
        same(parse(message.encode()), message)


@pytest.mark.parametrize("data", [INVITE, COMPACT, OK, BYE, INVITE.replace(b"Alice", b"Al\xffce")])
def test_what_is_read_is_written(data: bytes) -> None:
    same(parse(parse(data).encode()), parse(data))


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"X-Y: a\x1b[2Jb", 400), (b"X-Y: \x0b\x0bx", 400), (b"X-Y: a\x00", 400), (b"X-Y: " + b"x" * 9_000, 513),
    ],
)  # fmt: skip
def test_control_characters_and_long_values_are_refused(line: bytes, status: int) -> None:
    with pytest.raises(Malformed) as caught:
        parse(INVITE.replace(b"Max-Forwards: 70", line))
    assert caught.value.status == status
    assert parse(INVITE.replace(b"Max-Forwards: 70", b'X-Y: "a\\\x07"\tb')).get("X-Y") == '"a\\\x07"\tb'
