"""What the sessions of one provider share."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.providers.sessions.base import Work
from gateway.providers.sessions.http import Http
from gateway.providers.sessions.link import Limits

__all__ = ["Shared"]


@dataclass(frozen=True, slots=True)
class Shared:
    name: str
    """Of the provider's YAML block."""
    limits: Limits
    http: Http
    work: Work
