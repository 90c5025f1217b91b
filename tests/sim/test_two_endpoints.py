"""Two endpoints, any order of verbs on either side, a network that does its worst: nothing may be left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.errors import MisuseError
from gateway.sip.events import (
    Answered,
    Confirmed,
    Ended,
    Event,
    Invited,
    Pinged,
    Redirected,
    Referred,
    Refused,
    Registered,
    RegistrationFailed,
    Reoffered,
    Transferred,
)
from gateway.sip.flow import Address, Hop
from gateway.sip.options import EndpointOptions
from gateway.units import Nanos
from tests.garbage import Garbage
from tests.sim.network import Host, Network
from tests.sim.scale import SCALE

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
        obliging=st.sampled_from([(True, True), (True, False), (False, False)]),
    )
    def start(
        self, seed: int, loss: float, duplication: float, cut: bool, refresher: str, obliging: tuple[bool, bool]
    ) -> None:
        self.garbage = Garbage()
        self.garbage.begin()
        options = EndpointOptions(session_expires="90s", session_refresher=refresher, redirects=2, redirect_to=["*"])  # type: ignore[arg-type]
        self.hosts = [Host(("10.0.0.1", 5060), seed, options), Host(("10.0.0.2", 5060), seed + 1, options)]
        self.network = Network(seed, *self.hosts, loss=loss, duplication=duplication, delay=(1, 900))
        for host, takes_all in zip(self.hosts, obliging, strict=True):
            if takes_all:
                host.react = self.obliging(host)
        self.placed: list[list[int]] = [[], []]
        self.referred: Counter[tuple[Address, int]] = Counter()
        self.cut = cut

    def obliging(self, host: Host) -> Callable[[Event, Nanos], None]:
        """A user who takes whatever comes, so that calls do come up."""

        def react(event: Event, now: Nanos) -> None:
            if isinstance(event, Invited):
                host.endpoint.ring(event.call, now)
                host.endpoint.answer(event.call, SDP, now)
            elif isinstance(event, Answered | Reoffered):
                host.endpoint.answer(event.call, SDP, now)
            elif isinstance(event, Referred):
                host.endpoint.accept_refer(event.call, now)

        return react

    def any_call(self, side: int, pick: int) -> int:
        """One that is not over, most often; 0 never was."""
        host = self.hosts[side]
        begun = self.placed[side] + [event.call for event in host.events(Invited)]  # type: ignore[attr-defined]
        over = {event.call for event in host.events(Ended)}  # type: ignore[attr-defined]
        alive = [call for call in begun if call not in over]
        choice = [*alive, *alive, *begun[-2:], 0]
        return choice[pick % len(choice)]

    @rule(side=sides)
    def call(self, side: int) -> None:
        """One that has time to come up."""
        self.invite(side, late=False)
        self.network.run(4)

    @rule(side=sides, late=st.booleans())
    def invite(self, side: int, late: bool) -> None:
        """Late: the far end makes the offer, and our ACK must answer it."""
        host, other = self.hosts[side], self.hosts[1 - side]
        target = f"sip:x@{other.address[0]}"
        self.placed[side].append(host.endpoint.invite(target, b"" if late else SDP, self.network.now, caller="y"))
        self.network.flush(host)

    @rule(side=sides, pick=picks, sdp=st.sampled_from([b"v=0 hold", b"v=0 resume", b""]))
    def reoffer(self, side: int, pick: int, sdp: bytes) -> None:
        """On both sides at once it is a glare."""
        self.hosts[side].endpoint.reoffer(self.any_call(side, pick), sdp, self.network.now)
        self.network.flush(self.hosts[side])

    @rule(pick=picks)
    def both_reoffer(self, pick: int) -> None:
        for host in self.hosts:
            begun = [event.call for event in (*host.events(Answered), *host.events(Confirmed))]  # type: ignore[attr-defined]
            for call in begun[pick % 3 :]:
                host.endpoint.reoffer(call, b"v=0 glare", self.network.now)
            self.network.flush(host)

    @rule(side=sides, pick=picks, replacing=st.none() | picks, watch=st.booleans())
    def refer(self, side: int, pick: int, replacing: int | None, watch: bool) -> None:
        host = self.hosts[side]
        other = None if replacing is None else self.any_call(side, replacing)
        self.referred[host.address, self.any_call(side, pick)] += 1
        with suppress(MisuseError):  # a call that rings has no far end yet
            host.endpoint.refer(
                self.any_call(side, pick), "sip:z@10.0.0.3", self.network.now, replacing=other, watch=watch
            )
        self.network.flush(host)

    @rule(side=sides, pick=picks, status=st.sampled_from([0, 100, 180, 200, 486, 603]))
    def answer_refer(self, side: int, pick: int, status: int) -> None:
        """0 accepts it, 603 refuses it, all else is how the new call goes."""
        endpoint, call, now = self.hosts[side].endpoint, self.any_call(side, pick), self.network.now
        if status == 0:
            endpoint.accept_refer(call, now)
        elif status == 603:
            endpoint.refuse_refer(call, 603, "no", now)
        else:
            endpoint.refer_progress(call, status, now)
        self.network.flush(self.hosts[side])

    @rule(side=sides, pick=picks, digit=st.sampled_from("0#D"))
    def send_digit(self, side: int, pick: int, digit: str) -> None:
        self.hosts[side].endpoint.send_digit(self.any_call(side, pick), digit, self.network.now)
        self.network.flush(self.hosts[side])

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

    @rule(side=sides, pick=picks, where=st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.8", "a.example"]), n=picks)
    def redirect(self, side: int, pick: int, where: str, n: int) -> None:
        """To either of us, to nobody, or to a name, which nobody may ever find."""
        headers = [("Contact", f"<sip:x{n % 3}@{where}>;q=0.9"), ("Contact", "<sip:last@10.0.0.2>;q=0.1")]
        session = self.hosts[side].endpoint._context.sessions.get(self.any_call(side, pick))
        if session is not None:  # not by the verb: a Contact is no header for users
            session.reject(302, self.network.now, headers, "moved")
        self.network.flush(self.hosts[side])

    @rule(side=sides, found=st.booleans())
    def locate(self, side: int, found: bool) -> None:
        """Whoever has looked for the servers of a redirect is done, perhaps a second time."""
        host = self.hosts[side]
        for event in host.told:
            if isinstance(event, Redirected) and event.named:
                hops = [Hop("udp", self.hosts[1 - side].address)] if found else []
                host.endpoint.redirect(event.call, event.target, hops, self.network.now)
        self.network.flush(host)

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
                elif not isinstance(event, Refused | Pinged | Registered | RegistrationFailed):
                    assert event.call not in over, "something after the end"

    @invariant()
    def a_transfer_ends_once(self) -> None:
        for host in getattr(self, "hosts", []):
            for call in {event.call for event in host.events(Transferred)}:  # type: ignore[attr-defined]
                ends = [event for event in host.events(Transferred) if event.call == call and event.status != 491]  # type: ignore[attr-defined]
                assert len(ends) <= self.referred.get((host.address, call), 0), "more ends than transfers"

    def teardown(self) -> None:
        if not hasattr(self, "hosts"):
            return
        try:
            self.end_everything()
        finally:
            circles = self.garbage.end()
        assert not circles, "whatever happened to a call, nothing of it waits for the garbage collector"

    def end_everything(self) -> None:
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
    max_examples=60 * SCALE, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
