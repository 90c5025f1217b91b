"""Bodies of several parts, digits in INFO, and what may be added to a message of ours."""

from __future__ import annotations

import pytest

from gateway.errors import MisuseError, SipError
from gateway.sip.bodies import Body, open_body
from gateway.sip.events import Digit, Ended, Invited
from gateway.sip.message import Request, Response
from tests.unit.sip.wire import SDP, Wire, reply, request, statuses

MIXED = 'Content-Type: multipart/mixed; boundary="a b"\r\n'


def mixed(*parts: tuple[str, bytes], close: bytes = b"--a b--\r\n") -> bytes:
    """Parts with their header lines."""
    pieces = [b"--a b\r\n" + head.encode() + b"\r\n" + data + b"\r\n" for head, data in parts]
    return b"preamble\r\n" + b"".join(pieces) + close


SDP_PART = ("Content-Type: application/sdp\r\n", SDP)
ISUP = (
    "Content-Type: application/isup;version=itu\r\nContent-Disposition: signal;handling=optional\r\n",
    b"\x01\x00--",
)


class TestMultipart:
    @pytest.mark.parametrize(
        "body",
        [
            mixed(SDP_PART, ISUP),
            mixed(ISUP, SDP_PART),
            mixed(("", b"plain text"), SDP_PART),
            mixed(SDP_PART, close=b""),
            mixed(SDP_PART, ISUP, close=b"--a b--\r\nepilogue --a b\r\n"),
        ],
    )
    def test_the_description_is_found_among_the_parts(self, body: bytes) -> None:
        wire = Wire()
        assert statuses(wire.invite(sdp=body, type=MIXED)) == [100]
        (told,) = wire.events()
        assert isinstance(told, Invited)
        assert (told.sdp or b"").strip() == SDP.strip()

    def test_a_part_that_must_be_understood(self) -> None:
        """RFC 5621 5."""
        geo = ("Content-Type: application/pidf+xml\r\nContent-Disposition: render;handling=required\r\n", b"<xml/>")
        assert statuses(Wire().invite(sdp=mixed(SDP_PART, geo), type=MIXED)) == [415]

    def test_a_single_body_that_may_be_passed_over(self) -> None:
        wire = Wire()
        kind = "Content-Type: application/x-q\r\nContent-Disposition: session ; handling=optional\r\n"
        assert statuses(wire.invite(sdp=b"?", type=kind)) == [100]
        (told,) = wire.events()
        assert isinstance(told, Invited)
        assert told.sdp is None

    def test_parts_within_parts(self) -> None:
        inner = b"--i\r\nContent-Type: application/sdp\r\n\r\n" + SDP + b"\r\n--i--\r\n"
        nested = mixed(("Content-Type: multipart/alternative;boundary=i\r\n", inner))
        (part,) = open_body(Body('multipart/mixed;boundary="a b"', nested))
        assert part.data == SDP

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("multipart/mixed", mixed(SDP_PART)),
            ("multipart/mixed;boundary=other", mixed(SDP_PART)),
            ('multipart/mixed;boundary="a b"', b"--a b\r\nno end of the headers"),
            ('multipart/mixed;boundary="a b"', mixed(*[SDP_PART] * 40)),
            ("multipart/mixed;boundary=" + "x" * 71, b"--" + b"x" * 71),
        ],
    )
    def test_what_cannot_be_read_is_refused(self, kind: str, body: bytes) -> None:
        with pytest.raises(SipError):
            open_body(Body(kind, body))
        (answer,) = Wire().invite(sdp=body, type=f"Content-Type: {kind}\r\n")
        assert isinstance(answer, Response)
        assert answer.status in (400, 413)


