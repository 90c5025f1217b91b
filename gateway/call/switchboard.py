"""All calls of the gateway: admits, routes, and passes the signalling's events on to the call that they belong to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from gateway.call.call import Call, CallEvent
from gateway.call.decision import Decision
from gateway.call.house import House
from gateway.call.incoming import IncomingCall
from gateway.call.occupancy import Occupancy
from gateway.call.throttle import Throttle
from gateway.call.trunk_options import TrunkOptions
from gateway.net.driver import monotonic
from gateway.sip.events import ByeFailed, Ended, Event, Invited, Pinged, Refused, Registered, RegistrationFailed
from gateway.sip.flow import Flow
from gateway.sip.message import Request
from gateway.sip.uri import join_host_port, parse_uri
from gateway.sip.values import plain
from gateway.units import Nanos

__all__ = ["Switchboard"]


NotTaken = Callable[[Request, Flow, Nanos], list[str]]
"""Says of an INVITE that was refused what nearly fitted."""


class Switchboard:
    """Owner of every call. What comes here was let in by the ``Gate``, whose ``occupancy`` is kept up here."""

    def __init__(self, house: House, occupancy: Occupancy, not_taken: NotTaken = lambda request, flow, now: []) -> None:
        self._house = house
        self._not_taken = not_taken
        self._occupancy = occupancy
        self._calls: dict[int, Call] = {}
        self._tasks: dict[asyncio.Task[None], Call] = {}
        self._counted: set[Call] = set()
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
            case ByeFailed():
                peer = join_host_port(event.peer)
                self._log.warning(
                    "call.bye_failed", call_id=event.call_id, peer=peer, status=event.status, reason=event.reason
                )
            case Pinged() | Registered() | RegistrationFailed():
                pass  # told to those who have asked
            case _:
                self._told(event)

    def _told(self, event: CallEvent) -> None:
        call = self._calls.get(event.call)
        if isinstance(event, Ended):  # nothing follows; a call that tries another target has another handle then
            self._calls.pop(event.call, None)
        if call is not None:
            call.hear(event)

    def _refused(self, refused: Refused) -> None:
        """One log line that names the rule, as far as a flood of them lets, and one record for what was a call."""
        request = refused.request
        if refused.status == 401 and request is not None and request.get("Authorization") is None:
            return  # every call that logs in begins so
        now = monotonic()
        suppressed = self._throttle.admit(now)
        if suppressed is None:
            return
        fields: dict[str, object] = {"source": refused.flow.remote[0], "status": refused.status, "rule": refused.rule}
        counted: dict[str, object] = {"suppressed": suppressed} if suppressed else {}
        invite = request if request is not None and request.method == "INVITE" else None
        if invite is not None and (missed := self._not_taken(invite, refused.flow, now)):
            counted["not_taken"] = missed
        if invite is None or refused.status in (None, 403):
            self._log.warning("sip.refused", **fields, **counted)
            return
        fields = {**_parties(invite), **fields}
        self._log.warning("call.refused", **fields, **counted)
        self._house.records.add({"event": "call.refused", **fields})

    def _invited(self, invited: Invited) -> None:
        decision = invited.admitted
        if not isinstance(decision, Decision) or decision.trunk is None or decision.route is None:
            self._house.sip.reject(invited.call, 500, "no decision was made about this call")
            return
        if invited.replaces is not None and not self._may_replace(invited, decision.trunk):
            self._house.sip.reject(invited.call, 403, "RFC 3891 3: only a trunk's own calls may be replaced")
            return
        self.adopt(IncomingCall(self._house, invited, decision, decision.trunk, decision.route))

    def _may_replace(self, invited: Invited, trunk: TrunkOptions) -> bool:
        """An attended transfer to us: the new caller takes the old one's place, which ends with the answer. Who could
        do that to other trunks' calls could listen in (RFC 3891 8)."""
        old = self._calls.get(invited.replaces or 0)
        if old is None or old.trunk.name != trunk.name:
            return False
        self._log.info("call.replaces", call_id=invited.call_id, replaced=old.call_id)
        return True

    def adopt(self, call: Call) -> asyncio.Task[None]:
        """Runs a call to its end, and counts it while it lasts."""
        self._occupancy.enter(call.trunk.name, call.direction)
        self._counted.add(call)
        if call.handle:
            self.follow(call)
        task = asyncio.get_running_loop().create_task(self._run(call), name=f"call {call.call_id}")
        self._tasks[task] = call
        task.add_done_callback(self._over)
        return task

    async def _run(self, call: Call) -> None:
        """A call that is told to be over has left its place: who calls upon that finds it free."""
        try:
            await call.run()
        finally:
            self._leave(call)

    def _leave(self, call: Call) -> None:
        if call in self._counted:
            self._counted.remove(call)
            self._occupancy.leave(call.trunk.name, call.direction)

    def follow(self, call: Call) -> None:
        """What is told of ``call.handle`` is told to this call from now on."""
        self._calls[call.handle] = call

    def _over(self, task: asyncio.Task[None]) -> None:
        call = self._tasks.pop(task)
        self._calls.pop(call.handle, None)
        if call in self._counted:  # cancelled before its first step: nothing of ``_run`` was done
            self._leave(call)
            call.never_began()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("call.fault", exc_info=error)

    async def close(self, patience: float) -> None:
        """Hangs every call up, and waits until nothing is left of them; after ``patience`` seconds they are cut."""
        for call in list(self._tasks.values()):
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
