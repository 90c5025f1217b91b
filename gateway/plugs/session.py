"""What every plug's session does unless it says otherwise: keep the leg, end the call when its media stops."""

from __future__ import annotations

from typing import Final

from gateway.media.contract import Leg, LegStats
from gateway.plugs.contract import CallView
from gateway.units import Nanos, Samples

__all__ = ["BaseSession"]

_DIGITS: Final = frozenset("0123456789*#ABCD")
_MOST_DIGITS: Final = 64
"""Of one order to the leg."""


class BaseSession:
    """A ``PlugSession`` that is connected to a leg and does nothing with it."""

    uplink_rate = 8000

    def __init__(self, call: CallView) -> None:
        self.call = call
        self.leg: Leg | None = None

    async def start(self, leg: Leg) -> None:
        self.leg = leg

    def answered(self) -> None:
        """Nothing to say."""

    def on_hold(self, held: bool) -> None:
        """Nothing is being said."""

    async def close(self) -> None:
        self.leg = None

    def press(self, digits: str) -> None:
        """Sends what of it can be dialled to the far end."""
        known = "".join(digit for digit in digits if digit in _DIGITS)[:_MOST_DIGITS]
        if known and self.leg is not None:
            self.leg.send_digits(known)

    def part(self, then: str, target: str | None, reason: str) -> None:
        """The end of a call that nobody can serve: somebody else may help the caller (``transfer``)."""
        if then == "transfer" and target:
            self.call.spawn(self._transfer(target, reason))
        else:
            self.call.hang_up(reason)

    async def _transfer(self, target: str, reason: str) -> None:
        """Who cannot be had is hung up on as always."""
        result = await self.call.transfer(target)
        self.call.log("failure.transfer", status=result.status, reason=result.reason)
        if not result.succeeded:
            self.call.hang_up(reason)

    def on_audio(self, pcm: bytes, media_time: Samples, arrival: Nanos, flags: int) -> None:
        """Not listened to."""

    def on_speech_started(self, media_time: Samples, arrival: Nanos) -> None:
        """Not listened to."""

    def on_speech_ended(self, media_time: Samples, arrival: Nanos) -> None:
        """Not listened to."""

    def on_digit(self, digit: str, duration_ms: int, arrival: Nanos) -> None:
        self.call.log("digit", digit=digit, duration_ms=duration_ms)

    def on_playout_started(self, sent: Nanos, position: Samples) -> None:
        """Of no interest."""

    def on_playout_idle(self, sent: Nanos, position: Samples) -> None:
        """Of no interest."""

    def on_mark(self, number: int, sent: Nanos, position: Samples) -> None:
        """None was set."""

    def on_flushed(self, number: int, sent: Nanos, position: Samples) -> None:
        """None was asked for."""

    def on_trimmed(self, number: int, position: Samples) -> None:
        """None was asked for."""

    def on_rtp_timeout(self, now: Nanos) -> None:
        self.call.hang_up("RTP timeout")

    def on_secured(self, fault: str | None) -> None:
        """The call's own affair."""

    def on_closed(self, stats: LegStats) -> None:
        """The call writes the leg's figures down."""
