"""What bots that get the caller's words as text, and answer in text, have in common."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from pydantic import Field, field_validator

from gateway.providers.contract import Message
from gateway.providers.options import VendorOptions

__all__ = ["News", "TextBotOptions"]


class TextBotOptions(VendorOptions):
    """A bot that is dialled for every call."""

    url: str
    """Address of the bot, like `wss://bot.example.com/relay`."""
    parameters: dict[str, str] = Field(default_factory=dict)
    """What the bot is told about the call."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Merged into the first message about the call; null removes a key."""

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        if not url.startswith(("ws://", "wss://")):
            raise ValueError(f"{url!r} is no WebSocket address; write one like wss://bot.example.com/relay")
        return url


class News:
    """Finds in the messages of a request what a bot that remembers the conversation has not been told yet."""

    def __init__(self) -> None:
        self._told: list[str] = []

    def of(self, messages: Sequence[Message]) -> str:
        """What the caller said since the agent's last words; all of it, if it is asked again."""
        said = [message.text for message in takewhile(lambda one: one.role == "user", reversed(messages))][::-1]
        known = len(self._told) if said[: len(self._told)] == self._told else 0
        self._told = said
        return " ".join(said[known:] or said)
