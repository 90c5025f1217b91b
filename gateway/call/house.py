"""What all calls share: the signalling, the media plane, plugs and providers, as far as a call needs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.call.options import LimitOptions
from gateway.call.tapes import TapeFactory
from gateway.call.wiretap import Wiretap
from gateway.media.contract import Leg, LegObserver
from gateway.plugs.contract import Plug
from gateway.providers.router.upstream import Upstream
from gateway.records.writer import Records
from gateway.sdp.types import AudioFormat
from gateway.sip.auth import Credentials
from gateway.sip.flow import Hop, Remote
from gateway.sip.message import Header
from gateway.sip.options import RegistrationOptions
from gateway.trace import TraceContext
from gateway.units import Nanos

__all__ = ["Dialler", "House", "MediaFactory", "Signalling", "untraced"]


class Signalling(Protocol):
    """What a call needs of SIP."""

    async def address(self, name: str, *, ipv6: bool) -> str: ...

    def ring(self, call: int, status: int = 180, sdp: bytes | None = None) -> None: ...

    def answer(self, call: int, sdp: bytes) -> None: ...

    def reject(self, call: int, status: int, rule: str, reason: str | None = None, *, warning: int = 399) -> None: ...

    def hang_up(self, call: int, reason: str = "", *, headers: Iterable[Header] = ()) -> None: ...

    def reoffer(self, call: int, sdp: bytes) -> None: ...

    def refer(self, call: int, target: str, *, headers: Iterable[Header] = ()) -> None: ...

    def refuse_refer(self, call: int, status: int, rule: str) -> None: ...


class Dialler(Signalling, Protocol):
    """And what placing one needs besides."""

    async def locate(self, target: str) -> list[Hop]: ...

    def invite(
        self,
        target: str,
        sdp: bytes,
        *,
        caller: str,
        headers: Iterable[Header] = (),
        remote: Remote = None,
        credentials: Credentials | None = None,
        sender: str = "",
        patience: Nanos | None = None,
        registration: RegistrationOptions | None = None,
        advertise: str = "",
    ) -> int: ...

    def call_id(self, call: int) -> str: ...


class MediaFactory(TapeFactory, Protocol):
    """What a call needs of the media plane."""

    @property
    def formats(self) -> tuple[AudioFormat, ...]: ...

    @property
    def fingerprint(self) -> str: ...

    def open_leg(self, observer: LegObserver, *, uplink_rate: int = 16000) -> Leg: ...


def untraced() -> TraceContext | None:
    """No call is traced."""
    return None


@dataclass(frozen=True, slots=True)
class House:
    """What all calls share."""

    sip: Signalling
    media: MediaFactory
    media_host: str
    """The address that SDP tells the far end."""
    plugs: Mapping[str, Plug]
    providers: Mapping[str, Upstream]
    records: Records
    limits: LimitOptions
    codecs: Mapping[str, tuple[AudioFormat, ...]] = field(default_factory=dict)
    """What trunks with a codec policy of their own offer and take, by the trunk's name."""
    wiretap: Wiretap = field(default_factory=Wiretap)
    """Where captures get SIP messages from."""
    record_headers: Sequence[str] = ()
    """Headers of INVITE and BYE that records keep."""
    trace: Callable[[], TraceContext | None] = untraced
    """The trace of a new call, if it is to have one."""
