"""Leaves out what a language model repeats of an answer that it was asked to go on with."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["Echo"]

_WORD: Final = re.compile(r"\w+")
_CERTAIN: Final = 3
"""So many words in common are a repetition; fewer may be a sentence that only begins alike."""


class Echo:
    """Text goes through as soon as it is known not to be the beginning of ``said``: case, spaces and punctuation do
    not count.

    A text that follows ``said`` word by word loses what it repeats, even where it leaves it before the end; one that
    has fewer than three words in common with it goes through whole.
    """

    def __init__(self, said: str) -> None:
        self._said = [word.casefold() for word in _WORD.findall(said)]
        self._held = ""
        self._open = True

    def feed(self, text: str) -> str:
        if not self._open:
            return text
        self._held += text
        matched, end, complete = self._compare()
        if matched == len(self._said) and complete:  # all of it was said again: the rest is new
            return self._let_go(end)
        if not complete:
            return ""
        return self._let_go(end if matched >= _CERTAIN else 0)

    def finish(self) -> str:
        """The text is over: a repetition is dropped, anything else was meant."""
        if not self._open:
            return ""
        matched, end, _ = self._compare()
        return self._let_go(end if matched >= min(_CERTAIN, len(self._said)) else 0)

    def _compare(self) -> tuple[int, int, bool]:
        """How many words agree, where the last of them ends, and whether that is certain whatever follows."""
        words = list(_WORD.finditer(self._held))
        matched = end = 0
        for word, said in zip(words, self._said, strict=False):
            whole = word.end() < len(self._held)
            if not whole:
                return matched, end, not said.startswith(word[0].casefold())
            if word[0].casefold() != said:
                return matched, end, True
            matched, end = matched + 1, word.end()
        return matched, end, matched == len(self._said)

    def _let_go(self, start: int) -> str:
        self._open = False
        rest, self._held = self._held[start:], ""
        return re.sub(r"^[^\w\s]*", "", rest) if start else rest
