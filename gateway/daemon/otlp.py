"""Spans to an OpenTelemetry collector: OTLP over HTTP, protobuf, in batches, by a thread that nobody waits for.

The messages are the generated classes of ``opentelemetry-proto``. OpenTelemetry's SDK and exporter, which bring an HTTP
client besides, took 0.4 ms of processor time for the spans of a turn; these classes alone take 0.08
(benchmarks/README.md, "Being watched").
"""

from __future__ import annotations

import http.client
import queue
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from gateway import __version__
from gateway.daemon.spans import Span

__all__ = ["Sender", "encoded"]

_BATCH: Final = 512
_GATHER: Final = 2.0
"""Seconds that a span waits for others."""
_COMPLAIN: Final = 60.0
"""Seconds between two log lines about the same collector."""
_SAMPLED: Final = 1


def encoded(spans: Sequence[Span]) -> bytes:
    """An ``ExportTraceServiceRequest``."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add(resource=_RESOURCE)
    scope = group.scope_spans.add(scope=_SCOPE)
    for span in spans:
        _add(scope.spans, span)
    body: bytes = request.SerializeToString()
    return body


def _add(spans: Any, span: Span) -> None:
    message = spans.add(
        name=span.name,
        trace_id=span.context.trace_id.to_bytes(16, "big"),
        span_id=span.context.span_id.to_bytes(8, "big"),
        parent_span_id=b"" if span.parent is None else span.parent.span_id.to_bytes(8, "big"),
        kind=trace_pb2.Span.SPAN_KIND_SERVER if span.parent is None else trace_pb2.Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=span.start,
        end_time_unix_nano=span.end,
        attributes=_pairs(span.attributes),
        flags=_SAMPLED,
    )
    for event in span.events:
        message.events.add(name=event.name, time_unix_nano=event.at, attributes=_pairs(event.attributes))
    if span.failure is not None:
        message.status.code = trace_pb2.Status.STATUS_CODE_ERROR
        message.status.message = span.failure


def _pairs(attributes: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in attributes.items()]


def _value(value: str | bool | float) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case _:  # half a character from the wire is none in protobuf
            return AnyValue(string_value=str(value).encode(errors="backslashreplace").decode())


_RESOURCE: Final = Resource(attributes=_pairs({"service.name": "linecard", "service.version": __version__}))
_SCOPE: Final = InstrumentationScope(name="linecard", version=__version__)


class Sender:
    """A queue of ``limit`` spans and the thread that empties it. ``lost`` counts those that no collector got."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], timeout: float, limit: int) -> None:
        self.lost = 0
        self._where = urlsplit(endpoint)
        self._headers = {"Content-Type": "application/x-protobuf", **headers}
        self._timeout = timeout
        self._queue: queue.Queue[Span] = queue.Queue(limit)
        self._last = threading.Event()
        self._complained = float("-inf")
        self._connection: http.client.HTTPConnection | None = None
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add(self, span: Span) -> None:
        """Never waits: a span for which there is no room is lost."""
        try:
            self._queue.put_nowait(span)
        except queue.Full:
            self.lost += 1

    def close(self, patience: float) -> None:
        """Sends what is left, for ``patience`` seconds at most."""
        self._last.set()
        self._thread.join(patience)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._last.wait(_GATHER):
            self._empty()
        self._empty()
        self._hang_up()

    def _empty(self) -> None:
        while batch := self._batch():
            fault = self._send(encoded(batch))
            if fault is not None:
                self.lost += len(batch)
                self._complain(fault)
                return

    def _batch(self) -> list[Span]:
        batch: list[Span] = []
        try:
            while len(batch) < _BATCH:
                batch.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return batch

    def _send(self, body: bytes) -> str | None:
        """What went wrong. A connection that was kept may have been closed meanwhile: then a new one is tried."""
        kept = self._connection is not None
        try:
            return self._post(body)
        except (OSError, http.client.HTTPException) as error:
            self._hang_up()
            return self._send(body) if kept else str(error) or type(error).__name__

    def _post(self, body: bytes) -> str | None:
        if self._connection is None:
            self._connection = self._dial()
        path = self._where._replace(scheme="", netloc="").geturl() or "/"
        self._connection.request("POST", path, body, self._headers)
        response = self._connection.getresponse()
        response.read()
        return None if response.status < 300 else f"{response.status} {response.reason}"

    def _dial(self) -> http.client.HTTPConnection:
        host, port = self._where.hostname or "", self._where.port
        if self._where.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self._timeout)
        return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=ssl.create_default_context())

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _complain(self, fault: str) -> None:
        if time.monotonic() - self._complained > _COMPLAIN:
            self._complained = time.monotonic()
            structlog.get_logger().warning("tracing.failed", collector=self._where.netloc, reason=fault, lost=self.lost)
