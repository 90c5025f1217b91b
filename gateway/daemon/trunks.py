"""How the trunks are, for ``/metrics`` and ``/health``: registrations, targets, and who is banned.

Labels are the names and targets of the configuration, never an address that somebody else has chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.call.health import Watched

__all__ = ["TrunkFigures"]


class _Bans(Protocol):
    @property
    def bans(self) -> Sequence[object]: ...

    @property
    def ban_counts(self) -> Mapping[str, int]: ...


class _Registrations(Protocol):
    @property
    def registered(self) -> Mapping[str, bool]: ...


class TrunkFigures(Collector):
    """Asks when a scrape comes."""

    def __init__(self, sip: _Bans, registrations: _Registrations, trunks: Mapping[str, Watched]) -> None:
        self._sip = sip
        self._registrations = registrations
        self._trunks = trunks

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("linecard_banned", "Addresses that are banned now", len(self._sip.bans))
        bans = CounterMetricFamily("linecard_bans", "Bans of the defence, by their cause", labels=["cause"])
        for cause, count in self._sip.ban_counts.items():
            bans.add_metric([cause], count)
        yield bans
        about = "Whether the trunk's registrar has our address"
        registered = GaugeMetricFamily("linecard_trunk_registered", about, labels=["trunk"])
        for trunk, bound in self._registrations.registered.items():
            registered.add_metric([trunk], bound)
        yield registered
        up = GaugeMetricFamily("linecard_trunk_target_up", "Whether a target answers", labels=["trunk", "target"])
        for name, uri, answers in self._targets():
            up.add_metric([name, uri], answers)
        yield up

    def summary(self) -> dict[str, object]:
        """The same for people."""
        targets: dict[str, dict[str, bool]] = {}
        for name, uri, answers in self._targets():
            targets.setdefault(name, {})[uri] = answers
        registered = dict(self._registrations.registered)
        return {"registered": registered, "targets": targets, "banned": len(self._sip.bans)}

    def _targets(self) -> Iterator[tuple[str, str, bool]]:
        """Those that are asked: of others we know nothing."""
        for name, trunk in self._trunks.items():
            if trunk.health.interval is not None:
                yield from ((name, uri, trunk.targets.up(uri)) for uri in trunk.targets.uris)
