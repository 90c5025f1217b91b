"""What is sent is what the collector's own library reads; what cannot be sent is counted, and nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gateway.daemon.otlp import Sender, encoded
from gateway.daemon.spans import Event, Span
from gateway.trace import TraceContext
from tests.ports import free_port

CALL = TraceContext(5, 7)
SPAN = Span("turn 1", CALL.child("turn", 1), CALL, 1_000, 2_000, {"a": "x", "b": True, "c": 3, "d": 0.5},
    (Event("barge_in", 1_500, {"n": 1}),), "no answer")  # fmt: skip


class Server(ThreadingHTTPServer):
    """Answers with ``statuses`` in turn, then 200; ``closes`` ends each connection after its answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses: list[int] = []
        self.closes = False
        self.batches: list[ExportTraceServiceRequest] = []
        self.came = threading.Semaphore(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/traces?tenant=a"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert self.path == "/v1/traces?tenant=a"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if status == 200:
            self.server.batches.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.close_connection = self.server.closes
        self.server.came.release()

    def log_message(self, *_: object) -> None:
        """Not of interest."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.daemon.otlp._GATHER", 0.01)


def test_a_span_is_read_as_it_was_made() -> None:
    request = ExportTraceServiceRequest.FromString(encoded([SPAN]))
    (group,) = request.resource_spans
    assert {pair.key: pair.value.string_value for pair in group.resource.attributes}["service.name"] == "linecard"
    (span,) = group.scope_spans[0].spans
    assert (span.name, span.start_time_unix_nano, span.end_time_unix_nano) == ("turn 1", 1_000, 2_000)
    assert int.from_bytes(span.trace_id, "big") == 5
    assert int.from_bytes(span.parent_span_id, "big") == 7
    assert [pair.value.WhichOneof("value") for pair in span.attributes] == [
        "string_value", "bool_value", "int_value", "double_value",
    ]  # fmt: skip
    assert (span.events[0].name, span.events[0].time_unix_nano) == ("barge_in", 1_500)
    assert (span.status.code, span.status.message) == (2, "no answer")


def test_half_a_character_is_sent_as_what_it_was() -> None:
    request = ExportTraceServiceRequest.FromString(encoded([Span("x", CALL, None, 0, 1, {"a": "\ud800"})]))
    assert request.resource_spans[0].scope_spans[0].spans[0].attributes[0].value.string_value == "\\ud800"


@pytest.mark.usefixtures("quick")
def test_spans_arrive_and_the_last_ones_at_the_end(server: Server) -> None:
    sender = Sender(server.url, {"x-key": "k"}, 5, 100)
    sender.start()
    sender.add(SPAN)
    assert server.came.acquire(timeout=30)
    sender.add(SPAN)
    sender.close(30)
    assert sum(len(batch.resource_spans[0].scope_spans[0].spans) for batch in server.batches) == 2
    assert sender.lost == 0


@pytest.mark.usefixtures("quick")
def test_a_connection_that_the_collector_has_closed_is_opened_anew(server: Server) -> None:
    server.closes = True
    sender = Sender(server.url, {}, 5, 100)
    sender.start()
    for _ in range(3):
        sender.add(SPAN)
        assert server.came.acquire(timeout=30)
    sender.close(30)
    assert (len(server.batches), sender.lost) == (3, 0)


@pytest.mark.usefixtures("quick")
def test_a_batch_that_is_refused_is_lost_and_counted(server: Server) -> None:
    server.statuses = [503]
    sender = Sender(server.url, {}, 5, 100)
    sender.start()
    sender.add(SPAN)
    assert server.came.acquire(timeout=30)
    sender.add(SPAN)
    sender.close(30)
    assert (len(server.batches), sender.lost) == (1, 1)


def test_what_there_is_no_room_for_is_lost_at_once() -> None:
    sender = Sender(f"http://127.0.0.1:{free_port()}/", {}, 0.2, 2)
    for _ in range(5):
        sender.add(SPAN)
    assert sender.lost == 3
    sender.start()
    sender.close(30)
    assert sender.lost == 5
