from __future__ import annotations

from gateway.sip.flow import Flow
from gateway.sip.transaction.base import State
from gateway.sip.transaction.server import Server
from tests.unit.sip.transaction.bench import TCP, TIMERS, UDP, Bench, message, response

OPTIONS = message("OPTIONS")


def start(flow: Flow = UDP) -> tuple[Bench, Server]:
    bench = Bench()
    return bench, Server("key", OPTIONS, flow, TIMERS, bench.outbox)


def test_the_final_response_is_repeated_only_when_asked_for_until_timer_j() -> None:
    bench, machine = start()
    machine.receive(OPTIONS, bench.now)
    assert bench.sent() == []
    machine.respond(response(200, "OPTIONS"), bench.now)
    machine.respond(response(500, "OPTIONS"), bench.now)
    machine.receive(OPTIONS, bench.now)
    assert bench.sent() == ["200", "200"]
    assert bench.sending_times(machine, 31.9) == []
    assert machine.state is State.COMPLETED
    bench.sending_times(machine, 32)
    assert machine.state is State.TERMINATED


def test_a_provisional_response_is_repeated_too() -> None:
    bench, machine = start()
    machine.respond(response(100, "OPTIONS"), bench.now)
    machine.receive(OPTIONS, bench.now)
    assert bench.sent() == ["100", "100"]


def test_a_reliable_transport_ends_it_at_once() -> None:
    bench, machine = start(TCP)
    machine.respond(response(200, "OPTIONS"), bench.now)
    assert machine.state is State.TERMINATED
