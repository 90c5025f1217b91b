"""Kamailio in front of us: registrar with digest, proxy with Record-Route, over UDP, TCP and TLS. It forwards calls
from one of us to another, so each runs in both directions through a proxy that nobody here wrote."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.call.house import House
from gateway.call.occupancy import Occupancy
from gateway.call.options import LimitOptions
from gateway.call.outbound import Outbound
from gateway.call.placing import Order, Results
from gateway.call.registrations import Registrations
from gateway.call.switchboard import Switchboard
from gateway.call.trunk_options import TrunkOptions
from gateway.net.endpoint import open_endpoint
from gateway.net.options import SignallingOptions, TlsOptions
from gateway.net.transport import Listen
from gateway.sdp import offer
from gateway.sip.auth import Credentials
from gateway.sip.events import Answered, Confirmed, Ended, Event, Invited, Pinged, Registered, RegistrationFailed
from gateway.sip.flow import Hop
from gateway.sip.options import RegistrationOptions
from tests.interop.peer import RTP, Switch, free_port
from tests.interop.test_outbound_sipp import Plug
from tests.unit.net.certificates import Authority, needs_openssl

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("kamailio") is None, reason="Kamailio (Debian: kamailio) is not installed"),
    pytest.mark.skipif(
        not list(Path("/usr/lib").glob("*/kamailio/modules/tls.so")), reason="kamailio-tls-modules is not installed"
    ),
    needs_openssl,
]
CONFIG = Path(__file__).parent / "kamailio" / "carrier.cfg"


@dataclass
class Carrier:
    port: int
    tls_port: int
    authority: Authority

    def hops(self, transport: str) -> list[Hop]:
        return [Hop(transport, ("127.0.0.1", self.tls_port if transport == "tls" else self.port))]

    def uri(self, user: str, transport: str) -> str:
        return f"sip:{user}{'@' if user else ''}carrier.test" + (
            f";transport={transport}" if transport != "udp" else ""
        )


@pytest.fixture(scope="module")
def carrier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carrier]:
    """One for all tests: it takes seconds to stop. Each leaves it without registrations."""
    directory = tmp_path_factory.mktemp("kamailio")
    authority = Authority(directory)
    certificate, key = authority.issue("carrier", "DNS:carrier.test")
    made = Carrier(free_port(), free_port(), authority)
    values = {"PORT": made.port, "TLS_PORT": made.tls_port, "CERTIFICATE": certificate, "KEY": key}
    text = CONFIG.read_text().replace("@CA@", str(authority.certificate))
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    config, log = directory / "kamailio.cfg", directory / "log"
    config.write_text(text)
    command = ["kamailio", "-f", config, "-DD", "-E", "-m", "64", "-M", "16", "-w", directory, "-Y", directory]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            _wait_for(made.tls_port, process, log)
            yield made
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """It says nothing when it is ready."""
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text())


@asynccontextmanager
async def subscriber(carrier: Carrier, user: str, transport: str, **account: Any) -> AsyncIterator[Switch]:
    """One of us, who has registered unless the account says that it cannot."""
    side = Switch()
    options = SignallingOptions(
        tls=TlsOptions.model_validate(carrier.authority.options(user)) if transport == "tls" else None
    )
    side.sip = await open_endpoint(options, listen=[Listen(transport, "127.0.0.1", 0)], on_event=side.hear)
    try:
        register = {"registrar": carrier.uri("", transport), "user": user, "password": "secret"} | account
        side.sip.register(RegistrationOptions.model_validate(register), remote=carrier.hops(transport))
        yield side
    finally:
        await side.sip.close(patience=1)


@pytest.mark.parametrize(
    ("calling", "called"), [("udp", "udp"), ("tcp", "udp"), ("udp", "tls"), ("tls", "tcp"), ("tls", "tls")]
)
@pytest.mark.parametrize("hangs_up", ["caller", "callee"])
async def test_a_call_through_the_proxy(carrier: Carrier, calling: str, called: str, hangs_up: str) -> None:
    async with subscriber(carrier, "alice", calling) as alice, subscriber(carrier, "bob", called) as bob:
        for side in (alice, bob):
            (registered,) = await side.until(Registered)
            assert isinstance(registered, Registered)
            assert registered.expires_s == 600  # max_expires of the registrar
        target = carrier.uri("bob", calling)
        call = alice.sip.invite(
            target,
            offer(RTP, 1),
            caller="alice",
            remote=carrier.hops(calling),
            credentials=Credentials("alice", "secret"),
        )
        await alice.until(Answered)
        (confirmed,) = await bob.until(Confirmed)
        assert isinstance(confirmed, Confirmed)
        (invited,) = bob.events(Invited)
        assert isinstance(invited, Invited)
        assert invited.request.get("Record-Route")
        assert invited.request.get("Proxy-Authorization") is None
        if hangs_up == "caller":
            alice.sip.hang_up(call, "enough")
        else:
            bob.sip.hang_up(confirmed.call, "enough")
        for side in (alice, bob):
            (ended,) = await side.until(Ended)
            assert isinstance(ended, Ended)
            assert ended.by == ("local" if (side is alice) == (hangs_up == "caller") else "remote")


async def test_a_wrong_password(carrier: Carrier) -> None:
    async with subscriber(carrier, "alice", "udp", password="guessed") as alice:
        (failed,) = await alice.until(RegistrationFailed)
        assert isinstance(failed, RegistrationFailed)
        assert failed.status == 401


async def test_nobody_of_that_name_and_a_ping(carrier: Carrier) -> None:
    async with subscriber(carrier, "alice", "udp") as alice:
        await alice.until(Registered)
        alice.sip.invite(
            carrier.uri("nobody", "udp"), offer(RTP, 1), caller="alice", remote=carrier.hops("udp"),
            credentials=Credentials("alice", "secret"),
        )  # fmt: skip
        (ended,) = await alice.until(Ended)
        assert isinstance(ended, Ended)
        assert ended.status == 404
        alice.sip.options_ping(carrier.uri("", "udp"), remote=carrier.hops("udp"))
        (pinged,) = await alice.until(Pinged)
        assert isinstance(pinged, Pinged)
        assert pinged.status == 200


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_trunk_that_registers_calls_by_the_route_that_it_was_told(carrier: Carrier, transport: str) -> None:
    """REGISTER and INVITE are challenged, and the INVITE takes the Service-Route (RFC 3608)."""
    here = f"sip:127.0.0.1:{carrier.port};transport={transport}"
    account = {"registrar": here, "user": "gateway", "password": "secret", "realm": "carrier.test"}
    trunk = TrunkOptions.model_validate({"name": "carrier", "targets": [{"uri": here}], "register": account})
    async with trunk_through(trunk, transport) as (outbound, plug), subscriber(carrier, "bob", transport) as bob:
        await bob.until(Registered)
        call = outbound.place(Order("carrier", "bob", plug="p"))
        result = await call.result
        assert (result.what, result.status) == (Results.ANSWERED, 200)
        (invited,) = bob.events(Invited)
        assert isinstance(invited, Invited)
        assert invited.request.get("X-Came-By") == "our Service-Route"
        assert invited.request.get("Route") is None
        await plug.spoke.wait()
        call.hang_up("enough")
        await bob.until(Ended)


@asynccontextmanager
async def trunk_through(trunk: TrunkOptions, transport: str) -> AsyncIterator[tuple[Outbound, Plug]]:
    """A house with this trunk, once it is registered."""
    listeners: list[Any] = []
    registered = asyncio.Event()

    def on_event(event: Event) -> None:
        for one in listeners:
            one.on_event(event)
        if isinstance(event, Registered):
            registered.set()

    sip = await open_endpoint(SignallingOptions(), listen=[Listen(transport, "127.0.0.1", 0)], on_event=on_event)
    plug, occupancy = Plug(), Occupancy()
    everything: Any = plug
    house = House(sip, everything, "127.0.0.1", {"p": everything}, {}, everything, LimitOptions())
    board, registrations = Switchboard(house, occupancy), Registrations(sip, [trunk])
    listeners += [board, registrations]
    registrations.start()
    try:
        await asyncio.wait_for(registered.wait(), 10)
        yield Outbound(house, board, occupancy, [trunk]), plug
    finally:
        await registrations.close()
        await board.close(5)
        await sip.close(patience=1)
