"""Offer and answer (RFC 3264), for what a telephone call needs."""

from __future__ import annotations

import pytest

from gateway.errors import SdpError
from gateway.sdp import Stream, accept, answer, offer, parse
from gateway.sdp.types import PCMA, PCMU, AudioFormat

US = ("192.0.2.1", 20000)


def described(*media: str, host: str = "192.0.2.9", session: str = "") -> bytes:
    return (
        f"v=0\r\no=- 5 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n{session}".encode()
        + "".join(line + "\r\n" for line in media).encode()
    )


def test_our_offer_and_our_answer_agree() -> None:
    ours = offer(US, 7, (PCMA, PCMU), version=3)
    assert (parse(ours).session_id, parse(ours).version) == ("7", "3")
    agreement = answer(ours, ("192.0.2.9", 30000), 8)
    assert agreement.stream == Stream(US, 8, "PCMA", 101, rtcp_metrics=True)
    assert accept(agreement.sdp, ours) == Stream(("192.0.2.9", 30000), 8, "PCMA", 101, rtcp_metrics=True)


def test_each_side_sends_with_the_payload_types_of_the_other() -> None:
    ours = offer(US, 7, (AudioFormat("L16", 16000),))
    theirs = described("m=audio 4000 RTP/AVP 110 111", "a=rtpmap:110 L16/16000", "a=rtpmap:111 telephone-event/16000")
    stream = accept(theirs, ours, (AudioFormat("L16", 16000),))
    assert (stream.payload_type, stream.event_payload_type) == (110, 111)
    assert (stream.heard_payload_type, stream.heard_event_payload_type) == (96, 97)


def test_what_the_offerer_prefers_is_taken_with_its_payload_types() -> None:
    media = ("m=audio 4000 RTP/AVP 9 97 0 8 96", "a=rtpmap:97 PCMA/8000", "a=rtpmap:96 telephone-event/8000")
    agreement = answer(described(*media), US, 1)
    assert agreement.stream == Stream(("192.0.2.9", 4000), 97, "PCMA", 96)
    assert b"m=audio 20000 RTP/AVP 97 96\r\na=rtpmap:97 PCMA/8000\r\na=rtpmap:96 telephone-event/8000" in agreement.sdp


def test_a_remapped_static_payload_type_means_what_it_says() -> None:
    agreement = answer(described("m=audio 4000 RTP/AVP 0", "a=rtpmap:0 PCMA/8000"), US, 1)
    assert (agreement.stream.payload_type, agreement.stream.codec) == (0, "PCMA")


def test_telephone_event_of_another_clock_is_left_out() -> None:
    media = ("m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/16000")
    assert answer(described(*media), US, 1).stream.event_payload_type is None


