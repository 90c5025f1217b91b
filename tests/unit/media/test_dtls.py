"""DTLS-SRTP on a leg: the handshake shares the port with the media, which wait for it (RFC 5764, RFC 7983)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codecs_ext import rtp
from codecs_ext.g711 import ulaw_to_linear
from gateway.media.dtls import Association, DtlsError, Identity
from gateway.media.handshake import Handshake
from gateway.media.srtp import load_srtp
from gateway.sdp import DtlsPeer, SrtpKeys
from tests.unit.media.dtls_peer import DtlsPhone, dtls_phone, fingerprint_of, is_dtls
from tests.unit.media.peer import Ear, phone_running, plane_running
from tests.unit.media.test_rtcp import until

WHO, OTHER = Identity(), Identity()


@pytest.fixture(autouse=True, scope="module")
def _library() -> None:
    load_srtp()


def pair(client: Identity = WHO, server: Identity = OTHER) -> tuple[Association, Association]:
    """Two ends that know each other."""
    return (
        Association(client, DtlsPeer("active", (fingerprint_of(server.fingerprint),))),
        Association(server, DtlsPeer("passive", (fingerprint_of(client.fingerprint),))),
    )


def talk(client: Association, server: Association, lose: Callable[[], bool] = lambda: False) -> None:
    """Until nobody says anything any more."""
    while datagrams := [(server, one) for one in client.outgoing()] + [(client, one) for one in server.outgoing()]:
        for end, datagram in datagrams:
            if not lose():
                end.receive(datagram)


# --- the association alone --------------------------------------------------------------------------------------------


def test_both_ends_make_the_same_keys() -> None:
    client, server = pair()
    client.start()
    server.start()
    talk(client, server)
    assert client.keys is not None
    assert server.keys is not None
    assert client.keys.suite == server.keys.suite == "AEAD_AES_128_GCM"
    assert (client.keys.send, client.keys.receive) == (server.keys.receive, server.keys.send)
    assert len(client.keys.send) == 28
    assert client.keys.send != client.keys.receive


def test_a_far_end_with_the_old_profile_alone() -> None:
    old = Identity()
    old.context.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_80")
    client, server = pair(old)
    client.start()
    talk(client, server)
    assert server.keys is not None
    assert server.keys.suite == "AES_CM_128_HMAC_SHA1_80"
    assert len(server.keys.send) == 30


def test_no_common_profile_is_a_failure() -> None:
    odd = Identity()
    odd.context.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_32")
    client, server = pair(odd)
    client.start()
    with pytest.raises(DtlsError, match="SRTP profile"):
        talk(client, server)


@pytest.mark.parametrize("whose", ["active", "passive"])
def test_another_certificate_than_was_signalled_is_a_failure(whose: str) -> None:
    wrong = (fingerprint_of(Identity().fingerprint),)
    client, server = pair()
    if whose == "active":
        client = Association(WHO, DtlsPeer("active", wrong))
    else:
        server = Association(OTHER, DtlsPeer("passive", wrong))
    client.start()
    with pytest.raises(DtlsError, match="fingerprint"):
        talk(client, server)
    assert (client if whose == "active" else server).keys is None


def test_all_fingerprints_have_to_fit() -> None:
    right = fingerprint_of(OTHER.fingerprint)
    client = Association(WHO, DtlsPeer("active", (right, ("sha-512", bytes(64)))))
    _, server = pair()
    client.start()
    with pytest.raises(DtlsError, match="fingerprint"):
        talk(client, server)


def test_datagrams_are_whole_records_of_a_size_that_no_path_fragments() -> None:
    client, server = pair()
    client.start()
    server.receive(client.outgoing()[0])
    flight = server.outgoing()
    assert flight
    for datagram in flight:
        start = 0
        while start < len(datagram):
            start += 13 + int.from_bytes(datagram[start + 11 : start + 13], "big")
        assert start == len(datagram) <= 1200


GARBAGE = st.one_of(
    st.binary(min_size=0, max_size=200),
    st.builds(
        lambda kind, version, body: bytes([kind]) + version + bytes(8) + len(body).to_bytes(2, "big") + body,
        st.integers(20, 63),
        st.sampled_from([b"\xfe\xfd", b"\xfe\xff", b"\xfe\xfc", b"\x00\x00"]),
        st.binary(max_size=300),
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(GARBAGE, min_size=1, max_size=8), st.sampled_from(["active", "passive"]))
def test_whatever_comes_raises_nothing_but_its_error(datagrams: list[bytes], role: str) -> None:
    association = Association(WHO, DtlsPeer(role, (fingerprint_of(OTHER.fingerprint),)))  # type: ignore[arg-type]
    try:
        association.start()
        for datagram in datagrams:
            association.receive(datagram)
            association.outgoing()
    except DtlsError:
        pass
    assert association.keys is None


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_a_handshake_with_octets_that_were_changed_never_makes_other_keys(seed: int) -> None:
    chance = random.Random(seed)
    client, server = pair()
    ends = {id(client): server, id(server): client}
    try:
        client.start()
        for _ in range(8):
            for end in (client, server):
                for datagram in end.outgoing():
                    changed = bytearray(datagram)
                    if chance.random() < 0.3:
                        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
                    ends[id(end)].receive(bytes(changed))
    except DtlsError:
        pass
    if client.keys is not None and server.keys is not None:
        assert (client.keys.suite, client.keys.send) == (server.keys.suite, server.keys.receive)


# --- timers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", [{"client": (0, 1), "server": (0,)}, {"client": (2,), "server": (1,)}])
async def test_lost_datagrams_are_sent_again_by_the_clock_of_the_loop(gone: dict[str, tuple[int, ...]]) -> None:
    """The second time it is the last flights: the server is done, and answers all the same who repeats its own."""
    made: asyncio.Queue[SrtpKeys] = asyncio.Queue()
    sent = {"client": 0, "server": 0}
    ends: dict[str, Handshake] = {}
    loop = asyncio.get_running_loop()

    def carry(name: str, other: str) -> Callable[[bytes, bytes], None]:
        def send(datagram: bytes, _: bytes) -> None:
            sent[name] += 1
            if sent[name] - 1 not in gone[name]:
                loop.call_soon(ends[other].receive, datagram, b"there")

        return send

    def never(reason: str) -> None:
        raise AssertionError(reason)

    for name, other, identity, peer, role in (
        ("client", "server", WHO, OTHER, "active"),
        ("server", "client", OTHER, WHO, "passive"),
    ):
        shown = DtlsPeer(role, (fingerprint_of(peer.fingerprint),))  # type: ignore[arg-type]
        ends[name] = Handshake(identity, shown, carry(name, other), made.put_nowait, never)
    for end in ends.values():
        end.start()
    async with asyncio.timeout(30):
        assert (await made.get()).suite == (await made.get()).suite
    for end in ends.values():
        end.close()


# --- a leg ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["active", "passive"])
async def test_media_flow_both_ways_once_the_handshake_is_over(role: str) -> None:
    async with plane_running() as plane, dtls_phone(plane, role) as phone:
        ear = Ear()
        leg = plane.open_leg(ear, uplink_rate=8000)
        leg.connect(phone.stream())
        assert not leg.secured
        await phone.shake(leg)
        assert await ear.wait("secured") == (None,)
        assert leg.secured
        payload = bytes(range(160))
        phone.socket.sendto(phone.sealed(0, payload), leg.local)
        assert (await ear.wait("audio"))[0] == ulaw_to_linear(payload)
        heard = rtp.parse(phone.incoming.unprotect(await _media(phone)))
        assert heard is not None
        assert heard[5] == b"\xff" * 160


async def _media(phone: DtlsPhone) -> bytes:
    while True:
        data = await phone.next()
        if not is_dtls(data) and not 192 <= data[1] <= 223:
            return data


async def test_media_before_the_handshake_are_dropped_and_counted() -> None:
    async with plane_running() as plane, dtls_phone(plane, "active") as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        for _ in range(5):
            phone.send(leg)
        stats = await until(leg, lambda stats: stats.packets_unkeyed >= 8)  # five of theirs, and silence of ours
        assert (stats.packets_received, stats.packets_sent) == (0, 0)
        assert ear.named("audio") == []
        await phone.shake(leg)
        await ear.wait("secured")
        phone.send(leg)  # plain
        await until(leg, lambda stats: stats.packets_refused == 1)
        phone.socket.sendto(phone.sealed(0), leg.local)
        await ear.wait("audio")


async def test_a_wrong_certificate_is_told_and_nothing_flows() -> None:
    async with plane_running() as plane, dtls_phone(plane, "active") as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream(dtls=phone.shown(fingerprints=(("sha-256", bytes(32)),))))
        phone.association.start()
        phone.flush(leg)
        for _ in range(3):
            phone.association.receive(await phone.next())
            phone.flush(leg)
            if ear.named("secured"):
                break
        (reason,) = await ear.wait("secured")
        assert "fingerprint" in reason
        phone.send(leg)
        stats = await until(leg, lambda stats: stats.packets_unkeyed > 3)
        assert (stats.packets_received, stats.packets_sent) == (0, 0)


async def test_the_same_fingerprint_goes_on_and_another_one_begins_anew() -> None:
    async with plane_running() as plane, dtls_phone(plane, "active") as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        await phone.shake(leg)
        first = phone.sealed(0)
        phone.socket.sendto(first, leg.local)
        await ear.wait("audio")
        leg.connect(phone.stream(ptime_ms=40))
        assert leg.secured
        for data in (first, phone.sealed(1)):
            phone.socket.sendto(data, leg.local)
        await until(leg, lambda stats: stats.packets_refused == 1)  # the replay window has gone on
        await ear.wait("audio", 2)
        old = phone.sealed(2)
        phone.identity = Identity()
        phone.renew(plane)
        leg.connect(phone.stream())
        assert not leg.secured
        before = leg.stats().packets_unkeyed
        phone.socket.sendto(old, leg.local)
        await until(leg, lambda stats: stats.packets_unkeyed > before)
        await phone.shake(leg)
        await ear.wait("secured", 2)
        phone.socket.sendto(old, leg.local)
        await until(leg, lambda stats: stats.packets_refused >= 2)
        phone.socket.sendto(phone.sealed(3), leg.local)
        await ear.wait("audio", 3)


async def test_from_dtls_to_keys_in_the_description_and_back() -> None:
    keys = SrtpKeys("AES_CM_128_HMAC_SHA1_80", receive=bytes(30), send=bytes([1]) * 30)
    async with plane_running() as plane, dtls_phone(plane, "active") as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream(dtls=None, srtp=keys))
        assert leg.secured
        leg.connect(phone.stream())
        assert not leg.secured
        await phone.shake(leg)
        await ear.wait("secured")
        leg.connect(phone.stream(dtls=None, srtp=keys))
        assert leg.secured
        phone.socket.sendto(phone.sealed(0), leg.local)
        await until(leg, lambda stats: stats.packets_refused == 1)


async def test_datagrams_are_told_apart_by_their_first_octet() -> None:
    """RFC 7983 7. What is neither RTP nor DTLS is refused, before and after the handshake."""
    async with plane_running() as plane, dtls_phone(plane, "active") as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream(send=False))
        for first in range(256):
            phone.socket.sendto(bytes([first]) + bytes(5), leg.local)  # too short for a record of DTLS
            await asyncio.sleep(0)
        await until(leg, lambda stats: stats.packets_unkeyed > 100)
        assert not leg.secured
        await phone.shake(leg)
        await ear.wait("secured")
        phone.socket.sendto(phone.sealed(0), leg.local)
        await ear.wait("audio")
        before = leg.stats().packets_received
        for first in (0, 3, 16, 64, 79, 120, 192, 255):
            phone.socket.sendto(bytes([first]) + bytes(40), leg.local)
        await until(leg, lambda stats: stats.packets_refused >= 8)
        assert leg.stats().packets_received == before


async def test_a_flood_of_handshakes_is_cut_off_in_the_plane() -> None:
    async with plane_running() as plane, dtls_phone(plane, "active") as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        record = bytes([23, 0xFE, 0xFD]) + bytes(8) + (20).to_bytes(2, "big") + bytes(20)
        for number in range(300):
            phone.socket.sendto(record, leg.local)
            if number % 20 == 0:
                await asyncio.sleep(0.005)
        await until(leg, lambda stats: stats.packets_refused > 50)
        assert not leg.secured


async def test_a_plain_leg_takes_no_handshake() -> None:
    async with plane_running() as plane, phone_running() as phone:
        leg = plane.open_leg(Ear())
        leg.connect(phone.stream())
        phone.socket.sendto(bytes([22, 0xFE, 0xFD]) + bytes(40), leg.local)
        await until(leg, lambda stats: stats.packets_refused == 1)


async def test_two_of_our_own_legs_key_each_other() -> None:
    async with plane_running() as plane:
        ears = Ear(), Ear()
        legs = [plane.open_leg(ear) for ear in ears]
        shown = (fingerprint_of(plane.fingerprint),)
        async with phone_running() as template:
            for leg, other, role in ((legs[0], legs[1], "active"), (legs[1], legs[0], "passive")):
                stream = template.stream(rtcp_mux=True, dtls=DtlsPeer(role, shown))  # type: ignore[arg-type]
                leg.connect(replace(stream, remote=other.local))
        for ear in ears:
            assert await ear.wait("secured") == (None,)
            await ear.wait("audio", 5)


async def test_a_leg_that_ends_in_its_handshake_leaves_nothing() -> None:
    async with plane_running() as plane, dtls_phone(plane, "passive") as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        assert is_dtls(await phone.next())
        leg.close()
        await ear.wait("closed")
        assert ear.named("secured") == []
