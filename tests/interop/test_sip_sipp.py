"""SIPp, as UAC and as UAS, against an endpoint on loopback."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.sdp import accept, answer, offer
from gateway.sip.auth import Credentials
from gateway.sip.events import (
    Answered,
    Confirmed,
    Ended,
    Event,
    Invited,
    Reconfirmed,
    Registered,
    RegistrationFailed,
    Reoffered,
    Ringing,
)
from gateway.sip.options import RegistrationOptions
from tests.interop.peer import (
    RTP,
    SCENARIOS,
    Switch,
    free_port,
    needs_sipp,
    sipp,
    switch,
    until_it_is_bound,
    until_it_listens,
)

pytestmark = [pytest.mark.interop, needs_sipp]


def target(house: Switch) -> str:
    return f"127.0.0.1:{house.sip.local[1]}"


@pytest.mark.parametrize(("transport", "mode"), [("udp", "u1"), ("tcp", "t1"), ("tcp", "tn")])
async def test_sipp_calls_us_fifty_times(tmp_path: Path, transport: str, mode: str) -> None:
    """``t1`` is one connection for all calls, ``tn`` one for each."""
    async with switch(transport) as house:
        how = ["-t", mode, "-max_socket", "100"]
        await sipp(tmp_path, "-sn", "uac", *how, "-m", "50", "-r", "50", "-d", "50", "-s", "pizza", target(house))
        await house.until(Ended, 50)
        assert {event.called for event in house.events(Invited)} == {"pizza"}  # type: ignore[attr-defined]
        assert len(house.events(Confirmed)) == 50
        assert all(event.by == "remote" for event in house.events(Ended))  # type: ignore[attr-defined]
        assert house.sip.calls == 0


async def test_sipp_gives_up_while_it_rings(tmp_path: Path) -> None:
    async with switch() as house:
        house.on_event = lambda event: house.sip.ring(event.call) if isinstance(event, Invited) else None
        await sipp(tmp_path, "-sf", str(SCENARIOS / "cancel.xml"), "-m", "5", "-r", "20", target(house))
        ended = await house.until(Ended, 5)
        assert {(event.by, event.status) for event in ended} == {("remote", 487)}  # type: ignore[attr-defined]


async def test_sipp_lets_us_offer_and_puts_us_on_hold(tmp_path: Path) -> None:
    async with switch() as house:
        await sipp(tmp_path, "-sf", str(SCENARIOS / "late_offer_and_hold.xml"), "-m", "3", "-r", "20", target(house))
        ended = await house.until(Ended, 3)
        assert [event.sdp for event in house.events(Invited)] == [None] * 3  # type: ignore[attr-defined]
        for event in house.events(Confirmed):
            stream = accept(event.sdp, offer(RTP, 7))  # type: ignore[attr-defined]
            assert (stream.codec, stream.payload_type) == ("PCMA", 8)
        assert len(house.events(Reoffered)) == len(house.events(Reconfirmed)) == 3
        assert {event.reason for event in ended} == {"had enough"}  # type: ignore[attr-defined]


@pytest.mark.parametrize(("transport", "mode"), [("udp", "u1"), ("tcp", "t1")])
async def test_we_call_sipp(tmp_path: Path, transport: str, mode: str) -> None:
    async with switch(transport) as house:
        port, our_offer = free_port(), offer(RTP, 9)

        def hang_up_when_answered(event: Event) -> None:
            if isinstance(event, Answered):
                assert accept(event.sdp or b"", our_offer).codec == "PCMU"
                house.sip.hang_up(event.call, "done")

        house.on_event = hang_up_when_answered
        peer = asyncio.create_task(sipp(tmp_path, "-sn", "uas", "-t", mode, "-m", "10", port=port))
        if transport == "tcp":
            await until_it_listens(port)
        else:
            await until_it_is_bound(port)
        for _ in range(10):
            house.sip.invite(f"sip:sipp@127.0.0.1:{port}", our_offer, caller="alice")
        await house.until(Ended, 10)
        assert len(house.events(Answered)) == len(house.events(Ringing)) == 10
        await peer
        assert house.sip.calls == 0


@pytest.mark.parametrize(("password", "status"), [("secret", None), ("wrong", 403)])
async def test_sipp_asks_for_a_password(tmp_path: Path, password: str, status: int | None) -> None:
    """The digest is verified by SIPp's own implementation of RFC 2617."""
    async with switch() as house:
        port = free_port()
        house.on_event = lambda event: house.sip.hang_up(event.call) if isinstance(event, Answered) else None
        peer = asyncio.create_task(sipp(tmp_path, "-sf", str(SCENARIOS / "challenge.xml"), "-m", "1", port=port))
        await until_it_is_bound(port)
        credentials = Credentials("linecard", password)
        house.sip.invite(f"sip:sipp@127.0.0.1:{port}", offer(RTP, 9), caller="alice", credentials=credentials)
        (ended,) = await house.until(Ended)
        assert ended.status == status  # type: ignore[attr-defined]
        await peer


async def test_sipp_acknowledges_ringing_and_refreshes_by_update(tmp_path: Path) -> None:
    async with switch() as house:

        def answer_in_two_steps(event: Event) -> None:
            """Were both sent at once, SIPp could see the 200 to the INVITE before the one to its PRACK."""
            if isinstance(event, Invited):
                house.sip.ring(event.call)
                sdp = answer(event.sdp or b"", RTP, 7).sdp
                asyncio.get_running_loop().call_later(0.2, house.sip.answer, event.call, sdp)

        house.on_event = answer_in_two_steps
        await sipp(tmp_path, "-sf", str(SCENARIOS / "prack_and_update.xml"), "-m", "3", "-r", "20", target(house))
        ended = await house.until(Ended, 3)
        assert {event.by for event in ended} == {"remote"}  # type: ignore[attr-defined]


@pytest.mark.parametrize(("password", "status"), [("secret", None), ("wrong", 403)])
async def test_we_register_at_sipp_and_leave(tmp_path: Path, password: str, status: int | None) -> None:
    port = free_port()
    peer = asyncio.create_task(sipp(tmp_path, "-sf", str(SCENARIOS / "registrar.xml"), "-m", "1", port=port))
    await until_it_is_bound(port)
    async with switch() as house:
        account = {"registrar": f"sip:127.0.0.1:{port}", "user": "linecard", "password": password}
        house.sip.register(RegistrationOptions.model_validate(account))
        if status is None:
            assert await house.until(Registered) == [Registered(1, 300, ())]
        else:
            (failed,) = await house.until(RegistrationFailed)
            assert failed.status == status  # type: ignore[attr-defined]
    await peer
