"""Failing over a voice: the next one goes on with the words that were not yet played.

Sentences are asked for in order and answered in order, so what a provider leaves behind is at most one sentence that
broke off and some that were not begun. The broken one is cut at a word (``splice.py``): what is queued behind the cut
is taken back from the leg, and the next voice says the rest and all that follows. A sentence whose audio all came is
done, whatever happens to its provider.

With hedging, a second voice gets the first sentence when the first voice has passed its own 95th percentile. Whose
audio comes first speaks, and gets the sentences behind it; the other is cancelled.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.errors import ProviderError
from gateway.machine import earliest
from gateway.providers.contract import Failed, Speech, SpeechDone, Usage, Word, Words
from gateway.providers.router.effects import Spent
from gateway.providers.router.failover import Candidate, Failover
from gateway.providers.router.health import Health
from gateway.providers.router.options import FailoverOptions
from gateway.providers.router.splice import cut, levels
from gateway.turns.alignment import size
from gateway.units import SECOND, Nanos

__all__ = ["Player", "TtsFailover"]


class Player(Protocol):
    """What the machine must know of the leg, and may ask of it. Samples are at 8 kHz, from the request's first."""

    def playable(self, burst: Speech) -> bool:
        """Whole samples, at a rate that the plane plays."""

    def played(self, request: int) -> int:
        """How much of it can no longer be taken back."""

    def trim(self, request: int, at: int) -> None:
        """Of this request, what lies behind ``at`` is not to be played."""


@dataclass(slots=True)
class _Line:
    """One sentence, or what is left of it."""

    request: int
    text: str
    number: int = 0
    """Its request at the candidate that has it."""
    asked: int = 0
    last: Nanos | None = None
    longest: int = 0
    base: int = 0
    """Samples of it that other providers delivered, and that stay."""
    delivered: int = 0
    """Samples from the provider that has it now."""
    audio: list[Speech] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    unsettled: Candidate | None = None
    """Who was asked for it and may yet lose against a second voice: until then nobody knows what to call its cost."""


