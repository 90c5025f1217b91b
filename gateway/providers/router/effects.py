"""All that a failover machine asks of its shell, and what it reports beside the results of the contract."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.errors import ProviderError
from gateway.providers.contract import Usage
from gateway.units import Nanos

__all__ = ["Ask", "Close", "Effect", "Joined", "Lost", "Moved", "Open", "Report", "Shadowed", "Spent"]


@dataclass(frozen=True, slots=True)
class Open:
    """Open a session with candidate ``index``; answer with ``opened`` or ``open_failed``, and this ``epoch``."""

    index: int
    epoch: int
    timeout: Nanos


@dataclass(frozen=True, slots=True)
class Close:
    index: int


@dataclass(frozen=True, slots=True)
class Ask:
    """Call a verb of the candidate's session."""

    index: int
    verb: str
    arguments: tuple[object, ...]


Effect = Open | Close | Ask


@dataclass(frozen=True, slots=True)
class Joined:
    """The call's first session of the role is open, or none could be had."""

    ready: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """A provider failed this call."""

    role: str
    provider: str
    error: ProviderError


@dataclass(frozen=True, slots=True)
class Moved:
    """Work that one provider had failed at was handed to another one, or to the same once more."""

    role: str
    source: str
    target: str
    reason: str
    waited: int
    """Nanoseconds from the failure to the hand-over."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a request cost at a provider; ``part`` is ``won``, ``lost`` (a hedge that was not first), or ``shadow``."""

    role: str
    provider: str
    usage: Usage
    part: str = "won"


@dataclass(frozen=True, slots=True)
class Shadowed:
    """What the shadow provider answered to the same input: stored beside the first's, never played."""

    role: str
    provider: str
    request: int
    text: str
    first: Nanos | None
    """To its first result; None if there was none."""
    total: Nanos | None
    """To its end."""
    error: str = ""


Report = Joined | Lost | Moved | Spent | Shadowed
