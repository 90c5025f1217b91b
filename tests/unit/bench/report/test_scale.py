from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bench.report.scale import LinearAxis, LogAxis, PercentileAxis, TimeAxis, duration_axis, plain_ms


def test_ticks_of_a_linear_axis_are_round_and_few() -> None:
    ticks = LinearAxis(0, 5573).ticks()
    assert [tick.label for tick in ticks] == ["0", "2 000", "4 000"]
    assert ticks[1].at == pytest.approx(2000 / 5573)


def test_each_nine_takes_the_same_room() -> None:
    axis = PercentileAxis(0.9999)
    places = [axis.place(share) for share in (0.0, 0.9, 0.99, 0.999, 0.9999)]
    assert places == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert [tick.label for tick in axis.ticks()] == ["p0", "p50", "p90", "p99", "p99.9", "p99.99"]


def test_an_axis_ends_where_the_sample_does() -> None:
    assert [tick.label for tick in PercentileAxis(0.97).ticks()] == ["p0", "p50", "p90"]


def test_milliseconds_are_linear_until_the_slowest_would_leave_the_others_no_room() -> None:
    assert isinstance(duration_axis([500.0, 700.0, 900.0]), LinearAxis)
    assert isinstance(duration_axis([5.0, 7.0, 900.0]), LogAxis)
    assert duration_axis([500.0], also=1500).place(1500) < 1
    assert duration_axis([]).place(0) == 0


def test_a_negative_gap_lies_on_the_axis() -> None:
    assert duration_axis([-300.0, 700.0, 900.0]).place(-300) == 0


def test_long_runs_are_told_in_minutes() -> None:
    assert [tick.label for tick in TimeAxis(0, 30).ticks()] == ["0 s", "10 s", "20 s", "30 s"]
    assert [tick.label for tick in TimeAxis(0, 200).ticks()] == ["0:00", "0:30", "1:00", "1:30", "2:00", "2:30", "3:00"]


@given(st.lists(st.floats(-1e5, 1e8), min_size=1), st.floats(-1e6, 1e9))
def test_any_value_has_a_place_on_any_axis(values: list[float], value: float) -> None:
    axis = duration_axis(values)
    assert 0 <= axis.place(value) <= 1
    assert all(0 <= tick.at <= 1 for tick in axis.ticks())


def test_three_digits_are_enough_to_read() -> None:
    assert [plain_ms(value) for value in (None, 0.4, 12.4, 999.6, 12345.0)] == ["–", "0.4", "12", "1 000", "12 345"]
