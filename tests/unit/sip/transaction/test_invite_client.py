from __future__ import annotations

from gateway.sip.flow import Flow
from gateway.sip.parser import parse
from gateway.sip.transaction.base import State
from gateway.sip.transaction.invite_client import InviteClient
from tests.unit.sip.transaction.bench import TCP, TIMERS, UDP, Bench, message, response


def start(flow: Flow = UDP) -> tuple[Bench, InviteClient]:
    bench = Bench()
    machine = InviteClient("key", message("INVITE"), flow, TIMERS, bench.outbox, tell=bench.tell, now=bench.now)
    assert bench.sent() == ["INVITE"]
    return bench, machine


def test_timer_a_doubles_and_timer_b_gives_up() -> None:
    bench, machine = start()
    assert bench.sending_times(machine, 100) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert bench.told == [(32.0, None)]
    assert machine.state is State.TERMINATED


def test_no_repetition_on_a_reliable_transport() -> None:
    bench, machine = start(TCP)
    assert bench.sending_times(machine, 100) == []
    assert bench.told == [(32.0, None)]


def test_a_provisional_response_stops_both_timers() -> None:
    bench, machine = start()
    machine.receive(response(180), bench.now)
    assert bench.sending_times(machine, 1000) == []
    assert (bench.told, machine.state) == ([(0.0, 180)], State.PROCEEDING)


def test_a_refusal_is_acknowledged_each_time_and_told_once() -> None:
    """RFC 3261 17.1.1.3: the ACK has the INVITE's Via and Route, and the response's To."""
    bench, machine = start()
    machine.receive(response(486), bench.now)
    ack = parse(bench.outbox[0].data)
    assert ack.all("Via") == ["SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1"]
    assert (ack.get("Route"), ack.to.tag, ack.get("CSeq")) == ("<sip:10.0.0.2;lr>", "9", "7 ACK")
    machine.receive(response(486), bench.now)
    machine.receive(response(200), bench.now)
    assert bench.sent() == ["ACK", "ACK"]
    assert bench.told == [(0.0, 486)]
    assert bench.sending_times(machine, 31.9) == []
    assert machine.state is State.COMPLETED
    bench.sending_times(machine, 32)
    assert machine.state is State.TERMINATED


def test_a_refusal_on_a_reliable_transport_ends_it() -> None:
    bench, machine = start(TCP)
    machine.receive(response(486), bench.now)
    assert (bench.sent(), machine.state) == (["ACK"], State.TERMINATED)


def test_each_2xx_is_passed_on_for_64_t1() -> None:
    """RFC 6026 7.2: Accepted, timer M."""
    bench, machine = start()
    for status in (200, 200, 486, 180):
        machine.receive(response(status), bench.now)
    assert (bench.sent(), bench.told) == ([], [(0.0, 200), (0.0, 200)])
    bench.sending_times(machine, 31.9)
    assert machine.state is State.ACCEPTED
    bench.sending_times(machine, 32)
    assert machine.state is State.TERMINATED
    assert bench.told == [(0.0, 200), (0.0, 200)]


def test_a_timer_that_rings_early_does_nothing() -> None:
    bench, machine = start()
    machine.handle_timer(bench.now)
    assert bench.sent() == []
