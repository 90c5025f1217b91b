"""What a call does with digits in INFO, transfers, the far end's headers and a refreshed session."""

from __future__ import annotations

import asyncio

import pytest

from gateway.plugs.contract import TransferResult
from gateway.sdp import offer
from gateway.sip.events import Confirmed, Digit, Ended, Referred, Refreshed, Transferred, Transferring
from gateway.sip.message import Request
from gateway.units import Nanos
from tests.unit.call.test_call import THEM, Rig, invited, switchboard, until

REFER = Request("REFER", "sip:x@y", [])


@pytest.mark.parametrize(("first", "heard"), [("rtp", [("digit", "5", 90)]), ("info", [("digit", "5", 160)])])
async def test_a_digit_that_comes_both_ways_is_heard_once(first: str, heard: list[tuple[object, ...]]) -> None:
    rig = Rig()
    async with switchboard(rig) as board:
        board.on_event(invited())
        await until(rig, "answer")
        if first == "rtp":
            rig.observer.on_digit("5", 90, Nanos(0))
        board.on_event(Digit(1, "5", 160))
        if first == "info":
            rig.observer.on_digit("5", 90, Nanos(0))
        assert [one for one in rig.told if one[0] == "digit"] == heard


async def test_a_transfer_is_followed_to_its_end_and_the_call_hung_up() -> None:
    rig, progress = Rig(), list[tuple[int, str]]()
    async with switchboard(rig) as board:
        board.on_event(invited())
        await until(rig, "answer")
        board.on_event(Confirmed(1))
        work = asyncio.ensure_future(
            rig.call.transfer("sip:desk@h", headers={"X-A": "1"}, on_progress=lambda *one: progress.append(one))
        )
        await until(rig, "refer", "sip:desk@h", ("X-A", "1"))
        board.on_event(Transferring(1, 202, "Accepted"))
        board.on_event(Transferring(1, 180, "Ringing"))
        board.on_event(Transferred(1, 200, "OK"))
        assert await work == TransferResult(200, "OK")
        assert progress == [(202, "Accepted"), (180, "Ringing")]
        assert rig.told[-1] == ("hang_up", "transferred")


@pytest.mark.parametrize("status", [486, None])
async def test_a_transfer_that_fails_leaves_the_call(status: int | None) -> None:
    rig = Rig()
    async with switchboard(rig) as board:
        board.on_event(invited())
        await until(rig, "answer")
        board.on_event(Confirmed(1))
        work = asyncio.ensure_future(rig.call.transfer("sip:desk@h"))
        await until(rig, "refer", "sip:desk@h")
        assert (await rig.call.transfer("sip:other@h")).status == 491
        board.on_event(Transferred(1, status, "no"))
        assert not (await work).succeeded
        assert not [one for one in rig.told if one[0] == "hang_up"]


async def test_a_call_that_ends_ends_its_transfer() -> None:
    rig = Rig()
    async with switchboard(rig) as board:
        board.on_event(invited())
        await until(rig, "answer")
        work = asyncio.ensure_future(rig.call.transfer("sip:desk@h"))
        await until(rig, "refer", "sip:desk@h")
        board.on_event(Ended(1, "remote", None, ""))
        assert await work == TransferResult(None, "the call has ended")


async def test_a_caller_may_not_have_us_call_others() -> None:
    rig = Rig()
    async with switchboard(rig) as board:
        board.on_event(invited())
        await until(rig, "answer")
        board.on_event(Referred(1, "sip:premium@h", None, "<sip:alice@h>", REFER))
        assert rig.told[-1] == ("refuse_refer", 603)


async def test_the_far_ends_headers_reach_plug_and_record() -> None:
    rig = Rig()
    async with switchboard(rig) as board:
        board.on_event(invited(more=[("X-Campaign", "9\x07"), ("X-Campaign", "10"), ("Diversion", "<tel:+49>")]))
        await until(rig, "answer")
        assert rig.call.headers["x-CAMPAIGN"] == "9?, 10"
        assert dict(rig.call.headers) == {"X-Campaign": "9?, 10", "Diversion": "<tel:+49>"}
        assert "Via" not in rig.call.headers
        assert "no name" not in rig.call.headers
        bye = Request("BYE", "sip:x@y", [("X-Result", "sold"), ("Via", "v")])
        board.on_event(Ended(1, "remote", None, "", bye))
        await board.close(5)
    (started,) = [record for record in rig.records if record["event"] == "call.started"]
    assert started["diverted"] == [{"number": "+49", "reason": "unknown"}]
    kept = {record["event"]: record["headers"] for record in rig.records if "headers" in record}
    assert kept["call.started"] == {"X-Campaign": "9?, 10"}
    assert kept["call.ended"] == {"X-Result": "sold"}


async def test_a_number_that_is_withheld_is_not_in_the_headers_either() -> None:
    rig = Rig()
    async with switchboard(rig) as board:
        board.on_event(invited(more=[("Diversion", "<tel:+4930123>;privacy=full"), ("X-A", "1")]))
        await until(rig, "answer")
        assert dict(rig.call.headers) == {"X-A": "1"}
        assert rig.call.diversions[0].number == ""


async def test_a_plugs_headers_go_with_the_bye() -> None:
    rig = Rig()
    async with switchboard(rig) as board:
        board.on_event(invited())
        await until(rig, "answer")
        rig.call.hang_up("done", {"X-Result": "sold"})
        assert rig.told[-1] == ("hang_up", "done", ("X-Result", "sold"))


async def test_a_refreshed_session_that_says_another_address_moves_the_media() -> None:
    """The answer to a re-INVITE of ours that has repeated our description (RFC 4028 7.4, RFC 3264 8)."""
    rig = Rig()
    async with switchboard(rig) as board:
        board.on_event(invited())
        await until(rig, "answer")
        board.on_event(Confirmed(1))
        before = len(rig.streams)
        board.on_event(Refreshed(1, offer(("10.0.0.9", 4004), 1, version=2)))
        assert [one.remote for one in rig.streams[before:]] == [("10.0.0.9", 4004)]
        board.on_event(Refreshed(1, offer(THEM, 1, version=3, direction="inactive")))
        assert not rig.streams[-1].send
        board.on_event(Refreshed(1, b"v=0 broken"))
        assert rig.told[-1][0] == "hang_up"
