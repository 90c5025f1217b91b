"""What offer and answer say of RTCP."""

from __future__ import annotations

import pytest

from gateway.sdp import accept, answer, offer, parse
from tests.unit.sdp.test_negotiation import US, described

AUDIO = "m=audio 4000 RTP/AVP 0"


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("a=rtcp:53020", ("192.0.2.9", 53020)),
        ("a=rtcp:53020 IN IP4 192.0.2.44", ("192.0.2.44", 53020)),
        ("a=rtcp:53020 IN IP6 2001:db8::4", None),  # of another IP version than our socket
        ("a=rtcp:0", None),
        ("a=rtcp:65536", None),
        ("a=rtcp:", None),
        ("a=rtcp:x IN IP4 192.0.2.44", None),
        ("a=rtcp:53020 IN IP4 example.org", None),
        ("a=rtcp:53020 IN", None),
        ("a=rtcp:\u0665", None),
        ("a=x", None),
    ],
)
def test_the_address_for_reports(line: str, where: tuple[str, int] | None) -> None:
    """RFC 3605; what cannot be read leaves them on the port above RTP's."""
    assert answer(described(AUDIO, line), US, 1).stream.rtcp == where


def test_one_port_for_both_is_answered_only_if_offered() -> None:
    """RFC 5761 5.1.1."""
    plain, shared = answer(described(AUDIO), US, 1), answer(described(AUDIO, "a=rtcp-mux", "a=rtcp:4000"), US, 1)
    assert (plain.stream.rtcp_mux, b"rtcp-mux" in plain.sdp) == (False, False)
    assert (shared.stream.rtcp_mux, shared.stream.rtcp, b"a=rtcp-mux\r\n" in shared.sdp) == (True, None, True)


@pytest.mark.parametrize(("ours", "theirs"), [(True, True), (True, False), (False, True), (False, False)])
def test_one_port_for_both_needs_both(ours: bool, theirs: bool) -> None:
    sent = offer(US, 1, rtcp_mux=ours)
    assert any(name == "rtcp-mux" for name, _ in parse(sent).media[0].attributes) == ours
    back = described(AUDIO, *(["a=rtcp-mux"] if theirs else []))
    assert accept(back, sent).rtcp_mux == (ours and theirs)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("a=rtcp-xr:voip-metrics", True),
        ("a=rtcp-xr:rcvr-rtt=all:10000 VOIP-METRICS stat-summary=loss", True),
        ("a=rtcp-xr:pkt-loss-rle", False),
        ("a=rtcp-xr", False),
        ("a=x", False),
    ],
)
def test_voip_metrics_are_sent_to_who_asks(line: str, wanted: bool) -> None:
    agreement = answer(described(AUDIO, line), US, 1)
    assert agreement.stream.rtcp_metrics == wanted
    assert (b"a=rtcp-xr:voip-metrics\r\n" in agreement.sdp) == wanted
