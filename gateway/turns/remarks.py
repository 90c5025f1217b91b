"""What the model says beside its answers, until the floor is free."""

from __future__ import annotations

from typing import Final

from gateway.turns.sentences import SentenceSplitter

__all__ = ["Remarks"]

_MOST: Final = 50
"""Sentences that may wait; what is beyond is left out."""


class Remarks:
    """Pieces of text go in, whole sentences come out."""

    def __init__(self) -> None:
        self._splitter = SentenceSplitter()
        self._waiting: list[str] = []
        self.interruptible = True
        """None of what waits is for everybody to hear."""

    def __bool__(self) -> bool:
        """There is something to be said."""
        return bool(self._waiting)

    def add(self, text: str, *, last: bool, interruptible: bool) -> None:
        self.interruptible = self.interruptible and interruptible
        sentences = self._splitter.feed(text)
        if last:
            sentences += self._splitter.finish()
        self._waiting.extend(sentences[: _MOST - len(self._waiting)])

    def take(self) -> list[str]:
        sentences, self._waiting = self._waiting, []
        self.interruptible = True
        return sentences

    def drop(self) -> None:
        """The caller does not want to hear it."""
        self.take()
        self._splitter.drop()
