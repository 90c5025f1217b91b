from __future__ import annotations

from gateway.sip.flow import Flow
from gateway.sip.transaction.base import State
from gateway.sip.transaction.invite_server import InviteServer
from tests.unit.sip.transaction.bench import TCP, TIMERS, UDP, Bench, message, response

INVITE, ACK = message("INVITE"), message("ACK")


def start(flow: Flow = UDP) -> tuple[Bench, InviteServer]:
    bench = Bench()
    return bench, InviteServer("key", INVITE, flow, TIMERS, bench.outbox)


def test_a_repeated_invite_gets_the_last_provisional_response() -> None:
    bench, machine = start()
    machine.receive(INVITE, bench.now)
    assert bench.sent() == []
    machine.respond(response(100), bench.now)
    machine.respond(response(180), bench.now)
    machine.receive(INVITE, bench.now)
    assert bench.sent() == ["100", "180", "180"]


def test_a_refusal_repeats_until_timer_h() -> None:
    """Timer G doubles up to T2 (RFC 3261 17.2.1)."""
    bench, machine = start()
    machine.respond(response(486), bench.now)
    machine.respond(response(487), bench.now)
    assert bench.sent() == ["486"]
    machine.receive(INVITE, bench.now)
    assert bench.sent() == ["486"]
    assert bench.sending_times(machine, 100) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert machine.state is State.TERMINATED


def test_the_ack_of_a_refusal_is_absorbed_for_t4() -> None:
    bench, machine = start()
    machine.respond(response(486), bench.now)
    assert not machine.receive(ACK, bench.now)
    bench.sent()
    assert not machine.receive(ACK, bench.now)
    machine.receive(INVITE, bench.now)
    assert (bench.sent(), machine.state) == ([], State.CONFIRMED)
    assert bench.sending_times(machine, 5) == []
    assert machine.state is State.TERMINATED


def test_a_reliable_transport_repeats_nothing() -> None:
    bench, machine = start(TCP)
    machine.respond(response(486), bench.now)
    assert bench.sending_times(machine, 31.9) == []
    machine.receive(ACK, bench.now)
    assert machine.state is State.TERMINATED


def test_after_a_2xx_invites_are_absorbed_and_acks_passed_on() -> None:
    """RFC 6026 7.1: Accepted, timer L."""
    bench, machine = start()
    machine.respond(response(200), bench.now)
    assert bench.sent() == ["200"]
    assert not machine.receive(INVITE, bench.now)
    assert machine.receive(ACK, bench.now)
    machine.respond(response(486), bench.now)
    assert (bench.sent(), machine.state) == ([], State.ACCEPTED)
    assert bench.sending_times(machine, 32) == []
    assert machine.state is State.TERMINATED
