"""SRTP over real sockets, against pylibsrtp's sessions: what is forged, replayed or plain is not heard."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest
from pylibsrtp import Error, Policy, Session

from codecs_ext import rtcp, rtp, srtp
from codecs_ext.g711 import ulaw_to_linear
from gateway.errors import MisuseError, ResourceError
from gateway.media import srtp as finder
from gateway.media.leg import PlaneLeg
from gateway.sdp import SUITES, SrtpKeys
from tests.unit.media.peer import Ear, Phone, phone_running, plane_running
from tests.unit.media.test_leaks import GROWTH_KIB, resident_kib
from tests.unit.media.test_rtcp import CNAME, FAST, SOURCE, reporter, until

SHA1_80 = "AES_CM_128_HMAC_SHA1_80"


@pytest.fixture(autouse=True, scope="module")
def _library() -> None:
    assert finder.load_srtp().startswith("libsrtp2 2.")


class Secret:
    """The far end's two sessions. ``keys`` is what our leg is told."""

    def __init__(self, suite: str = SHA1_80, *, theirs: int = 1, ours: int = 2) -> None:
        size = SUITES[suite]
        self.keys = SrtpKeys(suite, receive=bytes([theirs] * size), send=bytes([ours] * size))
        profile = srtp.PROFILES[suite]
        self.outgoing = Session(Policy(self.keys.receive, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
        self.incoming = Session(Policy(self.keys.send, Policy.SSRC_ANY_INBOUND, srtp_profile=profile))

    def packet(self, number: int, payload: bytes = b"\xff" * 160) -> bytes:
        return self.outgoing.protect(rtp.build(0, False, number, number * 160, SOURCE, payload))


async def datagram(phone: Phone, wanted: Callable[[bytes], bool] = lambda _: True) -> bytes:
    async with asyncio.timeout(5):
        while True:
            data = await asyncio.get_running_loop().sock_recv(phone.socket, 2048)
            if wanted(data):
                return data


def is_report(data: bytes) -> bool:
    return 192 <= data[1] <= 223


@pytest.mark.parametrize("suite", SUITES)
async def test_audio_goes_both_ways(suite: str):
    async with plane_running() as plane, phone_running() as phone:
        ear, secret = Ear(), Secret(suite)
        leg = plane.open_leg(ear, uplink_rate=8000)
        leg.connect(phone.stream(srtp=secret.keys))
        payloads = [bytes([0x80 + number] * 160) for number in range(5)]
        for number, payload in enumerate(payloads):
            phone.socket.sendto(secret.packet(number, payload), leg.local)
        await ear.wait("audio", 5)
        assert [frame[0] for frame in ear.named("audio")] == [ulaw_to_linear(payload) for payload in payloads]
        for _ in range(3):
            sealed = await datagram(phone)
            opened = rtp.parse(secret.incoming.unprotect(sealed))
            assert opened is not None
            assert opened[5] == b"\xff" * 160
            assert sealed[12:172] != b"\xff" * 160


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("mux", [False, True])
async def test_reports_are_sealed_too(suite: str, mux: bool):
    async with plane_running(rtcp=FAST) as plane, reporter() as phone:
        secret = Secret(suite)
        leg = plane.open_leg(Ear())
        leg.connect(phone.stream(srtp=secret.keys, rtcp_mux=mux))
        if mux:
            sealed = await datagram(phone, is_report)
        else:
            sealed = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(phone.control, 2048), 5)
        assert rtcp.parse(sealed, 0) is None
        said = rtcp.parse(secret.incoming.unprotect_rtcp(sealed), 0)
        assert said is not None
        block = {"ssrc": said["sender"], "fraction": 9, "lost": 3, "highest": 0, "jitter": 0, "lsr": 0, "dlsr": 0}
        report = rtcp.build(SOURCE, CNAME, report=block)
        sealed = secret.outgoing.protect_rtcp(report)
        for data in (report, sealed, sealed):
            (phone.socket if mux else phone.control).sendto(data, (leg.local[0], leg.local[1] + (not mux)))
        stats = await until(leg, lambda stats: stats.rtcp_refused == 2)
        assert (stats.rtcp_received, stats.far is not None) == (1, True)


async def refused(leg: PlaneLeg, count: int) -> None:
    await until(leg, lambda stats: stats.packets_refused == count)


async def test_plain_forged_and_replayed_packets_are_refused_and_decide_no_source():
    async with plane_running() as plane, phone_running() as phone, phone_running() as attacker:
        ear, secret = Ear(), Secret()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream(srtp=secret.keys))
        good = secret.packet(0)
        forged = bytearray(good)
        forged[20] ^= 1
        attacker.send(leg)
        for data in (bytes(forged), good[:-1], good[:11], b"\x80", b"", Secret(theirs=5).packet(0)):
            attacker.socket.sendto(data, leg.local)
        await refused(leg, 7)
        phone.socket.sendto(good, leg.local)
        await ear.wait("audio")
        for data in (good, bytes(forged)):
            phone.socket.sendto(data, leg.local)
        await refused(leg, 9)
        phone.socket.sendto(secret.packet(1), leg.local)
        await ear.wait("audio", 2)
        assert leg.stats().packets_received == 2


