"""Sessions of libsrtp2 as the plane holds them, against pylibsrtp's and against whatever may come."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from codecs_ext import rtcp, rtp
from codecs_ext.srtp import KEY_BYTES, PROFILES, Direction
from gateway.media.srtp import load_srtp

load_srtp()

US = 0x11223344
KEYS = {suite: bytes(range(1, size + 1)) for suite, size in KEY_BYTES.items()}


def packet(number: int) -> bytes:
    return rtp.build(0, False, number, number * 160, US, bytes([number & 0xFF] * 160))


@pytest.mark.parametrize("suite", PROFILES)
def test_both_libraries_read_each_other(suite: str) -> None:
    ours, theirs = Direction(suite, KEYS[suite], inbound=False, ssrc=US), Direction(suite, KEYS[suite], inbound=True)
    there = Session(Policy(KEYS[suite], Policy.SSRC_ANY_INBOUND, srtp_profile=PROFILES[suite]))
    back = Session(Policy(KEYS[suite], Policy.SSRC_ANY_OUTBOUND, srtp_profile=PROFILES[suite]))
    report = rtcp.build(US, b"0123456789abcdef")
    for number in (*range(5), 65_534, 65_535, 65_536, 65_537):
        sealed = ours.seal(packet(number))
        assert sealed is not None
        assert there.unprotect(sealed) == packet(number)
        assert theirs.open(back.protect(packet(number))) == packet(number)
    sealed = ours.seal(report, control=True)
    assert sealed is not None
    assert there.unprotect_rtcp(sealed) == report
    assert theirs.open(back.protect_rtcp(report), control=True) == report


def test_the_reference_packet_under_the_key_of_rfc_3711_b_3() -> None:
    """Key derivation, keystream and tag: the known answer of libsrtp's own driver."""
    key = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE41390EC675AD498AFEEBB6960B3AABE6")
    plain = bytes.fromhex("800f1234decafbadcafebabe") + b"\xab" * 16
    sealed = Direction("AES_CM_128_HMAC_SHA1_80", key, inbound=False, ssrc=0xCAFEBABE).seal(plain)
    assert sealed is not None
    assert sealed.hex() == "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb"


def test_the_window_holds_128_packets() -> None:
    suite = "AES_CM_128_HMAC_SHA1_80"
    out, into = Direction(suite, KEYS[suite], inbound=False, ssrc=US), Direction(suite, KEYS[suite], inbound=True)
    sealed = [out.seal(packet(number)) or b"" for number in range(200)]
    assert into.open(sealed[199]) is not None
    assert into.open(sealed[199 - 127]) is not None
    assert into.open(sealed[199 - 127]) is None
    assert into.open(sealed[199 - 128]) is None


@given(st.binary(max_size=300), st.booleans())
def test_any_octets(data: bytes, control: bool) -> None:
    for suite in PROFILES:
        assert Direction(suite, KEYS[suite], inbound=True).open(data, control) is None


@given(st.randoms())
def test_any_damage_is_seen(chance: random.Random) -> None:
    for suite in PROFILES:
        sealed = bytearray(Direction(suite, KEYS[suite], inbound=False, ssrc=US).seal(packet(1)) or b"")
        sealed[chance.randrange(len(sealed))] ^= 1 << chance.randrange(8)
        assert Direction(suite, KEYS[suite], inbound=True).open(sealed) is None


def test_a_key_of_another_size_is_misuse() -> None:
    with pytest.raises(ValueError, match="28 octets"):
        Direction("AEAD_AES_128_GCM", bytes(30), inbound=True)
