"""What the media threads cost, and how punctual they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from codecs_ext.plane import PlaneShard

__all__ = ["PlaneCosts", "plane_costs"]

_BIN_US: Final = 10
_STEP_MS: Final = 0.125


@dataclass(frozen=True, slots=True)
class PlaneCosts:
    """Sums over all shards since their start; subtract two to measure a span."""

    ticks: int = 0
    late_ticks: int = 0
    """Ticks that were missed: the thread woke when the next one was due already."""
    max_lateness_us: float = 0.0
    busy_s: float = 0.0
    """Time between wake-ups and the ends of their ticks."""
    packets_received: int = 0
    packets_sent: int = 0
    send_failures: int = 0
    """Packets that the kernel did not take: no route, no buffer."""
    syscalls: int = 0
    wake_ups: int = 0
    """Of the event loop."""
    deviations: tuple[int, ...] = ()
    """Packets by how late they left, in steps of 10 us; the last step holds everything beyond."""

    lateness: tuple[int, ...] = ()
    """Ticks by how late they began: below 125 us, 250 us and so on, each step twice the one before; the last is all
    beyond."""

    def lateness_ms(self, share: float) -> float:
        """Lateness that ``share`` (0 to 1) of the ticks stayed below, as the upper end of its step."""
        left = share * sum(self.lateness)
        for step, count in enumerate(self.lateness):
            left -= count
            if left <= 0:
                return _STEP_MS * 2.0**step
        return _STEP_MS * 2.0 ** len(self.lateness)

    @property
    def us_per_pair(self) -> float:
        """Busy microseconds per packet received and sent."""
        packets = self.packets_received + self.packets_sent
        return 2 * self.busy_s * 1e6 / packets if packets else 0.0

    def deviation_us(self, share: float) -> float:
        """Deviation from the due time that ``share`` (0 to 1) of the packets stayed below, in steps of 10 us."""
        left = share * sum(self.deviations)
        for step, count in enumerate(self.deviations):
            left -= count
            if left <= 0:
                return float((step + 1) * _BIN_US)
        return float(len(self.deviations) * _BIN_US)

    def since(self, earlier: PlaneCosts) -> PlaneCosts:
        """The span from ``earlier`` to here; the largest lateness is that since the start."""
        bins = zip(self.deviations, earlier.deviations, strict=True) if earlier.deviations else ()
        steps = zip(self.lateness, earlier.lateness, strict=True) if earlier.lateness else ()
        return PlaneCosts(
            ticks=self.ticks - earlier.ticks,
            late_ticks=self.late_ticks - earlier.late_ticks,
            max_lateness_us=self.max_lateness_us,
            busy_s=self.busy_s - earlier.busy_s,
            packets_received=self.packets_received - earlier.packets_received,
            packets_sent=self.packets_sent - earlier.packets_sent,
            send_failures=self.send_failures - earlier.send_failures,
            syscalls=self.syscalls - earlier.syscalls,
            wake_ups=self.wake_ups - earlier.wake_ups,
            deviations=tuple(now - before for now, before in bins) if earlier.deviations else self.deviations,
            lateness=tuple(now - before for now, before in steps) if earlier.lateness else self.lateness,
        )


def plane_costs(shards: list[PlaneShard]) -> PlaneCosts:
    """Adds up what the shards have counted."""
    costs = [shard.costs() for shard in shards]

    def total(name: str) -> int:
        return sum(cost[name] for cost in costs)

    return PlaneCosts(
        ticks=total("ticks"),
        late_ticks=total("late_ticks"),
        max_lateness_us=max((cost["max_lateness_ns"] for cost in costs), default=0) / 1000,
        busy_s=total("busy_ns") / 1e9,
        packets_received=total("packets_received"),
        packets_sent=total("packets_sent"),
        send_failures=total("send_failures"),
        syscalls=total("syscalls"),
        wake_ups=total("wake_ups"),
        deviations=tuple(sum(counts) for counts in zip(*(shard.deviations() for shard in shards), strict=True)),
        lateness=tuple(sum(counts) for counts in zip(*(shard.lateness() for shard in shards), strict=True)),
    )
