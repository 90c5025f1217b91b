"""Figures of the media threads."""

from __future__ import annotations

from gateway.media.costs import PlaneCosts


def test_deviation_is_the_upper_edge_of_the_step_that_holds_the_share():
    costs = PlaneCosts(deviations=(50, 40, 0, 9, 1))
    assert costs.deviation_us(0.5) == 10
    assert costs.deviation_us(0.9) == 20
    assert costs.deviation_us(0.99) == 40
    assert costs.deviation_us(1.0) == 50


def test_a_span_is_a_difference():
    earlier = PlaneCosts(ticks=10, packets_sent=5, packets_received=5, busy_s=1.0, deviations=(5, 0))
    later = PlaneCosts(ticks=30, packets_sent=15, packets_received=15, busy_s=1.0001, deviations=(14, 1))
    span = later.since(earlier)
    assert (span.ticks, span.packets_sent, span.deviations) == (20, 10, (9, 1))
    assert round(span.us_per_pair, 6) == 10.0


def test_nothing_measured_is_nothing():
    assert PlaneCosts().us_per_pair == 0
    assert PlaneCosts().deviation_us(0.99) == 0
