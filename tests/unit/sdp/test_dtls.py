"""DTLS-SRTP in offer and answer (RFC 5763, 8122, 8842): roles, fingerprints, and what is not taken."""

from __future__ import annotations

import pytest

from gateway.errors import SdpError
from gateway.sdp import SUITES, DtlsPeer, SrtpTerms, accept, answer, offer, parse
from tests.unit.sdp.test_crypto import crypto
from tests.unit.sdp.test_negotiation import US, described

KEYS = {suite: bytes([number]) * size for number, (suite, size) in enumerate(SUITES.items(), 1)}
OURS, THEIRS = "sha-256 " + ":".join(["AB"] * 32), "sha-256 " + ":".join(["cd"] * 32)
SHOWN = (("sha-256", b"\xcd" * 32),)
PREFER = SrtpTerms("prefer", KEYS, ("dtls",), OURS)
REQUIRE = SrtpTerms("require", KEYS, ("dtls",), OURS)
BOTH = SrtpTerms("prefer", KEYS, ("sdes", "dtls"), OURS)
DTLS, PLAIN, SECURE = "m=audio 4000 UDP/TLS/RTP/SAVP 0", "m=audio 4002 RTP/AVP 0", "m=audio 4004 RTP/SAVP 0"


def lines(setup: str = "actpass", fingerprint: str = THEIRS) -> list[str]:
    return ["a=rtcp-mux", f"a=setup:{setup}", f"a=fingerprint:{fingerprint}"]


def attributes(sdp: bytes, *names: str) -> list[str]:
    return [line for line in sdp.decode().split("\r\n") if line.removeprefix("a=").partition(":")[0] in names]


@pytest.mark.parametrize("profile", ["UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"])
@pytest.mark.parametrize("terms", [PREFER, REQUIRE])
@pytest.mark.parametrize(
    ("setup", "ours"), [("actpass", "active"), ("active", "passive"), ("passive", "active"), ("ACTPASS", "active")]
)
def test_an_offer_is_answered_with_its_profile_a_role_and_our_fingerprint(
    profile: str, terms: SrtpTerms, setup: str, ours: str
) -> None:
    agreement = answer(described(f"m=audio 4000 {profile} 0", *lines(setup)), US, 1, srtp=terms)
    assert agreement.stream.dtls == DtlsPeer(ours, SHOWN)  # type: ignore[arg-type]
    assert agreement.stream.srtp is None
    assert agreement.stream.rtcp_mux
    assert f"m=audio 20000 {profile} 0".encode() in agreement.sdp
    assert attributes(agreement.sdp, "setup", "fingerprint", "rtcp-mux", "crypto") == [
        "a=rtcp-mux", f"a=setup:{ours}", f"a=fingerprint:{OURS}"
    ]  # fmt: skip


def test_what_the_session_says_holds_for_its_lines() -> None:
    text = described(DTLS, "a=rtcp-mux").decode()
    text = text.replace("m=audio", f"a=setup:active\r\na=fingerprint:{THEIRS}\r\nm=audio", 1)
    assert answer(text.encode(), US, 1, srtp=REQUIRE).stream.dtls == DtlsPeer("passive", SHOWN)


def test_of_the_fingerprints_those_of_strong_hashes_count() -> None:
    long = "sha-512 " + ":".join(["01"] * 64)
    others = [f"a=fingerprint:{long}", "a=fingerprint:sha-1 " + ":".join(["01"] * 20), "a=fingerprint:md5 01"]
    found = answer(described(DTLS, *lines(), *others), US, 1, srtp=REQUIRE).stream.dtls
    assert found is not None
    assert found.fingerprints == (*SHOWN, ("sha-512", b"\x01" * 64))


@pytest.mark.parametrize("standing", ["active", "passive"])
def test_an_offer_in_mid_call_leaves_the_roles_as_they_are(standing: str) -> None:
    terms = SrtpTerms("require", KEYS, ("dtls",), OURS, standing)  # type: ignore[arg-type]
    found = answer(described(DTLS, *lines()), US, 1, srtp=terms).stream.dtls
    assert found is not None
    assert found.role == standing


def test_a_changed_fingerprint_or_tls_id_is_another_peer() -> None:
    base = answer(described(DTLS, *lines()), US, 1, srtp=REQUIRE).stream.dtls
    other = answer(described(DTLS, *lines(fingerprint=OURS)), US, 1, srtp=REQUIRE).stream.dtls
    named = answer(described(DTLS, *lines(), "a=tls-id:" + "x" * 20), US, 1, srtp=REQUIRE).stream.dtls
    assert len({base, other, named}) == 3


@pytest.mark.parametrize(
    ("terms", "described_by"),
    [
        (SrtpTerms(), [DTLS, *lines()]),
        (SrtpTerms("prefer", KEYS), [DTLS, *lines()]),  # keys of the description alone
        (REQUIRE, [PLAIN]),
        (REQUIRE, [SECURE, crypto()]),
        (REQUIRE, [DTLS, *lines()[1:]]),  # RTCP on a port of its own
        (REQUIRE, [DTLS, "a=rtcp-mux", "a=setup:actpass"]),
        (REQUIRE, [DTLS, *lines(fingerprint="sha-1 " + ":".join(["01"] * 20))]),
        (REQUIRE, [DTLS, *lines("holdconn")]),
        (PREFER, [DTLS, crypto()]),
    ],
)
def test_what_cannot_be_agreed_on_is_refused(terms: SrtpTerms, described_by: list[str]) -> None:
    with pytest.raises(SdpError) as refused:
        answer(described(*described_by), US, 1, srtp=terms)
    assert refused.value.warning == 304


