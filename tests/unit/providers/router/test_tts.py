"""The machine of the voice, on virtual time: two voices are asked, one is heard."""

from __future__ import annotations

import random
from typing import Any

from gateway.errors import ProviderError
from gateway.providers.contract import Failed, Speech, SpeechDone
from gateway.providers.router.effects import Ask, Moved, Open, Spent
from gateway.providers.router.health import Health
from gateway.providers.router.options import FailoverOptions, UpstreamOptions
from gateway.providers.router.tts import TtsFailover
from gateway.units import MS, SECOND, Nanos

AUDIO = bytes(2 * 800)


class Player:
    def playable(self, burst: Speech) -> bool:
        return True

    def played(self, request: int) -> int:
        return 0

    def trim(self, request: int, at: int) -> None: ...


class Table:
    """A machine whose sessions the test plays; the first voice has a usual time to first audio of 200 ms."""

    def __init__(self) -> None:
        self.healths = [Health(f"p{n}", "tts", UpstreamOptions(), random.Random(n)) for n in range(2)]
        self.now = Nanos(SECOND)
        for _ in range(30):
            self.healths[0].first.add(200 * MS, self.now)
        self.machine = TtsFailover(self.healths, FailoverOptions(), random.Random(1), player=Player(), hedge=True)
        self.asked: list[Ask] = []
        self.told: list[Any] = []
        self.machine.connect(self.now)
        self.settle()

    def settle(self) -> None:
        for effect in self.machine.outgoing():
            if isinstance(effect, Open):
                self.machine.opened(effect.index, effect.epoch, self.now)
            elif isinstance(effect, Ask):
                self.asked.append(effect)
        self.told += self.machine.events()

    def speak(self, *sentences: str) -> None:
        for request, text in enumerate(sentences, 1):
            self.machine.speak(request, text, self.now)
        self.settle()

    def tell(self, index: int, result: Any) -> None:
        self.machine.receive(index, self.machine.candidates[index].epoch, result, self.now)
        self.settle()

    def wait(self, ms: int) -> None:
        end = self.now + ms * MS
        while (due := self.machine.next_timer()) is not None and due <= end:
            self.now = Nanos(max(due, self.now))
            self.machine.handle_timer(self.now)
            self.settle()
        self.now = Nanos(end)

    def wanted(self, index: int) -> list[tuple[int, str]]:
        """Number and text of what this voice was asked to say."""
        return [ask.arguments for ask in self.asked if ask.index == index and ask.verb == "speak"]  # type: ignore[misc]

    def cancelled(self, index: int) -> list[int]:
        return [ask.arguments[0] for ask in self.asked if ask.index == index and ask.verb == "cancel"]  # type: ignore[misc]

    def heard(self) -> list[int]:
        """The sentences of which there was audio, in order."""
        return [event.request for event in self.told if isinstance(event, Speech)]

    def spent(self) -> list[tuple[str, str, int]]:
        """Provider, part and characters."""
        return sorted((spent.provider, spent.part, spent.usage.characters) for spent in self.of(Spent))

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]


def test_a_second_voice_is_asked_late_and_says_all_of_it_if_it_is_first() -> None:
    table = Table()
    table.speak("One.", "Two.")
    table.wait(190)
    assert table.wanted(1) == []
    table.wait(20)
    [(number, text)] = table.wanted(1)
    assert text == "One."
    table.tell(1, Speech(number, AUDIO, 8000))
    assert table.cancelled(0) == [number for number, _ in table.wanted(0)]
    assert [text for _, text in table.wanted(1)] == ["One.", "Two."]
    table.tell(0, Speech(table.wanted(0)[0][0], AUDIO, 8000))  # too late
    table.tell(1, SpeechDone(number))
    second = table.wanted(1)[1][0]
    table.tell(1, Speech(second, AUDIO, 8000))
    table.tell(1, SpeechDone(second))
    assert table.heard() == [1, 2]
    assert [done.request for done in table.of(SpeechDone)] == [1, 2]
    assert table.spent() == [("p0", "lost", 4)] * 2 + [("p1", "won", 4)] * 2


def test_the_second_voice_is_cancelled_if_the_first_one_speaks_after_all() -> None:
    table = Table()
    table.speak("One.")
    table.wait(210)
    [(rival, _)] = table.wanted(1)
    [(number, _)] = table.wanted(0)
    table.tell(0, Speech(number, AUDIO, 8000))
    assert table.cancelled(1) == [rival]
    table.tell(1, Speech(rival, AUDIO, 8000))
    table.tell(0, SpeechDone(number))
    assert table.heard() == [1]
    assert table.spent() == [("p0", "won", 4), ("p1", "lost", 4)]


def test_what_was_asked_for_is_counted_when_the_call_ends() -> None:
    table = Table()
    table.speak("One.")
    table.wait(210)
    table.machine.close()
    table.settle()
    assert table.spent() == [("p0", "won", 4), ("p1", "lost", 4)]


def test_the_second_voice_goes_on_if_the_first_one_fails() -> None:
    table = Table()
    table.speak("One.")
    table.wait(210)
    [(rival, _)] = table.wanted(1)
    table.tell(0, Failed(ProviderError("p0", "503", transient=True), table.wanted(0)[0][0]))
    table.tell(1, Speech(rival, AUDIO, 8000))
    table.tell(1, SpeechDone(rival))
    assert table.heard() == [1]
    assert len(table.wanted(1)) == 1
    assert not table.of(Failed)


def test_nobody_else_is_asked_when_the_first_one_is_in_time() -> None:
    table = Table()
    table.speak("One.")
    table.wait(150)
    table.tell(0, Speech(1, AUDIO, 8000))
    table.wait(100)
    table.tell(0, SpeechDone(1))
    assert table.wanted(1) == []
    assert not table.of(Moved)
