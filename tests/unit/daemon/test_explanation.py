"""`linecard explain` tells of an INVITE what the gate would do with it, and says so by its exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import cli
from gateway.sdp import offer

CONFIG = """
sip: {listen: "udp://192.0.2.1:5060"}
media: {address: 127.0.0.1}
plugs: {agent: {kind: echo}}
trunks:
  - {name: phones, from: [198.51.100.0/24], login: {user: pbx, password: secret}}
  - {name: carrier, from: [203.0.113.0/24], numbers: {region: DE}, srtp: "off", codecs: [pcma]}
routes:
  - {to: "+4930123*", plug: agent, trunks: [phones]}
  - {to: "+493012345678", plug: agent}
"""
SDP = offer(("203.0.113.9", 4000), 1)


@pytest.fixture
def explain(tmp_path: Path, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    (tmp_path / "linecard.yaml").write_text(CONFIG)

    def run(*options: str, to: str = "030 12345678", headers: str = "", sdp: bytes = SDP) -> tuple[int, str]:
        text = (
            f"\nINVITE sip:{to.replace(' ', '%20')}@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bK1\n"
            f"From: <sip:alice@x>;tag=1\nTo: <sip:x@y>\nCall-ID: a\nCSeq: 1 INVITE\nContact: <sip:203.0.113.9>\n"
            f"{headers}Content-Type: application/sdp\n\n"
        )
        (tmp_path / "call.sip").write_bytes(text.encode() + sdp)
        status = cli.main(["explain", str(tmp_path / "call.sip"), str(tmp_path / "linecard.yaml"), *options])
        return status, " ".join(capsys.readouterr().out.split())

    return run


def test_a_call_that_is_taken(explain) -> None:  # type: ignore[no-untyped-def]
    status, text = explain()
    assert status == 0
    assert "carrier: 203.0.113.9 is in 203.0.113.0/24" in text
    assert "+493012345678 fits '+493012345678': plug agent" in text
    assert "PCMA/8000 with 203.0.113.9:4000" in text
    assert "route +4930123* fits, but is for trunks phones only" in text
    assert text.endswith("200 OK: trunk carrier, plug agent")


@pytest.mark.parametrize(
    ("options", "changes", "told"),
    [
        (["--source", "192.0.2.66:5080"], {}, ["403 Forbidden", "carrier 192.0.2.66 is in none of 203.0.113.0/24"]),
        (["--source", "198.51.100.1"], {}, ["401 Unauthorized", "trunk phones wants a login: no credentials"]),
        ([], {"to": "+4930123456"}, ["404 Not Found", "looks like +4930123456, but does not fit it"]),
        ([], {"sdp": SDP.replace(b"RTP/AVP", b"RTP/SAVP")}, ["488 Not Acceptable Here"]),
        ([], {"sdp": SDP.replace(b" 0 8 ", b" 0 ")}, ["488 Not Acceptable Here", "no common codec"]),
    ],
)
def test_a_call_that_is_refused(explain, options: list[str], changes: dict[str, object], told: list[str]) -> None:  # type: ignore[no-untyped-def]
    status, text = explain(*options, **changes)
    assert status == 1
    assert all(one in text for one in told), text


def test_who_has_logged_in_is_believed_here(explain) -> None:  # type: ignore[no-untyped-def]
    login = 'Authorization: Digest username="pbx", realm="linecard", nonce="n", uri="sip:x", response="0"\n'
    status, text = explain("--source", "198.51.100.1", headers=login, to="+49301239")
    assert status == 0
    assert "phones: 198.51.100.1 is in 198.51.100.0/24, it has logged in as pbx" in text
    assert "The password of pbx is not verified here" in text


def test_a_peer_that_is_known_by_its_certificate(explain, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    secure = 'sip: {listen: "tls://192.0.2.1:5061", tls: {certificate: c.pem, key: k.pem, verify_client: true}}'
    names = "trunks:\n  - {name: teams, tls_names: [sip.example.com]}"
    config = CONFIG.replace('sip: {listen: "udp://192.0.2.1:5060"}', secure).replace("trunks:", names, 1)
    (tmp_path / "linecard.yaml").write_text(config)
    status, text = explain(
        "--source", "192.0.2.66", "--tls-name", "SIP.example.com", "--tls-name", "other", to="+493012345678"
    )
    assert status == 0
    assert "teams: its certificate proves sip.example.com" in text
    assert "over tls" in text
    assert "not verified" not in text


def test_what_is_no_invite_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "linecard.yaml").write_text(CONFIG)
    for content, problem in ((b"SIP/2.0 200 OK\n\n", "is a response"), (b"hello\n\n", "would be answered 400")):
        (tmp_path / "x.sip").write_bytes(content)
        assert cli.main(["explain", str(tmp_path / "x.sip"), str(tmp_path / "linecard.yaml")]) == 2
        assert problem in capsys.readouterr().err
    assert cli.main(["explain", "nowhere.sip", str(tmp_path / "linecard.yaml")]) == 2
