"""What keeps a call going and what changes it, with SIPp at the other end: intervals, refreshes, offers, Replaces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.errors import SdpError
from gateway.net.options import SignallingOptions
from gateway.sdp import accept, answer, offer
from gateway.sip import refresh, session_timer
from gateway.sip.events import (
    Answered,
    Confirmed,
    Ended,
    Event,
    Invited,
    OfferAnswered,
    Registered,
    Reoffered,
    Ringing,
)
from gateway.sip.options import RegistrationOptions
from gateway.units import SECOND
from tests.interop.peer import RTP, SCENARIOS, Switch, free_port, needs_sipp, sipp, switch, until_it_is_bound

pytestmark = [pytest.mark.interop, needs_sipp]

HOLD = offer(RTP, 7, version=2, direction="sendonly")


async def called(directory: Path, scenario: str, house: Switch) -> None:
    """SIPp calls us, and must be content at the end."""
    file = str(SCENARIOS / scenario)
    await sipp(directory, "-sf", file, "-m", "1", "-s", "pizza", f"127.0.0.1:{house.sip.local[1]}", seconds=30)
    await house.until(Ended)


@asynccontextmanager
async def far_end(directory: Path, scenario: str) -> AsyncIterator[int]:
    """SIPp waits for us at this port, and must be content at the end."""
    port = free_port()
    file = str(SCENARIOS / scenario)
    peer = asyncio.create_task(sipp(directory, "-sf", file, "-m", "1", port=port, seconds=30))
    try:
        await until_it_is_bound(port)
        yield port
        await peer
    finally:
        peer.cancel()
        await asyncio.gather(peer, return_exceptions=True)


async def test_sipp_wants_a_session_that_is_too_short(tmp_path: Path) -> None:
    async with switch() as house:
        await called(tmp_path, "interval_too_small.xml", house)
        assert len(house.events(Confirmed)) == 1


async def test_we_want_a_session_that_is_too_short_for_sipp(tmp_path: Path) -> None:
    async with switch() as house, far_end(tmp_path, "interval_too_large.xml") as port:
        call = house.sip.invite(f"sip:them@127.0.0.1:{port}", offer(RTP, 9), caller="us")
        await house.until(Answered)
        house.sip.hang_up(call, "enough")
        await house.until(Ended)


async def test_a_registration_that_is_too_brief_is_made_longer(tmp_path: Path) -> None:
    async with far_end(tmp_path, "registration_too_brief.xml") as port, switch() as house:
        account = {"registrar": f"sip:127.0.0.1:{port}", "user": "linecard", "expires": "60s"}
        house.sip.register(RegistrationOptions.model_validate(account))
        assert await house.until(Registered) == [Registered(1, 600, ())]


async def test_sipp_replaces_one_call_by_another(tmp_path: Path) -> None:
    """481, 486 and 400 for what names no call to replace, each with its rule; then the new call takes over."""
    async with switch() as house:
        await called(tmp_path, "replaces.xml", house)
        ended = await house.until(Ended, 2)
        first, second = [event for event in house.events(Invited) if isinstance(event, Invited)]
        assert second.replaces == first.call
        assert [(event.call, event.by) for event in ended if isinstance(event, Ended)] == [
            (first.call, "local"),
            (second.call, "remote"),
        ]


async def test_sipp_offers_by_update(tmp_path: Path) -> None:
    async with switch() as house:

        def take_what_we_can(event: Event) -> None:
            try:
                house.answer_all(event)
            except SdpError as error:
                assert isinstance(event, Reoffered)
                house.sip.reject(event.call, 488, str(error), warning=error.warning)

        house.on_event = take_what_we_can
        await called(tmp_path, "updates.xml", house)
        assert len(house.events(Reoffered)) == 3


async def test_we_offer_by_update_while_it_rings(tmp_path: Path) -> None:
    async with switch() as house, far_end(tmp_path, "updated_while_ringing.xml") as port:

        def hold(event: Event) -> None:
            if isinstance(event, Ringing):
                house.sip.reoffer(event.call, HOLD)

        house.on_event = hold
        call = house.sip.invite(f"sip:them@127.0.0.1:{port}", offer(RTP, 7), caller="us")
        (answered,) = await house.until(OfferAnswered)
        assert isinstance(answered, OfferAnswered)
        assert not accept(answered.sdp or b"", HOLD).receive
        await house.until(Answered)
        house.sip.hang_up(call, "enough")
        await house.until(Ended)


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> SignallingOptions:
    """Sessions of 4 s: RFC 4028's least are 90, and nobody should wait half of that for a test."""
    for module in (session_timer, refresh):
        monkeypatch.setattr(module, "LEAST", 4)
    return SignallingOptions().model_copy(update={"min_session_expires": 4 * SECOND})


