"""Failing over a language model: the same messages to the next one, and not a word twice.

What was handed to the TTS of an answer that broke off stays, because the caller hears it or is about to. The next
model gets the same messages, then those words as its own, and is asked to go on; should it begin anew all the same,
what it repeats is left out. If nothing was handed on, the answer begins from scratch. A tool that was asked for is
not asked for twice: the answer ends there.

With hedging, a second model gets the same request when the first has passed its own 95th percentile. Whose first token
comes first answers, the other is cancelled, and what both cost is counted.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.errors import ProviderError
from gateway.machine import earliest
from gateway.providers.contract import Beside, Failed, Generated, Message, Token, Tool, ToolCall, Unasked, Usage
from gateway.providers.router.echo import Echo
from gateway.providers.router.effects import Spent
from gateway.providers.router.failover import Candidate, Failover
from gateway.providers.router.health import Health
from gateway.providers.router.options import FailoverOptions
from gateway.units import Nanos

__all__ = ["LlmFailover"]


@dataclass(slots=True)
class _Attempt:
    """The request, as one candidate was asked it under a number of its own."""

    candidate: Candidate
    number: int
    asked: Nanos
    prompt: int
    """Characters of the messages."""
    last: Nanos | None = None
    """When it last said something."""
    longest: int = 0
    said: int = 0
    counted: bool = False


@dataclass(slots=True)
class _Work:
    request: int
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    text: str = ""
    """All that went up."""
    tooled: bool = False
    echo: Echo | None = None
    attempts: list[_Attempt] = field(default_factory=list)
    speaker: _Attempt | None = None


class LlmFailover(Failover):
    """``kept(request)`` withdraws what of an answer has not gone to the TTS, and returns what has."""

    role = "llm"
    gated = True

    def __init__(
        self,
        healths: Sequence[Health],
        options: FailoverOptions,
        jitter: random.Random,
        *,
        kept: Callable[[int], str],
        hedge: bool = False,
    ) -> None:
        super().__init__(healths, options, jitter)
        self._kept = kept
        self._hedging = hedge
        self._hedge_at: Nanos | None = None
        self._number = 0
        self._asked: dict[int, int] = {}
        """Candidate -> the epoch of its session that was asked something."""
        self._work: _Work | None = None

    # --- verbs --------------------------------------------------------------------------------------------------------

    def generate(self, request: int, messages: Sequence[Message], tools: Sequence[Tool], now: Nanos) -> None:
        self._drop_work(now)
        self._work = _Work(request, tuple(messages), tuple(tools))
        self._begin(now)

    def cancel(self, request: int, now: Nanos) -> None:
        if self._work is not None and self._work.request == request:
            self._drop_work(now)

    def interrupted(self, text: str, played_ms: int, now: Nanos) -> None:
        if self.current is not None:
            self._ask(self.current, "interrupted", text, played_ms)

    def digit(self, digit: str, now: Nanos) -> None:
        if self.current is not None:
            self._ask(self.current, "digit", digit)

    # --- the machine's parts ------------------------------------------------------------------------------------------

    @property
    def working(self) -> bool:
        return self._work is not None

    def _issue(self, candidate: Candidate, now: Nanos) -> None:
        work = self._work
        if work is None:
            return
        messages = self._continued(work) if work.text else work.messages
        work.speaker = None
        first = self._try(work, candidate, messages, now)
        usual = candidate.health.first.percentile(0.95)
        self._hedge_at = None if usual is None or not self._hedging else Nanos(first.asked + usual)

    def _continued(self, work: _Work) -> tuple[Message, ...]:
        """The messages for somebody who goes on where another one was cut off."""
        work.text = self._kept(work.request)
        if not work.text:
            return work.messages
        work.echo = Echo(work.text)
        words, request = Message("assistant", work.text), Message("user", self._options.continue_prompt)
        return (*work.messages, words, request)

    def _try(self, work: _Work, candidate: Candidate, messages: tuple[Message, ...], now: Nanos) -> _Attempt:
        self._number += 1
        self._asked[candidate.index] = candidate.epoch
        attempt = _Attempt(candidate, self._number, now, sum(len(message.text) for message in messages))
        work.attempts.append(attempt)
        self._ask(candidate, "generate", self._number, messages, work.tools)
        return attempt

    def _retract(self, candidate: Candidate, now: Nanos) -> bool:
        work = self._work
        if work is None:
            return False
        for attempt in [one for one in work.attempts if one.candidate is candidate]:
            self._dismiss(work, attempt, now)
        if work.speaker is not None and work.speaker.candidate is candidate:
            work.speaker = None
        if work.tooled:
            self._finish(Generated(work.request, finish="tools"), now)
        elif work.attempts and work.speaker is None:  # the hedge is still on its way: it is the answer now
            self.current = work.attempts[0].candidate
            return True
        return False

    def _abandon(self, error: ProviderError) -> None:
        if self._work is not None:
            self._events.append(Failed(error, self._work.request))
            self._work = None

    def _due(self) -> Nanos | None:
        work = self._work
        if work is None or not self._engaged or self.current is None:
            return None
        return earliest(self._silence_ends(work), self._hedge_at)

    def _late(self, now: Nanos) -> None:
        work = self._work
        if work is None:
            return
        ends = self._silence_ends(work)
        if ends is not None and now >= ends:
            attempt = work.speaker or work.attempts[0]
            waited = (now - (attempt.last or attempt.asked)) // 1_000_000
            text = f"no token for {waited} ms"
            self._fail(attempt.candidate, ProviderError(attempt.candidate.name, text, transient=True), now)
        elif self._hedge_at is not None and now >= self._hedge_at:
            self._hedge_at = None
            self._hedge(work, now)

    def _silence_ends(self, work: _Work) -> Nanos | None:
        attempt = work.speaker or next(iter(work.attempts), None)
        if attempt is None:
            return None
        health = attempt.candidate.health
        now = attempt.last or attempt.asked
        if attempt.last is None:
            limit = self._limit(attempt.candidate, health.first, self._options.llm, now)
        else:
            limit = self._limit(attempt.candidate, health.between, self._options.stall, now)
        return None if limit is None else Nanos(now + limit)

    def _hedge(self, work: _Work, now: Nanos) -> None:
        """Only a session that stands already: what must connect first will not be the first to speak."""
        if work.speaker is None and self.current is not None and not work.text:
            rival = self._open_alternative(self.current, now)
            if rival is not None:
                self._try(work, rival, work.messages, now)

    # --- results ------------------------------------------------------------------------------------------------------

    def _result(self, candidate: Candidate, result: Any, now: Nanos) -> None:
        if not isinstance(result, Beside):
            self._requested(candidate, result, now)
        elif candidate is self.current and not (isinstance(result, Unasked) and self._newcomer(candidate)):
            self._events.append(result)

    def _newcomer(self, candidate: Candidate) -> bool:
        """A session that was opened in the middle of the call, and was asked nothing yet: it would greet the caller."""
        return self._number > 0 and self._asked.get(candidate.index) != candidate.epoch

    def _requested(self, candidate: Candidate, result: Any, now: Nanos) -> None:
        """Of one of the requests."""
        work = self._work
        number = result.request
        attempt = None
        if work is not None:
            attempt = next((one for one in work.attempts if one.number == number and one.candidate is candidate), None)
        if work is None or attempt is None:
            if isinstance(result, Usage):
                self._events.append(Spent(self.role, candidate.name, result, "lost"))
            return
        match result:
            case Token():
                self._progress(work, attempt, now)
                self._say(work, result.text, result)
                attempt.said += len(result.text)
            case ToolCall(_, use):
                self._progress(work, attempt, now)
                work.tooled = True
                self._events.append(ToolCall(work.request, use))
            case Usage():
                attempt.counted = True
                self._events.append(Spent(self.role, candidate.name, result))
            case Generated(_, cancelled, hang_up, finish) if not cancelled:
                self._ended(work, attempt, Generated(work.request, False, hang_up, finish), now)
            case Failed(error):
                self._attempt_failed(work, attempt, error, now)

    def _progress(self, work: _Work, attempt: _Attempt, now: Nanos) -> None:
        health = attempt.candidate.health
        if attempt.last is None:
            health.first.add(now - attempt.asked, now)
        else:
            attempt.longest = max(attempt.longest, now - attempt.last)
        attempt.last = now
        if work.speaker is None:
            work.speaker = attempt
            self.current = attempt.candidate
            self._lost_at = self._hedge_at = None
            for loser in [one for one in work.attempts if one is not attempt]:
                self._dismiss(work, loser, now)

    def _say(self, work: _Work, text: str, token: Token) -> None:
        """The text of a token, or what was held back of one."""
        if work.echo is not None:
            text = work.echo.feed(text)
        if text:
            work.text += text
            self._events.append(replace(token, request=work.request, text=text))

    def _ended(self, work: _Work, attempt: _Attempt, end: Generated, now: Nanos) -> None:
        """An answer without a word is an answer too, and no fault of its provider's."""
        if work.echo is not None:
            rest, work.echo = work.echo.finish(), None
            self._say(work, rest, Token(work.request, rest))
        if attempt.last is not None and attempt.longest:
            attempt.candidate.health.between.add(attempt.longest, now)
        self._count(attempt, "won")
        self._served(attempt.candidate, now)
        work.attempts.remove(attempt)
        self._finish(end, now)

    def _attempt_failed(self, work: _Work, attempt: _Attempt, error: ProviderError, now: Nanos) -> None:
        work.attempts.remove(attempt)
        if work.attempts and work.speaker is None:  # of two, the other may still answer
            self._blame(attempt.candidate, error, now)
            self.current = work.attempts[0].candidate
            return
        self._fail(attempt.candidate, error, now)

    def _finish(self, end: Generated, now: Nanos) -> None:
        self._events.append(end)
        self._drop_work(now)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _side_lost(self, candidate: Candidate, now: Nanos) -> None:
        if self._work is not None:
            self._work.attempts = [one for one in self._work.attempts if one.candidate is not candidate]

    def _dismiss(self, work: _Work, attempt: _Attempt, now: Nanos) -> None:
        work.attempts.remove(attempt)
        self._ask(attempt.candidate, "cancel", attempt.number)
        self._count(attempt, "lost")

    def _drop_work(self, now: Nanos) -> None:
        work, self._work = self._work, None
        if work is not None:
            for attempt in list(work.attempts):
                self._dismiss(work, attempt, now)
        self._hedge_at = None
        self._rest()

    def _count(self, attempt: _Attempt, part: str) -> None:
        """A provider that does not tell its tokens is counted by the usual four characters to one."""
        if not attempt.counted:
            usage = Usage(attempt.number, input_tokens=-(-attempt.prompt // 4), output_tokens=-(-attempt.said // 4))
            self._events.append(Spent(self.role, attempt.candidate.name, usage, part))
