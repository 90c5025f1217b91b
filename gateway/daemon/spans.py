"""From the records of a call to the spans of its trace: no exporter, no clock, no thread.

    call ─┬─ turn ─┬─ caller        speech started to speech ended
          │        ├─ hangover, stt, llm, tts, first_packet      the stages, end to end
          │        └─ agent         first packet to last packet
          └─ turn ...

Everything in a turn is a stamp of the timeline, so a trace shows the same milliseconds as the log. An interruption and
a provider that was replaced are events of the turn, whatever else is written down of a call is an event of the call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.records.writer import Record
from gateway.timeline import STAGES, Stamp
from gateway.trace import TraceContext

__all__ = ["Event", "Span", "Spans"]

_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01")
_MOST_EVENTS: Final = 128
"""Of one call; a call on hold for a day must not fill the memory."""
_PLAIN: Final = (str, bool, int, float)
_OWN: Final = frozenset({
    "event", "call_id", "at", "stamps", "traceparent", "stages_ms", "model_ms", "failovers", "media", "models",
    "providers", "usage", "shadow", "hangover_configured_ms",
})  # fmt: skip
"""Fields that are told in another way, or by the record alone."""
_HEARD: Final = ("packets_received", "packets_lost", "jitter_ms", "mos", "frames_concealed", "underruns")
"""What the call's span tells of its media; the record has all."""


@dataclass(frozen=True, slots=True)
class Event:
    """A moment within a span."""

    name: str
    at: int
    """Nanoseconds since 1970."""
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """A finished one. Times are nanoseconds since 1970."""

    name: str
    context: TraceContext
    parent: TraceContext | None
    start: int
    end: int
    attributes: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    failure: str | None = None
    """Why it is no success."""


@dataclass(slots=True)
class _Live:
    """A call that has not ended."""

    context: TraceContext
    started: int
    offset: int
    """What turns the gateway's monotonic clock into the time since 1970, the same for the whole call."""
    events: list[Event] = field(default_factory=list)
    interruptions: dict[int, Event] = field(default_factory=dict)
    turns: int = 0


class Spans:
    """``hear`` takes a record and gives the spans that are complete with it."""

    def __init__(self) -> None:
        self._live: dict[str, _Live] = {}

    def wants(self, record: Record) -> bool:
        """Whether the record is of a call that is traced."""
        return record.get("call_id") in self._live or "traceparent" in record

    def hear(self, record: Record, offset: int) -> list[Span]:
        """``offset`` in nanoseconds turns a stamp into the time since 1970."""
        call_id, event = record.get("call_id", ""), record.get("event", "")
        if event == "call.started":
            if found := _TRACEPARENT.fullmatch(record.get("traceparent") or ""):
                context = TraceContext(int(found[1], 16), int(found[2], 16))
                self._live[call_id] = _Live(context, _nanos(record), offset)
            return []
        live = self._live.get(call_id)
        if live is None:
            return []
        match event:
            case "turn":
                return list(_turn(record, live))
            case "barge_in":
                at = record["stamps"]["speech_started"] + live.offset
                live.interruptions[record["turn"]] = Event("barge_in", at, _attributes(record))
            case "call.ended":
                del self._live[call_id]
                return [_call(record, live)]
            case _ if len(live.events) < _MOST_EVENTS:
                live.events.append(Event(event, _nanos(record), _attributes(record)))
        return []


def _call(record: Record, live: _Live) -> Span:
    end = _nanos(record)
    events = [*live.events, *live.interruptions.values()]
    if record.get("talk_s"):
        events.append(Event("answered", end - round(record["talk_s"] * 1e9), {}))
    media = record.get("media") or {}
    status = record.get("status") or 0
    failed = record.get("by") == "network" or status >= 400
    return Span(
        f"call {record.get('plug', '')}".rstrip(),
        live.context,
        None,
        live.started,
        end,
        {
            "linecard.call_id": record.get("call_id", ""),
            **_attributes(record),
            **{f"linecard.{name}": media[name] for name in _HEARD if media.get(name) is not None},
        },
        tuple(sorted(events, key=lambda one: one.at)),
        f"{status or ''} {record.get('reason') or record.get('by') or ''}".strip() if failed else None,
    )


def _turn(record: Record, live: _Live) -> Iterator[Span]:
    stamps = {name: at + live.offset for name, at in (record.get("stamps") or {}).items()}
    if not stamps:
        return
    live.turns += 1
    context = live.context.child("turn", live.turns)
    start = stamps.get(Stamp.SPEECH_STARTED, stamps.get(Stamp.ANSWERED, min(stamps.values())))
    end = max(start, *stamps.values())
    unanswered = Stamp.SPEECH_ENDED in stamps and Stamp.FIRST_PACKET not in stamps
    yield Span(
        f"turn {record.get('turn', '')}",
        context,
        live.context,
        start,
        end,
        _attributes(record),
        tuple(_turn_events(record, live, stamps, end)),
        "no answer" if unanswered and not record.get("interrupted") else None,
    )
    for name, began, ended, attributes in _parts(record, stamps):
        if ended >= began:
            yield Span(name, context.child(name), context, began, ended, attributes)


def _turn_events(record: Record, live: _Live, stamps: Mapping[str, int], end: int) -> Iterator[Event]:
    """A record of a failover has no stamp of its own: it is told where the stage ended in which it happened."""
    ends = {stage: stamps.get(stamp, end) for stage, stamp in STAGES}
    for move in record.get("failovers") or ():
        yield Event("failover", ends.get(move.get("role", ""), end), _attributes(move))
    if (interruption := live.interruptions.pop(record.get("turn", -1), None)) is not None:
        yield interruption


def _parts(record: Record, stamps: Mapping[str, int]) -> Iterator[tuple[str, int, int, dict[str, Any]]]:
    """Name, beginning, end and attributes of what a turn consists of."""
    models, providers, own = (record.get(name) or {} for name in ("models", "providers", "model_ms"))
    if Stamp.SPEECH_STARTED in stamps and Stamp.SPEECH_ENDED in stamps:
        yield "caller", stamps[Stamp.SPEECH_STARTED], stamps[Stamp.SPEECH_ENDED], {}
    reached = stamps.get(Stamp.SPEECH_ENDED)
    for stage, stamp in STAGES:
        if reached is not None and stamp in stamps:
            about = {"linecard.model": models.get(stage), "linecard.provider": providers.get(stage)}
            about["linecard.model_ms"] = own.get(stage)
            yield stage, reached, stamps[stamp], {name: value for name, value in about.items() if value is not None}
            reached = stamps[stamp]
    if Stamp.FIRST_PACKET in stamps and Stamp.LAST_PACKET in stamps:
        yield "agent", stamps[Stamp.FIRST_PACKET], stamps[Stamp.LAST_PACKET], {}


def _attributes(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says, as a span can: plain values, everything else as JSON."""
    return {
        f"linecard.{name}": value if isinstance(value, _PLAIN) else json.dumps(value, ensure_ascii=False, default=str)
        for name, value in fields.items()
        if name not in _OWN and value is not None
    }


def _nanos(record: Record) -> int:
    return int(record["at"] * 1_000_000) * 1000
