"""How the providers are, for ``/metrics``: how long each takes, what went wrong, and whether it is asked at all.

The router has all of it, because it decides by it; here it is read when a scrape comes. Labels are the names of the
configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.providers.router.breaker import State
from gateway.providers.router.health import Health
from gateway.providers.router.latency import BOUNDS, Latencies
from gateway.providers.router.upstream import Upstream
from gateway.units import SECOND

__all__ = ["ProviderFigures"]

_LABELS: Final = ["provider", "role"]
_ENDS: Final = [*(str(bound / SECOND) for bound in BOUNDS), "+Inf"]


class ProviderFigures(Collector):
    """Asks when a scrape comes."""

    def __init__(self, providers: Mapping[str, Upstream]) -> None:
        self._providers = providers

    def collect(self) -> Iterator[Metric]:
        healths = [health for upstream in self._providers.values() for health in upstream.healths.values()]
        yield self._latency(
            "linecard_provider_first_seconds", "Asked to first result", healths, lambda health: health.first
        )
        yield self._latency(
            "linecard_provider_connect_seconds", "To open a session", healths, lambda health: health.connect
        )
        served = CounterMetricFamily("linecard_provider_served", "Requests that were served", labels=_LABELS)
        errors = CounterMetricFamily("linecard_provider_errors", "Requests that failed", labels=[*_LABELS, "kind"])
        state = GaugeMetricFamily("linecard_provider_breaker", "1 for the state it is in", labels=[*_LABELS, "state"])
        busy = GaugeMetricFamily("linecard_provider_sessions", "Places taken at the moment", labels=_LABELS)
        for health in healths:
            labels = [health.provider, health.role]
            served.add_metric(labels, health.served)
            busy.add_metric(labels, health.gate.inside)
            for kind, count in health.failures.items():
                errors.add_metric([*labels, kind], count)
            for one in State:
                state.add_metric([*labels, one.value], health.breaker.state is one)
        yield from (served, errors, state, busy)

    def _latency(
        self, name: str, about: str, healths: list[Health], of: Callable[[Health], Latencies]
    ) -> HistogramMetricFamily:
        family = HistogramMetricFamily(name, about, labels=_LABELS)
        for health in healths:
            latencies = of(health)
            reached, buckets = 0, []
            for bound, count in zip(_ENDS, latencies.counts, strict=True):
                reached += count
                buckets.append((bound, float(reached)))
            family.add_metric([health.provider, health.role], buckets, latencies.total / SECOND)
        return family
