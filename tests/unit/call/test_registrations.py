"""Which trunks are registered, and what the log says of it."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from gateway.call.registrations import Registrations
from gateway.call.trunk_options import TrunkOptions
from gateway.errors import RemoteError
from gateway.sip.events import Registered, RegistrationFailed
from gateway.sip.flow import Hop, Remote
from gateway.sip.options import RegistrationOptions


class Sip:
    def __init__(self) -> None:
        self.registered: list[tuple[str, Remote]] = []
        self.moved: list[tuple[int, Remote]] = []
        self.servers = [Hop("udp", ("10.0.0.9", 5060))]
        self.asked = asyncio.Event()
        self.done = asyncio.Event()

    async def locate(self, target: str) -> list[Hop]:
        self.asked.set()
        if not self.servers:
            raise RemoteError("no address")
        return self.servers

    def register(self, options: RegistrationOptions, *, remote: Remote = None, advertise: str = "") -> int:
        self.registered.append((options.user, remote))
        self.done.set()
        return len(self.registered)

    def relocate(self, registration: int, remote: Remote) -> None:
        self.moved.append((registration, remote))
        self.done.set()


def trunk(name: str, **register: object) -> TrunkOptions:
    block = {"register": {"registrar": "sip:sip.example.net", **register}} if register else {}
    return TrunkOptions.model_validate({"name": name, "from": ["10.0.0.0/8"], **block})


async def test_trunks_with_an_account_are_registered() -> None:
    sip = Sip()
    registrations = Registrations(sip, [trunk("fixed"), trunk("moving", user="alice")])
    registrations.start()
    await sip.done.wait()
    assert sip.registered == [("alice", sip.servers)]
    with capture_logs() as logs:
        for event in (Registered(1, 600, ()), Registered(1, 600, ())):
            registrations.on_event(event)
        registrations.on_event(RegistrationFailed(1, None, "no answer", 30, True))
        assert registrations.registered == {"moving": True}
        registrations.on_event(RegistrationFailed(1, 403, "Forbidden", 1800, False))
        assert registrations.registered == {"moving": False}
        registrations.on_event(Registered(1, 600, ()))
    assert [(one["event"], one["trunk"]) for one in logs] == [
        ("trunk.registered", "moving"),
        ("trunk.registration_failed", "moving"),
        ("trunk.registration_failed", "moving"),
        ("trunk.registered", "moving"),
    ]
    await registrations.close()


async def test_a_name_that_has_no_address_yet_is_looked_up_again() -> None:
    sip = Sip()
    sip.servers = []
    registrations = Registrations(sip, [trunk("moving", user="alice")])
    with capture_logs() as logs:
        registrations.start()
        await sip.asked.wait()
        await asyncio.sleep(0)
        await registrations.close()
    assert sip.registered == []
    assert [(one["event"], one["retry_in_s"]) for one in logs] == [("trunk.registration_failed", 30.0)]


async def test_dns_is_asked_again_for_each_renewal() -> None:
    sip = Sip()
    registrations = Registrations(sip, [trunk("moving", user="alice")])
    registrations.start()
    await sip.done.wait()
    await asyncio.sleep(0)
    sip.done.clear()
    sip.servers = [Hop("tcp", ("10.0.0.10", 5060))]
    registrations.on_event(Registered(1, 600, ()))
    await sip.done.wait()
    assert sip.moved == [(1, sip.servers)]
    await registrations.close()


async def test_it_is_known_at_which_servers_a_trunk_is_registered() -> None:
    sip = Sip()
    registrations = Registrations(sip, [trunk("fixed"), trunk("moving", user="alice")])
    registrations.start()
    await sip.done.wait()
    assert registrations.at("10.0.0.9") == frozenset()
    registrations.on_event(Registered(1, 600, ()))
    assert registrations.at("10.0.0.9") == {"moving"}
    assert registrations.at("10.0.0.8") == frozenset()
    registrations.on_event(RegistrationFailed(1, 403, "Forbidden", 1800, False))
    assert registrations.at("10.0.0.9") == frozenset()
    await registrations.close()
