"""All calls of the gateway: admits, routes, and passes the signalling's events on to the call that they belong to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from gateway.call.call import Call, House
from gateway.call.options import RouteOptions, TrunkOptions
from gateway.call.routing import find_route, find_trunk
from gateway.call.throttle import Throttle
from gateway.errors import SipError
from gateway.net.driver import monotonic
from gateway.sip.events import Confirmed, Ended, Event, Invited, Reconfirmed, Refreshed, Refused, Reoffered

__all__ = ["Switchboard"]


class Switchboard:
    """Owner of every call. ``house`` is set once, when the signalling exists that sends its events here."""

    def __init__(self, house: House, trunks: Sequence[TrunkOptions], routes: Sequence[RouteOptions]) -> None:
        self._house = house
        self._trunks = trunks
        self._routes = routes
        self._calls: dict[int, Call] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger()
        self._throttle = Throttle()

    def __len__(self) -> int:
        """Calls that are not over yet."""
        return len(self._tasks)

    def on_event(self, event: Event) -> None:
        match event:
            case Invited():
                self._invited(event)
            case Refused():
                self._refused(event)
            case Confirmed() | Reoffered() | Reconfirmed() | Refreshed() | Ended():
                if call := self._calls.get(event.call):
                    call.on_event(event)

    def _refused(self, refused: Refused) -> None:
        suppressed = self._throttle.admit(monotonic())
        if suppressed is not None:
            fields = {"suppressed": suppressed} if suppressed else {}
            source = refused.flow.remote[0]
            self._log.warning("sip.refused", source=source, status=refused.status, rule=refused.rule, **fields)

    def _invited(self, invited: Invited) -> None:
        try:
            trunk = find_trunk(self._trunks, invited.flow.remote[0])
            if len(self) >= self._house.limits.concurrent_calls:
                raise SipError(503, "Service Unavailable", "limits.concurrent_calls is met")
            route = find_route(self._routes, invited.called)
        except SipError as error:
            self._refuse(invited, error)
            return
        call = self._calls[invited.call] = Call(self._house, invited, trunk, route)
        task = asyncio.get_running_loop().create_task(call.run(), name=f"call {invited.call_id}")
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._over(invited.call, task))

    def _refuse(self, invited: Invited, error: SipError) -> None:
        """One log line that names the rule and one record, as far as a flood of them lets, and the honest status."""
        self._house.sip.reject(invited.call, error.status, error.rule)
        suppressed = self._throttle.admit(monotonic())
        if suppressed is None:
            return
        fields = {"call_id": invited.call_id, "caller": invited.caller, "called": invited.called}
        refused = {**fields, "source": invited.flow.remote[0], "status": error.status, "rule": error.rule}
        self._log.warning("call.refused", **refused, **({"suppressed": suppressed} if suppressed else {}))
        self._house.records.add({"event": "call.refused", **refused})

    def _over(self, handle: int, task: asyncio.Task[None]) -> None:
        self._calls.pop(handle, None)
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("call.fault", exc_info=error)

    async def close(self, patience: float) -> None:
        """Hangs every call up, and waits until nothing is left of them; after ``patience`` seconds they are cut."""
        for call in list(self._calls.values()):
            call.shut_down()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
