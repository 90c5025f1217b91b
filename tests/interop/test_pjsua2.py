"""pjsua2, the stack of many softphones and SBCs, as caller and as called.

No registry has it: its makers document the build of the Python module at
https://docs.pjsip.org/en/latest/pjsua2/building.html (``configure --enable-shared``, then ``make`` in
pjsip-apps/src/swig/python).
Where ``import pjsua2`` works, this runs.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.sdp import offer
from gateway.sip.events import Answered, Confirmed, Ended, Reoffered
from tests.interop.peer import RTP, switch

pj = pytest.importorskip("pjsua2", reason="pjsua2 is built as its makers document: see the docstring of this file")

pytestmark = pytest.mark.interop


class Phone:
    """A thread of its own, which alone speaks to the library: ``work`` runs there."""

    def __init__(self) -> None:
        self.port = 0
        self.calls: list[Any] = []
        self._orders: list[Any] = []
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def work(self, order: Any) -> None:
        self._orders.append(order)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        endpoint = pj.Endpoint()
        endpoint.libCreate()
        config = pj.EpConfig()
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.logConfig.level = config.logConfig.consoleLevel = 0
        endpoint.libInit(config)
        endpoint.audDevManager().setNullDev()
        transport = pj.TransportConfig()
        transport.boundAddress = "127.0.0.1"
        where = endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
        endpoint.libStart()
        self.port = int(endpoint.transportGetInfo(where).localName.rpartition(":")[2])
        account = self._account()
        self._ready.set()
        while not self._stop.is_set():
            endpoint.libHandleEvents(10)
            while self._orders:
                self._orders.pop(0)(account)
        self.calls.clear()
        account.shutdown()
        endpoint.libDestroy()

    def _account(self) -> Any:
        phone = self

        class Account(pj.Account):  # type: ignore[misc, name-defined]
            def onIncomingCall(self, told: Any) -> None:
                call = pj.Call(self, told.callId)
                phone.calls.append(call)
                answer = pj.CallOpParam()
                answer.statusCode = 200
                call.answer(answer)

        account, config = Account(), pj.AccountConfig()
        config.idUri = "sip:pjsua2@127.0.0.1"
        account.create(config)
        return account


@asynccontextmanager
async def phone() -> AsyncIterator[Phone]:
    one = Phone()
    await asyncio.to_thread(one.start)
    try:
        yield one
    finally:
        await asyncio.to_thread(one.stop)


async def test_it_calls_us_holds_and_hangs_up() -> None:
    async with switch() as house, phone() as them:

        def dial(account: Any) -> None:
            call = pj.Call(account)
            them.calls.append(call)
            call.makeCall(f"sip:pizza@127.0.0.1:{house.sip.local[1]}", pj.CallOpParam(True))

        them.work(dial)
        await house.until(Confirmed)
        them.work(lambda account: them.calls[0].setHold(pj.CallOpParam(True)))
        (held,) = await house.until(Reoffered)
        assert isinstance(held, Reoffered)
        assert held.sdp is not None
        assert b"a=sendonly" in held.sdp
        them.work(lambda account: them.calls[0].hangup(pj.CallOpParam(True)))
        (ended,) = await house.until(Ended)
        assert isinstance(ended, Ended)
        assert ended.by == "remote"


async def test_we_call_it_and_hang_up() -> None:
    async with switch() as house, phone() as them:
        call = house.sip.invite(f"sip:pjsua2@127.0.0.1:{them.port}", offer(RTP, 1), caller="us")
        await house.until(Answered)
        house.sip.hang_up(call, "enough")
        (ended,) = await house.until(Ended)
        assert isinstance(ended, Ended)
        assert ended.by == "local"
