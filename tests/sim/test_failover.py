"""Calls to two servers, one dark or refusing, on a network that loses and repeats: in the end nothing is left."""

from __future__ import annotations

import pytest

from gateway.sdp import offer
from gateway.sip.events import Answered, Ended, Event, Invited
from gateway.sip.flow import Hop
from gateway.sip.options import EndpointOptions
from gateway.units import Nanos
from tests.sim.network import Host, Network

CALLER, FIRST, SECOND, NOBODY = (("10.0.0.1", 5060), ("10.0.0.2", 5060), ("10.0.0.3", 5060), ("10.0.0.9", 5060))
SDP = offer(("10.0.0.1", 4000), 1)


def hosts(seed: int, *, first_says: int) -> tuple[Host, Host, Host]:
    caller = Host(CALLER, seed, EndpointOptions.model_validate({"failover": {"after": "2s", "rest": "1s"}}))
    first, second = Host(FIRST, seed + 1), Host(SECOND, seed + 2)

    def hangs_up(event: Event, now: Nanos) -> None:
        if isinstance(event, Answered):
            caller.endpoint.hang_up(event.call, now)

    def refuses(event: Event, now: Nanos) -> None:
        if isinstance(event, Invited) and first_says:
            first.endpoint.reject(event.call, first_says, "full", now)

    def answers(event: Event, now: Nanos) -> None:
        if isinstance(event, Invited):
            second.endpoint.answer(event.call, SDP, now)

    caller.react, first.react, second.react = hangs_up, refuses, answers
    return caller, first, second


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("first", [FIRST, NOBODY])
def test_every_call_finds_the_server_that_works(seed: int, first: tuple[str, int]) -> None:
    caller, refusing, working = hosts(seed, first_says=503)
    network = Network(seed, caller, refusing, working, loss=0.15, duplication=0.1, delay=(1, 200))
    for number in range(5):
        hops = [Hop("udp", first), Hop("udp", SECOND)]
        caller.endpoint.invite("sip:1@carrier.test", SDP, network.now, caller=f"c{number}", remote=hops)
        network.flush(caller)
        network.run(3)
    network.run(300)
    network.assert_silent()
    assert len(caller.events(Answered)) == 5
    assert len(caller.events(Ended)) == 5
    if first == NOBODY:
        assert refusing.told == []


@pytest.mark.parametrize("seed", range(20))
def test_answers_that_come_when_the_next_server_is_being_asked(seed: int) -> None:
    """Everything takes longer than the caller's patience: both servers answer, and one call is left, or none."""
    caller, first, second = hosts(seed, first_says=0)
    first.react = lambda event, now: first.endpoint.answer(event.call, SDP, now) if isinstance(event, Invited) else None
    network = Network(seed, caller, first, second, loss=0.1, duplication=0.1, delay=(400, 1900))
    for number in range(5):
        hops = [Hop("udp", FIRST), Hop("udp", SECOND)]
        caller.endpoint.invite("sip:1@carrier.test", SDP, network.now, caller=f"c{number}", remote=hops)
        network.flush(caller)
        network.run(1)
    network.run(400)
    network.assert_silent()
    assert len(caller.events(Ended)) == 5
