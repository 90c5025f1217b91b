"""From the plane's counters to ratings: the E-model per direction, and the far end's report beside ours."""

from __future__ import annotations

from typing import Any, Final

from codecs_ext.emodel import BPL_CONCEALED, mos, r_factor
from gateway.media.contract import FarReport, LegStats, LineCounts

__all__ = ["leg_stats"]

_UNAVAILABLE: Final = 127
"""RFC 3611 4.7.5, for R and MOS alike."""


def leg_stats(counts: dict[str, Any]) -> LegStats:
    """The plane's counters in the words of the contract."""
    trip = counts["round_trip_ns"]
    rating = _heard(counts)
    return LegStats(
        packets_received=counts["received"],
        packets_sent=counts["sent"],
        packets_lost=counts["lost"],
        packets_late=counts["late"],
        packets_duplicate=counts["duplicate"],
        packets_refused=counts["refused"],
        packets_unkeyed=counts["unkeyed"],
        frames_concealed=counts["concealed"],
        underruns=counts["underruns"],
        utterances=counts["utterances"],
        utterances_interrupted=counts["interrupted"],
        caught_up_ms=counts["left_out"] / 8,
        overflows=counts["overflows"],
        untaped=counts["untaped"],
        jitter_ms=_clock_ms(counts, "jitter"),
        r_factor=None if rating is None else round(rating, 1),
        mos=None if rating is None else round(mos(rating), 2),
        round_trip_ms=None if trip < 0 else round(trip / 1e6, 3),
        rtcp_sent=counts["reports_sent"],
        rtcp_received=counts["reports_received"],
        rtcp_refused=counts["reports_refused"],
        far=_far(counts) if counts["far_reported"] else None,
        line_sent=_line(counts["lines"][0]),
        line_received=_line(counts["lines"][1]),
    )


def _line(counts: dict[str, int]) -> LineCounts | None:
    return LineCounts(**counts) if counts["packets"] else None


def _clock_ms(counts: dict[str, Any], name: str) -> float:
    """A count in units of the RTP clock, which is 0 before a codec was agreed on."""
    return round(float(counts[name] * 1000 / (counts["clock"] or 1)), 3)


def _one_way_ms(counts: dict[str, Any]) -> float:
    return float(max(0, counts["round_trip_ns"]) / 2e6)


def _heard(counts: dict[str, Any]) -> float | None:
    """Losses are concealed after G.711 Appendix I, and rated as such (G.113 table I.4)."""
    gone = counts["lost"] + counts["late"]
    if counts["received"] == 0:
        return None
    loss = gone / (counts["received"] + counts["lost"])
    return r_factor(loss, counts["burst_ratio"], BPL_CONCEALED, _one_way_ms(counts) + counts["packet_ms"])


def _far(counts: dict[str, Any]) -> FarReport:
    """A telephone conceals; and buffers twice its jitter, unless it tells what it adds."""
    jitter_ms = _clock_ms(counts, "far_jitter")
    inside = counts["far_delay_ms"] if counts["far_metrics"] else counts["packet_ms"] + 2 * jitter_ms
    loss = counts["far_lost"] / max(1, counts["far_of"])
    rating = r_factor(loss, 1.0, BPL_CONCEALED, _one_way_ms(counts) + min(inside, 1000.0))
    told = counts["far_metrics"]
    return FarReport(
        packets_lost=counts["far_lost"],
        recent_loss=round(counts["far_fraction"] / 256, 4),
        jitter_ms=jitter_ms,
        r_factor=round(rating, 1),
        mos=round(mos(rating), 2),
        reported_r_factor=counts["far_r"] if told and counts["far_r"] != _UNAVAILABLE else None,
        reported_mos=counts["far_mos"] / 10 if told and counts["far_mos"] != _UNAVAILABLE else None,
    )
