"""What was said in a call, as the next answer's model sees it: of the agent's words only those that were played."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["History", "Message", "Tool", "ToolUse"]


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that the model may ask to have done. ``parameters`` is a JSON schema of the arguments."""

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The model asked for it. ``call`` is the model's own identifier, ``arguments`` JSON text as it wrote it."""

    call: str
    name: str
    arguments: str
    memo: str = ""
    """What the model wants to see again with it, and nobody else can read; most want nothing."""


@dataclass(frozen=True, slots=True)
class Message:
    """One entry. ``role`` is ``system``, ``assistant``, ``user`` or ``tool``."""

    role: str
    text: str
    uses: tuple[ToolUse, ...] = ()
    """Of an assistant's message: the tools that it asked for, each answered by a later message of role ``tool``."""
    call: str = ""
    """Of a tool's message: which use its text is the result of."""


class History:
    """The messages of a call, bounded: the system prompt stays, the oldest exchange goes first."""

    def __init__(self, system: str, limit: int = 200) -> None:
        self._system = [Message("system", system)] if system else []
        self._said: list[Message] = []
        self._limit = limit

    def caller(self, text: str) -> None:
        self._append("user", text)

    def agent(self, text: str) -> None:
        """``text`` is what the caller heard of it; nothing is kept of an answer that was cut before its first word."""
        if text:
            self._append("assistant", text)

    def messages(self) -> tuple[Message, ...]:
        return (*self._system, *self._said)

    def _append(self, role: str, text: str) -> None:
        self._said.append(Message(role, text))
        del self._said[: -self._limit]
