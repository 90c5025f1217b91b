"""What the YAML blocks of all bots have in common."""

from __future__ import annotations

from pydantic import Field, field_validator

from gateway.options import Duration, Options
from gateway.providers.sessions.link import Limits

__all__ = ["BotOptions"]


class BotOptions(Options):
    """A bot that is dialled at a WebSocket address for every call."""

    url: str
    """Address of the bot, like `wss://bot.example.com/media`."""
    headers: dict[str, str] = Field(default_factory=dict)
    """More headers of the handshake."""
    parameters: dict[str, str] = Field(default_factory=dict)
    """What the bot is told about the call besides the numbers."""
    connect_timeout: Duration = Field(default="5s", validate_default=True)
    """From the first packet to a bot that is ready."""
    ping_interval: Duration = Field(default="20s", validate_default=True)
    """How often a connection is probed on which nothing comes."""
    ping_timeout: Duration = Field(default="10s", validate_default=True)
    """A bot silent for this long after a probe is taken as gone."""
    max_queue: Duration = Field(default="10m", validate_default=True)
    """Audio that may wait to be played; a bot that sends more is cut off."""

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        if not url.startswith(("ws://", "wss://")):
            raise ValueError(f"{url!r} is no WebSocket address; write one like wss://bot.example.com/media")
        return url

    @property
    def limits(self) -> Limits:
        return Limits(self.connect_timeout, self.ping_interval, self.ping_timeout)
