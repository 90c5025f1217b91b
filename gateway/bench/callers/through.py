"""A synthetic call through a trunk of the configuration, as the gateway itself would place it."""

from __future__ import annotations

import random

from gateway.bench.callers.caller import Target
from gateway.bench.callers.host import alternatives
from gateway.call.dialling import dial, shown_number
from gateway.call.targets import Targets
from gateway.config import Config
from gateway.errors import ConfigError, RemoteError, SipError
from gateway.net.resolver import shared_resolver
from gateway.units import Nanos

__all__ = ["find_through"]


async def find_through(
    config: Config, trunk_name: str, number: str, caller: str | None, patience: Nanos | None
) -> Target:
    """The servers of the trunk's first target that can be found. Raises ``ConfigError``, ``RemoteError``."""
    trunk = next((one for one in config.trunks if one.name == trunk_name), None)
    if trunk is None or not trunk.reached_at:
        able = ", ".join(one.name for one in config.trunks if one.reached_at) or "none"
        raise ConfigError([f"--trunk: {trunk_name!r} is no trunk with targets; there are: {able}"])
    try:
        shown = shown_number(trunk, caller)
    except SipError as error:
        raise RemoteError(error.rule) from None
    transports = list(dict.fromkeys(one.transport for one in config.sip.listen))
    problem: RemoteError | None = None
    for target in Targets(trunk.reached_at, trunk.health, random.Random()).order():
        placed = dial(trunk, target, number, shown)
        try:
            hop, *others = await shared_resolver().locate(target.uri, transports)
        except RemoteError as error:
            problem = error
            continue
        more = alternatives(hop, others)
        return Target(placed.uri, hop.address, hop.transport, placed, more, patience or trunk.patience)
    raise problem or RemoteError(f"trunk {trunk_name} has no target")
