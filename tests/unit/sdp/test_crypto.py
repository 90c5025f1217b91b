"""Keys of SRTP in offer and answer (RFC 4568): exactly one is answered, and no doubtful one is taken."""

from __future__ import annotations

import base64

import pytest

from gateway.errors import SdpError
from gateway.sdp import SUITES, SrtpKeys, SrtpTerms, accept, answer, offer, parse
from tests.unit.sdp.test_negotiation import US, described

KEYS = {suite: bytes([number]) * size for number, (suite, size) in enumerate(SUITES.items(), 1)}
OFF, PREFER, REQUIRE = SrtpTerms(), SrtpTerms("prefer", KEYS), SrtpTerms("require", KEYS)
SECURE, PLAIN = "m=audio 4000 RTP/SAVP 0", "m=audio 4002 RTP/AVP 0"
SHA1_80, SHA1_32, GCM = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM"
THEIRS = bytes(range(30))


def crypto(suite: str = SHA1_80, key: bytes = THEIRS, *, tag: str = "1", tail: str = "") -> str:
    return f"a=crypto:{tag} {suite} inline:{base64.b64encode(key).decode()}{tail}"


def crypto_lines(sdp: bytes) -> list[str]:
    return [line for line in sdp.decode().split("\r\n") if line.startswith("a=crypto")]


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("terms", [PREFER, REQUIRE])
def test_one_key_is_answered_with_the_tag_and_suite_of_the_offer(suite: str, terms: SrtpTerms) -> None:
    theirs = THEIRS[: SUITES[suite]]
    unknown = "a=crypto:3 AES_256_CM_HMAC_SHA1_80 inline:anything"
    agreement = answer(described(SECURE, unknown, crypto(suite, theirs, tag="7"), crypto(tag="8")), US, 1, srtp=terms)
    assert agreement.stream.srtp == SrtpKeys(suite, receive=theirs, send=KEYS[suite])
    assert crypto_lines(agreement.sdp) == [crypto(suite, KEYS[suite], tag="7")]
    assert b"m=audio 20000 RTP/SAVP 0" in agreement.sdp


def test_keys_are_not_printed() -> None:
    agreement = answer(described(SECURE, crypto()), US, 1, srtp=PREFER)
    assert repr(THEIRS) not in repr(agreement.stream)
    assert repr(KEYS[SHA1_80]) not in repr(agreement.stream) + repr(PREFER)


def test_a_secure_line_is_preferred_to_a_plain_one() -> None:
    both = described(PLAIN, SECURE, crypto())
    assert answer(both, US, 1, srtp=PREFER).stream.remote[1] == 4000
    assert answer(both, US, 1, srtp=REQUIRE).stream.remote[1] == 4000
    plain = answer(both, US, 1, srtp=OFF)
    assert (plain.stream.remote[1], plain.stream.srtp, crypto_lines(plain.sdp)) == (4002, None, [])


def test_keys_on_a_plain_line() -> None:
    """RFC 8643: who may take them does, the others ignore them."""
    line = described(PLAIN, crypto())
    for terms in (PREFER, REQUIRE):
        agreement = answer(line, US, 1, srtp=terms)
        assert agreement.stream.srtp is not None
        assert b"RTP/AVP 0" in agreement.sdp
    assert answer(line, US, 1, srtp=OFF).stream.srtp is None


@pytest.mark.parametrize(
    ("terms", "lines"),
    [
        (OFF, [SECURE, crypto()]),
        (PREFER, [SECURE]),
        (REQUIRE, [SECURE]),
        (REQUIRE, [PLAIN]),
        (PREFER, [SECURE, "a=crypto:1 AES_256_CM_HMAC_SHA1_80 inline:anything"]),
        (PREFER, [SECURE, crypto(tail="|2^20|1:4")]),  # MKI
        (PREFER, [SECURE, crypto(tail="|1:4")]),
        (PREFER, [SECURE, crypto(tail="|2^10")]),  # we never rekey on our own
        (PREFER, [SECURE, crypto(tail=";inline:AAAA")]),  # several keys
        (PREFER, [SECURE, crypto(tail=" UNENCRYPTED_SRTP")]),
        (PREFER, [SECURE, crypto(tail=" KDR=1")]),
    ],
)
def test_what_cannot_be_agreed_on_is_refused(terms: SrtpTerms, lines: list[str]) -> None:
    with pytest.raises(SdpError) as refused:
        answer(described(*lines), US, 1, srtp=terms)
    assert refused.value.warning == 304


