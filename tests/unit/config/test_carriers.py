"""An INVITE as each carrier's public pages show it, against the example for it: taken, and read right.

The numbers and hosts are of documentation ranges; what is peculiar is kept: host names in Contact and Record-Route, an
inner address in Contact, parameters within the number, keys with a lifetime, codecs that nobody else has.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway import cli
from tests.unit.config.test_examples import SECRETS

EXAMPLES = Path(__file__).parents[3] / "config/examples"


@dataclass(frozen=True)
class Carrier:
    name: str
    source: str
    uri: str
    caller: str
    headers: tuple[str, ...]
    media: tuple[str, ...]
    who: str
    """What is told of the caller."""
    agreed: str
    transport: str = "udp"
    tls_name: str = ""

    def invite(self) -> str:
        lines = [
            f"INVITE {self.uri} SIP/2.0", f"Via: SIP/2.0/{self.transport.upper()} {self.source};branch=z9hG4bK1;rport",
            "Max-Forwards: 64", f"From: {self.caller};tag=1", f"To: <{self.uri}>", "Call-ID: 1@carrier",
            "CSeq: 1 INVITE", *self.headers, "Content-Type: application/sdp", "", "v=0",
            "o=- 1 1 IN IP4 198.51.100.40", "s=session", "c=IN IP4 198.51.100.40", "t=0 0", *self.media, "",
        ]  # fmt: skip
        return "\n".join(lines)


CARRIERS = [
    Carrier(
        "teams-sbc", "198.51.100.4:4711",
        "sip:+493012345678@gateway.example.com:5061;user=phone;transport=tls",
        '"A B" <sip:+493011111@sbc.example.com:5061>',
        (
            "Record-Route: <sip:sip-du-a-eu.pstnhub.example.com:5061;transport=tls;lr>",
            "Contact: <sip:api-du-a-euwe.pstnhub.example.com:443;x-i=7a;x-c=b/s/1>",
            "P-Asserted-Identity: <tel:+493022222>,<sip:user@tenant.example.com>", "Privacy: none",
            "Supported: histinfo", "History-Info: <sip:+493012345678@sbc.example.com>;index=1",
        ),
        (
            "m=audio 52290 RTP/SAVP 104 9 103 111 18 0 8 97 101 13 118", "a=rtcp:52291",
            "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:V/Lr6Lsvhad/crUB8kBwr1R8iHpW6XlhXEBXyOlA|2^31",
            "a=sendrecv", "a=rtpmap:104 SILK/16000", "a=rtpmap:9 G722/8000", "a=rtpmap:103 SILK/8000",
            "a=rtpmap:111 SIREN/16000", "a=fmtp:111 bitrate=16000", "a=rtpmap:18 G729/8000", "a=fmtp:18 annexb=no",
            "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", "a=rtpmap:97 RED/8000", "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-16", "a=rtpmap:13 CN/8000", "a=rtpmap:118 CN/16000", "a=ptime:20",
        ),
        "+493022222", "G722/8000", "tls", "sbc.example.com",
    ),
    Carrier(
        "twilio", "54.172.60.2:5060", "sip:+12125550100@203.0.113.7:5060;transport=udp",
        '"+12125551212" <sip:+12125551212@example.pstn.twilio.com>',
        (
            "Record-Route: <sip:54.172.60.2:5060;lr;ftag=1>", "Contact: <sip:+12125551212@172.18.10.20:5060>",
            "P-Asserted-Identity: <sip:+12125551212;verstat=TN-Validation-Passed-A@206.147.72.6:5060>",
            'Diversion: <sip:+12125550111@twilio.com>;reason=unconditional', "X-Twilio-CallSid: CA1",
        ),
        ("m=audio 15278 RTP/AVP 0 8 101", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", "a=maxptime:20"),
        "+12125551212", "PCMU/8000",
    ),
    Carrier(
        "telnyx", "192.76.120.10:5060", "sip:linecard@203.0.113.7:5060", "<sip:+12125551212@192.76.120.10>",
        (
            "Record-Route: <sip:192.76.120.10;r2=on;lr;ftag=1>",
            "Contact: <sip:mod_sofia@10.13.37.2:5060;alias=10.0.0.1~5070~1>",
            'P-Asserted-Identity: "+12125551212" <sip:+12125551212@10.13.37.2>',
        ),
        ("m=audio 24540 RTP/AVP 9 0 8 101", "a=rtpmap:101 telephone-event/8000", "a=rtcp:24541 IN IP4 198.51.100.40"),
        "+12125551212", "G722/8000",
    ),
    Carrier(
        "bandwidth", "67.231.2.12:5060", "sip:+12125550100;npdi;rn=+12125550000@203.0.113.7:5060",
        '"CALLER" <sip:+12125551212@67.231.2.12;isup-oli=0>',
        (
            "Contact: <sip:+12125551212@67.231.2.12:5060>", "P-Asserted-Identity: <sip:+12125551212@67.231.2.12:5060>",
            "Allow: INVITE,ACK,CANCEL,BYE,REFER,OPTIONS,NOTIFY,SUBSCRIBE,PRACK,UPDATE", "Supported: 100rel",
        ),
        ("m=audio 9052 RTP/AVP 0 18 101", "a=rtpmap:18 G729/8000", "a=rtpmap:101 telephone-event/8000"),
        "+12125551212", "PCMU/8000",
    ),
    Carrier(
        "five9", "198.51.100.10:5060", "sip:912125550100@203.0.113.7;transport=tcp", "<sip:12125551212@198.51.100.10>",
        ("Contact: <sip:12125551212@198.51.100.10:5060;transport=tcp>", "X-Campaign: 42", "X-Agent: none"),
        ("m=audio 30000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000", "a=ptime:20"),
        "+12125551212", "PCMU/8000", "tcp",
    ),
    Carrier(
        "asterisk", "192.0.2.10:5060", "sip:1000@192.0.2.7:5060", '"Front desk" <sip:030123456@192.0.2.10>',
        (
            "Contact: <sip:asterisk@192.0.2.10:5060>", "Supported: 100rel, timer, replaces, norefersub, histinfo",
            "Session-Expires: 1800", "Min-SE: 90",
            'Authorization: Digest username="asterisk", realm="linecard", nonce="1", uri="sip:1000@h", response="2"',
        ),
        ("m=audio 14228 RTP/AVP 8 9 101", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", "a=maxptime:150"),
        "+4930123456", "G722/8000",
    ),
    Carrier(
        "kamailio", "192.0.2.11:5060", "sip:4711@192.0.2.7", "<sip:+493011111@carrier.example>",
        (
            "Record-Route: <sip:192.0.2.11;lr=on;did=5a7.1>", "Contact: <sip:+493011111@192.0.2.99:5060>",
            "P-Asserted-Identity: <sip:+493022222@carrier.example>",
        ),
        ("m=audio 4000 RTP/AVPF 8 0 101", "a=rtpmap:101 telephone-event/8000"),
        "+493022222", "PCMA/8000",
    ),
]  # fmt: skip


@pytest.fixture(autouse=True)
def groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kinds that are really registered, not those that other tests make up."""
    for name in SECRETS:
        monkeypatch.setenv(name, "secret")


@pytest.mark.parametrize("carrier", CARRIERS, ids=lambda one: str(one.name))
def test_its_call_is_taken(carrier: Carrier, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "call.sip").write_text(carrier.invite())
    how = ["--source", carrier.source, "--transport", carrier.transport]
    how += ["--tls-name", carrier.tls_name] if carrier.tls_name else []
    status = cli.main(["explain", str(tmp_path / "call.sip"), str(EXAMPLES / f"{carrier.name}.yaml"), *how])
    said = " ".join(capsys.readouterr().out.split())
    assert status == 0, said
    assert f"caller {carrier.who} " in said
    assert f"media {carrier.agreed} with 198.51.100.40:" in said


def test_every_example_has_its_call() -> None:
    assert sorted(one.name for one in CARRIERS) == sorted(path.stem for path in EXAMPLES.glob("*.yaml"))
