"""The plug's session as the leg's observer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from gateway.media.contract import LegStats
from gateway.plugs.contract import PlugSession
from gateway.units import Nanos

__all__ = ["Ear"]

_HEARD: Final = ("on_audio", "on_speech_started", "on_speech_ended")


class Ear:
    """The end of the leg, its keys and a silent far end are the call's own affair, and digits that ``own_digit`` takes.

    Digits come as RTP (RFC 4733) or in INFO. The way of the first one is the call's way: who sends them both ways has
    pressed each key once."""

    def __init__(
        self,
        session: PlugSession,
        own_digit: Callable[[str], bool],
        on_closed: Callable[[LegStats], None],
        on_rtp_timeout: Callable[[Nanos], None],
        on_secured: Callable[[str | None], None],
    ) -> None:
        self._session = session
        self.alone()
        self._own_digit = own_digit
        self._way: Literal["rtp", "info"] | None = None
        self.on_closed = on_closed
        self.on_rtp_timeout = on_rtp_timeout
        self.on_secured = on_secured

    def on_digit(self, digit: str, duration_ms: int, arrival: Nanos) -> None:
        self._came("rtp", digit, duration_ms, arrival)

    def on_info(self, digit: str, duration_ms: int, arrival: Nanos) -> None:
        """A digit in INFO."""
        self._came("info", digit, duration_ms, arrival)

    def _came(self, way: Literal["rtp", "info"], digit: str, duration_ms: int, arrival: Nanos) -> None:
        self._way = self._way or way
        if self._way == way and not self._own_digit(digit):
            self._session.on_digit(digit, duration_ms, arrival)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def listen_in(self, other: Any) -> None:
        """``other`` hears the far end too, until ``alone``."""
        for name in _HEARD:
            setattr(self, name, _both(getattr(self._session, name), getattr(other, name)))

    def alone(self) -> None:
        """The session hears the far end, and nobody else. Bound once: ``on_audio`` is the path of every frame."""
        for name in _HEARD:
            setattr(self, name, getattr(self._session, name))


def _both(first: Callable[..., None], second: Callable[..., None]) -> Callable[..., None]:
    def told(*what: Any) -> None:
        first(*what)
        second(*what)

    return told
