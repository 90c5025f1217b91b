from __future__ import annotations

from gateway.sip.flow import Flow
from gateway.sip.transaction.base import State
from gateway.sip.transaction.client import Client
from tests.unit.sip.transaction.bench import TCP, TIMERS, UDP, Bench, message, response


def start(flow: Flow = UDP) -> tuple[Bench, Client]:
    bench = Bench()
    machine = Client("key", message("BYE"), flow, TIMERS, bench.outbox, tell=bench.tell, now=bench.now)
    assert bench.sent() == ["BYE"]
    return bench, machine


def test_timer_e_doubles_up_to_t2_and_timer_f_gives_up() -> None:
    bench, machine = start()
    assert bench.sending_times(machine, 100) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert (bench.told, machine.state) == ([(32.0, None)], State.TERMINATED)


def test_a_provisional_response_slows_it_to_t2() -> None:
    """RFC 3261 17.1.2.2: unlike an INVITE it goes on."""
    bench, machine = start()
    machine.receive(response(100, "BYE"), bench.now)
    assert bench.sending_times(machine, 13) == [0.5, 4.5, 8.5, 12.5]


def test_the_final_response_is_told_once_and_absorbed_for_t4() -> None:
    bench, machine = start()
    machine.receive(response(200, "BYE"), bench.now)
    machine.receive(response(200, "BYE"), bench.now)
    assert (bench.told, machine.state) == ([(0.0, 200)], State.COMPLETED)
    assert bench.sending_times(machine, 5) == []
    assert (bench.told, machine.state) == ([(0.0, 200)], State.TERMINATED)


def test_a_reliable_transport_repeats_and_absorbs_nothing() -> None:
    bench, machine = start(TCP)
    assert bench.sending_times(machine, 10) == []
    machine.receive(response(200, "BYE"), bench.now)
    assert machine.state is State.TERMINATED
