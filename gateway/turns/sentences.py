"""Cuts an LLM's stream of tokens into what a TTS should speak at once: the first sentence as soon as it is complete."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["SentenceSplitter"]

# A sentence ends in . ! ? (or their CJK forms) with closing quotes or brackets, and white space after it: "3.50" and
# "example.com" do not end one. CJK marks need no space.
_END: Final = re.compile(r"""[.!?…]+["')\]]*(?=\s)|[。！？]["'」』）]*|\n""")
_ABBREVIATION: Final = re.compile(r"(?:\b(?:[A-Za-z]|Mr|Mrs|Ms|Dr|St|No|vs|e\.g|i\.e|approx)\.)$")


class SentenceSplitter:
    """``feed`` returns the sentences that became complete, ``finish`` what is left.

    A text without an end is cut at a space after ``limit`` characters, so that a model that never ends a sentence is
    heard all the same.
    """

    def __init__(self, limit: int = 240) -> None:
        self._text = ""
        self._limit = limit

    def feed(self, token: str) -> list[str]:
        self._text += token
        sentences: list[str] = []
        while (cut := self._cut()) is not None:
            sentence, self._text = self._text[:cut].strip(), self._text[cut:].lstrip()
            if sentence:
                sentences.append(sentence)
        return sentences

    def drop(self) -> None:
        """Forgets the sentence that is not complete."""
        self._text = ""

    def finish(self) -> list[str]:
        rest, self._text = self._text.strip(), ""
        return [rest] if rest else []

    def _cut(self) -> int | None:
        for match in _END.finditer(self._text):
            if not _ABBREVIATION.search(self._text[: match.end()]):
                return match.end()
        if len(self._text) > self._limit:
            space = self._text.rfind(" ", 0, self._limit)
            return space if space > 0 else self._limit
        return None
