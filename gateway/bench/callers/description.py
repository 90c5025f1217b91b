"""The caller's session descriptions: its offer, what the answer means, and how both change in the call."""

from __future__ import annotations

import random

from gateway import sdp
from gateway.sdp import Stream

__all__ = ["Description"]


class Description:
    """One call's side of offer and answer (RFC 3264). Raises ``SdpError`` for what the far end cannot mean."""

    def __init__(self, local: tuple[str, int], source: random.Random) -> None:
        self._local = local
        self._session_id, self._version = source.getrandbits(31), 1
        self._direction = "sendrecv"
        self.offered: bytes = sdp.offer(local, self._session_id)
        """Our last offer."""
        self._theirs: bytes | None = None

    def accept(self, answer: bytes | None) -> Stream:
        """What the answer to our last offer means."""
        stream = sdp.accept(answer or b"", self.offered)
        self._theirs = answer
        return stream

    def answer(self, offer: bytes) -> sdp.Agreement:
        """The far end moves its media, or holds: yes, with what we have."""
        self._version += 1
        agreement = sdp.answer(offer, self._local, self._session_id, version=self._version, direction=self._direction)
        self._theirs, self.offered = offer, agreement.sdp
        return agreement

    def hold(self, *, held: bool) -> bytes:
        """A new offer: ``sendonly`` holds the far end (RFC 6337 5.3), ``sendrecv`` takes it back."""
        self._direction = "sendonly" if held else "sendrecv"
        self._version += 1
        before = (sdp.parse(self.offered), sdp.parse(self._theirs)) if self._theirs else ()
        self.offered = sdp.offer(
            self._local, self._session_id, version=self._version, direction=self._direction, before=before
        )
        return self.offered
