"""aiosipua, a SIP stack that nobody here wrote, as caller and as called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.sdp import accept, offer
from gateway.sip.events import Answered, Confirmed, Ended, Event, Invited, Pinged, Reoffered, Ringing
from tests.interop.peer import RTP, switch

aiosipua = pytest.importorskip("aiosipua")
from aiosipua.sdp import build_sdp  # noqa: E402
from aiosipua.transport import UdpSipTransport, _UdpProtocol  # noqa: E402

pytestmark = pytest.mark.interop


class _Protocol(_UdpProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Its own asserts a base class that asyncio's transport has from Python 3.12 on."""


class Transport(UdpSipTransport):
    """On a free port, which it then knows."""

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Protocol(self), local_addr=("127.0.0.1", 0))
        self._udp_transport = transport
        self.local_addr = transport.get_extra_info("sockname")


@asynccontextmanager
async def peer() -> AsyncIterator[tuple[aiosipua.SipUAS, aiosipua.SipUAC]]:
    transport = Transport()
    uac = aiosipua.SipUAC(transport)
    uas = aiosipua.SipUAS(transport, uac=uac)
    await uas.start()
    try:
        yield uas, uac
    finally:
        await uas.stop()


def their_sdp() -> aiosipua.SdpMessage:
    return build_sdp("127.0.0.1", 40000, 0, "PCMU")


async def test_it_calls_us_puts_us_on_hold_and_hangs_up() -> None:
    async with switch() as house, peer() as (_, uac):
        us = house.sip.local
        call = uac.send_invite("sip:them@127.0.0.1", f"sip:pizza@127.0.0.1:{us[1]}", us, their_sdp())
        await call.wait_answered(5)
        await house.until(Confirmed)
        assert call.sdp_answer is not None
        assert call.sdp_answer.media[0].port == RTP[1]
        invited = house.events(Invited)[0]
        assert (invited.caller, invited.called) == ("them", "pizza")  # type: ignore[attr-defined]
        uac.send_reinvite(call.dialog, their_sdp(), us)
        await house.until(Reoffered)
        call.hangup(uac)
        ended = await house.until(Ended)
        assert ended == [Ended(1, "remote", None, "")]


async def test_we_hang_up_on_it() -> None:
    async with switch() as house, peer() as (uas, uac):
        us = house.sip.local
        call = uac.send_invite("sip:them@127.0.0.1", f"sip:pizza@127.0.0.1:{us[1]}", us, their_sdp())
        await call.wait_answered(5)
        await house.until(Confirmed)
        house.sip.hang_up(1, "the end")
        assert uas is not None
        await house.sip.close(patience=5)
        assert house.sip.calls == 0


async def test_it_gives_up_while_we_ring() -> None:
    async with switch() as house, peer() as (_, uac):
        house.on_event = lambda event: house.sip.ring(event.call) if isinstance(event, Invited) else None
        us = house.sip.local
        ringing = asyncio.Event()
        call = uac.send_invite("sip:them@127.0.0.1", f"sip:pizza@127.0.0.1:{us[1]}", us, their_sdp())
        call.on_ringing = lambda call: ringing.set()
        await asyncio.wait_for(ringing.wait(), 5)
        call.cancel(uac)
        ended = await house.until(Ended)
        assert ended == [Ended(1, "remote", 487, "")]


async def test_we_refuse_it_and_say_why() -> None:
    async with switch() as house, peer() as (_, uac):

        def refuse(event: Event) -> None:
            if isinstance(event, Invited):
                house.sip.reject(event.call, 488, "no common codec", warning=305)

        house.on_event = refuse
        us = house.sip.local
        call = uac.send_invite("sip:them@127.0.0.1", f"sip:pizza@127.0.0.1:{us[1]}", us, their_sdp())
        with pytest.raises(RuntimeError, match="488"):
            await call.wait_answered(5)


async def test_we_call_it_and_hang_up() -> None:
    async with switch() as house, peer() as (uas, _):
        said_bye = asyncio.Event()

        def pick_up(call: aiosipua.IncomingCall) -> None:
            call.ringing()
            call.accept(their_sdp())

        uas.on_invite = pick_up
        uas.on_bye = lambda call, request: said_bye.set()
        ours = offer(RTP, 3)
        port = uas.transport.local_addr[1]
        handle = house.sip.invite(f"sip:them@127.0.0.1:{port}", ours, caller="pizza")
        answered = (await house.until(Answered))[0]
        assert house.events(Ringing) == [Ringing(handle, 180, None)]
        assert accept(answered.sdp, ours).remote == ("127.0.0.1", 40000)  # type: ignore[attr-defined]
        house.sip.hang_up(handle)
        await asyncio.wait_for(said_bye.wait(), 5)


async def test_it_hangs_up_on_us_and_answers_options() -> None:
    async with switch() as house, peer() as (uas, _):
        taken: list[aiosipua.IncomingCall] = []

        def pick_up(call: aiosipua.IncomingCall) -> None:
            taken.append(call)
            call.accept(their_sdp())

        uas.on_invite = pick_up
        port = uas.transport.local_addr[1]
        handle = house.sip.invite(f"sip:them@127.0.0.1:{port}", offer(RTP, 3), caller="pizza")
        await house.until(Answered)
        house.sip.options_ping(f"sip:127.0.0.1:{port}")
        assert (await house.until(Pinged))[0].status == 200  # type: ignore[attr-defined]
        taken[0].hangup()
        assert await house.until(Ended) == [Ended(handle, "remote", None, "")]
