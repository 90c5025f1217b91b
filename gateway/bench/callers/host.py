"""Where synthetic callers live: one SIP endpoint and one media plane for all callers of a process."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from gateway.bench.callers.caller import Caller, Clips, Happening, Target
from gateway.bench.callers.impairments import Impairments
from gateway.bench.callers.recording import write_recording
from gateway.bench.callers.scenario import Scenario
from gateway.bench.measure.results import CallResult, Ticket
from gateway.config.model import LogOptions
from gateway.daemon import logs
from gateway.errors import MisuseError, RemoteError
from gateway.media.costs import PlaneCosts
from gateway.media.options import MediaOptions
from gateway.media.plane import MediaPlane
from gateway.net.endpoint import EndpointDriver, open_endpoint
from gateway.net.options import CallerOptions, TlsOptions, TlsTrust
from gateway.net.resolver import shared_resolver
from gateway.net.transport import Listen
from gateway.sip.events import ByeFailed, Ended, Event, Invited, Pinged, Refused, Registered, RegistrationFailed
from gateway.sip.flow import Address, Hop
from gateway.sip.uri import parse_uri
from gateway.units import Nanos

__all__ = ["CallerHost", "alternatives", "find", "quiet_log"]


def quiet_log() -> None:
    """The log of what runs inside the bench itself shows its faults only: standard output is the report's."""
    logs.configure(LogOptions(level="error"), sys.stderr)


async def find(typed: str, patience: Nanos | None = None) -> Target:
    """A SIP address as people type it, the scheme left out or not. Raises ``RemoteError``."""
    uri = typed if typed.startswith(("sip:", "sips:", "tel:")) else f"sip:{typed}"
    if not uri.startswith(("sip:", "sips:")):
        raise RemoteError(f"{typed!r} cannot be called yet; give an address that begins with sip: or sips:")
    transport = "tls" if uri.startswith("sips:") else (parse_uri(uri).parameter("transport") or "udp").lower()
    first, *others = await shared_resolver().locate(uri, [transport])
    return Target(uri, first.address, first.transport, others=alternatives(first, others), patience=patience)


def alternatives(first: Hop, others: Sequence[Hop]) -> tuple[Address, ...]:
    """Servers that the socket of the first one reaches as well."""
    same = [hop for hop in others if hop.transport == first.transport]
    return tuple(hop.address for hop in same if (":" in hop.address[0]) == (":" in first.address[0]))


def address_towards(target: Target) -> str:
    """Our own address on the way to a target: the one that its answers reach. Raises ``RemoteError``."""
    host, _ = target.remote
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(target.remote)  # asks the routing table; sends nothing
        except OSError as error:
            raise RemoteError(f"{target.uri}: there is no way to {host}: {error.strerror}") from error
        return str(probe.getsockname()[0])


class CallerHost:
    """Opened with ``async with``. Implements ``Phone`` for its callers."""

    def __init__(
        self,
        target: Target,
        *,
        ports: str = "40000-49999",
        max_calls: int = 1000,
        tls: TlsOptions | None = None,
        believes: TlsTrust | None = None,
    ) -> None:
        """Over TLS, ``tls`` has our certificate; without one ``believes`` says which servers are believed."""
        self.target = target
        self._address = address_towards(target)
        self._options = CallerOptions(
            user_agent="Linecard bench", max_calls=max_calls, tls=tls, believes=believes or TlsTrust()
        )
        media = {"address": self._address, "ports": ports, "rtp_timeout": "0s"}
        self._plane = MediaPlane(MediaOptions.model_validate(media))
        self._driver: EndpointDriver | None = None
        self._listeners: dict[int, Callable[[Event], None]] = {}
        self._early: list[Event] | None = None

    async def __aenter__(self) -> CallerHost:
        self._plane.start()
        listen = [Listen(self.target.transport, self._address, 0)]
        self._driver = await open_endpoint(self._options, listen=listen, on_event=self._on_event)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        if self._driver is not None:
            await self._driver.close()
        await self._plane.stop()

    def caller(
        self,
        scenario: Scenario,
        clips: Clips,
        *,
        ticket: Ticket | None = None,
        impairments: Impairments | None = None,
        record: bool = False,
        notify: Callable[[Happening], None] = lambda _: None,
    ) -> Caller:
        """A caller with its socket open, that has not called yet. Raises ``ResourceError`` if no port is left.

        ``impairments`` go before those of the scenario.
        """
        return Caller(
            scenario,
            clips,
            self,
            self._plane,
            ticket=ticket,
            impairments=impairments,
            record=record,
            notify=notify,
        )

    async def run(self, caller: Caller, record: Path | None = None) -> CallResult:
        """The whole call, and its recording. Cancelled, the call is hung up, and ``caller.result`` holds what it
        measured."""
        try:
            return await caller.run(self.target)
        finally:
            if record is not None and write_recording(record, caller):
                caller.result.recording = record.name

    def costs(self) -> PlaneCosts:
        """Of the media thread: what it has cost, and how late it was."""
        return self._plane.costs()

    # --- Phone --------------------------------------------------------------------------------------------------------

    @property
    def _sip(self) -> EndpointDriver:
        if self._driver is None:
            raise MisuseError("callers call while their host is open")
        return self._driver

    def invite(self, target: Target, sdp: bytes, caller: str, on_event: Callable[[Event], None]) -> int:
        self._early = []
        dial = target.dial
        call = self._sip.invite(
            target.uri,
            sdp,
            caller=dial.user if dial and (dial.user or dial.sender) else caller,
            headers=dial.headers if dial else (),
            remote=[Hop(target.transport, address) for address in (target.remote, *target.others)],
            credentials=dial.credentials if dial else None,
            sender=dial.sender if dial else "",
            patience=target.patience,
        )
        self._listeners[call] = on_event
        early, self._early = self._early, None
        for event in early:
            self._on_event(event)
        return call

    def call_id(self, call: int) -> str:
        return self._sip.call_id(call)

    def answer(self, call: int, sdp: bytes) -> None:
        self._sip.answer(call, sdp)

    def reject(self, call: int, status: int, rule: str) -> None:
        self._sip.reject(call, status, rule)

    def reoffer(self, call: int, sdp: bytes) -> None:
        self._sip.reoffer(call, sdp)

    def hang_up(self, call: int, reason: str) -> None:
        self._sip.hang_up(call, reason)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, ByeFailed | Refused | Pinged | Registered | RegistrationFailed):
            return
        if isinstance(event, Invited):
            self._sip.reject(event.call, 603, "callers of the bench take no calls")
            return
        if self._early is not None:
            self._early.append(event)  # ``invite`` has not returned yet: nobody knows the handle
            return
        listener = self._listeners.get(event.call)
        if isinstance(event, Ended):
            self._listeners.pop(event.call, None)
        if listener is not None:
            listener(event)
