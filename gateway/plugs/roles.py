"""Which providers a plug's roles are given to: the part of its YAML block that the router obeys."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gateway.options import Options
from gateway.providers.router.options import FailoverOptions, Role, ShadowOptions

__all__ = ["Names", "RoleOptions"]


def _some(names: str | list[str]) -> str | list[str]:
    if not names:
        raise ValueError("names no provider; write one, or a list of them in the order in which they are tried")
    if isinstance(names, list) and len(set(names)) < len(names):
        raise ValueError("names a provider twice; each is tried again by itself (failover.attempts)")
    return names


Names = Annotated[str | list[str], AfterValidator(_some)]
"""One provider, or a list in the order in which they are tried."""


class RoleOptions(Options):
    """Providers by role."""

    stt: Names
    """Provider that turns speech to text; or a list, the next of which takes over inside the turn when one fails."""
    llm: Names
    """Provider that answers, or a list."""
    tts: Names
    """Provider that speaks, or a list."""
    language: str = "en"
    """Language of the conversation (BCP 47)."""
    hedge: list[Literal["llm", "tts"]] = Field(default_factory=list)
    """Roles whose second provider is asked as well when the first passes its own 95th percentile; who is first
    answers, and both are paid for. A session with the second one is kept open for it."""
    shadow: ShadowOptions = ShadowOptions()
    """Providers that answer along and are never played."""
    failover: FailoverOptions = FailoverOptions()
    """When the next provider of a list is asked."""

    def order(self, role: Role) -> list[str]:
        """The providers of a role, as they are tried."""
        names: str | list[str] = getattr(self, role)
        return [names] if isinstance(names, str) else names