class TtsFailover(Failover):
    role = "tts"
    gated = True

    def __init__(
        self,
        healths: Sequence[Health],
        options: FailoverOptions,
        jitter: random.Random,
        *,
        player: Player,
        hedge: bool = False,
    ) -> None:
        super().__init__(healths, options, jitter)
        self._player = player
        self._hedging = hedge
        self._hedge_at: Nanos | None = None
        self._rival: tuple[Candidate, int] | None = None
        self._rival_cost = Usage()
        self._number = 0
        self._lines: list[_Line] = []

    # --- verbs --------------------------------------------------------------------------------------------------------

    def speak(self, request: int, text: str, now: Nanos) -> None:
        idle = not self._lines
        line = _Line(request, text)
        self._lines.append(line)
        if idle:
            self._begin(now)
        elif self._engaged and self.current is not None:
            self._say(self.current, line, now)

    def cancel(self, request: int, now: Nanos) -> None:
        for line in [line for line in self._lines if line.request == request]:
            self._lines.remove(line)
            self._settle(line)
            if self._engaged and self.current is not None:
                self._ask(self.current, "cancel", line.number)
        if not self._lines:
            self._end_hedge()
            self._rest()

    def close(self) -> None:
        for line in self._lines:
            self._settle(line)
        self._end_hedge()
        super().close()

    # --- the machine's parts ------------------------------------------------------------------------------------------

    @property
    def working(self) -> bool:
        return bool(self._lines)

    def _issue(self, candidate: Candidate, now: Nanos) -> None:
        for line in self._lines:
            self._say(candidate, line, now)
        usual = candidate.health.first.percentile(0.95)
        self._hedge_at = None if usual is None or not self._hedging else Nanos(now + usual)

    def _say(self, candidate: Candidate, line: _Line, now: Nanos) -> None:
        self._number += 1
        line.number, line.asked, line.last = self._number, now, None
        self._ask(candidate, "speak", self._number, line.text)
        if self._hedging:
            line.unsettled = candidate
        else:
            self._spend(candidate, line)

    def _spend(self, candidate: Candidate, line: _Line, part: str = "won") -> None:
        self._events.append(Spent(self.role, candidate.name, Usage(line.request, characters=len(line.text)), part))

    def _settle(self, line: _Line, part: str = "won") -> None:
        """What its first voice had of the sentence is counted, as won or lost."""
        asked, line.unsettled = line.unsettled, None
        if asked is not None:
            self._spend(asked, line, part)

    def _retract(self, candidate: Candidate, now: Nanos) -> bool:
        for line in self._lines:
            self._ask(candidate, "cancel", line.number)
            self._settle(line)
        self._cut_first(candidate)
        for line in self._lines:
            line.number = 0
        if self._rival is not None and self._rival[0] is not candidate and self._lines:
            rival, number = self._rival
            self._dismiss(rival, "won")
            self.current = rival
            self._take_over(rival, number, now)
            return True
        self._end_hedge()
        if not self._lines:
            self._rest()
        return False

    def _cut_first(self, candidate: Candidate) -> None:
        """What of the sentence that broke off stays, and what the next voice has to say."""
        line = self._lines[0] if self._lines else None
        if line is None or not line.delivered:
            return
        loudness = [level for burst in line.audio for level in levels(burst.audio, burst.rate, burst.encoding)]
        played = max(0, self._player.played(line.request) - line.base)
        pace = candidate.health.samples_per_letter
        place = cut(line.text, played, line.delivered, pace, loudness=loudness, words=line.words)
        self._player.trim(line.request, line.base + place.at)
        line.base += place.at
        line.text = place.rest
        line.delivered = 0
        line.audio.clear()
        line.words.clear()
        if not place.rest:
            self._lines.remove(line)
            self._events.append(SpeechDone(line.request))

    def _abandon(self, error: ProviderError) -> None:
        if self._lines:
            self._events.append(Failed(error, self._lines[0].request))
            self._lines.clear()

    def _due(self) -> Nanos | None:
        if not self._lines or not self._engaged or self.current is None:
            return None
        return earliest(self._silence_ends(self.current, self._lines[0]), self._hedge_at)

    def _late(self, now: Nanos) -> None:
        candidate, line = self.current, self._lines[0] if self._lines else None
        if candidate is None or line is None:
            return
        ends = self._silence_ends(candidate, line)
        if ends is not None and now >= ends:
            waited = (now - (line.last or line.asked)) // 1_000_000
            self._fail(candidate, ProviderError(candidate.name, f"no audio for {waited} ms", transient=True), now)
        elif self._hedge_at is not None and now >= self._hedge_at:
            self._hedge_at = None
            self._hedge(candidate, line, now)

    def _silence_ends(self, candidate: Candidate, line: _Line) -> Nanos | None:
        health, since = candidate.health, line.last or line.asked
        if line.last is None:
            limit = self._limit(candidate, health.first, self._options.tts, Nanos(since))
        else:
            limit = self._limit(candidate, health.between, self._options.stall, Nanos(since))
        return None if limit is None else Nanos(since + limit)

    # --- hedging ------------------------------------------------------------------------------------------------------

    def _hedge(self, candidate: Candidate, line: _Line, now: Nanos) -> None:
        rival = self._open_alternative(candidate, now)
        if rival is None or line.delivered or line.base:
            return
        self._number += 1
        self._rival = rival, self._number
        self._rival_cost = Usage(line.request, characters=len(line.text))
        self._ask(rival, "speak", self._number, line.text)

    def _dismiss(self, rival: Candidate, part: str) -> None:
        """It is the rival no more; what it was asked for is counted."""
        self._rival = None
        self._events.append(Spent(self.role, rival.name, self._rival_cost, part))

    def _take_over(self, rival: Candidate, number: int, now: Nanos) -> None:
        """The second voice has the first sentence, and gets those behind it."""
        first, *others = self._lines
        first.number, first.asked, first.last = number, now, None
        for line in others:
            self._say(rival, line, now)

    def _rival_speaks(self, rival: Candidate, number: int, now: Nanos) -> None:
        self._dismiss(rival, "won")
        loser = self.current
        for line in self._lines:
            self._settle(line, "lost")
            if loser is not None:
                self._ask(loser, "cancel", line.number)
        self.current = rival
        self._take_over(rival, number, now)

    def _end_hedge(self) -> None:
        self._hedge_at = None
        if self._rival is not None:
            rival, number = self._rival
            self._dismiss(rival, "lost")
            self._ask(rival, "cancel", number)

    def _side_lost(self, candidate: Candidate, now: Nanos) -> None:
        if self._rival is not None and self._rival[0] is candidate:
            self._dismiss(candidate, "lost")

    # --- results ------------------------------------------------------------------------------------------------------

    def _result(self, candidate: Candidate, result: Any, now: Nanos) -> None:
        if isinstance(result, Usage):  # characters are counted here, for all alike
            return
        if self._rival == (candidate, result.request):
            self._rival_result(candidate, result, now)
        line = next((line for line in self._lines if line.number == result.request), None)
        if line is None or candidate is not self.current:
            return
        match result:
            case Speech() if not self._player.playable(result):
                text = f"sends {len(result.audio)} bytes at {result.rate} Hz, which cannot be played"
                self._fail(candidate, ProviderError(candidate.name, text, transient=False), now)
            case Speech():
                self._heard(candidate, line, result, now)
            case Words(_, words):
                line.words.extend(words)
                self._events.append(Words(line.request, _later(words, line.base)))
            case SpeechDone(_, cancelled) if not cancelled:
                self._done(candidate, line, now)
            case Failed(error):
                self._fail(candidate, error, now)

    def _rival_result(self, rival: Candidate, result: Any, now: Nanos) -> None:
        if isinstance(result, Failed):
            self._dismiss(rival, "lost")
            self._blame(rival, result.error, now)
        elif isinstance(result, Speech):
            self._rival_speaks(rival, result.request, now)

    def _heard(self, candidate: Candidate, line: _Line, burst: Speech, now: Nanos) -> None:
        if line.last is None:
            candidate.health.first.add(now - line.asked, now)
            self._settle(line)
            if self._lines[0] is line:
                self._end_hedge()
        else:
            line.longest = max(line.longest, now - line.last)
        line.last = now
        self._lost_at = None
        line.delivered += burst.samples * 8000 // burst.rate
        line.audio.append(burst)
        self._events.append(Speech(line.request, burst.audio, burst.rate, burst.elapsed, burst.encoding))

    def _done(self, candidate: Candidate, line: _Line, now: Nanos) -> None:
        if line.delivered:
            candidate.health.between.add(line.longest, now)
            candidate.health.spoke(line.delivered, size(line.text))
        self._served(candidate, now)
        self._lines.remove(line)
        self._settle(line)
        self._events.append(SpeechDone(line.request))
        if self._lines:  # the next one's turn begins now, however long ago it was asked for
            self._lines[0].asked = max(self._lines[0].asked, now)
        else:
            self._end_hedge()
            self._rest()


def _later(words: Sequence[Word], samples: int) -> tuple[Word, ...]:
    """Times from the start of the whole sentence, of which another voice has said the beginning."""
    span = samples * SECOND // 8000
    return tuple(Word(word.text, Nanos(word.start + span), Nanos(word.end + span)) for word in words)