@pytest.mark.parametrize(
    "bad",
    [
        lines("both"),
        lines()[:1] + lines()[2:],  # no setup
        [*lines(), "a=setup:active"],
        lines(fingerprint="sha-256"),
        lines(fingerprint="sha-256 AB:CD"),
        lines(fingerprint="sha-256 " + "AB" * 32),
        lines(fingerprint="sha-256 " + ":".join(["XY"] * 32)),
        [*lines(), "a=tls-id:short"],
        [*lines(), "a=tls-id:" + "x" * 20, "a=tls-id:" + "y" * 20],
        [*lines(), *lines()[2:] * 16],
    ],
)
def test_a_malformed_line_refuses_the_description(bad: list[str]) -> None:
    for terms in (PREFER, REQUIRE):
        with pytest.raises(SdpError):
            answer(described(DTLS, *bad), US, 1, srtp=terms)


def test_a_plain_line_with_a_fingerprint() -> None:
    """RFC 8643: who may take it does, with the profile of the offer; the others ignore it."""
    line = described(PLAIN, *lines())
    for terms in (PREFER, REQUIRE):
        agreement = answer(line, US, 1, srtp=terms)
        assert agreement.stream.dtls == DtlsPeer("active", SHOWN)
        assert b"m=audio 20000 RTP/AVP 0" in agreement.sdp
    assert answer(line, US, 1).stream.dtls is None


@pytest.mark.parametrize(("ways", "by_dtls"), [(("sdes", "dtls"), False), (("dtls", "sdes"), True)])
def test_the_first_way_that_is_offered_is_taken(ways: tuple[str, str], by_dtls: bool) -> None:
    terms = SrtpTerms("require", KEYS, ways, OURS)  # type: ignore[arg-type]
    stream = answer(described(PLAIN, *lines(), crypto()), US, 1, srtp=terms).stream
    assert (stream.dtls is not None, stream.srtp is not None) == (by_dtls, not by_dtls)
    assert answer(described(SECURE, crypto()), US, 1, srtp=terms).stream.srtp is not None
    assert answer(described(DTLS, *lines()), US, 1, srtp=terms).stream.dtls is not None


@pytest.mark.parametrize(("terms", "profile"), [(PREFER, "RTP/AVP"), (REQUIRE, "UDP/TLS/RTP/SAVP"), (BOTH, "RTP/AVP")])
def test_our_offer_and_our_answer_agree(terms: SrtpTerms, profile: str) -> None:
    ours = offer(US, 1, srtp=terms)
    assert parse(ours).media[0].protocol == profile
    assert attributes(ours, "setup", "fingerprint", "rtcp-mux") == [
        "a=rtcp-mux", "a=setup:actpass", f"a=fingerprint:{OURS}"
    ]  # fmt: skip
    other = SrtpTerms("prefer", KEYS, ("dtls",), THEIRS)
    agreement = answer(ours, US, 2, srtp=other)
    assert agreement.stream.dtls == DtlsPeer("active", (("sha-256", b"\xab" * 32),))
    here = accept(agreement.sdp, ours)
    assert (here.dtls, here.srtp, here.rtcp_mux) == (DtlsPeer("passive", SHOWN), None, True)


def test_an_offer_within_the_call_keeps_the_way_of_its_keys() -> None:
    ours = offer(US, 1, srtp=SrtpTerms("prefer", KEYS, ("sdes", "dtls"), OURS))
    by_dtls = answer(described(DTLS, *lines()), US, 1, srtp=BOTH).sdp
    again = offer(US, 1, srtp=BOTH, before=[parse(by_dtls), parse(described(DTLS, *lines()))], direction="sendonly")
    assert parse(again).media[0].protocol == "UDP/TLS/RTP/SAVP"
    assert attributes(again, "setup", "fingerprint") == ["a=setup:actpass", f"a=fingerprint:{OURS}"]
    assert attributes(again, "crypto") == []
    assert len(attributes(ours, "crypto")) == 3


def test_answers_to_an_offer_of_both_ways() -> None:
    ours = offer(US, 1, srtp=BOTH)
    assert len(attributes(ours, "crypto")) == 3
    plain = accept(described(PLAIN), ours)
    assert (plain.dtls, plain.srtp) == (None, None)
    keyed = accept(answer(ours, US, 2, srtp=SrtpTerms("prefer", KEYS)).sdp, ours)
    assert (keyed.dtls, keyed.srtp is not None) == (None, True)


@pytest.mark.parametrize(
    "theirs",
    [
        [],
        lines("actpass"),
        lines()[1:],
        lines("active")[1:],
        lines("active", "sha-1 " + ":".join(["01"] * 20)),
        lines("active", "sha-256 AB"),
        lines("holdconn"),
    ],
)
def test_an_answer_that_makes_no_handshake_is_refused(theirs: list[str]) -> None:
    with pytest.raises(SdpError):
        accept(described(DTLS, *theirs), offer(US, 1, srtp=REQUIRE))


def test_an_answer_that_takes_both_ways_is_refused() -> None:
    ours = offer(US, 1, srtp=BOTH)
    tag = answer(ours, US, 2, srtp=SrtpTerms("prefer", KEYS)).sdp
    both = tag.decode() + "\r\n".join(lines("active")) + "\r\n"
    with pytest.raises(SdpError, match="two ways"):
        accept(both.encode(), ours)
