"""Why an INVITE would be taken or refused: the steps of ``decide`` as it serves calls, and what nearly fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from gateway.call.decision import Decision, Inquiry, Load, Policy, Step, decide, fits, mismatch
from gateway.call.trunk_options import TrunkOptions
from gateway.units import Nanos

__all__ = ["Explanation", "Miss", "explain"]

_MOST: Final = 5


@dataclass(frozen=True, slots=True)
class Miss:
    """A trunk or route that was not taken, and why."""

    kind: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that can be said of one INVITE."""

    decision: Decision
    steps: Sequence[Step]
    misses: Sequence[Miss]

    def lines(self) -> list[str]:
        """For a log."""
        return [f"{'yes' if step.passed else 'no'}, {step.question}: {step.answer}" for step in self.steps]

    def not_taken(self) -> list[str]:
        """Trunks and routes that nearly fitted, for a log."""
        return [f"{miss.kind} {miss.name}: {miss.why}" for miss in self.misses]


def explain(inquiry: Inquiry, policy: Policy, load: Load, now: Nanos) -> Explanation:
    """Decides, and says how."""
    steps: list[Step] = []
    decision = decide(inquiry, policy, load, now, steps.append)
    misses = [*_missed_trunks(inquiry, policy, decision), *_missed_routes(policy, decision)]
    return Explanation(decision, steps, misses)


def _missed_trunks(inquiry: Inquiry, policy: Policy, decision: Decision) -> list[Miss]:
    """Those above the one that was found; all of them if there is none."""
    found = []
    for trunk in policy.trunks:
        if trunk is decision.trunk:
            break
        found.append(Miss("trunk", trunk.name, _why_not(trunk, inquiry, mismatch(trunk, inquiry))))
    return found[:_MOST]


def _why_not(trunk: TrunkOptions, inquiry: Inquiry, against: str) -> str:
    host = inquiry.source[0]
    if not trunk.takes_calls:
        return "takes no calls: it has neither from, tls_names, login nor register"
    if trunk.known_by_registrar and trunk.registration is not None:
        return f"takes calls of its registrar {trunk.registration.registrar}, and we are not registered at {host}"
    if against == "from":
        return f"{host} is in none of {', '.join(str(one) for one in trunk.source)}"
    if against == "tls_names":
        proved = ", ".join(sorted(inquiry.names)) or "nothing"
        return f"its certificate proves {proved}, not {' or '.join(trunk.tls_names)}"
    return f"wants a login: {inquiry.login.why}"


def _missed_routes(policy: Policy, decision: Decision) -> list[Miss]:
    """Routes that would have fitted but for the one above or the trunk, and those that look alike."""
    if decision.trunk is None or not decision.called:
        return []
    called, found = decision.called, []
    for route in policy.routes:
        if route is decision.route:
            continue
        alone = route.model_copy(update={"trunks": None})
        if fits(route, called, decision.trunk):
            found.append(Miss("route", route.to, "fits too, but comes after the one that was taken"))
        elif fits(alone, called, decision.trunk):
            found.append(Miss("route", route.to, f"fits, but is for trunks {', '.join(route.trunks or ())} only"))
    if decision.route is None:
        alike = get_close_matches(called, [route.to for route in policy.routes], n=3, cutoff=0.6)
        found += [Miss("route", to, f"looks like {called}, but does not fit it") for to in alike]
    return found[:_MOST]
