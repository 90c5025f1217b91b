"""All calls of the gateway: admits, routes, and passes the signalling's events on to the call that they belong to."""

from __future__ import annotations

import asyncio

import structlog

from gateway.call.call import Call, House
from gateway.call.decision import Decision
from gateway.call.occupancy import Occupancy
from gateway.call.throttle import Throttle
from gateway.net.driver import monotonic
from gateway.sip.events import Confirmed, Ended, Event, Invited, Reconfirmed, Refreshed, Refused, Reoffered
from gateway.sip.message import Request
from gateway.sip.uri import parse_uri
from gateway.sip.values import plain

__all__ = ["Switchboard"]


class Switchboard:
    """Owner of every call. What comes here was let in by the ``Gate``, whose ``occupancy`` is kept up here."""

    def __init__(self, house: House, occupancy: Occupancy) -> None:
        self._house = house
        self._occupancy = occupancy
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
        """One log line that names the rule, as far as a flood of them lets, and one record for what was a call."""
        request = refused.request
        if refused.status == 401 and request is not None and request.get("Authorization") is None:
            return  # every call that logs in begins so
        suppressed = self._throttle.admit(monotonic())
        if suppressed is None:
            return
        fields: dict[str, object] = {"source": refused.flow.remote[0], "status": refused.status, "rule": refused.rule}
        counted = {"suppressed": suppressed} if suppressed else {}
        if request is None or request.method != "INVITE" or refused.status in (None, 403):
            self._log.warning("sip.refused", **fields, **counted)
            return
        fields = {**_parties(request), **fields}
        self._log.warning("call.refused", **fields, **counted)
        self._house.records.add({"event": "call.refused", **fields})

    def _invited(self, invited: Invited) -> None:
        decision = invited.admitted
        if not isinstance(decision, Decision) or decision.trunk is None or decision.route is None:
            self._house.sip.reject(invited.call, 500, "no decision was made about this call")
            return
        trunk = decision.trunk.name
        call = self._calls[invited.call] = Call(self._house, invited, decision, decision.trunk, decision.route)
        self._occupancy.enter(trunk, "in")
        task = asyncio.get_running_loop().create_task(call.run(), name=f"call {invited.call_id}")
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._over(invited.call, trunk, task))

    def _over(self, handle: int, trunk: str, task: asyncio.Task[None]) -> None:
        self._calls.pop(handle, None)
        self._occupancy.leave(trunk, "in")
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


def _parties(request: Request) -> dict[str, object]:
    """Who wanted to call whom, as it was written. The request was parsed before anybody was asked about it."""
    caller, called = request.from_.uri.user_text, parse_uri(request.uri).user_text
    return {"call_id": plain(request.call_id), "caller": plain(caller), "called": plain(called)}
