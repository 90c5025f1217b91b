"""Which of several phones that ring is heard: a proxy may fork a call, and each phone may send early media of its own.

The first one that brings a session is, until it is gone (199, RFC 6228) or a phone answers: whom to render is the
caller's choice (RFC 3960 3.1), and a change with each 183 would cut announcements into each other. What a phone has
agreed on while it rang is also its answer where its 200 has none (RFC 3261 13.2.1, RFC 3262 5).
"""

from __future__ import annotations

from typing import Final

__all__ = ["EarlyMedia"]

_MOST: Final = 16
"""Phones that are remembered: nobody forks one call to more than these."""


class EarlyMedia:
    """Sessions by phone, which is the To tag of its responses."""

    __slots__ = ("_sessions", "heard")

    def __init__(self) -> None:
        self.heard = ""
        """The phone whose media is rendered; ``""``: none."""
        self._sessions: dict[str, bytes] = {}

    def began(self, phone: str, sdp: bytes) -> bool:
        """A provisional response has brought a session; whether it is to be heard."""
        if phone in self._sessions or len(self._sessions) < _MOST:
            self._sessions[phone] = sdp
            self.heard = self.heard or phone
        return phone == self.heard

    def gone(self, phone: str) -> bytes | None:
        """This phone rings no more; the session to hear instead, if it was the one and another is left."""
        self._sessions.pop(phone, None)
        if phone != self.heard:
            return None
        self.heard = next(iter(self._sessions), "")
        return self._sessions.get(self.heard)

    def of(self, phone: str) -> bytes | None:
        """What this phone has agreed on while it rang."""
        return self._sessions.get(phone)
