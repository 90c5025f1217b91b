"""One call, several phones, any order of verbs on every side, a network that does its worst: one of them talks, or
none, and nothing is left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.sip.events import Answered, Ended, Event, Invited, Reoffered
from gateway.sip.options import EndpointOptions
from gateway.units import Nanos
from tests.sim.forking import Fork
from tests.sim.network import Host, Network
from tests.sim.scale import SCALE

SDP = b"v=0 any"
phones = st.integers(1, 2)
sides = st.integers(0, 2)
picks = st.integers(0, 1 << 16)
CALLER, FORK = ("10.0.0.1", 5060), ("10.0.0.9", 5060)


class ForkedCalls(RuleBasedStateMachine):
    """``hosts`` are the caller and two phones; handles may be alive, over or unknown: all of it is legal."""

    @initialize(seed=picks, loss=st.sampled_from([0, 0.1, 0.3]), duplication=st.sampled_from([0, 0.3]))
    def start(self, seed: int, loss: float, duplication: float) -> None:
        options = EndpointOptions(session_expires="90s")  # type: ignore[arg-type]
        places = [CALLER, ("10.0.0.2", 5060), ("10.0.0.3", 5060)]
        self.hosts = [Host(place, seed + number, options) for number, place in enumerate(places)]
        for host in self.hosts:
            host.react = self._takes_offers(host)
        fork = Fork(FORK, places[1:])
        self.network = Network(seed, *self.hosts, fork, loss=loss, duplication=duplication, delay=(1, 700))
        self.placed: list[int] = []

    @staticmethod
    def _takes_offers(host: Host) -> Callable[[Event, Nanos], None]:
        def react(event: Event, now: Nanos) -> None:
            if isinstance(event, Answered | Reoffered):
                host.endpoint.answer(event.call, SDP, now)

        return react

    def _calls(self, side: int) -> list[int]:
        invited = [event.call for event in self.hosts[side].told if isinstance(event, Invited)]
        return invited if side else self.placed

    def _any(self, side: int, pick: int) -> int:
        choice = [*self._calls(side)[:-4:-1], 0]  # the newest first
        return choice[pick % len(choice)]

    @rule(late=st.booleans(), answering=st.sampled_from([(), (1,), (1, 2), (2, 1)]))
    def call(self, late: bool, answering: tuple[int, ...]) -> None:
        """Both phones hear of it, as far as the network lets, and may answer at the same moment."""
        caller = self.hosts[0]
        sdp = b"" if late else SDP
        self.placed.append(caller.endpoint.invite("sip:x@10.0.0.9", sdp, self.network.now, caller="y"))
        self.network.flush(caller)
        self.network.run(3)
        for side in answering:
            self.answer(side, 0)

    @rule(side=phones, pick=picks, status=st.sampled_from([180, 183, 199]))
    def ring(self, side: int, pick: int, status: int) -> None:
        """183 is early media, and reliable: each phone has its own PRACKs."""
        host = self.hosts[side]
        host.endpoint.ring(self._any(side, pick), self.network.now, status, SDP if status == 183 else None)
        self.network.flush(host)

    @rule(side=phones, pick=picks)
    def answer(self, side: int, pick: int) -> None:
        self.hosts[side].endpoint.answer(self._any(side, pick), SDP, self.network.now)
        self.network.flush(self.hosts[side])

    @rule(side=phones, pick=picks)
    def reject(self, side: int, pick: int) -> None:
        self.hosts[side].endpoint.reject(self._any(side, pick), 486, "busy", self.network.now)
        self.network.flush(self.hosts[side])

    @rule(side=sides, pick=picks)
    def hang_up(self, side: int, pick: int) -> None:
        """Of the caller, while it rings: a CANCEL that both phones see."""
        self.hosts[side].endpoint.hang_up(self._any(side, pick), self.network.now, "over")
        self.network.flush(self.hosts[side])

    @rule(side=sides, pick=picks)
    def reoffer(self, side: int, pick: int) -> None:
        self.hosts[side].endpoint.reoffer(self._any(side, pick), b"v=0 hold", self.network.now)
        self.network.flush(self.hosts[side])

    @rule(seconds=st.sampled_from([0.05, 0.5, 3, 40]))
    def wait(self, seconds: float) -> None:
        self.network.run(seconds)
        if seconds == 40 and not self.network.loss:
            self._one_talks()

    @invariant()
    def nothing_follows_the_end(self) -> None:
        for host in getattr(self, "hosts", []):
            ended = [event.call for event in host.told if isinstance(event, Ended)]
            assert len(ended) == len(set(ended))

    def teardown(self) -> None:
        if not hasattr(self, "hosts"):
            return
        # Who must be dismissed is so at once; where that was lost, when nobody refreshes the session (RFC 4028).
        patience, self.network.loss = 300 if self.network.loss else 10, 0
        self.network.run(patience)
        self._one_talks()
        for host in self.hosts:
            host.endpoint.close(self.network.now)
            self.network.flush(host)
        self.network.run(400)
        self.network.assert_silent()

    def _one_talks(self) -> None:
        caller, *called = self.hosts
        alive = {caller.endpoint.call_id(call) for call in self.placed} - {""}
        talking = Counter(call_id for phone in called for call_id in self._alive(phone))
        assert set(talking) <= alive, "a phone that talks to nobody"
        answered = {caller.endpoint.call_id(event.call) for event in caller.told if isinstance(event, Answered)}
        assert all(talking[call_id] <= 1 for call_id in answered), "two phones talk in one call"

    @staticmethod
    def _alive(phone: Host) -> set[str]:
        return {one.call_id for one in phone.told if isinstance(one, Invited) and phone.endpoint.call_id(one.call)}


TestForkedCalls = ForkedCalls.TestCase
TestForkedCalls.settings = settings(
    max_examples=40 * SCALE,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
