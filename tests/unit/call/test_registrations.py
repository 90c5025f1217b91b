"""Which trunks are registered, and what the log says of it."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from gateway.call.options import TrunkOptions
from gateway.call.registrations import Registrations
from gateway.errors import RemoteError
from gateway.sip.events import Registered, RegistrationFailed
from gateway.sip.flow import Address
from gateway.sip.options import RegistrationOptions


class Sip:
    def __init__(self) -> None:
        self.registered: list[tuple[str, Address | None]] = []
        self.done = asyncio.Event()

    def register(self, options: RegistrationOptions, *, remote: Address | None = None) -> int:
        self.registered.append((options.user, remote))
        self.done.set()
        return len(self.registered)


def trunk(name: str, **register: object) -> TrunkOptions:
    block = {"register": {"registrar": "sip:sip.example.net", **register}} if register else {}
    return TrunkOptions.model_validate({"name": name, "from": ["10.0.0.0/8"], **block})


async def resolved(target: str) -> Address:
    return "10.0.0.9", 5060


async def test_trunks_with_an_account_are_registered() -> None:
    sip = Sip()
    registrations = Registrations(sip, [trunk("fixed"), trunk("moving", user="alice")], resolved)
    registrations.start()
    await sip.done.wait()
    assert sip.registered == [("alice", ("10.0.0.9", 5060))]
    with capture_logs() as logs:
        for event in (Registered(1, 600, ()), Registered(1, 600, ())):
            registrations.on_event(event)
        registrations.on_event(RegistrationFailed(1, 403, "Forbidden", 1800, False))
        registrations.on_event(Registered(1, 600, ()))
    assert [(one["event"], one["trunk"]) for one in logs] == [
        ("trunk.registered", "moving"),
        ("trunk.registration_failed", "moving"),
        ("trunk.registered", "moving"),
    ]
    await registrations.close()


async def test_a_name_that_has_no_address_yet_is_looked_up_again() -> None:
    sip = Sip()
    asked = asyncio.Event()

    async def nobody(target: str) -> Address:
        asked.set()
        raise RemoteError("no address")

    registrations = Registrations(sip, [trunk("moving", user="alice")], nobody)
    with capture_logs() as logs:
        registrations.start()
        await asked.wait()
        await asyncio.sleep(0)
        await registrations.close()
    assert sip.registered == []
    assert [(one["event"], one["retry_in_s"]) for one in logs] == [("trunk.registration_failed", 30.0)]
