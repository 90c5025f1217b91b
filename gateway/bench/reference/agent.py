"""``linecard bench reference``: takes calls, and answers every turn exactly so late."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from gateway import sdp
from gateway.bench.callers.host import quiet_log
from gateway.bench.measure.results import summarise
from gateway.bench.reference.call import ReferenceCall, Tell
from gateway.bench.reference.options import Manners, Vice, called
from gateway.errors import MisuseError, ResourceError, SdpError
from gateway.media.options import MediaOptions
from gateway.media.plane import MediaPlane
from gateway.net.endpoint import EndpointDriver, open_endpoint
from gateway.net.options import SignallingOptions
from gateway.net.transport import Listen
from gateway.sip.events import Confirmed, Ended, Event, Invited, Reoffered
from gateway.units import Nanos

__all__ = ["ReferenceAgent", "main_async"]


class ReferenceAgent:
    """Opened with ``async with``. Each line of ``tell`` is what really happened in a turn."""

    def __init__(
        self,
        manners: Manners,
        tell: Tell,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ports: str = "50000-59999",
        max_calls: int = 2000,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._manners = manners
        self._tell = tell
        self._host, self._port = host, port
        self._options = SignallingOptions(user_agent="Linecard reference", max_calls=max_calls)
        media = {"address": host, "ports": ports, "rtp_timeout": "0s", "codecs": ["pcmu", "pcma"]}
        self._plane = MediaPlane(MediaOptions.model_validate(media))
        self._driver: EndpointDriver | None = None
        self._calls: dict[int, ReferenceCall] = {}
        self._described: dict[int, tuple[int, tuple[str, int]]] = {}
        self._clock = clock

    async def __aenter__(self) -> ReferenceAgent:
        self._plane.start()
        self._driver = await open_endpoint(
            self._options, listen=[Listen("udp", self._host, self._port)], on_event=self._on_event
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        for call in list(self._calls):
            self._sip.hang_up(call, "the reference agent ends")
        if self._driver is not None:
            await self._driver.close()
        await self._plane.stop()

    @property
    def _sip(self) -> EndpointDriver:
        if self._driver is None:
            raise MisuseError("the reference agent takes calls while it is open")
        return self._driver

    @property
    def local(self) -> tuple[str, int]:
        """Where it takes calls."""
        return self._sip.local

    def _on_event(self, event: Event) -> None:
        match event:
            case Invited():
                self._invited(event)
            case Confirmed(call=call):
                self._confirmed(call)
            case Reoffered(call=call, sdp=offer):
                self._reoffered(call, offer)
            case Ended(call=call):
                self._described.pop(call, None)
                if (ended := self._calls.pop(call, None)) is not None:
                    ended.close()
            case _:
                pass

    def _invited(self, invited: Invited) -> None:
        manners = called(invited.called, self._manners)
        if manners.refuses:
            self._sip.reject(invited.call, manners.refuses, "called by that number")
        elif manners.vice is Vice.RINGS:
            self._sip.ring(invited.call)
        elif manners.vice is not Vice.NEVER_ANSWERS:
            self._take(invited, manners)

    def _take(self, invited: Invited, manners: Manners) -> None:
        call = ReferenceCall(invited.call, invited.call_id, manners, self._tell)
        try:
            leg = self._plane.open_leg(call, uplink_rate=8000)
        except ResourceError as error:
            self._sip.reject(invited.call, 503, str(error))
            return
        session = random.getrandbits(31)
        try:
            agreement = sdp.answer(invited.sdp or b"", leg.local, session)
        except SdpError as error:
            leg.close()
            self._sip.reject(invited.call, 488, str(error))
            return
        call.hear(leg)
        call.connect(agreement.stream)
        self._calls[invited.call] = call
        self._described[invited.call] = (session, leg.local)
        self._sip.ring(invited.call)
        self._sip.answer(invited.call, agreement.sdp)

    def _confirmed(self, number: int) -> None:
        call = self._calls.get(number)
        if call is not None and call.vice is Vice.HANGS_UP:
            self._sip.hang_up(number, "as it does")
        elif call is not None:
            call.begin(Nanos(self._clock()))

    def _reoffered(self, number: int, offer: bytes | None) -> None:
        call, described = self._calls.get(number), self._described.get(number)
        if call is None or described is None or offer is None:
            self._sip.reject(number, 488, "the reference agent makes no offers")
            return
        session, local = described
        try:
            agreement = sdp.answer(offer, local, session, version=self._clock() // 1_000_000)
        except SdpError as error:
            self._sip.reject(number, 488, str(error))
            return
        call.connect(agreement.stream)
        self._sip.answer(number, agreement.sdp)


async def main_async(manners: Manners, host: str, port: int, *, quiet: bool = False) -> int:
    """Until Ctrl-C. A line of JSON per turn, and how exact they were at the end."""
    quiet_log()
    errors: list[float] = []

    def tell(line: dict[str, Any]) -> None:
        if line["event"] == "answer" and line["delay_ms"] is not None:
            errors.append(abs(line["delay_ms"] - line["wanted_ms"]))
        if not quiet:
            print(json.dumps(line))

    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, over.set)
    async with ReferenceAgent(manners, tell, host=host, port=port) as agent:
        address = f"sip:reference@{agent.local[0]}:{agent.local[1]}"
        print(json.dumps({"event": "ready", "address": address}), flush=True)
        await over.wait()
    found = summarise(errors)
    if found is not None:
        print(
            f"{found.count} answers; off by {found.p50:.2f} ms at p50, {found.p99:.2f} at p99, {found.max:.2f} at most",
            file=sys.stderr,
        )
    return 0
