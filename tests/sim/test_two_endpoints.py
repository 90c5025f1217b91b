"""Two endpoints, any order of verbs on either side, a network that does its worst: nothing may be left over."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.sip.events import Answered, Ended, Invited, Reoffered, Ringing
from gateway.sip.options import EndpointOptions
from tests.sim.network import Host, Network

SDP = b"v=0 any"
sides = st.integers(0, 1)
picks = st.integers(0, 1 << 16)


class TwoEndpoints(RuleBasedStateMachine):
    """Verbs are called on handles that are alive, over or were never there: all of it is legal."""

    @initialize(
        seed=picks,
        loss=st.sampled_from([0, 0.1, 0.4]),
        duplication=st.sampled_from([0, 0.3]),
        cut=st.booleans(),
        refresher=st.sampled_from(["us", "them"]),
    )
    def start(self, seed: int, loss: float, duplication: float, cut: bool, refresher: str) -> None:
        options = EndpointOptions(session_expires="90s", session_refresher=refresher)  # type: ignore[arg-type]
        self.hosts = [Host(("10.0.0.1", 5060), seed, options), Host(("10.0.0.2", 5060), seed + 1, options)]
        self.network = Network(seed, *self.hosts, loss=loss, duplication=duplication, delay=(1, 900))
        self.placed: list[list[int]] = [[], []]
        self.cut = cut

    def any_call(self, side: int, pick: int) -> int:
        return pick % (len(self.placed[0]) + len(self.placed[1]) + 2)

    @rule(side=sides)
    def invite(self, side: int) -> None:
        host, other = self.hosts[side], self.hosts[1 - side]
        target = f"sip:x@{other.address[0]}"
        self.placed[side].append(host.endpoint.invite(target, SDP, self.network.now, caller="y"))
        self.network.flush(host)

    @rule(side=sides, pick=picks, status=st.sampled_from([180, 183]))
    def ring(self, side: int, pick: int, status: int) -> None:
        """183 has early media, and is reliable then."""
        call = self.any_call(side, pick)
        if call not in self.placed[side]:
            self.hosts[side].endpoint.ring(call, self.network.now, status, SDP if status == 183 else None)
            self.network.flush(self.hosts[side])

    @rule(side=sides, pick=picks)
    def answer(self, side: int, pick: int) -> None:
        self.hosts[side].endpoint.answer(self.any_call(side, pick), SDP, self.network.now)
        self.network.flush(self.hosts[side])

    @rule(side=sides, pick=picks)
    def reject(self, side: int, pick: int) -> None:
        self.hosts[side].endpoint.reject(self.any_call(side, pick), 486, "busy", self.network.now)
        self.network.flush(self.hosts[side])

    @rule(side=sides, pick=picks)
    def hang_up(self, side: int, pick: int) -> None:
        self.hosts[side].endpoint.hang_up(self.any_call(side, pick), self.network.now, "over")
        self.network.flush(self.hosts[side])

    @rule(seconds=st.sampled_from([0.05, 0.5, 3, 40, 70]))
    def wait(self, seconds: float) -> None:
        self.network.run(seconds)

    @invariant()
    def nothing_follows_the_end(self) -> None:
        for host in getattr(self, "hosts", []):
            over: set[int] = set()
            for event in host.told:
                if isinstance(event, Ended):
                    assert event.call not in over, "ended twice"
                    over.add(event.call)
                elif isinstance(event, Invited | Ringing | Answered | Reoffered):
                    assert event.call not in over, "something after the end"

    def teardown(self) -> None:
        if not hasattr(self, "hosts"):
            return
        if self.cut:
            self.network.loss = 1  # the cable is pulled before the end
        for host in self.hosts:
            host.endpoint.close(self.network.now)
            self.network.flush(host)
        self.network.run(400)
        for side, host in enumerate(self.hosts):
            calls = set(self.placed[side]) | {event.call for event in host.events(Invited)}  # type: ignore[attr-defined]
            assert {event.call for event in host.events(Ended)} == calls  # type: ignore[attr-defined]
        self.network.assert_silent()


TestTwoEndpoints = TwoEndpoints.TestCase
TestTwoEndpoints.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
