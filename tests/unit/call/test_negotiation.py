"""What a call offers, and what it makes of the answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.call.house import House
from gateway.call.negotiation import Negotiation
from gateway.media.codecs.contract import Codecs
from tests.unit.call.inquiries import trunk
from tests.unit.sdp.test_negotiation import described

AUDIO = "m=audio 4000 RTP/AVP 0"


def negotiation() -> Negotiation:
    media = SimpleNamespace(formats=Codecs(("pcmu",)).formats)
    return Negotiation(cast("House", SimpleNamespace(media_host="192.0.2.1", codecs={}, media=media)), trunk("t"))


@pytest.mark.parametrize("theirs", [True, False])
def test_one_port_for_rtp_and_rtcp_is_offered_and_used_if_the_answer_takes_it(theirs: bool) -> None:
    """RFC 5761 5.1.1: whoever does not know it leaves it out, and two ports are used."""
    call = negotiation()
    sdp, stream = call.describe(None, 20000)
    assert stream is None
    assert b"a=rtcp-mux\r\n" in sdp
    lines: list[Any] = ["a=rtcp-mux"] if theirs else []
    assert call.take(described(AUDIO, *lines)).rtcp_mux == theirs
