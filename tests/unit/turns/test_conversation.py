"""The conversation, driven by hand in virtual time: who has the floor, and what is left in the history."""

from __future__ import annotations

from typing import TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.timeline import Stamp, Timeline
from gateway.turns import effects as do
from gateway.turns.conversation import Conversation
from gateway.turns.history import Message
from gateway.turns.options import Greeting, TurnOptions
from gateway.units import MS, Nanos, Samples

E = TypeVar("E")
SECOND_OF_AUDIO = 8000


class Desk:
    """A conversation with everything round it played by hand. Times are milliseconds from the start."""

    def __init__(self, **options: object) -> None:
        self.conversation = Conversation(
            TurnOptions.model_validate({"hangover": "500ms", "barge_in_confirm": "120ms", **options}), Timeline()
        )
        self.ms = 0
        self.effects: list[do.Effect] = []
        self.reports: list[do.Report] = []

    @property
    def now(self) -> Nanos:
        return Nanos(self.ms * MS)

    def drain(self) -> None:
        self.effects += self.conversation.outgoing()
        self.reports += self.conversation.events()

    def take(self, kind: type[E]) -> E:
        """The one effect of this kind since the last look; takes it off the list."""
        self.drain()
        found = [effect for effect in self.effects if isinstance(effect, kind)]
        assert len(found) == 1, (kind.__name__, self.effects)
        self.effects.remove(found[0])  # type: ignore[arg-type]
        return found[0]

    def none(self, *kinds: type) -> None:
        self.drain()
        assert not [effect for effect in self.effects if isinstance(effect, kinds)]

    def wait(self, ms: int) -> None:
        """Time passes; timers fire when they are due."""
        end = self.ms + ms
        while (due := self.conversation.next_timer()) is not None and due <= end * MS:
            self.ms = max(self.ms, due // MS)
            self.conversation.handle_timer(self.now)
        self.ms = end

    def start_speaking(self) -> None:
        self.conversation.speech_started(Samples(self.ms * 8), self.now, self.now)

    def keep_speaking(self, ms: int) -> None:
        for _ in range(ms // 20):
            self.ms += 20
            self.conversation.speech_heard(self.now, self.now)

    def stop_speaking(self) -> None:
        last = self.ms
        self.ms += 200  # the detector's release
        self.conversation.speech_ended(Samples(last * 8), Nanos(last * MS), self.now)

    def say(self, text: str, ms: int = 600) -> do.Generate:
        """The caller speaks, the STT understands."""
        self.start_speaking()
        self.keep_speaking(ms)
        self.stop_speaking()
        self.wait(500)
        self.conversation.transcript(self.take(do.EndTurn).turn, text, self.now)
        return self.take(do.Generate)

    def speak(self, request: int, seconds: float, *, done: bool = True) -> None:
        """The TTS delivers."""
        assert self.conversation.speech(request, int(seconds * SECOND_OF_AUDIO), self.now)
        if done:
            self.conversation.speech_done(request, self.now)

    def play(self, position_s: float, *, start_s: float | None = None, idle: bool = True) -> None:
        """The leg plays, up to a position."""
        if start_s is not None:
            self.conversation.playout_started(self.now, Samples(int(start_s * SECOND_OF_AUDIO)))
        if idle:
            self.conversation.playout_idle(self.now, Samples(int(position_s * SECOND_OF_AUDIO)), self.now)

    def greet(self) -> None:
        self.conversation.answered(Greeting(text="Hello."), self.now)
        self.speak(self.take(do.Speak).request, 1.0)
        self.play(1.0, start_s=0.0)
        self.drain()
        self.reports.clear()


def test_the_greeting_is_spoken_at_once_and_kept() -> None:
    desk = Desk()
    desk.conversation.answered(Greeting(text="Hello."), desk.now)
    speak = desk.take(do.Speak)
    assert speak.text == "Hello."
    desk.speak(speak.request, 1.0)
    desk.play(1.0, start_s=0.0)
    desk.drain()
    [done] = desk.reports
    assert isinstance(done, do.TurnDone)
    assert (done.kind, done.said, done.times.turn) == ("greeting", "Hello.", 0)
    assert desk.conversation.history.messages() == (Message("assistant", "Hello."),)


def test_a_turn_is_answered_sentence_by_sentence() -> None:
    desk = Desk()
    desk.greet()
    generate = desk.say("a large pizza")
    assert generate.messages == (Message("assistant", "Hello."), Message("user", "a large pizza"))
    desk.conversation.token(generate.request, "Sure. What", desk.now)
    first = desk.take(do.Speak)
    assert first.text == "Sure."
    desk.conversation.token(generate.request, " topping?", desk.now)
    desk.none(do.Speak)
    desk.conversation.generated(generate.request, desk.now)
    second = desk.take(do.Speak)
    assert second.text == "What topping?"
    desk.speak(first.request, 0.5)
    desk.speak(second.request, 1.0)
    desk.play(2.5, start_s=1.0)
    desk.drain()
    done = desk.reports[-1]
    assert isinstance(done, do.TurnDone)
    assert (done.kind, done.heard, done.said) == ("answer", "a large pizza", "Sure. What topping?")


def unasked(desk: Desk, text: str) -> None:
    desk.conversation.unasked(text, desk.now, last=True)


def test_what_the_model_says_unasked_is_said_when_the_floor_is_free() -> None:
    desk = Desk()
    unasked(desk, "Welcome!")
    desk.none(do.Speak)  # the call is not answered yet
    desk.conversation.answered(None, desk.now)
    speak = desk.take(do.Speak)
    assert speak.text == "Welcome!"
    desk.speak(speak.request, 1.0)
    desk.play(1.0, start_s=0.0)
    desk.drain()
    [done] = desk.reports
    assert isinstance(done, do.TurnDone)
    assert (done.kind, done.said) == ("prompt", "Welcome!")
    assert desk.conversation.history.messages() == (Message("assistant", "Welcome!"),)


def test_it_is_said_behind_what_is_being_said() -> None:
    desk = Desk()
    desk.conversation.answered(Greeting(text="Hello."), desk.now)
    first = desk.take(do.Speak)
    desk.conversation.unasked("One mo", desk.now)
    desk.none(do.Speak)
    desk.conversation.unasked("ment. And", desk.now)
    second = desk.take(do.Speak)
    assert second.text == "One moment."
    desk.speak(first.request, 1.0)
    desk.speak(second.request, 1.0)
    desk.play(2.0, start_s=0.0)
    desk.drain()
    [done] = desk.reports
    assert isinstance(done, do.TurnDone)
    assert done.said == "Hello. One moment."


def test_it_waits_for_the_caller_and_for_the_answer_to_them() -> None:
    desk = Desk()
    desk.greet()
    desk.start_speaking()
    unasked(desk, "By the way.")
    desk.none(do.Speak)
    desk.keep_speaking(600)
    desk.stop_speaking()
    desk.wait(500)
    desk.conversation.transcript(desk.take(do.EndTurn).turn, "a pizza", desk.now)
    generate = desk.take(do.Generate)
    unasked(desk, "Just so you know.")
    desk.conversation.token(generate.request, "Sure.", desk.now)
    desk.conversation.generated(generate.request, desk.now)
    answer = desk.take(do.Speak)
    assert answer.text == "Sure."
    desk.speak(answer.request, 0.5)
    desk.play(1.5, start_s=1.0)
    desk.drain()
    assert [effect.text for effect in desk.effects if isinstance(effect, do.Speak)] == [
        "By the way.",
        "Just so you know.",
    ]


def test_a_caller_who_breaks_in_is_not_told_the_rest_of_it() -> None:
    desk = Desk()
    unasked(desk, "This is a long announcement. It goes on and on.")
    desk.conversation.answered(None, desk.now)
    desk.drain()
    first = next(effect for effect in desk.effects if isinstance(effect, do.Speak))
    desk.speak(first.request, 2.0)
    desk.play(0.0, start_s=0.0, idle=False)
    desk.effects.clear()
    desk.conversation.unasked("And on. And", desk.now)
    desk.drain()
    desk.effects.clear()
    desk.start_speaking()
    desk.keep_speaking(200)
    flush = desk.take(do.Flush)
    desk.conversation.flushed(flush.number, desk.now, Samples(1600), desk.now)
    desk.conversation.unasked(" on.", desk.now, last=True)
    desk.stop_speaking()
    desk.wait(500)
    desk.conversation.transcript(desk.take(do.EndTurn).turn, "", desk.now)
    assert desk.take(do.Speak).text == "on."


@pytest.mark.parametrize("asked", [True, False])
def test_what_the_model_wants_heard_cannot_be_interrupted(asked: bool) -> None:
    desk = Desk()
    desk.greet()
    if asked:
        request = desk.say("a pizza").request
        desk.conversation.token(request, "This call is recorded. ", desk.now, interruptible=False)
    else:
        desk.conversation.unasked("This call is recorded.", desk.now, last=True, interruptible=False)
    desk.speak(desk.take(do.Speak).request, 2.0)
    desk.play(1.0, start_s=1.0, idle=False)
    desk.start_speaking()
    desk.keep_speaking(400)
    desk.none(do.Flush)


def test_how_much_may_wait_to_be_said_is_limited() -> None:
    desk = Desk()
    for _ in range(1000):
        unasked(desk, "Again.")
    desk.conversation.answered(None, desk.now)
    desk.drain()
    assert len([effect for effect in desk.effects if isinstance(effect, do.Speak)]) == 50


def test_the_stages_of_a_turn_add_up_to_the_gap() -> None:
    desk = Desk()
    desk.greet()
    generate = desk.say("hello")
    desk.ms += 7
    desk.conversation.token(generate.request, "Yes. ", desk.now, Nanos(5 * MS))
    desk.conversation.generated(generate.request, desk.now)
    speak = desk.take(do.Speak)
    desk.ms += 3
    desk.speak(speak.request, 1.0)
    desk.ms += 4
    desk.play(2.0, start_s=1.0)
    desk.drain()
    times = next(report for report in desk.reports if isinstance(report, do.TurnDone)).times
    assert times.gap == sum(times.stages().values())
    assert times.gap == times.stamps[Stamp.FIRST_PACKET] - times.stamps[Stamp.SPEECH_ENDED]
    assert times.stages()["llm"] == 7 * MS
    assert times.ours(Nanos(500 * MS)) == times.gap - (500 + 5) * MS


def test_a_pause_inside_a_sentence_does_not_end_the_turn() -> None:
    desk = Desk()
    desk.greet()
    desk.start_speaking()
    desk.keep_speaking(400)
    desk.stop_speaking()
    desk.wait(100)
    desk.start_speaking()
    desk.keep_speaking(400)
    desk.none(do.EndTurn)
    desk.stop_speaking()
    desk.wait(500)
    assert desk.take(do.EndTurn).turn == 1


def test_the_hangover_counts_from_the_last_packet_of_speech() -> None:
    desk = Desk()
    desk.greet()
    desk.start_speaking()
    desk.keep_speaking(400)
    last = desk.ms
    desk.stop_speaking()
    desk.wait(1000)
    assert desk.conversation._timeline.turn(1).stamps[Stamp.ENDPOINT] == (last + 500) * MS


def test_a_model_that_is_sure_ends_the_turn_before_the_hangover() -> None:
    desk = Desk()
    desk.greet()
    desk.start_speaking()
    desk.keep_speaking(400)
    desk.stop_speaking()
    desk.conversation.transcript(1, "yes", desk.now, end_of_turn=True)
    assert desk.take(do.EndTurn).turn == 1
    assert desk.take(do.Generate).messages[-1] == Message("user", "yes")


def test_speech_that_never_pauses_ends_all_the_same() -> None:
    desk = Desk(longest_turn="10s")
    desk.greet()
    desk.start_speaking()
    began = desk.ms
    desk.wait(9_990)
    desk.none(do.EndTurn)
    desk.wait(10)
    assert desk.take(do.EndTurn).media_time == (began + 10_000) * 8


class TestBargeIn:
    def answering(self, **options: object) -> tuple[Desk, do.Generate, do.Speak]:
        desk = Desk(**options)
        desk.greet()
        generate = desk.say("tell me")
        desk.conversation.token(generate.request, "one two three four. ", desk.now)
        speak = desk.take(do.Speak)
        desk.speak(speak.request, 4.0, done=False)
        desk.play(1.0, start_s=1.0, idle=False)
        return desk, generate, speak

    def test_it_flushes_cancels_and_keeps_what_was_played(self) -> None:
        desk, generate, speak = self.answering()
        desk.conversation.speech_done(speak.request, desk.now)
        onset = desk.now
        desk.start_speaking()
        desk.keep_speaking(100)
        flush = desk.take(do.Flush)
        assert desk.now - onset == 100 * MS  # the sixth packet completes 120 ms of speech
        assert desk.take(do.CancelGenerate).request == generate.request
        desk.ms += 5
        desk.conversation.flushed(flush.number, desk.now, Samples(3 * SECOND_OF_AUDIO), desk.now)
        desk.drain()
        interrupted = [report for report in desk.reports if isinstance(report, do.Interrupted)]
        assert interrupted[0].interruption.stop == 105 * MS
        assert desk.conversation.history.messages()[-1] == Message("assistant", "one two")

    def test_a_model_that_remembers_is_told_what_was_heard(self) -> None:
        desk, _, _ = self.answering()
        desk.start_speaking()
        desk.keep_speaking(120)
        flush = desk.take(do.Flush)
        desk.none(do.TellInterrupted)
        desk.conversation.flushed(flush.number, desk.now, Samples(3 * SECOND_OF_AUDIO), desk.now)
        told = desk.take(do.TellInterrupted)
        assert told.text == "one two"
        assert told.played_ms > 0

    def test_a_late_burst_of_a_cancelled_sentence_is_not_played(self) -> None:
        desk, _, speak = self.answering()
        desk.start_speaking()
        desk.keep_speaking(120)
        assert desk.take(do.CancelSpeak).request == speak.request
        assert not desk.conversation.speech(speak.request, 800, desk.now)

    def test_nothing_played_is_nothing_said(self) -> None:
        desk = Desk()
        desk.greet()
        generate = desk.say("tell me")
        desk.start_speaking()
        desk.keep_speaking(120)
        flush = desk.take(do.Flush)
        assert desk.take(do.CancelGenerate).request == generate.request
        desk.conversation.flushed(flush.number, desk.now, Samples(SECOND_OF_AUDIO), desk.now)
        assert desk.conversation.history.messages()[-1] == Message("user", "tell me")
        desk.drain()
        assert not [report for report in desk.reports if isinstance(report, do.Interrupted)]

    def test_a_cough_does_not_stop_the_agent(self) -> None:
        desk, _, _ = self.answering()
        desk.start_speaking()
        desk.keep_speaking(60)
        desk.stop_speaking()
        desk.wait(1000)
        assert desk.take(do.CancelTurn).turn == 2
        desk.none(do.Flush, do.EndTurn)

    def test_it_can_be_switched_off(self) -> None:
        desk, _, _ = self.answering(barge_in=False)
        desk.start_speaking()
        desk.keep_speaking(500)
        desk.none(do.Flush)

    def test_speech_over_what_may_not_be_interrupted_gets_the_floor_after_it(self) -> None:
        desk = Desk()
        desk.conversation.answered(Greeting(text="This call is recorded.", interruptible=False), desk.now)
        speak = desk.take(do.Speak)
        desk.speak(speak.request, 2.0)
        desk.play(0, start_s=0.0, idle=False)
        desk.start_speaking()
        desk.keep_speaking(500)
        desk.none(do.Flush, do.BeginTurn)
        desk.play(2.0)
        assert desk.take(do.BeginTurn).turn == 1

    def test_an_answer_with_a_phrase_that_must_be_heard_cannot_be_interrupted(self) -> None:
        desk = Desk(uninterruptible=["call is RECORDED"])
        desk.greet()
        generate = desk.say("tell me")
        desk.conversation.token(generate.request, "This call is recorded. ", desk.now)
        desk.speak(desk.take(do.Speak).request, 2.0, done=False)
        desk.play(1.0, start_s=1.0, idle=False)
        desk.start_speaking()
        desk.keep_speaking(500)
        desk.none(do.Flush)


def test_speech_before_the_answer_gets_one_answer_to_all_of_it() -> None:
    desk = Desk()
    desk.greet()
    desk.start_speaking()
    desk.keep_speaking(300)
    desk.stop_speaking()
    desk.wait(500)
    end = desk.take(do.EndTurn)
    desk.start_speaking()
    desk.conversation.transcript(end.turn, "a pizza", desk.now)
    desk.none(do.Generate)
    desk.keep_speaking(300)
    desk.stop_speaking()
    desk.wait(500)
    desk.conversation.transcript(desk.take(do.EndTurn).turn, "with ham", desk.now)
    assert desk.take(do.Generate).messages[-2:] == (Message("user", "a pizza"), Message("user", "with ham"))


def test_noise_is_dropped_and_speech_not_understood_is_asked_for_again() -> None:
    desk = Desk(not_understood="Pardon?")
    desk.greet()
    for understood in (True, False):
        desk.start_speaking()
        desk.keep_speaking(300)
        desk.stop_speaking()
        desk.wait(500)
        desk.conversation.transcript(desk.take(do.EndTurn).turn, "", desk.now, understood=understood)
        if understood:
            desk.none(do.Generate, do.Speak)
    assert desk.take(do.Speak).text == "Pardon?"


def test_a_silent_caller_is_asked_twice_and_then_left() -> None:
    desk = Desk(no_input_after="8s", no_input_limit=2, no_input_prompt="Hello?", no_input_goodbye="Bye.")
    desk.greet()
    position = 1.0
    for text in ("Hello?", "Hello?", "Bye."):
        desk.wait(8000)
        speak = desk.take(do.Speak)
        assert speak.text == text
        desk.speak(speak.request, 1.0)
        desk.play(position + 1.0, start_s=position)
        position += 1.0
    assert desk.take(do.HangUp).reason == "no input"
    assert desk.conversation.next_timer() is None


def test_a_caller_who_put_us_on_hold_is_not_asked_for_input() -> None:
    desk = Desk(no_input_after="8s")
    desk.greet()
    desk.conversation.hold(True, desk.now)
    desk.wait(60_000)
    desk.none(do.Speak)
    desk.conversation.hold(False, desk.now)
    desk.wait(8000)
    assert desk.take(do.Speak)


def test_the_call_ends_after_the_last_word_when_the_model_says_so() -> None:
    desk = Desk()
    desk.greet()
    generate = desk.say("goodbye")
    desk.conversation.token(generate.request, "Bye!", desk.now)
    desk.conversation.generated(generate.request, desk.now, hang_up=True)
    speak = desk.take(do.Speak)
    desk.speak(speak.request, 1.0)
    desk.none(do.HangUp)
    desk.play(2.0, start_s=1.0)
    assert desk.take(do.HangUp)


def test_a_model_that_ends_the_call_beside_its_answer_is_heard_to_the_end() -> None:
    desk = Desk()
    desk.greet()
    generate = desk.say("goodbye")
    desk.conversation.token(generate.request, "Bye!", desk.now)
    desk.conversation.generated(generate.request, desk.now)
    desk.speak(desk.take(do.Speak).request, 1.0)
    desk.conversation.bye()
    desk.none(do.HangUp)
    desk.play(2.0, start_s=1.0)
    assert desk.take(do.HangUp)


def test_a_model_may_end_the_call_while_nobody_speaks() -> None:
    desk = Desk()
    desk.greet()
    desk.conversation.bye()
    assert desk.take(do.HangUp)
    desk.conversation.bye()
    desk.none(do.HangUp)


@pytest.mark.parametrize("hang_up", [True, False])
def test_a_lost_model_is_apologised_for_once(hang_up: bool) -> None:
    desk = Desk()
    desk.conversation._hang_up_on_failure = hang_up
    desk.greet()
    generate = desk.say("tell me")
    desk.conversation.token(generate.request, "One two. ", desk.now)
    desk.speak(desk.take(do.Speak).request, 1.0, done=False)
    for _ in range(3):  # one drop loses three sessions
        desk.conversation.failed(desk.now)
    flush, apologise = desk.take(do.Flush), desk.take(do.Apologise)
    desk.speak(apologise.request, 2.0)
    desk.conversation.flushed(flush.number, desk.now, Samples(SECOND_OF_AUDIO), desk.now)
    desk.play(3.0, start_s=1.0)
    if hang_up:
        assert desk.take(do.HangUp).reason == "a model failed"
    else:
        desk.none(do.HangUp)
        assert desk.say("again").messages[-1] == Message("user", "again")


class AnyOrder(RuleBasedStateMachine):
    """Whatever comes in whatever order: no exception, no second answer at once, nothing after the end."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.queued = self.position = 0
        self.flushes: list[int] = []
        self.requests: list[int] = [0]
        self.turns: list[int] = [0]
        self.over = False
        self.desk.conversation.answered(Greeting(text="Hello."), self.desk.now)

    @invariant()
    def effects_are_well_formed(self) -> None:
        for effect in self.desk.conversation.outgoing():
            assert not self.over, effect
            match effect:
                case do.Flush(number):
                    self.flushes.append(number)
                case do.Speak(request) | do.Generate(request) | do.Apologise(request):
                    self.requests.append(request)
                case do.EndTurn(turn):
                    self.turns.append(turn)
                case do.HangUp():
                    self.over = True
        self.desk.conversation.events()

    @rule(ms=st.integers(0, 9000))
    def time(self, ms: int) -> None:
        self.desk.wait(ms)

    @rule()
    def begin(self) -> None:
        self.desk.start_speaking()

    @rule(ms=st.integers(0, 400))
    def go_on(self, ms: int) -> None:
        self.desk.keep_speaking(ms)

    @rule()
    def stop(self) -> None:
        self.desk.stop_speaking()

    @rule(data=st.data(), text=st.sampled_from(["", "yes"]), understood=st.booleans(), sure=st.booleans())
    def transcript(self, data: st.DataObject, text: str, understood: bool, sure: bool) -> None:
        turn = data.draw(st.sampled_from(self.turns))
        self.desk.conversation.transcript(turn, text, self.desk.now, understood=understood, end_of_turn=sure)

    @rule(data=st.data(), text=st.sampled_from(["a", "Yes. ", "No! Why? "]))
    def token(self, data: st.DataObject, text: str) -> None:
        self.desk.conversation.token(data.draw(st.sampled_from(self.requests)), text, self.desk.now)

    @rule()
    def bye(self) -> None:
        self.desk.conversation.bye()

    @rule(data=st.data(), hang_up=st.booleans())
    def generated(self, data: st.DataObject, hang_up: bool) -> None:
        self.desk.conversation.generated(data.draw(st.sampled_from(self.requests)), self.desk.now, hang_up=hang_up)

    @rule(data=st.data(), samples=st.integers(1, 20000))
    def speech(self, data: st.DataObject, samples: int) -> None:
        if self.desk.conversation.speech(data.draw(st.sampled_from(self.requests)), samples, self.desk.now):
            self.queued += samples

    @rule(data=st.data())
    def speech_done(self, data: st.DataObject) -> None:
        self.desk.conversation.speech_done(data.draw(st.sampled_from(self.requests)), self.desk.now)

    @rule()
    def played(self) -> None:
        self.desk.conversation.playout_started(self.desk.now, Samples(self.position))
        self.position = self.queued
        self.desk.conversation.playout_idle(self.desk.now, Samples(self.position), self.desk.now)

    @precondition(lambda self: self.flushes)
    @rule(part=st.floats(0, 1))
    def flushed(self, part: float) -> None:
        self.position += int((self.queued - self.position) * part)
        self.queued = self.position
        number = self.flushes.pop(0)
        self.desk.conversation.flushed(number, self.desk.now, Samples(self.position), self.desk.now)

    @rule()
    def fail(self) -> None:
        self.desk.conversation.failed(self.desk.now)


TestAnyOrder = AnyOrder.TestCase
