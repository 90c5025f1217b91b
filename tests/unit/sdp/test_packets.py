"""Packet times and event ranges in offer and answer."""

from __future__ import annotations

import pytest

from gateway.sdp import accept, answer, offer, parse
from gateway.sdp.packets import served_events
from tests.unit.sdp.test_negotiation import US, described

LINE = "m=audio 4000 RTP/AVP 0"


@pytest.mark.parametrize(
    ("wishes", "sent"),
    [
        ([], 20),
        (["a=ptime:30"], 30),
        (["a=ptime:10"], 10),
        (["a=ptime:20.0"], 20),
        (["a=ptime:25"], 20),
        (["a=ptime:5"], 10),
        (["a=ptime:200"], 60),
        (["a=ptime:0"], 20),  # nobody can mean that
        (["a=ptime:what"], 20),
        (["a=maxptime:40"], 20),
        (["a=maxptime:10"], 10),
        (["a=ptime:60", "a=maxptime:40"], 40),
        (["a=ptime:30", "a=maxptime:150"], 30),
    ],
)
def test_the_far_end_gets_packets_of_the_length_that_it_wishes_for(wishes: list[str], sent: int) -> None:
    agreement = answer(described(LINE, *wishes), US, 1)
    assert agreement.stream.ptime_ms == sent
    assert f"a=ptime:{sent}\r\n".encode() in agreement.sdp
    assert accept(described(LINE, *wishes), offer(US, 1)).ptime_ms == sent


@pytest.mark.parametrize(
    ("named", "served"),
    [
        ("", "0-15"),
        ("0-15", "0-15"),
        ("0-16", "0-15"),
        ("0-11,66,70", "0-11"),
        ("0-9, 11 ,13-15", "0-9,11,13-15"),
        ("32-49", ""),
        ("0-999999", "0-15"),
        ("digits", "0-15"),
        ("5-", "0-15"),
        ("9-3", ""),
    ],
)
def test_of_the_events_that_are_named_ours_are_served(named: str, served: str) -> None:
    assert served_events(named) == served


def test_the_answer_names_the_events_of_both_sides() -> None:
    events = ("m=audio 4000 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000", "a=fmtp:96 0-11,32")
    agreement = answer(described(*events), US, 1)
    assert b"a=fmtp:96 0-11\r\n" in agreement.sdp
    assert agreement.stream.event_payload_type == 96


def test_events_that_are_no_digits_are_not_answered() -> None:
    events = ("m=audio 4000 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000", "a=fmtp:96 32-49")
    agreement = answer(described(*events), US, 1)
    assert agreement.stream.event_payload_type is None
    assert parse(agreement.sdp).media[0].formats == ("0",)
