"""pjsua2, the stack of many softphones and SBCs, as caller and as called.

The binding of its makers is built as they document at https://docs.pjsip.org/en/latest/pjsua2/building.html:
``./configure CFLAGS=-fPIC``, ``make dep && make``, then ``make`` and ``python setup.py install`` in
pjsip-apps/src/swig/python. For some Pythons the registry has ``pjsua2-pybind11``, which brings the library along (the
extra ``dev`` names it). Where ``import pjsua2`` works, this runs.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from gateway.sdp import accept, offer
from gateway.sip.events import (
    Answered,
    Confirmed,
    Ended,
    Event,
    Invited,
    OfferAnswered,
    Reconfirmed,
    Referred,
    Reoffered,
)
from tests.interop.peer import RTP, switch

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(find_spec("pjsua2") is None, reason="pjsua2 is not there: see the docstring of this file"),
]

PROGRAM = Path(__file__).with_name("pjsua2_phone.py")
HOLD = offer(RTP, 1, version=2, direction="sendonly")


class Phone:
    """``pjsua2_phone.py``: orders go in, what happens comes out."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.port = 0
        self._process = process

    def order(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    async def until(self, event: str, where: Callable[[dict[str, Any]], bool] = lambda told: True) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(20):
            while line := await self._process.stdout.readline():
                told: dict[str, Any] = json.loads(line) if line.startswith(b"{") else {"event": ""}
                if told["event"] == event and where(told):
                    return told
        raise AssertionError(f"ended without {event!r}")


@asynccontextmanager
async def phone() -> AsyncIterator[Phone]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    one = Phone(process)
    try:
        one.port = (await one.until("ready"))["port"]
        yield one
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.communicate(), 10)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_it_calls_us_holds_resumes_and_hangs_up() -> None:
    async with switch() as house, phone() as them:
        them.order(f"call sip:pizza@127.0.0.1:{house.sip.local[1]}")
        await house.until(Confirmed)
        (invited,) = house.events(Invited)
        assert isinstance(invited, Invited)
        assert "timer" in invited.request.options("Supported")
        await them.until("state", lambda told: told["state"] == "CONFIRMED")
        them.order("hold")
        await house.until(Reconfirmed)
        await them.until("media", lambda told: told["status"] == [2])
        them.order("resume")
        await house.until(Reconfirmed, 2)
        await them.until("media", lambda told: told["status"] == [1])
        held, resumed = house.events(Reoffered)
        assert isinstance(held, Reoffered)
        assert isinstance(resumed, Reoffered)
        assert b"a=sendonly" in (held.sdp or b"")
        assert b"a=sendrecv" in (resumed.sdp or b"")
        them.order("hang-up")
        (ended,) = await house.until(Ended)
        assert isinstance(ended, Ended)
        assert ended.by == "remote"


async def test_we_call_it_hold_it_and_hang_up() -> None:
    async with switch() as house, phone() as them:
        call = house.sip.invite(f"sip:pjsua2@127.0.0.1:{them.port}", offer(RTP, 1), caller="us")
        await house.until(Answered)
        await them.until("state", lambda told: told["state"] == "CONFIRMED")
        house.sip.reoffer(call, HOLD)
        (answered,) = await house.until(OfferAnswered)
        assert isinstance(answered, OfferAnswered)
        assert not accept(answered.sdp or b"", HOLD).receive
        await them.until("media", lambda told: told["status"] == [3])
        house.sip.hang_up(call, "enough")
        (ended,) = await house.until(Ended)
        assert isinstance(ended, Ended)
        assert ended.by == "local"
        await them.until("state", lambda told: told["state"].startswith("DISC"))


async def test_it_transfers_us_and_hears_how_that_goes() -> None:
    async with switch() as house, phone() as them:

        def follow(event: Event) -> None:
            house.answer_all(event)
            if isinstance(event, Referred):
                house.sip.accept_refer(event.call)
                asyncio.get_running_loop().call_later(0.1, house.sip.refer_progress, event.call, 200)

        house.on_event = follow
        them.order(f"call sip:pizza@127.0.0.1:{house.sip.local[1]}")
        await house.until(Confirmed)
        await them.until("state", lambda told: told["state"] == "CONFIRMED")
        them.order("transfer sip:desk@192.0.2.9")
        (referred,) = await house.until(Referred)
        assert isinstance(referred, Referred)
        assert referred.target == "sip:desk@192.0.2.9"
        them.order("hang-up")
        await house.until(Ended)