@pytest.mark.parametrize("scenario", ["refreshed.xml", "reinvited.xml"])
async def test_we_refresh_a_call_that_we_have_placed(tmp_path: Path, scenario: str, seconds: SignallingOptions) -> None:
    """By UPDATE where SIPp allows it, else by re-INVITE."""
    async with switch(options=seconds) as house, far_end(tmp_path, scenario) as port:
        refreshed = asyncio.Event()

        def watch(data: bytes, flow: object, sent: bool) -> None:
            if not sent and b"Session-Expires: 90" in data:
                refreshed.set()

        house.sip.on_message = watch
        call = house.sip.invite(f"sip:them@127.0.0.1:{port}", offer(RTP, 9), caller="us")
        await house.until(Answered)
        await asyncio.wait_for(refreshed.wait(), 15)
        house.sip.hang_up(call, "enough")
        await house.until(Ended)


async def test_we_refresh_a_call_that_sipp_has_placed(tmp_path: Path, seconds: SignallingOptions) -> None:
    async with switch(options=seconds) as house:

        def watch(data: bytes, flow: object, sent: bool) -> None:
            if not sent and data.startswith(b"SIP/2.0 200") and b" UPDATE\r\n" in data:
                house.sip.hang_up(1, "enough")

        house.sip.on_message = watch
        await called(tmp_path, "refreshed_as_called.xml", house)


async def test_a_session_that_sipp_does_not_refresh_ends(tmp_path: Path, seconds: SignallingOptions) -> None:
    async with switch(options=seconds) as house:
        await called(tmp_path, "never_refreshed.xml", house)
        (ended,) = house.events(Ended)
        assert isinstance(ended, Ended)
        assert ended.by == "network"


async def test_sipp_and_we_offer_at_once(tmp_path: Path) -> None:
    """Each tells the other 491. We were called, so we come again within 2 s: SIPp would wait longer (RFC 3261 14.1)."""
    async with switch() as house:

        def offer_again(event: Event) -> None:
            if isinstance(event, Invited):
                house.sip.answer(event.call, answer(event.sdp or b"", RTP, 7).sdp)
            elif isinstance(event, Confirmed):
                house.sip.reoffer(event.call, HOLD)
            elif isinstance(event, OfferAnswered):
                house.sip.hang_up(event.call, "enough")

        house.on_event = offer_again
        await called(tmp_path, "glare.xml", house)
        assert len(house.events(OfferAnswered)) == 1
        assert house.events(Reoffered) == []


async def test_sipp_offers_several_lines_holds_as_of_old_and_wants_to_fax(tmp_path: Path) -> None:
    async with switch() as house:

        def take_what_we_can(event: Event) -> None:
            try:
                house.answer_all(event)
            except SdpError as error:
                assert isinstance(event, Reoffered)
                house.sip.reject(event.call, 488, str(error), warning=error.warning)

        house.on_event = take_what_we_can
        await called(tmp_path, "several_lines.xml", house)
        (held, _) = house.events(Reoffered)
        assert isinstance(held, Reoffered)
        assert not answer(held.sdp or b"", RTP, 7).stream.send


async def test_sipp_reaches_us_by_two_ways(tmp_path: Path) -> None:
    async with switch() as house:
        house.on_event = lambda event: None
        await called(tmp_path, "merged.xml", house)
        assert len(house.events(Invited)) == 1


async def test_sipp_hears_us_before_we_answer(tmp_path: Path) -> None:
    async with switch() as house:

        def early(event: Event) -> None:
            if isinstance(event, Invited):
                sdp = answer(event.sdp or b"", RTP, 7).sdp
                house.sip.ring(event.call, 183, sdp)
                asyncio.get_running_loop().call_later(0.2, house.sip.answer, event.call, sdp)

        house.on_event = early
        await called(tmp_path, "early_media.xml", house)


async def test_we_follow_a_redirect_to_its_second_contact(tmp_path: Path) -> None:
    async with switch(options=SignallingOptions(redirects=1)) as house, far_end(tmp_path, "moved.xml") as port:
        call = house.sip.invite(f"sip:them@127.0.0.1:{port}", offer(RTP, 9), caller="us")
        await house.until(Answered)
        house.sip.hang_up(call, "enough")
        await house.until(Ended)
