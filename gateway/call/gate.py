"""Stands between the network and the calls: asks who it is, lets ``decide`` decide, and counts what was let in."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from gateway.call.decision import Decision, Inquiry, Policy, decide, mismatch
from gateway.call.explain import Explanation, explain
from gateway.call.occupancy import Occupancy
from gateway.call.options import AuthenticationOptions
from gateway.errors import SipError
from gateway.sip.auth_server import Verdict, Verifier
from gateway.sip.flow import Flow
from gateway.sip.message import Request
from gateway.sip.reasons import cause_header
from gateway.sip.uri import parse_uri
from gateway.units import Nanos

__all__ = ["Gate"]

_UNCHALLENGED: Final = frozenset({"CANCEL", "ACK"})
"""They cannot be sent again with credentials (RFC 3261 22.1); what they name was let in, or does not exist."""


class Gate:
    """``admit`` is what the endpoint asks for every request outside a dialog. Refusals are raised, so that they are
    answered without a transaction: nothing is kept of those who have no business here."""

    def __init__(
        self,
        policy: Policy,
        authentication: AuthenticationOptions,
        *,
        key: bytes,
        overload: Callable[[], str | None] = lambda: None,
        retry_after_s: int = 5,
        tell: Callable[[Request, Explanation], None] | None = None,
    ) -> None:
        """``tell`` hears how each INVITE was decided about; that costs more than deciding."""
        self.policy = policy
        self._tell = tell
        self._overload = overload
        self._retry_after_s = retry_after_s
        self.occupancy = Occupancy(policy.limits.burst)
        self._by_registrar = any(trunk.known_by_registrar for trunk in policy.trunks)
        self.registered_at: Callable[[str], frozenset[str]] = lambda host: frozenset()
        """Trunks that are registered at this address; ``Registrations`` knows."""
        accounts = {
            trunk.login.user: trunk.login.password.get_secret_value()
            for trunk in policy.trunks
            if trunk.login is not None
        }
        self._logins = bool(accounts)
        self._verifier = Verifier(
            accounts,
            key=key,
            realm=authentication.realm,
            algorithms=tuple(authentication.algorithms),
            lifetime=authentication.nonce_lifetime,
            max_nonces=authentication.max_nonces,
        )

    def knows(self, host: str) -> bool:
        """Whether the address is in the ranges of a trunk."""
        address = ip_address(host)
        address = getattr(address, "ipv4_mapped", None) or address
        known = any(address in source for trunk in self.policy.trunks for source in trunk.source)
        return known or bool(self._registered_at(host))

    def _registered_at(self, host: str) -> frozenset[str]:
        return self.registered_at(host) if self._by_registrar else frozenset()

    def admit(self, request: Request, flow: Flow, now: Nanos) -> Decision | None:
        """The decision to take the call, for an INVITE; ``None`` for other requests of who may ask. Raises
        ``SipError``."""
        if request.method in _UNCHALLENGED and self._logins:
            return None
        login = self._verifier.check(request, now) if self._logins else Verdict()
        where = self._registered_at(flow.remote[0])
        inquiry = Inquiry(request, flow.remote, flow.transport, flow.names, login, where)
        if request.method != "INVITE":
            self._know(inquiry, now)
            return None
        decision = self._decide(inquiry, now)
        if decision.accepted and (rule := self._overload()) is not None:
            raise SipError(503, "Service Unavailable", rule, (("Retry-After", str(self._retry_after_s)),))
        if decision.accepted:
            self._count(decision, now)
            return decision
        raise self._refusal(decision, now)

    def _decide(self, inquiry: Inquiry, now: Nanos) -> Decision:
        if self._tell is None:
            return decide(inquiry, self.policy, self.occupancy, now)
        explanation = explain(inquiry, self.policy, self.occupancy, now)
        self._tell(inquiry.request, explanation)
        return explanation.decision

    def not_taken(self, request: Request, flow: Flow, now: Nanos) -> list[str]:
        """What nearly fitted an INVITE that was refused, as ``linecard explain`` tells it."""
        where = self._registered_at(flow.remote[0])
        inquiry = Inquiry(request, flow.remote, flow.transport, flow.names, registered_at=where)
        return explain(inquiry, self.policy, self.occupancy, now).not_taken()

    def _know(self, inquiry: Inquiry, now: Nanos) -> None:
        """An OPTIONS, or something that is refused later: who asks matters, and to some what a call would get."""
        against: set[str] = set()
        for trunk in self.policy.trunks:
            if not (why := mismatch(trunk, inquiry)):
                if trunk.answer_options == "as-calls" and inquiry.request.method == "OPTIONS":
                    self._would_take(inquiry, now)
                return
            against.add(why)
        if "login" in against:
            decision = Decision(
                401, "Unauthorized", f"a login is wanted: {inquiry.login.why}", stale=inquiry.login.stale
            )
            raise self._refusal(decision, now)
        raise SipError(403, "Forbidden", f"no trunk takes requests from {inquiry.source[0]}")

    def _would_take(self, inquiry: Inquiry, now: Nanos) -> None:
        """What an INVITE would get now (RFC 3261 11.2), except that one who names nobody asks for nobody."""
        decision = decide(inquiry, self.policy, self.occupancy, now)
        if decision.accepted and (rule := self._overload()) is not None:
            raise SipError(503, "Service Unavailable", rule, (("Retry-After", str(self._retry_after_s)),))
        if not decision.accepted and (decision.status != 404 or parse_uri(inquiry.request.uri).user):
            raise self._refusal(decision, now)

    def _refusal(self, decision: Decision, now: Nanos) -> SipError:
        headers = decision.headers
        if decision.status == 401:
            headers = self._verifier.challenge(now, stale=decision.stale)
        elif decision.trunk is not None:  # strangers get no more than they must
            headers = (*headers, cause_header(decision.status))
        return SipError(decision.status, decision.reason, decision.rule, headers)

    def _count(self, decision: Decision, now: Nanos) -> None:
        trunk, occupancy = decision.trunk, self.occupancy
        occupancy.take("gateway", self.policy.limits.calls_per_second, now)
        if trunk is not None:
            occupancy.take((trunk.name, "in"), trunk.limits.rate_in, now)
            occupancy.take_source(trunk.name, decision.source, trunk.limits.rate_per_source, now)
