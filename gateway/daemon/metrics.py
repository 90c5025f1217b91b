"""Prometheus figures: made of the call records as they are written, and of the house's state at each scrape.

Labels are names of the configuration (trunk, plug), and of models as their providers report them: few, and nobody's
number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from gateway import __version__
from gateway.media.costs import PlaneCosts
from gateway.records.writer import Record

__all__ = ["Metrics"]

_GAP_BUCKETS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0)
"""Around the 200 ms that people leave between speakers, and the second after which callers hang up."""
_STAGE_BUCKETS: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
_STOP_BUCKETS: Final = (0.05, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2, 0.25, 0.3, 0.5, 1.0)
_MOS_BUCKETS: Final = (1.0, 2.0, 2.5, 3.0, 3.3, 3.6, 3.8, 4.0, 4.1, 4.2, 4.3, 4.4)
_JITTER_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
_LATENESS_BUCKETS_US: Final = (10, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
_PACKETS: Final = ("received", "sent", "lost", "late", "duplicate", "refused")


class Metrics:
    """Hears records by ``hear``; ``exposition`` is what a scrape gets."""

    def __init__(self, costs: Callable[[], PlaneCosts], lost: Callable[[], int]) -> None:
        self._registry = registry = CollectorRegistry(auto_describe=True)
        self._live: dict[str, tuple[str, str]] = {}
        """Call-ID -> trunk and plug of a call that has not ended."""
        self._traces: dict[str, dict[str, str]] = {}
        """Call-ID -> exemplar of one that is traced: from a slow turn in a graph to its trace."""

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"linecard_{name}", about, labels, registry=registry)

        def histogram(name: str, about: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"linecard_{name}", about, labels, buckets=buckets, registry=registry)

        self._ended = counter("calls_ended", "Calls that are over", "trunk", "plug", "by")
        self._refused = counter("calls_refused", "Calls that were refused", "status")
        self._talk = counter("talk_seconds", "Time of answered calls", "trunk", "plug")
        self._gap = histogram("turn_gap_seconds", "What callers waited, at the wire", _GAP_BUCKETS, "trunk", "plug")
        self._ours = histogram("turn_ours_seconds", "What the gateway added to a gap", _STAGE_BUCKETS, "plug")
        self._stage = histogram("turn_stage_seconds", "A stage of a gap", _STAGE_BUCKETS, "plug", "stage", "model")
        self._turns = counter("turns", "Turns of callers", "trunk", "plug", "outcome")
        self._stop = histogram("barge_in_stop_seconds", "Speech onset to silence of the agent", _STOP_BUCKETS, "plug")
        self._false_stops = counter("barge_in_false", "Interruptions by what was no speech", "trunk", "plug")
        self._cost = counter("cost", "Price of models, in the currency of the configuration", "plug")
        self._events = counter("events", "Other records, by name", "event")
        self._packets = counter("rtp_packets", "RTP packets of calls that are over", "trunk", "what")
        self._concealed = counter("rtp_frames_concealed", "Frames that were made up", "trunk")
        self._underruns = counter("playout_underruns", "Times an answer ran dry", "plug")
        self._mos = histogram("rtp_mos", "Opinion score (G.107) of what was heard", _MOS_BUCKETS, "trunk")
        self._jitter = histogram("rtp_jitter_seconds", "Jitter (RFC 3550)", _JITTER_BUCKETS, "trunk")
        registry.register(_HouseState(lambda: len(self._live), costs, lost))

    def add(self, more: Collector) -> None:
        """Figures of somebody else, asked for at each scrape."""
        self._registry.register(more)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All figures in the format that the Accept header asks for, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def hear(self, record: Record) -> None:
        """A listener of ``Records``: a few microseconds a record, none for a packet."""
        match record.get("event"):
            case "turn":
                self._turn(record)
            case "barge_in":
                _, plug = self._where(record)
                self._stop.labels(plug).observe(record["stop_ms"] / 1000)
            case "call.started":
                self._live[record["call_id"]] = record["trunk"], record["plug"]
                if traceparent := record.get("traceparent"):
                    self._traces[record["call_id"]] = {"trace_id": traceparent.split("-")[1]}
            case "call.ended":
                self._end(record)
            case "call.refused":
                self._refused.labels(record["status"]).inc()
            case event:
                self._events.labels(event).inc()

    def _where(self, record: Record) -> tuple[str, str]:
        return self._live.get(record.get("call_id", ""), ("", ""))

    def _turn(self, record: Record) -> None:
        trunk, plug = self._where(record)
        gap, ours = record.get("gap_ms"), record.get("ours_ms")
        outcome = "unanswered" if gap is None else "interrupted" if record.get("interrupted") else "answered"
        self._turns.labels(trunk, plug, outcome).inc()
        if gap is not None:
            self._gap.labels(trunk, plug).observe(gap / 1000, self._traces.get(record["call_id"]))
        if ours is not None:
            self._ours.labels(plug).observe(ours / 1000)
        if record.get("false_barge_in"):
            self._false_stops.labels(trunk, plug).inc()
        models = record.get("models") or {}
        for stage, length in (record.get("stages_ms") or {}).items():
            self._stage.labels(plug, stage, models.get(stage, "")).observe(length / 1000)
        if cost := record.get("cost"):
            self._cost.labels(plug).inc(cost)

    def _end(self, record: Record) -> None:
        trunk, plug = record["trunk"], record["plug"]
        self._live.pop(record["call_id"], None)
        self._traces.pop(record["call_id"], None)
        self._ended.labels(trunk, plug, record["by"]).inc()
        self._talk.labels(trunk, plug).inc(record["talk_s"])
        if media := record.get("media"):
            self._hear_media(trunk, plug, media)

    def _hear_media(self, trunk: str, plug: str, media: Mapping[str, Any]) -> None:
        for what in _PACKETS:
            self._packets.labels(trunk, what).inc(media[f"packets_{what}"])
        self._concealed.labels(trunk).inc(media["frames_concealed"])
        self._underruns.labels(plug).inc(media["underruns"])
        if media["packets_received"]:
            self._jitter.labels(trunk).observe(media["jitter_ms"] / 1000)
        if media["mos"] is not None:
            self._mos.labels(trunk).observe(media["mos"])


class _HouseState(Collector):
    """What is asked for when a scrape comes."""

    def __init__(self, calls: Callable[[], int], costs: Callable[[], PlaneCosts], lost: Callable[[], int]) -> None:
        self._calls = calls
        self._costs = costs
        self._lost = lost

    def collect(self) -> Iterator[Metric]:
        costs = self._costs()
        info = GaugeMetricFamily("linecard_build_info", "Version of the gateway", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        yield GaugeMetricFamily("linecard_calls", "Calls at the moment", self._calls())
        yield CounterMetricFamily("linecard_records_lost", "Call records that could not be written", self._lost())
        yield CounterMetricFamily("linecard_plane_ticks", "Ticks of the media threads", costs.ticks)
        yield CounterMetricFamily("linecard_plane_late_ticks", "Ticks that were missed", costs.late_ticks)
        yield CounterMetricFamily("linecard_plane_busy_seconds", "Work of the media threads", costs.busy_s)
        yield CounterMetricFamily(
            "linecard_plane_send_failures", "Packets the kernel did not take", costs.send_failures
        )
        yield _lateness(costs)


def _lateness(costs: PlaneCosts) -> HistogramMetricFamily:
    """How late packets left, from the plane's own counts in steps of 10 us."""
    step_us = 10
    steps = costs.deviations
    buckets = [
        (str(bound / 1e6), float(sum(steps[: bound // step_us]))) for bound in _LATENESS_BUCKETS_US
        if bound // step_us < len(steps)
    ]  # fmt: skip
    total = sum((step + 1) * step_us * count for step, count in enumerate(steps)) / 1e6
    family = HistogramMetricFamily("linecard_plane_lateness_seconds", "Departure of packets after their due time")
    family.add_metric([], [*buckets, ("+Inf", float(sum(steps)))], total)
    return family
