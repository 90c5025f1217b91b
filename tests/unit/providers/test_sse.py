"""A stream of events, cut anywhere."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import RemoteError
from gateway.providers.dialect import ServerEvent
from gateway.providers.sse import EventReader

STREAM = (
    ": comment\r\n\r\n"
    'event: message\r\ndata: {"a":\r\ndata: "größe"}\r\nid: 7\r\n\r\n'
    "data:no space\n\n"
    "data\n\n"
    "retry: 10\n\n"
    '{"error":"plain"}\n'
    "data: last"
).encode()
EVENTS = [
    ServerEvent("message", '{"a":\n"größe"}'),
    ServerEvent("", "no space"),
    ServerEvent("", ""),
    ServerEvent("", '{"error":"plain"}'),
    ServerEvent("", "last"),
]


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_cut_gives_the_same_events(cuts: list[int]) -> None:
    reader, found, at = EventReader(), [], 0
    for cut in [*sorted(cuts), len(STREAM)]:
        found += reader.feed(STREAM[at:cut])
        at = cut
    assert [*found, *reader.end()] == EVENTS


def test_an_event_without_end_is_refused() -> None:
    endless = (b"data: " + b"x" * 100_000 for _ in range(100))
    reader = EventReader()
    with pytest.raises(RemoteError):
        list(chain.from_iterable(reader.feed(piece) for piece in endless))


def test_what_is_no_text_is_no_event() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        list(EventReader().feed(b"data: \xff\n"))
