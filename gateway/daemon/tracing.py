"""Traces of calls, sent to an OpenTelemetry collector.

Spans are made of call records on the records' thread, and sent by the SDK's own: the event loop draws an id for each
call, no more. Imported only where ``telemetry.tracing`` is configured: exporter, protobuf and HTTP client take 0.2 s of
processor time to import, which a gateway without traces does not carry.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Final

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SdkEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from gateway import __version__, trace
from gateway.config.telemetry import TracingOptions
from gateway.daemon.spans import Span, Spans
from gateway.records.writer import Record
from gateway.redaction import redacted
from gateway.trace import TraceContext
from gateway.units import SECOND

__all__ = ["Tracing"]

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_LAST: Final = 400
"""Milliseconds that the collector gets for what is left when the gateway stops."""


class Tracing:
    """A ``Store`` of call records, and where a call gets its trace from. ``redact`` as the log is."""

    name = "tracing"

    def __init__(self, options: TracingOptions, *, redact: bool) -> None:
        self._options = options
        self._redact = redact
        self._spans = Spans()
        self._resource = Resource.create({"service.name": "linecard", "service.version": __version__})
        self._scope = InstrumentationScope("linecard", __version__)
        self._processor: BatchSpanProcessor

    def begin(self) -> TraceContext | None:
        """The trace of a new call, or None for one that is left out."""
        return trace.begin() if random.random() < self._options.sample else None

    # --- the store ----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        options = self._options
        headers = {name: value.get_secret_value() for name, value in options.headers.items()}
        exporter = OTLPSpanExporter(options.endpoint, headers=headers, timeout=options.timeout / SECOND)
        self._processor = BatchSpanProcessor(
            exporter, max_queue_size=options.queue, schedule_delay_millis=1000, max_export_batch_size=512
        )
        structlog.get_logger().info("tracing.ready", endpoint=options.endpoint, sample=options.sample)

    def append(self, batch: Sequence[Record]) -> None:
        """One offset for a batch: the two clocks drift by less than a microsecond in it."""
        offset = time.time_ns() - time.monotonic_ns()
        for record in batch:
            for span in self._spans.hear(redacted(record) if self._redact else record, offset):
                self._processor.on_end(self._readable(span))

    def tidy(self) -> None:
        """Nothing is kept here."""

    def close(self) -> None:
        self._processor.force_flush(_LAST)
        self._processor.shutdown()  # type: ignore[no-untyped-call]

    def _readable(self, span: Span) -> ReadableSpan:
        parent = None if span.parent is None else _context(span.parent)
        return ReadableSpan(
            span.name,
            context=_context(span.context),
            parent=parent,
            resource=self._resource,
            attributes=span.attributes,
            events=[SdkEvent(one.name, one.attributes, one.at) for one in span.events],
            kind=SpanKind.INTERNAL if parent else SpanKind.SERVER,
            status=Status(StatusCode.ERROR, span.failure) if span.failure is not None else Status(StatusCode.UNSET),
            start_time=span.start,
            end_time=span.end,
            instrumentation_scope=self._scope,
        )


def _context(of: TraceContext) -> SpanContext:
    return SpanContext(of.trace_id, of.span_id, is_remote=False, trace_flags=_SAMPLED)
