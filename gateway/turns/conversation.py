"""Who has the floor: the machine between what the caller does, what the models deliver and what the leg plays.

                     speech, hangover, final transcript
       OPEN ─────────▶ CALLER ─────────▶ ANSWER (LLM ▶ sentences ▶ TTS ▶ playout)
        ▲  ▲                                │  │
        │  └───── last packet played ───────┘  │ speech of the caller for the confirmation window:
        │                                      ▼ flush the plane, cancel LLM and TTS, keep what was *played*
        └──── silence: ask "are you there?"  CALLER

No I/O and no clock (see ``gateway/machine.py``): verbs take ``now``, ``outgoing`` drains the effects that the plug
carries out, ``events`` the reports that it writes down. Times of speech and packets are the plane's own stamps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.machine import earliest
from gateway.timeline import Interruption, Stamp, Timeline
from gateway.turns.alignment import Word
from gateway.turns.answer import Answer, Cut
from gateway.turns.bridge import Bridge
from gateway.turns.effects import (
    Apologise,
    BeginTurn,
    CancelGenerate,
    CancelSpeak,
    CancelTurn,
    CoverGap,
    Effect,
    EndTurn,
    Flush,
    Generate,
    HangUp,
    Heard,
    Interrupted,
    MarkAnswer,
    Report,
    Speak,
    TellInterrupted,
    Trim,
    TurnDone,
)
from gateway.turns.endpointing import Endpointer
from gateway.turns.history import History
from gateway.turns.options import Greeting, TurnOptions
from gateway.turns.playback import Playback, heard_of
from gateway.turns.remarks import Remarks
from gateway.units import MS, Nanos, Samples

__all__ = ["MODEL_FAILED", "Conversation"]

MODEL_FAILED: Final = "a model failed"
"""The reason to hang up with when nobody could answer."""
_MODEL_ENDED: Final = "the model ended the call"
_PACKET: Final = 20 * MS
"""A packet stamped with its arrival holds this much speech before the stamp."""


class Conversation:
    """The conversation of one call. ``timeline`` gets the stamps; ``system`` is the prompt that the LLM sees first."""

    def __init__(
        self,
        options: TurnOptions,
        timeline: Timeline,
        *,
        system: str = "",
        hang_up_on_failure: bool = True,
        bridge_after: Nanos | None = None,
    ) -> None:
        self.history = History(system)
        self._options = options
        self._timeline = timeline
        self._hang_up_on_failure = hang_up_on_failure
        self._endpointer = Endpointer(options.hangover, options.longest_turn)
        self._playback = Playback()
        self._bridge = Bridge(bridge_after)
        self._turn = 0
        self._speech: tuple[Samples, Nanos] | None = None  # where the plane hears speech begin, while it lasts
        self._speech_end = Samples(0)
        self._pending: set[int] = set()  # turns whose final transcript is awaited
        self._unanswered = False  # the caller said something, and went on before the answer to it began
        self._onset: Nanos | None = None  # of speech over an answer, until it is confirmed as an interruption
        self._answer: Answer | None = None
        self._cuts: dict[int, Cut] = {}
        self._remarks = Remarks()
        self._request = 0
        self._ask_at: Nanos | None = None
        self._held = False
        self._asked = 0
        self._answered = False
        self._over = False
        self._effects: list[Effect] = []
        self._reports: list[Report] = []

    # --- the machine's outputs ---------------------------------------------------------------------------------------

    def outgoing(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects

    def events(self) -> list[Report]:
        reports, self._reports = self._reports, []
        return reports

    def next_timer(self) -> Nanos | None:
        return None if self._over else earliest(self._endpointer.next_timer(), self._ask_at, self._bridge.next_timer())

    def handle_timer(self, now: Nanos) -> None:
        if self._over:
            return
        if self._endpointer.ended(now):
            self._end_turn(now)
        if self._ask_at is not None and now >= self._ask_at:
            self._ask(now)
        if self._bridge.due(now) and self._waited_for and self._playback.silent:
            self._effects.append(CoverGap())

    # --- the caller ---------------------------------------------------------------------------------------------------

    def answered(self, greeting: Greeting | None, now: Nanos) -> None:
        """The call is up: greet, or wait for the caller to speak."""
        self._timeline.stamp(0, Stamp.ANSWERED, now)
        self._answered = True
        if greeting is None:
            self._listen(now)
        else:
            self._say(Answer(0, "greeting", interruptible=greeting.interruptible), greeting.text)

    def hold(self, held: bool, now: Nanos) -> None:
        """The caller does not listen for a while: silence is no reason to ask then."""
        self._held = held
        self._ask_at = None
        if not held and self._answer is None:
            self._listen(now)

    def speech_started(self, media_time: Samples, arrival: Nanos, now: Nanos) -> None:
        self._speech = media_time, arrival
        if not self._over and not self._deaf:
            self._take_floor(media_time, arrival, now)

    def speech_heard(self, arrival: Nanos, now: Nanos) -> None:
        """A packet of speech. Over an answer it is an interruption once the confirmation window is full of it."""
        if self._onset is None or arrival - self._onset < self._options.barge_in_confirm - _PACKET:
            return
        onset, self._onset = self._onset, None
        if self._answer and not self._deaf:
            self._cut(self._answer, onset, now)

    def speech_ended(self, media_time: Samples, arrival: Nanos, now: Nanos) -> None:
        """``arrival`` is that of the last packet of speech, ``media_time`` its end."""
        self._speech = None
        if self._over or not self._endpointer.speaking:
            return
        if self._onset is not None:  # a cough over an answer
            self._onset = None
            self._endpointer.reset()
            self._timeline.take(self._turn)
            self._effects.append(CancelTurn(self._turn))
            return
        self._speech_end = media_time
        self._endpointer.speech_ended(arrival)
        self._timeline.restamp(self._turn, Stamp.SPEECH_ENDED, arrival)
        if self._endpointer.ended(now):
            self._end_turn(now)

    def transcript(
        self,
        turn: int,
        text: str,
        now: Nanos,
        *,
        final: bool = True,
        understood: bool = True,
        end_of_turn: bool = False,
        elapsed: Nanos | None = None,
    ) -> None:
        """What the STT heard; ``end_of_turn`` ends a pause before its hangover has passed."""
        if end_of_turn and turn == self._turn and self._endpointer.ended(now, model_sure=True):
            self._end_turn(now)
        if not final or turn not in self._pending or self._over:
            return
        self._pending.discard(turn)
        self._timeline.stamp(turn, Stamp.STT_FINAL, now)
        self._timeline.model_took(turn, "stt", elapsed)
        if text:
            self.history.caller(text)
            self._asked = 0
            self._reports.append(Heard(turn, text))
        if self._endpointer.speaking or self._answer:
            self._leave(turn, text, understood)
        elif text or self._unanswered:
            self._generate(Answer(turn, "answer", heard=text))
        elif not understood:
            self._say(Answer(turn, "answer", understood=False), self._options.not_understood)
        else:
            self._reports.append(TurnDone("noise", "", "", understood, False, self._timeline.take(turn)))
            self._listen(now)

    @property
    def _deaf(self) -> bool:
        """The agent is saying what the caller may not interrupt."""
        return self._answer is not None and not (self._options.barge_in and self._answer.interruptible)

    def _take_floor(self, media_time: Samples, arrival: Nanos, now: Nanos) -> None:
        if not self._endpointer.speaking:
            self._turn += 1
            self._timeline.stamp(self._turn, Stamp.SPEECH_STARTED, arrival)
            self._effects.append(BeginTurn(self._turn, media_time))
            self._onset = arrival if self._answer else None
        self._endpointer.speech_started(now)
        self._ask_at = None

    def _end_turn(self, now: Nanos) -> None:
        if self._speech is not None:  # the turn is too long: what is heard of it so far must do
            media_time, arrival = self._speech
            self._speech_end = Samples(media_time + (now - arrival) * 8 // MS)
            self._timeline.restamp(self._turn, Stamp.SPEECH_ENDED, now)
        self._timeline.stamp(self._turn, Stamp.ENDPOINT, now)
        self._pending.add(self._turn)
        self._effects.append(EndTurn(self._turn, self._speech_end))

    def _leave(self, turn: int, text: str, understood: bool) -> None:
        """The caller speaks again before the answer: one answer to all of it will follow."""
        self._unanswered = self._unanswered or bool(text)
        self._reports.append(TurnDone("unanswered", text, "", understood, False, self._timeline.take(turn)))

    # --- the models ---------------------------------------------------------------------------------------------------

    def token(
        self, request: int, text: str, now: Nanos, elapsed: Nanos | None = None, *, interruptible: bool = True
    ) -> None:
        answer = self._answering(request)
        if answer is None:
            return
        answer.interruptible = answer.interruptible and interruptible
        self._timeline.stamp(answer.turn, Stamp.LLM_FIRST_TOKEN, now)
        self._timeline.model_took(answer.turn, "llm", elapsed)
        self._speak(answer, answer.splitter.feed(text), now)

    def generated(self, request: int, now: Nanos, *, hang_up: bool = False) -> None:
        answer = self._answering(request)
        if answer is None:
            return
        answer.generating = None
        if hang_up:
            answer.hang_up = _MODEL_ENDED
        self._speak(answer, answer.splitter.finish(), now)
        self._settle(now)

    def unasked(self, text: str, now: Nanos, *, last: bool = False, interruptible: bool = True) -> None:
        """The LLM speaks beside its answers: said when the floor is free, behind what is being said."""
        self._remarks.add(text, last=last, interruptible=interruptible)
        self._remark(now)

    def _remark(self, now: Nanos) -> None:
        """A turn of the agent's own, or more of what it is saying."""
        busy = self._pending or self._endpointer.speaking or (self._answer and self._answer.generating is not None)
        if not self._remarks or self._over or not self._answered or busy:
            return
        if self._answer is None:
            self._turn += 1
            self._answer = Answer(self._turn, "prompt")
            self._ask_at = None
        elif self._answer.hang_up:
            return
        self._answer.interruptible = self._answer.interruptible and self._remarks.interruptible
        self._speak(self._answer, self._remarks.take(), now)

    def bye(self) -> None:
        """The LLM ends the call, beside its answers: once what is being said was played."""
        if self._answer is not None:
            self._answer.hang_up = self._answer.hang_up or _MODEL_ENDED
        elif not self._over:
            self._over = True
            self._effects.append(HangUp(_MODEL_ENDED))

    def speech(self, request: int, samples: int, now: Nanos, elapsed: Nanos | None = None) -> bool:
        """A burst of the TTS, ``samples`` long at 8 kHz. True: play it. False: it comes too late."""
        wanted = self._playback.queue(request, samples)
        if wanted and self._bridge.end is not None:
            self._effects.append(MarkAnswer(request))
        self._bridge.heard()
        if wanted and self._answer:
            self._timeline.stamp(self._answer.turn, Stamp.TTS_FIRST_AUDIO, now)
            self._timeline.model_took(self._answer.turn, "tts", elapsed)
        return wanted

    def words(self, request: int, words: Sequence[Word]) -> None:
        """The TTS tells when words of a sentence are spoken."""
        self._playback.told(request, words)

    def speech_done(self, request: int, now: Nanos) -> None:
        self._playback.complete(request)
        self._settle(now)

    def failed(self, now: Nanos) -> None:
        """A model that this call needs is gone: say so with what needs no model."""
        if self._over or (self._answer and self._answer.kind == "apology"):
            return
        turn = self._answer.turn if self._answer else self._turn
        if self._answer:
            self._cut(self._answer, None, now)
        self._endpointer.reset()
        self._pending.clear()
        self._onset = self._ask_at = None
        apology = Answer(turn, "apology", interruptible=False)
        apology.hang_up = MODEL_FAILED if self._hang_up_on_failure else None
        self._answer = apology
        self._playback.expect(self._next_request(), "")
        self._effects.append(Apologise(self._request))

    # --- failing over -------------------------------------------------------------------------------------------------

    def lost(self, now: Nanos) -> None:
        """A provider failed; another one is asked. If that takes long, the gap is covered."""
        if self._waited_for:
            self._bridge.lost(now)

    def covered(self, samples: int) -> None:
        """So much of something that is no answer was queued, to cover the gap."""
        self._bridge.end = self._playback.fill(samples)

    def answer_begins(self, sent: Nanos) -> None:
        """What was played up to this packet covered the gap; the answer follows."""
        self._bridge.end = None
        if self._answer:
            self._timeline.stamp(self._answer.turn, Stamp.FIRST_PACKET, sent)

    @property
    def _waited_for(self) -> bool:
        """The caller has finished and is owed an answer."""
        return not self._endpointer.speaking and bool(self._pending or self._answer)

    def kept(self, request: int) -> str:
        """The model of this request failed: the sentence that it did not end is withdrawn. Returns the words of those
        that went to the TTS, which stay: another model goes on after them."""
        answer = self._answering(request)
        if answer is None:
            return ""
        answer.splitter.drop()
        return self._playback.texts()

    def gone(self, request: int, now: Nanos) -> int:
        """How many samples of a sentence cannot be taken back from the leg any more."""
        return self._playback.gone(request, now)

    def trim(self, request: int, at: int) -> None:
        """The voice of this sentence failed: what lies behind ``at`` is taken back, and another voice goes on there."""
        position = self._playback.trim(request, at)
        if position is not None:
            self._effects.append(Trim(request, Samples(position)))

    def trimmed(self, request: int, position: Samples) -> None:
        """The plane has done it, as far as it was not too late."""
        self._playback.trimmed(request, position)

    # --- the leg ------------------------------------------------------------------------------------------------------

    def playout_started(self, sent: Nanos, position: Samples) -> None:
        self._playback.started(sent, position)
        if self._answer and self._bridge.end is None:
            self._timeline.stamp(self._answer.turn, Stamp.FIRST_PACKET, sent)

    def playout_idle(self, sent: Nanos, position: Samples, now: Nanos) -> None:
        self._playback.idle(position)
        self._bridge.played(position)
        if self._answer:
            self._timeline.restamp(self._answer.turn, Stamp.LAST_PACKET, sent)
        self._settle(now)

    def flushed(self, number: int, sent: Nanos, position: Samples, now: Nanos) -> None:
        cut = self._cuts.pop(number, None)
        if cut is None:
            return
        self._playback.flushed(position)
        said = heard_of(cut.sentences, position)
        first = self._timeline.turn(cut.answer.turn).stamps.get(Stamp.FIRST_PACKET)
        if cut.onset is not None and not self._over:
            played = 0 if first is None else max(0, sent - first) // MS
            self._effects.append(TellInterrupted(said, played))
        if cut.onset is not None and first is not None:
            self._timeline.restamp(cut.answer.turn, Stamp.LAST_PACKET, sent)
            self._reports.append(Interrupted(Interruption(cut.answer.turn, cut.onset, cut.at, sent)))
        self._close(cut.answer, said, interrupted=True)

    # --- the agent ----------------------------------------------------------------------------------------------------

    def _next_request(self) -> int:
        self._request += 1
        return self._request

    def _answering(self, request: int) -> Answer | None:
        return self._answer if self._answer and self._answer.generating == request else None

    def _generate(self, answer: Answer) -> None:
        self._unanswered = False
        answer.generating = self._next_request()
        self._answer = answer
        self._effects.append(Generate(self._request, self.history.messages()))

    def _say(self, answer: Answer, text: str) -> None:
        """An answer without the LLM."""
        self._answer = answer
        self._ask_at = None
        self._playback.expect(self._next_request(), text)
        self._effects.append(Speak(self._request, text))

    def _speak(self, answer: Answer, sentences: list[str], now: Nanos) -> None:
        for sentence in sentences:
            self._timeline.stamp(answer.turn, Stamp.LLM_FIRST_SENTENCE, now)
            if any(phrase.casefold() in sentence.casefold() for phrase in self._options.uninterruptible):
                answer.interruptible = False
            self._playback.expect(self._next_request(), sentence)
            self._effects.append(Speak(self._request, sentence))

    def _cut(self, answer: Answer, onset: Nanos | None, now: Nanos) -> None:
        """Stops the answer. What was heard of it is known when the plane has flushed."""
        self._answer = None
        self._remarks.drop()
        number = self._next_request()
        self._effects.append(Flush(number))
        if answer.generating is not None:
            self._effects.append(CancelGenerate(answer.generating))
        self._effects.extend(CancelSpeak(request) for request in self._playback.waiting())
        self._cuts[number] = Cut(answer, self._playback.cut(), onset, now)

    def _settle(self, now: Nanos) -> None:
        """Closes the answer once all of it was generated, delivered and sent."""
        answer = self._answer
        if answer is None or answer.generating is not None or not self._playback.finished:
            return
        self._answer = None
        self._onset = None
        self._close(answer, self._playback.take(), interrupted=False)
        if answer.hang_up:
            self._over = True
            self._effects.append(HangUp(answer.hang_up))
        else:
            self._listen(now)

    def _close(self, answer: Answer, said: str, *, interrupted: bool) -> None:
        self._bridge.over()
        self.history.agent(said)
        times = self._timeline.take(answer.turn)
        self._reports.append(TurnDone(answer.kind, answer.heard, said, answer.understood, interrupted, times))

    # --- silence ------------------------------------------------------------------------------------------------------

    def _listen(self, now: Nanos) -> None:
        """The floor is open, unless the caller has taken it while the agent could not be interrupted."""
        if self._speech is not None and not self._endpointer.speaking:
            self._take_floor(*self._speech, now)
        if self._endpointer.speaking:
            return
        if self._unanswered and not self._pending:
            self._generate(Answer(self._turn, "answer"))
        elif self._remarks and not self._pending:
            self._remark(now)
        elif not self._held:
            self._ask_at = Nanos(now + self._options.no_input_after)

    def _ask(self, now: Nanos) -> None:
        self._turn += 1
        prompt = Answer(self._turn, "prompt")
        if self._asked < self._options.no_input_limit:
            self._asked += 1
            self._say(prompt, self._options.no_input_prompt)
        else:
            prompt.hang_up = "no input"
            self._say(prompt, self._options.no_input_goodbye)
