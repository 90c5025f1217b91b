"""SIPp as a far end that answers while we give up, in two places, or reliably."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.sdp import accept, offer
from gateway.sip.events import Answered, Ended, Ringing
from tests.interop.peer import RTP, SCENARIOS, Switch, free_port, needs_sipp, sipp, switch, until_it_is_bound

pytestmark = [pytest.mark.interop, needs_sipp]


@asynccontextmanager
async def calling(directory: Path, scenario: str) -> AsyncIterator[tuple[Switch, int]]:
    """A call of ours to SIPp, which must be content at the end."""
    port = free_port()
    peer = asyncio.create_task(sipp(directory, "-sf", str(SCENARIOS / scenario), "-m", "1", port=port))
    try:
        await until_it_is_bound(port)
        async with switch() as house:
            yield house, house.sip.invite(f"sip:them@127.0.0.1:{port}", offer(RTP, 9), caller="us")
            await peer
    finally:
        peer.cancel()
        await asyncio.gather(peer, return_exceptions=True)


async def test_a_200_that_crosses_our_cancel_is_acknowledged_and_hung_up(tmp_path: Path) -> None:
    async with calling(tmp_path, "cancel_crosses.xml") as (house, call):
        await house.until(Ringing)
        house.sip.hang_up(call, "never mind")
        (ended,) = await house.until(Ended)
        assert isinstance(ended, Ended)
        assert ended.by == "local"


async def test_of_two_phones_that_answer_the_second_is_dismissed(tmp_path: Path) -> None:
    async with calling(tmp_path, "forked.xml") as (house, call):
        dismissed = asyncio.Event()
        house.sip.on_message = lambda data, flow, sent: dismissed.set() if sent and data.startswith(b"BYE") else None
        await house.until(Answered)
        await asyncio.wait_for(dismissed.wait(), 10)
        house.sip.hang_up(call, "enough")
        await house.until(Ended)
        assert len(house.events(Answered)) == 1


async def test_early_media_that_must_arrive_is_acknowledged(tmp_path: Path) -> None:
    async with calling(tmp_path, "reliable.xml") as (house, call):
        (ringing,) = await house.until(Ringing)
        assert isinstance(ringing, Ringing)
        assert accept(ringing.sdp or b"", offer(RTP, 9)).codec == "PCMU"
        await house.until(Answered)
        house.sip.hang_up(call, "enough")
        await house.until(Ended)
