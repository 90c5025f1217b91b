"""Calls over a bad network: they come up or end on both sides, and leave nothing behind."""

from __future__ import annotations

import pytest

from gateway.sip.events import Answered, Confirmed, Ended, Event, Invited
from gateway.units import Nanos
from tests.sim.network import Host, Network

ALICE, BOB = ("10.0.0.1", 5060), ("10.0.0.2", 5060)
OFFER, ANSWER = b"v=0 offer", b"v=0 answer"


def pair(seed: int, **network: float) -> tuple[Host, Host, Network]:
    alice, bob = Host(ALICE, seed), Host(BOB, seed + 1)

    def answers(event: Event, now: Nanos) -> None:
        if isinstance(event, Invited):
            bob.endpoint.ring(event.call, now)
            bob.endpoint.answer(event.call, ANSWER, now)

    bob.react = answers
    return alice, bob, Network(seed, alice, bob, **network)  # type: ignore[arg-type]


def test_a_call_on_a_good_network_takes_seven_messages() -> None:
    alice, bob, network = pair(1)
    call = alice.endpoint.invite("sip:bob@10.0.0.2", OFFER, network.now, caller="alice")
    network.flush(alice)
    network.run(1)
    assert alice.events(Answered) == [Answered(call, ANSWER)]
    assert bob.events(Confirmed) == [Confirmed(1)]
    alice.endpoint.hang_up(call, network.now, "done")
    network.flush(alice)
    network.run(40)
    assert [event.reason for event in bob.events(Ended)] == ["done"]  # type: ignore[attr-defined]
    starts = [data.split(b" ")[0 if not data.startswith(b"SIP") else 1] for data in network.wire]
    assert starts == [b"INVITE", b"100", b"180", b"200", b"ACK", b"BYE", b"200"]
    network.assert_silent()


@pytest.mark.parametrize("seed", range(20))
def test_a_third_of_the_packets_lost(seed: int) -> None:
    alice, bob, network = pair(seed, loss=0.33, duplication=0.2)
    calls = [alice.endpoint.invite("sip:bob@10.0.0.2", OFFER, network.now, caller="alice") for _ in range(5)]
    network.flush(alice)
    network.run(10)
    for number, call in enumerate(calls):
        (alice if number % 2 else bob).endpoint.hang_up(call, network.now)
    network.flush(alice)
    network.flush(bob)
    network.run(60)
    for call in calls:
        alice.endpoint.hang_up(call, network.now)
    network.flush(alice)
    network.run(120)
    assert len(alice.events(Ended)) == len(calls)
    assert len(bob.events(Ended)) == len(bob.events(Invited))
    network.assert_silent()


def test_nobody_there() -> None:
    """RFC 3261 17.1.1.2: 0, .5, 1.5, 3.5, 7.5, 15.5, 31.5 s, then timer B at 32 s."""
    alice = Host(ALICE, 1)
    network = Network(1, alice)
    call = alice.endpoint.invite("sip:bob@10.0.0.9", OFFER, network.now, caller="alice")
    network.flush(alice)
    network.run(31.9)
    assert len(network.wire) == 7
    assert not alice.events(Ended)
    network.run(0.2)
    assert alice.events(Ended) == [Ended(call, "network", 408, "no answer to INVITE")]
    network.assert_silent()


def test_the_ack_never_comes() -> None:
    """RFC 3261 13.3.1.4: the 200 is repeated at T1 doubling to T2, and after 64*T1 BYE ends the call."""
    alice, bob, network = pair(1)
    alice.endpoint.invite("sip:bob@10.0.0.2", OFFER, network.now, caller="alice")
    network.flush(alice)
    while not bob.events(Invited):
        network.step()
    del network.hosts[ALICE]
    network.run(31.8)
    assert sum(data.startswith(b"SIP/2.0 200") for data in network.wire) == 11
    network.run(1)
    assert [event.by for event in bob.events(Ended)] == ["network"]  # type: ignore[attr-defined]
    assert network.wire[-1].startswith(b"BYE ")
    network.run(40)
    network.assert_silent()


@pytest.mark.parametrize("seed", range(30))
def test_hanging_up_while_it_is_being_answered(seed: int) -> None:
    """CANCEL and 200 may cross (RFC 3261 9.1): whatever wins, both sides end the call."""
    alice, bob, network = pair(seed, loss=0.2, delay=(1, 400))
    bob.react = lambda event, now: bob.endpoint.ring(event.call, now) if isinstance(event, Invited) else None
    call = alice.endpoint.invite("sip:bob@10.0.0.2", OFFER, network.now, caller="alice")
    network.flush(alice)
    network.run(1)
    alice.endpoint.hang_up(call, network.now)
    bob.endpoint.answer(1, ANSWER, network.now)
    network.flush(alice)
    network.flush(bob)
    network.run(200)
    assert alice.events(Ended) == [Ended(call, "local", None, "")]
    assert len(bob.events(Ended)) == len(bob.events(Invited))
    network.assert_silent()