class TestDigits:
    @pytest.mark.parametrize(
        ("kind", "body", "digit", "duration"),
        [
            ("application/dtmf-relay", b"Signal=5\r\nDuration=240\r\n", "5", 240),
            ("application/dtmf-relay", b"Signal= # \nDuration= 100", "#", 100),
            ("application/dtmf-relay", b"Signal=11\r\n", "#", 160),
            ("application/dtmf-relay", b"signal=a\r\nduration=999999999999\r\n", "A", 160),
            ("application/dtmf", b"*", "*", 160),
            ("application/dtmf", b"7\r\n", "7", 160),
        ],
    )
    def test_received(self, kind: str, body: bytes, digit: str, duration: int) -> None:
        wire = Wire()
        to = wire.established().get("To") or ""
        info = request("INFO", to=to, cseq="2", branch="i", body=body, type=f"Content-Type: {kind}\r\n")
        assert statuses(wire.send(info)) == [200]
        assert statuses(wire.send(info)) == [200]
        assert wire.events() == [Digit(1, digit, duration)]

    @pytest.mark.parametrize(
        ("kind", "body", "more", "status"),
        [
            ("application/dtmf-relay", b"Signal=55\r\n", "", 400),
            ("application/dtmf-relay", b"nothing", "", 400),
            ("text/plain", b"5", "", 415),
            ("application/dtmf", b"5", "Info-Package: dtmf\r\n", 469),
        ],
    )
    def test_what_is_none(self, kind: str, body: bytes, more: str, status: int) -> None:
        wire = Wire()
        to = wire.established().get("To") or ""
        kind = f"Content-Type: {kind}\r\n"
        assert statuses(wire.send(request("INFO", to=to, cseq="2", branch="i", body=body, type=kind, more=more))) == [
            status
        ]

    def test_an_empty_info_is_taken(self) -> None:
        wire = Wire()
        to = wire.established().get("To") or ""
        assert statuses(wire.send(request("INFO", to=to, cseq="2", branch="i"))) == [200]
        assert wire.events() == []

    def test_sent(self) -> None:
        wire = Wire()
        wire.established()
        wire.endpoint.send_digit(1, "#", wire.now, 200)
        (info,) = wire.sent()
        assert (statuses([info]), info.content_type) == (["INFO"], "application/dtmf-relay")
        assert info.body == b"Signal=#\r\nDuration=200\r\n"
        with pytest.raises(MisuseError):
            wire.endpoint.send_digit(1, "5\r\nX: 1", wire.now)

    def test_an_info_that_finds_no_dialog_ends_the_call(self) -> None:
        wire = Wire()
        wire.established()
        wire.endpoint.send_digit(1, "1", wire.now)
        (info,) = wire.sent()
        assert statuses(wire.send(reply(info, 481))) == ["BYE"]


class TestHeaders:
    def test_ours_go_out_with_each_message_that_takes_them(self) -> None:
        wire = Wire()
        wire.invite()
        mark = [("x-case", "7")]
        wire.endpoint.ring(1, wire.now, headers=mark)
        wire.endpoint.answer(1, SDP, wire.now, headers=mark)
        ringing, ok = wire.sent()
        wire.send(request("ACK", to=ok.get("To") or "", branch="ack"))
        body = Body("application/json", b'{"intent": "sales"}')
        wire.endpoint.hang_up(1, wire.now, "done", headers=[*mark, ("User-to-User", "ab;encoding=hex")], body=body)
        (bye,) = wire.sent()
        assert [message.get("X-Case") for message in (ringing, ok, bye)] == ["7"] * 3
        assert (bye.get("User-to-User"), bye.content_type, bye.body) == (
            "ab;encoding=hex",
            body.content_type,
            body.data,
        )
        assert bye.get("Reason") == 'Q.850;cause=16;text="done"'

    def test_a_bye_with_data_reaches_whoever_reads_the_end(self) -> None:
        wire = Wire()
        to = wire.established().get("To") or ""
        wire.send(request("BYE", to=to, cseq="2", branch="b", more="X-Result: sold\r\n"))
        (ended,) = wire.events()
        assert isinstance(ended, Ended)
        assert ended.message is not None
        assert ended.message.get("X-Result") == "sold"

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("X-A", "b\r\nX-Evil: 1"),
            ("X-A", "b\nX-Evil: 1"),
            ("X-A", "\x00"),
            ("X-A", "\ud800"),
            ("X-A", "x" * 5000),
            ("X-A:\r\nX-Evil", "1"),
            ("X A", "1"),
            ("", "1"),
            ("f", "<sip:boss@example.com>;tag=1"),
            ("contact", "<sip:evil@example.com>"),
            ("Content-Length", "0"),
        ],
    )
    def test_what_may_not_be_added(self, name: str, value: str) -> None:
        wire = Wire()
        wire.invite()
        with pytest.raises(MisuseError):
            wire.endpoint.answer(1, SDP, wire.now, headers=[(name, value)])

    def test_no_value_adds_a_line_whoever_made_it(self) -> None:
        """The serializer is the last to look, and the one place that every message passes."""
        message = Request("INVITE", "sip:a@b\r\nX-Evil: 0", [("X-A", "b\r\n\r\nX-Evil: 1"), ("X-B\n", "\ud800ü")])
        head = message.encode().decode()
        assert head.startswith("INVITE sip:a@b X-Evil: 0 SIP/2.0\r\nX-A: b X-Evil: 1\r\nX-B : ?ü\r\n")
        assert head.count("\r\n") == 5

    def test_a_refusal_does_not_pass_on_the_line_breaks_that_it_is_for(self) -> None:
        wire = Wire()
        data = request("OPTIONS").replace(b'"Alice"', b'"Al\rX-Evil: 1"')
        wire.endpoint.receive(data, wire.flow, wire.now)
        (datagram,) = wire.endpoint.outgoing()
        assert datagram.data.startswith(b"SIP/2.0 400 ")
        assert b"\r" not in datagram.data.replace(b"\r\n", b"")
