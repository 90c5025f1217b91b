"""Placing calls: the Python face of outgoing trunks.

result = await outbound.call(Order("carrier", "+493012345", plug="pizza"))
result.what, result.status, result.reason        # Results.BUSY, 486, "Busy Here"

call = outbound.place(order)                     # the same, without waiting
result = await call.result                       # answered, or why not
call.hang_up("enough")
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from gateway.call.dialling import account, dial, shown_number
from gateway.call.house import House
from gateway.call.identity import ANONYMOUS
from gateway.call.occupancy import Occupancy
from gateway.call.outgoing import OutgoingCall
from gateway.call.placing import Order, Result, Results
from gateway.call.switchboard import Switchboard
from gateway.call.targets import Lot, Targets
from gateway.call.trunk_options import HealthOptions, TrunkOptions
from gateway.errors import MisuseError, ResourceError, SipError
from gateway.net.driver import monotonic
from gateway.sip.auth import Credentials
from gateway.sip.values import plain

__all__ = ["Outbound", "OutboundTrunk"]


@dataclass(frozen=True, slots=True)
class OutboundTrunk:
    """A trunk that calls can go to, and how its targets do."""

    options: TrunkOptions
    targets: Targets

    @property
    def health(self) -> HealthOptions:
        return self.options.health

    @property
    def credentials(self) -> Credentials | None:
        return account(self.options)

    @property
    def advertise(self) -> str:
        return self.options.advertise or ""


class Outbound:
    """Places calls through the configured trunks. They count towards the same limits as those that come in."""

    def __init__(
        self,
        house: House,
        switchboard: Switchboard,
        occupancy: Occupancy,
        trunks: Sequence[TrunkOptions],
        lot: Lot | None = None,
    ) -> None:
        self._house = house
        self._switchboard = switchboard
        self._occupancy = occupancy
        self._log = structlog.get_logger()
        lot = lot or random.Random()
        self.trunks = {
            trunk.name: OutboundTrunk(trunk, Targets(trunk.reached_at, trunk.health, lot))
            for trunk in trunks
            if trunk.reached_at
        }

    async def call(self, order: Order) -> Result:
        """Places a call and waits until it is answered, or is not. What our own limits and policy refuse is a result
        too. Raises ``MisuseError`` for a trunk or plug that does not exist."""
        try:
            placed = self.place(order)
        except (ResourceError, SipError) as error:
            status = error.status if isinstance(error, SipError) else None
            rule = error.rule if isinstance(error, SipError) else str(error)
            self._log.warning("call.not_placed", trunk=order.trunk, called=plain(order.to), status=status, rule=rule)
            return Result(Results.REFUSED, status, rule)
        return await placed.result

    def place(self, order: Order) -> OutgoingCall:
        """Begins a call. Raises ``ResourceError`` where a limit is met, ``SipError`` 403 for a number that is not ours
        to show, ``MisuseError`` for what does not exist."""
        trunk = self.trunks.get(order.trunk)
        if trunk is None:
            raise MisuseError(f"there is no trunk {order.trunk!r} with targets; there are {', '.join(self.trunks)}")
        if order.plug not in self._house.plugs:
            raise MisuseError(f"there is no plug {order.plug!r}; there are {', '.join(self._house.plugs)}")
        number = shown_number(trunk.options, order.caller)
        self._find_room(trunk.options)
        watched = trunk.health.interval is not None
        dials = [
            dial(
                trunk.options, target, order.to, number, display=order.display, private=order.private,
                headers=order.headers, report=partial(trunk.targets.report, target.uri) if watched else _nobody,
            )
            for target in trunk.targets.order()
        ]  # fmt: skip
        shown = ANONYMOUS if order.private else number
        follow = self._switchboard.follow
        call = OutgoingCall(self._house, trunk.options, order, shown, dials=dials, follow=follow)
        self._switchboard.adopt(call)
        return call

    def _find_room(self, trunk: TrunkOptions) -> None:
        limits, load, now = trunk.limits, self._occupancy, monotonic()
        most = self._house.limits.concurrent_calls
        if load.total >= most:
            raise ResourceError(f"limits.concurrent_calls is met: {most}")
        if limits.calls is not None and load.calls(trunk.name) >= limits.calls:
            raise ResourceError(f"trunk {trunk.name}: limits.calls is met: {limits.calls}")
        if limits.calls_out is not None and load.calls(trunk.name, "out") >= limits.calls_out:
            raise ResourceError(f"trunk {trunk.name}: limits.calls_out is met: {limits.calls_out}")
        if load.wait((trunk.name, "out"), limits.rate_out, now):
            raise ResourceError(f"trunk {trunk.name}: limits.rate_out is met: {limits.rate_out:g} a second")
        load.take((trunk.name, "out"), limits.rate_out, now)


def _nobody(*, good: bool) -> None:
    """Without pings, nothing would find out that a target is up again; the endpoint's own memory is short."""
