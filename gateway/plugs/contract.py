"""What a call can be connected to, and what the call gives it.

The call knows plugs by this file alone. It opens a plug's session when the route is chosen (so that providers connect
while the phone still rings), tells it when media flows, and closes it exactly once, whoever hung up. The session hears
the leg as its observer.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from gateway.machine import Machine
from gateway.media.contract import Leg, LegObserver
from gateway.options import Options
from gateway.providers.router.upstream import Upstream
from gateway.timeline import Timeline
from gateway.units import Nanos

__all__ = ["CallView", "Diversion", "Drive", "Plug", "PlugSession", "PlugSpec", "TransferResult", "UserToUser"]


class Drive(Protocol):
    """A machine with a clock: what ``net/driver.py`` is to a plug."""

    def now(self) -> Nanos: ...

    def poke(self) -> None:
        """After a verb of the machine: carries out its effects and reports, and sets its timer anew."""

    def close(self) -> None:
        """No timer fires after this."""


@dataclass(frozen=True, slots=True)
class TransferResult:
    """How a transfer went."""

    status: int | None
    """2xx: the far end talks to its new party. ``None``: nobody has told, or the call has ended. Else why it failed,
    and the call goes on."""
    reason: str

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Diversion:
    """Who was called, and passed the call on."""

    number: str
    """As the house writes it; ``""`` where it is withheld."""
    reason: str = "unknown"
    """``user-busy``, ``no-answer``, ``unconditional``, ``deflection``, ..., in the words of RFC 5806."""
    private: bool = False

    def as_record(self) -> dict[str, object]:
        return {"number": self.number or "anonymous", "reason": self.reason}


@dataclass(frozen=True, slots=True)
class UserToUser:
    """What one application tells the other by way of the network."""

    data: bytes
    """Decoded, as ``encoding`` says."""
    encoding: str = ""
    purpose: str = ""
    content: str = ""


class CallView(Protocol):
    """The call, as far as a plug may see it."""

    call_id: str
    caller: str
    called: str
    headers: Mapping[str, str]
    """What the far end has added to its INVITE (``X-Campaign``, ``User-to-User``, ``Diversion``), by any capitals."""
    diversions: tuple[Diversion, ...]
    """Who was called before us and passed the call on, the last one first."""
    user_to_user: tuple[UserToUser, ...]
    timeline: Timeline
    providers: Mapping[str, Upstream]
    """By the name of their YAML block."""
    totals: dict[str, object]
    """What the plug adds to the call's record at its end."""

    def drive(
        self, machine: Machine[Any, Any], on_effect: Callable[[Any], None], on_event: Callable[[Any], None]
    ) -> Drive:
        """Gives a machine without I/O its clock and timers."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs work that the call owns: it is cancelled and awaited when the call ends."""

    def now(self) -> Nanos:
        """The clock of the stamps."""

    def pause_recording(self, paused: bool) -> None:
        """Withholds what follows from a recording of the call (the number of a card), until told otherwise."""

    def hang_up(self, reason: str, headers: Mapping[str, str] | None = None) -> None:
        """Ends the call from our side; ``close`` of the session follows. ``headers`` go with the BYE. Raises
        ``MisuseError`` for those that a message of ours may not carry."""

    async def transfer(
        self,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        on_progress: Callable[[int, str], None] | None = None,
    ) -> TransferResult:
        """Asks the far end to call ``target`` (a SIP or tel URI) instead of us (RFC 3515). ``on_progress`` hears how
        that call goes (``180, "Ringing"``). Once it has succeeded the call is hung up; otherwise it goes on. Raises
        ``MisuseError`` for a target or header that cannot be sent."""

    async def hold(self, held: bool) -> bool:
        """Holds the call (the far end is heard no more; it hears what the session plays, or silence), or goes on with
        it. Whether the far end has agreed; ``False`` also before the answer and after the end."""

    def log(self, event: str, **fields: object) -> None:
        """One structured log line of this call. ``heard`` and ``said`` are redacted as configured."""

    def record(self, event: str, **fields: object) -> None:
        """Like ``log``, and kept in the call record as well."""


class PlugSession(LegObserver, Protocol):
    """One call connected to a plug. Every method but ``start`` and ``close`` returns at once and never raises."""

    uplink_rate: int
    """Rate of ``on_audio``, in Hz."""

    async def start(self, leg: Leg) -> None:
        """Gets ready while the phone rings. Raises ``ProviderError`` if the call cannot be served at all."""

    def answered(self) -> None:
        """The far end confirmed the call (ACK): speak now. With early media it comes before the answer."""

    def on_hold(self, held: bool) -> None:
        """The far end does not listen any more, or listens again. What is queued meanwhile waits."""

    async def close(self) -> None:
        """The call has ended; nothing is left running when this returns. Called once."""


class Plug(Protocol):
    """One configured plug, shared by all calls of the process."""

    def open(self, call: CallView) -> PlugSession: ...


@runtime_checkable
class Prepares(Protocol):
    """A plug that has something to do before its first call."""

    async def prepare(self, providers: Mapping[str, Upstream], cache: Path | None) -> None:
        """Runs beside the calls from the start of the process, and is cancelled at its end. ``cache`` is where audio
        may be kept."""


@dataclass(frozen=True, slots=True)
class PlugSpec:
    """The constant that a plug's file ends in, and its entry point names."""

    kind: str
    options: type[Options]
    create: Callable[[Any], Plug]
    """(options) -> plug."""
    provider_roles: Mapping[str, str]
    """Option key -> provider role, for the fields of the options that name a provider or a list of them:
    ``{"stt": "stt", "shadow.stt": "stt", ...}``."""
