from __future__ import annotations

import pytest

from gateway.errors import SdpError
from gateway.sdp import parse

FULL = b"""v=0
o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1
s=Call to John Smith
i=SDP Offer #1
u=http://www.jdoe.example.com/home.html
e=Jane Doe <jane@jdoe.example.com>
c=IN IP4 198.51.100.1/127
b=X-YZ:128
t=3724394400 99999999999999999999
r=604800 3600 0 90000
x=unknown line
a=recvonly
m=audio 49170/2 RTP/AVP 0 96 200 3
c=IN IP6 2001:db8::2
b=AS:64
a=rtpmap:96 telephone-event/8000/1
a=fmtp:96 0-15
a=ptime:30
a=unknown:attribute
a=sendrecv
m=video 0 RTP/SAVP 99
"""


@pytest.mark.parametrize("data", [FULL, FULL.replace(b"\n", b"\r\n")])
def test_what_an_audio_endpoint_reads(data: bytes) -> None:
    description = parse(data)
    assert (description.session_id, description.version) == ("3724394400", "3724394405")
    audio, video = description.media
    assert (audio.kind, audio.port, audio.protocol, audio.host) == ("audio", 49170, "RTP/AVP", "2001:db8::2")
    assert (audio.direction, audio.ptime_ms) == ("sendrecv", 30)
    names = [(codec.payload_type, codec.name, codec.rate, codec.fmtp) for codec in audio.codecs]
    assert names == [(0, "PCMU", 8000, ""), (96, "TELEPHONE-EVENT", 8000, "0-15"), (3, "GSM", 8000, "")]
    assert (video.port, video.direction, video.host) == (0, "recvonly", "198.51.100.1")


@pytest.mark.parametrize(
    "wrong",
    [
        b"", b"o=x", b"v=1\no=- 1 1 IN IP4 h\n", b"v=0\no=- 1 1 IN IP4\n", FULL.replace(b"49170/2", b"99999"),
        FULL.replace(b"49170/2", b"x"), FULL.replace(b"c=IN IP6", b"c=IP6"), FULL.replace(b"m=video 0", b"m=video"),
        FULL.replace(b"s=Call", b"no equals sign"), FULL * 40, FULL + b"m=audio 0 RTP/AVP 0\n" * 16,
        FULL.replace(b"200 3", b"3 " * 65),
    ],
)  # fmt: skip
def test_malformed_descriptions(wrong: bytes) -> None:
    with pytest.raises(SdpError):
        parse(wrong)