async def test_a_refreshed_session_keeps_its_replay_window_and_its_keystream():
    async with plane_running() as plane, phone_running() as phone:
        ear, secret = Ear(), Secret()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream(srtp=secret.keys))
        first = secret.packet(0)
        phone.socket.sendto(first, leg.local)
        await ear.wait("audio")
        leg.connect(phone.stream(srtp=secret.keys))
        phone.socket.sendto(first, leg.local)
        await refused(leg, 1)
        for _ in range(10):
            secret.incoming.unprotect(await datagram(phone))


async def test_a_new_key_of_theirs_replaces_the_old_and_leaves_our_direction_alone():
    async with plane_running() as plane, phone_running() as phone:
        ear, old, new = Ear(), Secret(), Secret(theirs=3)
        leg = plane.open_leg(ear)
        leg.connect(phone.stream(srtp=old.keys))
        phone.socket.sendto(old.packet(0), leg.local)
        await ear.wait("audio")
        leg.connect(phone.stream(srtp=new.keys))
        phone.socket.sendto(old.packet(1), leg.local)
        phone.socket.sendto(new.packet(1), leg.local)
        await ear.wait("audio", 2)
        assert leg.stats().packets_refused == 1
        for _ in range(10):
            old.incoming.unprotect(await datagram(phone))


async def test_from_one_suite_to_another_and_to_plain():
    async with plane_running() as plane, phone_running() as phone:
        ear, first, second = Ear(), Secret(), Secret("AEAD_AES_128_GCM", theirs=3, ours=4)
        leg = plane.open_leg(ear)
        leg.connect(phone.stream(srtp=first.keys))
        first.incoming.unprotect(await datagram(phone))
        leg.connect(phone.stream(srtp=second.keys))
        second.incoming.unprotect(await datagram(phone, lambda data: len(data) == 172 + 16))
        leg.connect(phone.stream())
        assert rtp.parse(await datagram(phone, lambda data: len(data) == 172)) is not None
        phone.send(leg)
        await ear.wait("audio")


async def test_the_sequence_number_wraps():
    """RFC 3711 3.3.1: the rollover counter is in no packet, both sides count it."""
    async with plane_running() as plane, phone_running() as phone:
        ear, secret = Ear(), Secret()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream(srtp=secret.keys))
        for number in range(65_530, 65_542):
            phone.socket.sendto(secret.packet(number), leg.local)
        await ear.wait("audio", 12)
        assert leg.stats().packets_refused == 0


async def test_another_source_under_the_same_key():
    async with plane_running() as plane, phone_running() as phone:
        ear, secret = Ear(), Secret()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream(srtp=secret.keys))
        phone.socket.sendto(secret.packet(0), leg.local)
        phone.socket.sendto(secret.outgoing.protect(rtp.build(0, False, 9, 9, 4711, bytes(160))), leg.local)
        await ear.wait("audio", 2)


async def test_what_leaves_cannot_be_read_with_another_key():
    async with plane_running() as plane, phone_running() as phone:
        leg = plane.open_leg(Ear())
        leg.connect(phone.stream(srtp=Secret().keys))
        with pytest.raises(Error, match="authentication"):
            Secret(ours=9).incoming.unprotect(await datagram(phone))


@pytest.mark.parametrize("change", [{"suite": "F8_128_HMAC_SHA1_80"}, {"receive": b"short"}, {"send": bytes(28)}])
async def test_keys_that_do_not_fit_are_misuse(change: dict[str, Any]):
    async with plane_running() as plane, phone_running() as phone:
        leg = plane.open_leg(Ear())
        fields: dict[str, Any] = {"suite": SHA1_80, "receive": bytes(30), "send": bytes(30)}
        with pytest.raises(MisuseError, match="SRTP"):
            leg.connect(phone.stream(srtp=SrtpKeys(**fields | change)))


async def test_sessions_are_freed_however_a_leg_ends():
    async with plane_running(ports="44200-44299") as plane, phone_running() as phone:

        async def open_and_close(rounds: int) -> None:
            for _ in range(rounds):
                ears = [Ear() for _ in range(20)]
                for number, ear in enumerate(ears):
                    leg = plane.open_leg(ear)
                    leg.connect(phone.stream(srtp=Secret().keys))
                    leg.connect(phone.stream(srtp=Secret(theirs=3, ours=4).keys))
                    if number % 3 == 0:
                        leg.connect(phone.stream())
                    leg.close()
                await asyncio.gather(*(ear.wait("closed") for ear in ears))

        await open_and_close(5)
        gc.collect()
        memory = resident_kib()
        await open_and_close(25)
        gc.collect()
        assert resident_kib() - memory < GROWTH_KIB


def test_a_library_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="cannot open"):
        srtp.load("/nowhere/libsrtp2.so")
    with pytest.raises(OSError, match="srtp_get_version_string"):
        srtp.load("libm.so.6")
    monkeypatch.setattr(finder, "_candidates", lambda: iter(["/nowhere/libsrtp2.so"]))
    with pytest.raises(ResourceError, match=r"install linecard\[srtp\]"):
        finder.load_srtp()