def test_every_media_line_is_answered_in_its_place() -> None:
    """RFC 3264 6: rejected ones with port 0."""
    media = (
        "m=video 5000 RTP/AVP 31", "m=audio 4000 RTP/SAVP 0", "m=audio 4002 RTP/AVP 9", "m=audio 4004 RTP/AVP 8",
        "m=audio 4006 RTP/AVP 0", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    )  # fmt: skip
    agreement = answer(described(*media), US, 1)
    assert agreement.stream.remote == ("192.0.2.9", 4004)
    lines = [(item.kind, item.port, item.protocol) for item in parse(agreement.sdp).media]
    assert lines == [
        ("video", 0, "RTP/AVP"), ("audio", 0, "RTP/SAVP"), ("audio", 0, "RTP/AVP"), ("audio", 20000, "RTP/AVP"),
        ("audio", 0, "RTP/AVP"), ("application", 0, "UDP/DTLS/SCTP"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("offered", "answered", "send", "receive"),
    [
        ("sendrecv", "sendrecv", True, True),
        ("sendonly", "recvonly", False, True),
        ("recvonly", "sendonly", True, False),
        ("inactive", "inactive", False, False),
    ],
)
def test_directions(offered: str, answered: str, send: bool, receive: bool) -> None:
    """RFC 3264 6.1."""
    for data in (
        described("m=audio 4000 RTP/AVP 0", f"a={offered}"),
        described("m=audio 4000 RTP/AVP 0", session=f"a={offered}\r\n"),
    ):
        agreement = answer(data, US, 1)
        assert (agreement.stream.send, agreement.stream.receive) == (send, receive)
        assert f"a={answered}\r\n".encode() in agreement.sdp


def test_hold_of_old() -> None:
    """RFC 3264 8.4: c=0.0.0.0."""
    stream = answer(described("m=audio 4000 RTP/AVP 0", host="0.0.0.0"), US, 1).stream
    assert (stream.send, stream.receive) == (False, True)


def test_a_trunk_may_prefer_its_own_order() -> None:
    offered = offer(("10.0.0.2", 4000), 1, [PCMU, PCMA])
    assert answer(offered, ("10.0.0.1", 5000), 1, [PCMA, PCMU]).stream.codec == "PCMU"
    assert answer(offered, ("10.0.0.1", 5000), 1, [PCMA, PCMU], ours_first=True).stream.codec == "PCMA"


@pytest.mark.parametrize(
    ("media", "code"),
    [
        (("m=audio 4000 RTP/AVP 9 18",), 305),
        (("m=audio 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"), 305),
        (("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 PCMU/16000"), 305),
        (("m=audio 0 RTP/AVP 0",), 304),
        (("m=video 4000 RTP/AVP 31",), 304),
        (("m=audio 4000 RTP/SAVP 0",), 304),
        ((), 304),
    ],
)
def test_nothing_in_common(media: tuple[str, ...], code: int) -> None:
    with pytest.raises(SdpError) as caught:
        answer(described(*media), US, 1)
    assert caught.value.warning == code


def test_a_name_instead_of_an_address() -> None:
    with pytest.raises(SdpError) as caught:
        answer(described("m=audio 4000 RTP/AVP 0", host="media.example.com"), US, 1)
    assert caught.value.warning == 301


@pytest.mark.parametrize(
    ("media", "code"),
    [
        (("m=audio 0 RTP/AVP 0",), 304),
        (("m=audio 4000 RTP/AVP 9",), 305),
        (("m=audio 4000 RTP/AVP 0", "m=audio 4002 RTP/AVP 0"), 304),
        (("m=video 4000 RTP/AVP 0",), 304),
    ],
)
def test_an_answer_that_does_not_fit(media: tuple[str, ...], code: int) -> None:
    with pytest.raises(SdpError) as caught:
        accept(described(*media), offer(US, 1))
    assert caught.value.warning == code


def test_ipv6() -> None:
    data = offer(("2001:db8::1", 20000), 1)
    assert b"c=IN IP6 2001:db8::1\r\n" in data
    assert answer(data, ("2001:db8::2", 1), 1).stream.remote == ("2001:db8::1", 20000)


def test_an_offer_to_hold() -> None:
    assert b"a=sendonly\r\n" in offer(US, 1, direction="sendonly", version=2)


WIDE = AudioFormat("L16", 16000)
G722 = AudioFormat("G722", payload_type=9)
PICKY = AudioFormat("Opus", 48000, 2, fmtp="usedtx=0", agree=lambda theirs: None if "cbr=1" in theirs else "stereo=0")


def test_an_offer_numbers_what_has_no_number_and_has_events_for_each_clock() -> None:
    lines = offer(US, 1, (WIDE, G722, PICKY)).decode().split("\r\n")
    assert "m=audio 20000 RTP/AVP 96 9 97 98 101 99" in lines
    assert "a=rtpmap:96 L16/16000" in lines
    assert "a=rtpmap:9 G722/8000" in lines
    assert "a=rtpmap:97 Opus/48000/2" in lines
    assert "a=fmtp:97 usedtx=0" in lines
    assert [line for line in lines if "telephone-event" in line] == [
        "a=rtpmap:98 telephone-event/16000", "a=rtpmap:101 telephone-event/8000", "a=rtpmap:99 telephone-event/48000",
    ]  # fmt: skip


def test_the_callers_order_decides_among_the_codecs_that_are_served() -> None:
    media = ("m=audio 4000 RTP/AVP 9 0 8",)
    assert answer(described(*media), US, 1, (PCMA, G722, PCMU)).stream.codec == "G722"
    assert answer(described(*media), US, 1, (PCMA, PCMU)).stream.codec == "PCMU"


def test_codecs_of_one_name_are_told_apart_by_their_clocks() -> None:
    media = (
        "m=audio 4000 RTP/AVP 97 98 99",
        "a=rtpmap:97 l16/8000",
        "a=rtpmap:98 L16/16000/2",
        "a=rtpmap:99 L16/16000",
    )
    stream = answer(described(*media), US, 1, (WIDE,)).stream
    assert (stream.payload_type, stream.codec, stream.clock) == (99, "L16", 16000)


def test_parameters_that_cannot_be_met_lead_to_the_next_codec() -> None:
    media = ("m=audio 4000 RTP/AVP 111 0", "a=rtpmap:111 opus/48000/2", "a=fmtp:111 cbr=1")
    assert answer(described(*media), US, 1, (PICKY, PCMU)).stream.codec == "PCMU"
    agreement = answer(described(*media[:2], "a=fmtp:111 useinbandfec=1"), US, 1, (PICKY, PCMU))
    assert (agreement.stream.codec, agreement.stream.fmtp) == ("OPUS", "useinbandfec=1")
    assert b"a=fmtp:111 stereo=0\r\n" in agreement.sdp


def test_events_of_another_clock_are_not_those_of_the_audio() -> None:
    media = ("m=audio 4000 RTP/AVP 99 101", "a=rtpmap:99 L16/16000", "a=rtpmap:101 telephone-event/8000")
    assert answer(described(*media), US, 1, (WIDE,)).stream.event_payload_type is None


@pytest.mark.parametrize(
    "host", ["fe80::1%eth0", "fe80::1", "239.1.2.3", "ff02::1", "255.255.255.255", "2001:db8::9", "::", "phone.example"]
)
def test_an_address_that_no_packet_of_ours_can_reach_is_refused(host: str) -> None:
    for attempt in (
        lambda: answer(described("m=audio 4000 RTP/AVP 0", host=host), US, 1),
        lambda: accept(described("m=audio 4000 RTP/AVP 0", host=host), offer(US, 1)),
    ):
        with pytest.raises(SdpError) as caught:
            attempt()
        assert caught.value.warning == 301


def test_an_offer_within_a_call_keeps_every_line_and_every_payload_type() -> None:
    """RFC 3264 8: no line goes, and 8.3.2: a number means what it meant."""
    theirs = described(
        "m=video 5000 RTP/AVP 96", "m=audio 4000 RTP/SAVP 0", "m=audio 4002 RTP/AVP 97 0 96",
        "a=rtpmap:97 L16/16000", "a=rtpmap:96 telephone-event/8000", "m=image 6000 udptl t38",
    )  # fmt: skip
    ours = answer(theirs, US, 1, (PCMU, WIDE)).sdp
    again = parse(offer(US, 1, (PCMU, WIDE), version=2, direction="sendonly", before=(parse(ours), parse(theirs))))
    assert [(one.kind, one.port > 0, one.protocol) for one in again.media] == [
        ("video", False, "RTP/AVP"), ("audio", False, "RTP/SAVP"),
        ("audio", True, "RTP/AVP"), ("image", False, "UDPTL"),
    ]  # fmt: skip
    named = {(one.name, one.rate): one.payload_type for one in again.media[2].codecs}
    assert named["L16", 16000] == 97
    assert named["TELEPHONE-EVENT", 8000] == 96
    assert len(set(named.values())) == len(named)
    accepted = accept(described(*(f"m={one.kind} 0 {one.protocol} 0" for one in again.media[:2]),
                                "m=audio 4002 RTP/AVP 97", "a=rtpmap:97 L16/16000", "m=image 0 udptl t38"), again,
                      (PCMU, WIDE))  # fmt: skip
    assert (accepted.codec, accepted.send, accepted.receive) == ("L16", True, False)


def test_who_has_used_up_all_payload_types_is_offered_what_has_one() -> None:
    types = " ".join(str(number) for number in range(96, 128))
    theirs = described(f"m=audio 4000 RTP/AVP 0 {types}", *(f"a=rtpmap:{n} X{n}/8000" for n in range(96, 128)))
    ours = answer(theirs, US, 1, (PCMU, WIDE)).sdp
    again = parse(offer(US, 1, (PCMU, WIDE), before=(parse(ours), parse(theirs))))
    assert [codec.name for codec in again.media[0].codecs] == ["PCMU"]


@pytest.mark.parametrize(
    ("theirs", "answered"),
    [("sendrecv", "sendonly"), ("recvonly", "sendonly"), ("sendonly", "inactive"), ("inactive", "inactive")],
)
def test_who_holds_answers_so(theirs: str, answered: str) -> None:
    agreement = answer(described("m=audio 4000 RTP/AVP 0", f"a={theirs}"), US, 1, direction="sendonly")
    assert f"a={answered}\r\n".encode() in agreement.sdp
    assert not agreement.stream.receive
