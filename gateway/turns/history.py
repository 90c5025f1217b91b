"""What was said in a call, as the next answer's model sees it: of the agent's words only those that were played."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["History", "Message"]


@dataclass(frozen=True, slots=True)
class Message:
    """One entry. ``role`` is ``system``, ``assistant`` or ``user``."""

    role: str
    text: str


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
