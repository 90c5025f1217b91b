"""The machine of the language model, on virtual time: hedging, late results, patience, tools, room."""

from __future__ import annotations

import random
from typing import Any

from gateway.errors import ProviderError
from gateway.providers.contract import Failed, Generated, Message, Token, ToolCall, ToolUse, Unasked
from gateway.providers.router.effects import Ask, Lost, Moved, Open, Spent
from gateway.providers.router.failover import Link
from gateway.providers.router.health import Health
from gateway.providers.router.llm import LlmFailover
from gateway.providers.router.options import FailoverOptions, UpstreamOptions
from gateway.units import MS, SECOND, Nanos

BROKEN = ProviderError("p0", "gone", transient=True)
HELLO = (Message("user", "hello"),)


class Table:
    """A machine whose sessions the test plays."""

    def __init__(self, providers: int = 2, hedge: bool = False, concurrency: int | None = None, **options: Any) -> None:
        upstream = UpstreamOptions(concurrency=concurrency)
        self.healths = [Health(f"p{n}", "llm", upstream, random.Random(n)) for n in range(providers)]
        self.kept = ""
        self.now = Nanos(SECOND)
        self.machine = LlmFailover(
            self.healths,
            FailoverOptions(**{"standby": True, **options}),
            random.Random(1),
            kept=lambda _: self.kept,
            hedge=hedge,
        )
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

    def generate(self, request: int = 1) -> None:
        self.machine.generate(request, HELLO, (), self.now)
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

    def last(self, index: int) -> int:
        """The number of what this provider was asked last."""
        return [int(ask.arguments[0]) for ask in self.asked if ask.index == index and ask.verb == "generate"][-1]  # type: ignore[call-overload]

    def said(self) -> str:
        return "".join(event.text for event in self.told if isinstance(event, Token))

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]


def answers(table: Table, count: int = 30, took_ms: int = 50) -> None:
    for request in range(1000, 1000 + count):
        table.generate(request)
        table.wait(took_ms)
        table.tell(0, Token(table.last(0), "x"))
        table.tell(0, Generated(table.last(0)))
    table.told.clear()
    table.asked.clear()


def test_who_is_called_in_the_middle_of_the_call_greets_nobody() -> None:
    table = Table(providers=1)
    table.tell(0, Unasked("Hello.", last=True))
    table.generate()
    table.tell(0, Token(table.last(0), "Sure."))
    table.tell(0, Generated(table.last(0)))
    table.tell(0, Failed(BROKEN))
    table.wait(5000)
    assert table.machine.candidates[0].link is Link.OPEN
    table.tell(0, Unasked("Hello.", last=True))
    table.generate(2)
    table.tell(0, Unasked("By the way.", last=True))
    assert [one.text for one in table.of(Unasked)] == ["Hello.", "By the way."]


def test_silence_for_longer_than_its_own_answers_take_moves_the_work() -> None:
    table = Table()
    answers(table, took_ms=200)
    table.generate()
    table.wait(390)
    assert not table.of(Moved)
    table.wait(20)
    [moved] = table.of(Moved)
    assert (moved.source, moved.target) == ("p0", "p1")
    table.tell(1, Token(table.last(1), "hi"))
    table.tell(0, Token(table.last(0), "too late"))
    assert table.said() == "hi"


def test_the_second_is_asked_when_the_first_is_slower_than_usual_and_the_first_to_speak_wins() -> None:
    table = Table(hedge=True)
    answers(table, took_ms=200)
    table.generate()
    table.wait(210)
    assert [ask.index for ask in table.asked] == [0, 1]
    table.tell(1, Token(table.last(1), "from the second"))
    assert (table.asked[-1].index, table.asked[-1].verb) == (0, "cancel")
    table.tell(0, Token(table.last(0), "from the first"))
    table.tell(1, Generated(table.last(1)))
    assert table.said() == "from the second"
    assert {(spent.provider, spent.part) for spent in table.of(Spent)} == {("p0", "lost"), ("p1", "won")}
    assert not table.of(Lost)


def test_hedging_keeps_a_second_session_open_by_itself_and_opens_a_lost_one_anew() -> None:
    table = Table(providers=3, hedge=True, standby=False)
    assert [one.link for one in table.machine.candidates] == [Link.OPEN, Link.OPEN, Link.IDLE]
    table.tell(1, Failed(ProviderError("p1", "gone", transient=True)))
    table.wait(5000)
    answers(table, took_ms=200)
    assert table.machine.candidates[1].link is Link.OPEN
    table.generate()
    table.wait(210)
    assert [ask.index for ask in table.asked] == [0, 1]


def test_of_two_that_were_asked_one_may_fail_unheard() -> None:
    table = Table(hedge=True)
    answers(table, took_ms=200)
    table.generate()
    table.wait(210)
    table.tell(0, Failed(ProviderError("p0", "503", transient=True), table.last(0)))
    table.tell(1, Token(table.last(1), "hi"))
    table.tell(1, Generated(table.last(1)))
    assert table.said() == "hi"
    assert len(table.of(Generated)) == 1


def test_an_empty_answer_is_an_answer() -> None:
    table = Table()
    table.generate()
    table.tell(0, Generated(table.last(0)))
    assert len(table.of(Generated)) == 1
    assert not table.of(Lost)


def test_a_tool_is_not_asked_for_twice() -> None:
    table = Table()
    table.generate()
    table.tell(0, ToolCall(table.last(0), ToolUse("1", "book", "{}")))
    table.tell(0, Failed(ProviderError("p0", "gone", transient=True), table.last(0)))
    assert len(table.of(ToolCall)) == 1
    assert table.of(Generated) == [Generated(1, finish="tools")]
    assert [ask.index for ask in table.asked if ask.verb == "generate"] == [0]


def test_an_error_that_cannot_pass_is_not_tried_again() -> None:
    table = Table(providers=1)
    table.generate()
    table.tell(0, Failed(ProviderError("p0", "no such model", transient=False), table.last(0)))
    assert [type(event) for event in table.told if not isinstance(event, Spent)][-1] is Failed
    table.generate(2)
    assert table.asked[-1].verb == "generate"


def test_one_that_may_pass_is_tried_again_after_the_pause_it_asked_for() -> None:
    table = Table(providers=1)
    table.generate()
    busy = ProviderError("p0", "429", transient=True, retry_after=700 * MS)
    table.tell(0, Failed(busy, table.last(0)))
    table.wait(690)
    assert len([ask for ask in table.asked if ask.verb == "generate"]) == 1
    table.wait(20)
    assert len([ask for ask in table.asked if ask.verb == "generate"]) == 2


def test_patience_ends() -> None:
    table = Table(patience="2s", llm="60s")
    table.generate()
    table.tell(0, Failed(ProviderError("p0", "503", transient=True), table.last(0)))
    table.wait(2100)
    [failed] = table.of(Failed)
    assert failed.request == 1
    table.tell(1, Token(table.last(1), "too late"))
    assert table.said() == ""


def test_who_finds_no_room_in_time_is_served_by_the_next() -> None:
    table = Table(concurrency=1)
    other = table.healths[0].gate.enter(lambda: None)
    assert other is not None
    table.generate()
    assert not table.asked
    table.wait(310)
    assert [ask.index for ask in table.asked] == [1]
    assert table.healths[0].breaker.allows(table.now)
    table.tell(1, Generated(table.last(1)))
    other.leave()
    table.wait(200)
    table.generate(2)
    assert table.asked[-1].index == 0
