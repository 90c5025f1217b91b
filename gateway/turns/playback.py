"""Which of the agent's words were heard: the sentences of an answer laid along the leg's playout position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.turns.alignment import SAMPLES_PER_LETTER, Word, estimated_ends, size, told_ends
from gateway.units import MS, SECOND, Nanos, Samples

__all__ = ["Playback", "Sentence"]

_PACKET: Final = 160
"""20 ms at 8 kHz: what resampling may round, so what is forgiven."""

_CERTAIN: Final = 480
"""60 ms: what leaves before a command that is given now reaches the plane, at the latest."""


@dataclass(slots=True)
class Sentence:
    """One request to the TTS and where its audio lies in the playout, in samples at 8 kHz."""

    text: str
    start: int = 0
    length: int = 0
    complete: bool = False
    words: list[Word] = field(default_factory=list)
    """When each is spoken, as far as the voice has told."""

    def heard(self, position: int) -> str:
        """Its words up to ``position``: by the voice's own times, and behind the last of them by the estimate."""
        played = position - self.start
        if not self.length or played <= 0:
            return ""
        if self.complete and played >= self.length - _PACKET:
            return self.text
        spoken = self.text.split()
        return " ".join(spoken[: sum(end <= played for end in self._ends(spoken))])

    def _ends(self, spoken: list[str]) -> list[int]:
        """Of each word; one that ends within another (a number, an abbreviation) ends with it."""
        told = told_ends(spoken, self.words)
        known = max((number for number, end in enumerate(told, 1) if end is not None), default=0)
        ends: list[int] = []
        for end in reversed(told[:known]):
            ends.append(end if end is not None else ends[-1])
        ends.reverse()
        reached, rest = (ends[-1] if ends else 0), spoken[known:]
        letters = max(1, size(" ".join(rest)))
        left = self.length - reached
        pace = left / letters if self.complete else max(left / letters, SAMPLES_PER_LETTER)
        return ends + [reached + end for end in estimated_ends(rest, pace)]


class Playback:
    """Ledger of one leg's playout queue.

    Positions come from the plane, count from the leg's start and tell what was *sent*. ``cut`` and ``flushed`` frame a
    flush: audio that is queued between the two belongs to the next answer.
    """

    def __init__(self) -> None:
        self._queued = 0
        self._played = 0
        self._since_cut = 0
        self._running: tuple[Nanos, Samples] | None = None
        self._trims: dict[int, int] = {}
        self._sentences: dict[int, Sentence] = {}

    def expect(self, request: int, text: str) -> None:
        """The sentence was given to the TTS."""
        self._sentences[request] = Sentence(text)

    def queue(self, request: int, samples: int) -> bool:
        """A burst of it arrived. False: nobody waits for it any more, so it must not be played."""
        sentence = self._sentences.get(request)
        if sentence is None:
            return False
        if not sentence.length:
            sentence.start = self._queued
        sentence.length += samples
        self._queued += samples
        self._since_cut += samples
        return True

    def told(self, request: int, words: Sequence[Word]) -> None:
        """When words of it are spoken, from its first sample."""
        if sentence := self._sentences.get(request):
            sentence.words.extend(words)

    def fill(self, samples: int) -> int:
        """Audio that is no sentence was queued: where it ends."""
        self._queued += samples
        self._since_cut += samples
        return self._queued

    @property
    def silent(self) -> bool:
        """Nothing is queued that was not played."""
        return self._queued - self._played <= _PACKET

    def complete(self, request: int) -> None:
        """The TTS has delivered all of it."""
        if sentence := self._sentences.get(request):
            sentence.complete = True

    def started(self, sent: Nanos, position: Samples) -> None:
        """Playout runs from here, by the plane's clock."""
        self._running = sent, position
        self._played = max(self._played, position)

    def idle(self, position: Samples) -> None:
        self._running = None
        self._played = max(self._played, position)

    def gone(self, request: int, now: Nanos) -> int:
        """Samples of this sentence that can no longer be taken back."""
        sentence = self._sentences.get(request)
        if sentence is None or not sentence.length:
            return 0
        reached = self._played
        if self._running is not None:
            sent, position = self._running
            reached = max(reached, position + (now - sent) * 8 // MS)
        return max(0, min(sentence.length, reached + _CERTAIN - sentence.start))

    def trim(self, request: int, at: int) -> int | None:
        """The sentence ends at ``at``, for another voice to go on: the position from which the plane should drop what
        is queued. ``trimmed`` takes its answer, by the request. None if nothing lies behind."""
        sentence = self._sentences.get(request)
        if sentence is None:
            return None
        sentence.words = [word for word in sentence.words if word.start * 8000 // SECOND < at]
        if at >= sentence.length:
            return None
        dropped = sentence.length - at
        sentence.length = at
        self._queued -= dropped
        self._since_cut -= dropped
        self._trims[request] = self._queued
        return self._queued

    def trimmed(self, request: int, position: Samples) -> None:
        """Where the plane could cut: later, if what should go had been played."""
        late = position - self._trims.pop(request, position)
        if late <= 0 or request not in self._sentences:
            return
        begun = False
        for other, sentence in self._sentences.items():
            if begun:
                sentence.start += late
            begun = begun or other == request
        self._sentences[request].length += late
        self._queued += late
        self._since_cut += late

    def texts(self) -> str:
        """The words of all sentences that were given to the TTS for this answer."""
        return " ".join(sentence.text for sentence in self._sentences.values() if sentence.text)

    @property
    def finished(self) -> bool:
        """Every sentence was delivered and sent."""
        sent = self._queued - self._played <= _PACKET
        return sent and all(sentence.complete for sentence in self._sentences.values())

    def waiting(self) -> list[int]:
        """Requests whose audio is not complete yet, in order: what to cancel."""
        return [request for request, sentence in self._sentences.items() if not sentence.complete]

    def take(self) -> str:
        """The words of a finished answer; the ledger is ready for the next."""
        return heard_of(self.cut(), self._played)

    def cut(self) -> list[Sentence]:
        """Takes out the sentences of an answer that ends here; what still arrives of them is not played."""
        sentences = list(self._sentences.values())
        self._sentences.clear()
        self._since_cut = 0
        return sentences

    def flushed(self, position: Samples) -> None:
        """The plane dropped what was queued up to the cut."""
        dropped = self._queued - self._since_cut - position
        self._queued -= dropped
        self._running = None
        self._played = position
        for sentence in self._sentences.values():
            sentence.start -= dropped


def heard_of(sentences: list[Sentence], position: int) -> str:
    """What of these sentences had been sent when the playout stood at ``position``."""
    return " ".join(filter(None, (sentence.heard(position) for sentence in sentences)))
