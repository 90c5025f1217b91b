"""Two legs that hear each other, without the event loop between them.

Where both speak the same codec, packets go on as they come: payload, order and timing are the far ends' own affair, and
only sequence, timestamps and SSRC are made those of the stream that each side knows. Where they do not, each direction
waits in a jitter buffer, and is decoded, resampled and encoded. DTMF goes on in both cases, and the observers are told
of it as well.

    bridged = bridge(leg_a, leg_b)      # both connected; leg_b = plane.open_leg(observer, beside=leg_a)
    ...
    bridged.close()                     # each has its silence again

What is played on a leg meanwhile is heard instead of the other one.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.errors import MisuseError
from gateway.media.leg import PlaneLeg
from gateway.units import MS, Nanos

__all__ = ["Bridge", "Patience", "bridge"]


_MOST = Nanos(400 * MS)


@dataclass(frozen=True, slots=True)
class Patience:
    """How the jitter buffers of a transcoding bridge weigh delay against loss."""

    most: Nanos = _MOST
    """The delay that is aimed at, at most."""
    quantile: float = 0.99
    """Share of the packets that are waited for."""


_PATIENCE = Patience()


def bridge(leg: PlaneLeg, other: PlaneLeg, *, listen: bool = False, patience: Patience = _PATIENCE) -> Bridge:
    """Joins two connected legs of one shard, until ``close`` or until one of them ends.

    ``listen``: what they hear goes to their observers as well. Raises ``MisuseError`` for legs of two shards, one that
    was never connected, one that is part of another bridge, or a leg with itself.
    """
    return Bridge(leg, other, listen=listen, patience=patience)


class Bridge:
    """A bridge that stands. It follows what re-INVITEs change at either leg."""

    def __init__(self, leg: PlaneLeg, other: PlaneLeg, *, listen: bool, patience: Patience) -> None:
        if leg is other or leg.bridge is not None or other.bridge is not None:
            raise MisuseError("a leg is part of one bridge at a time, and has two ends")
        self._legs = (leg, other)
        self._listen = listen
        self._patience = patience
        self.renew()
        leg.bridge = other.bridge = self

    @property
    def relays(self) -> bool:
        """Packets go on as they come: both speak the same codec."""
        one, other = (leg.spoken for leg in self._legs)
        return one is not None and other is not None and one[1:] == other[1:]

    def renew(self) -> None:
        """Fits it to what both legs speak now."""
        leg, other = self._legs
        leg.join(other, listen=self._listen, most=self._patience.most, quantile=self._patience.quantile)

    def close(self) -> None:
        """Parts the legs; twice is harmless."""
        leg, other = self._legs
        if leg.bridge is self:
            leg.bridge = other.bridge = None
            leg.part()
