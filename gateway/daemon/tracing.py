"""Traces of calls for an OpenTelemetry collector: spans are made of call records on the records' thread, and sent by
another; the event loop draws an id for each call, no more. Imported only where ``telemetry.tracing`` is configured."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Final

import structlog

from gateway import trace
from gateway.config.telemetry import TracingOptions
from gateway.daemon.otlp import Sender
from gateway.daemon.spans import Spans
from gateway.records.writer import Record
from gateway.redaction import redacted
from gateway.trace import TraceContext
from gateway.units import SECOND

__all__ = ["Tracing"]

_LAST: Final = 0.4
"""Seconds that the collector gets for what is left when the gateway stops."""


class Tracing:
    """A ``Store`` of call records, and where a call gets its trace from. ``redact`` as the log is."""

    name = "tracing"

    def __init__(self, options: TracingOptions, *, redact: bool) -> None:
        self._options = options
        self._redact = redact
        self._spans = Spans()
        headers = {name: value.get_secret_value() for name, value in options.headers.items()}
        self._sender = Sender(options.endpoint, headers, options.timeout / SECOND, options.queue)

    def begin(self) -> TraceContext | None:
        """The trace of a new call, or None for one that is left out."""
        return trace.begin() if random.random() < self._options.sample else None

    # --- the store ----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        self._sender.start()
        structlog.get_logger().info("tracing.ready", endpoint=self._options.endpoint, sample=self._options.sample)

    def append(self, batch: Sequence[Record]) -> None:
        """One offset for a batch: the two clocks drift by less than a microsecond in it."""
        offset = time.time_ns() - time.monotonic_ns()
        for record in batch:
            if self._spans.wants(record):
                for span in self._spans.hear(redacted(record) if self._redact else record, offset):
                    self._sender.add(span)

    def tidy(self) -> None:
        """Nothing is kept here."""

    def close(self) -> None:
        self._sender.close(_LAST)
        if self._sender.lost:
            structlog.get_logger().warning("tracing.lost", spans=self._sender.lost)
