"""Transfers, digits, offers of our own and redirects, with SIPp at the other end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.net.options import SignallingOptions
from gateway.sdp import accept, answer, offer
from gateway.sip.events import (
    Answered,
    Confirmed,
    Digit,
    Ended,
    Event,
    Invited,
    OfferAnswered,
    Referred,
    Transferred,
    Transferring,
)
from tests.interop.peer import RTP, SCENARIOS, free_port, needs_sipp, sipp, switch, until_it_is_bound

pytestmark = [pytest.mark.interop, needs_sipp]


async def test_we_transfer_sipp_and_hear_how_it_goes(tmp_path: Path) -> None:
    async with switch() as house:

        def transfer(event: Event) -> None:
            house.answer_all(event)
            if isinstance(event, Confirmed):
                by = [("Referred-By", "<sip:pizza@127.0.0.1>")]
                house.sip.refer(event.call, "sip:desk@192.0.2.9", headers=by)
            elif isinstance(event, Transferred):
                house.sip.hang_up(event.call, "transferred")

        house.on_event = transfer
        target = f"127.0.0.1:{house.sip.local[1]}"
        await sipp(tmp_path, "-sf", str(SCENARIOS / "transferred.xml"), "-m", "3", "-r", "20", "-s", "pizza", target)
        await house.until(Ended, 3)
        assert [event.request.get("X-Campaign") for event in house.events(Invited)] == ["42"] * 3  # type: ignore[attr-defined]
        assert {(event.status, event.reason) for event in house.events(Transferred)} == {(200, "OK")}  # type: ignore[attr-defined]
        assert {event.status for event in house.events(Transferring)} == {202, 180}  # type: ignore[attr-defined]


async def test_sipp_presses_a_key_and_transfers_us(tmp_path: Path) -> None:
    async with switch() as house:

        def follow(event: Event) -> None:
            house.answer_all(event)
            if isinstance(event, Digit):
                house.sip.send_digit(event.call, "#")
            elif isinstance(event, Referred):
                house.sip.accept_refer(event.call)
                asyncio.get_running_loop().call_later(0.1, house.sip.refer_progress, event.call, 200)

        house.on_event = follow
        target = f"127.0.0.1:{house.sip.local[1]}"
        await sipp(tmp_path, "-sf", str(SCENARIOS / "digits_and_refer.xml"), "-m", "3", "-r", "20", target)
        ended = await house.until(Ended, 3)
        assert {(event.digit, event.duration_ms) for event in house.events(Digit)} == {("5", 240)}  # type: ignore[attr-defined]
        assert {event.target for event in house.events(Referred)} == {"sip:desk@192.0.2.9"}  # type: ignore[attr-defined]
        assert {event.message.get("X-Result") for event in ended} == {"transferred"}  # type: ignore[attr-defined]


async def test_we_follow_sipp_answer_its_offer_and_put_it_on_hold(tmp_path: Path) -> None:
    """A redirect, a late offer, a glare whose pause is 2.1 to 4 s, hold."""
    async with switch(options=SignallingOptions(redirects=1)) as house:
        port, hold = free_port(), offer(RTP, 9, version=2, direction="sendonly")

        def talk(event: Event) -> None:
            if isinstance(event, Answered):
                house.sip.answer(event.call, answer(event.sdp or b"", RTP, 9).sdp)
                house.sip.reoffer(event.call, hold)
            elif isinstance(event, OfferAnswered):
                stream = accept(event.sdp or b"", hold)
                assert (stream.codec, stream.send, stream.receive) == ("PCMA", True, False)
                house.sip.hang_up(event.call, "done")

        house.on_event = talk
        peer = asyncio.create_task(sipp(tmp_path, "-sf", str(SCENARIOS / "offered_late.xml"), "-m", "1", port=port))
        await until_it_is_bound(port)
        house.sip.invite(f"sip:sipp@127.0.0.1:{port}", b"", caller="alice")
        await house.until(Ended, 1)
        assert len(house.events(OfferAnswered)) == 1
        await peer
        assert house.sip.calls == 0