@pytest.mark.parametrize("tail", ["|2^31", "|2147483648", " WSH=128", " -KDR=3", "|2^48 WSH=64"])
def test_what_we_can_live_with_is_taken(tail: str) -> None:
    assert answer(described(SECURE, crypto(tail=tail)), US, 1, srtp=PREFER).stream.srtp is not None


def test_base64_without_its_padding() -> None:
    line = crypto(GCM, THEIRS[:28]).rstrip("=")
    keys = answer(described(SECURE, line), US, 1, srtp=PREFER).stream.srtp
    assert keys is not None
    assert keys.receive == THEIRS[:28]


@pytest.mark.parametrize(
    "bad",
    [
        [crypto(key=THEIRS[:29])],
        [crypto(key=THEIRS + b"x")],
        [crypto(GCM)],
        [crypto(tag="x")],
        [crypto(tag="1234567890")],
        [crypto(), crypto(SHA1_32)],  # the tag twice
        [crypto(tail="|2^31|x")],
        [crypto(tail="|2^31|1:4|1")],
        [crypto(tail="|1:4|2^31")],
        [crypto(tail=" what?")],
        [f"a=crypto:1 {SHA1_80}"],
        [f"a=crypto:1 {SHA1_80} outline:AAAA"],
        [f"a=crypto:1 {SHA1_80} inline:****"],
        [f"a=crypto:1 {SHA1_80} inline:"],
        ["a=crypto:"],
        ["a=crypto"],
        [crypto(tag=str(number)) for number in range(1, 18)],
    ],
)
def test_a_malformed_line_refuses_the_description(bad: list[str]) -> None:
    for terms in (PREFER, REQUIRE):
        with pytest.raises(SdpError):
            answer(described(SECURE, *bad), US, 1, srtp=terms)


@pytest.mark.parametrize(("terms", "profile"), [(OFF, "RTP/AVP"), (PREFER, "RTP/AVP"), (REQUIRE, "RTP/SAVP")])
def test_our_offer_and_our_answer_agree(terms: SrtpTerms, profile: str) -> None:
    ours = offer(US, 1, srtp=terms)
    assert parse(ours).media[0].protocol == profile
    assert len(crypto_lines(ours)) == (0 if terms is OFF else 3)
    other = SrtpTerms("prefer", {suite: bytes([9]) * size for suite, size in SUITES.items()})
    agreement = answer(ours, US, 2, srtp=other)
    here, there = accept(agreement.sdp, ours).srtp, agreement.stream.srtp
    if terms is OFF:
        assert here is there is None
    else:
        assert here is not None
        assert there is not None
        assert (here.suite, here.receive, here.send) == (there.suite, there.send, there.receive)


def test_a_plain_answer_to_keys_on_a_plain_line() -> None:
    assert accept(described(PLAIN), offer(US, 1, srtp=PREFER)).srtp is None


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [crypto(tag="1")],  # a suite that has another tag
        [crypto(tag="4")],
        [crypto(tag="2"), crypto(SHA1_32, tag="3")],
        [crypto("AES_256_CM_HMAC_SHA1_80", tag="2")],
        [crypto(tag="2", tail=" UNENCRYPTED_SRTP")],
        [crypto(tag="2", key=b"short")],
    ],
)
def test_an_answer_with_anything_but_one_of_our_lines_is_refused(lines: list[str]) -> None:
    with pytest.raises(SdpError):
        accept(described(SECURE, *lines), offer(US, 1, srtp=REQUIRE))
