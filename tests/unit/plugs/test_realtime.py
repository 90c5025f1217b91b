"""A realtime model takes the turns; the gateway plays, flushes, measures, and is there when the model is not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ProviderError
from gateway.plugs.contract import TransferResult
from gateway.plugs.realtime import SPEC, RealtimeOptions, RealtimePlugSession
from gateway.plugs.wav import Clip, write_wav
from gateway.providers.contract import Failed, Interrupted, Said, Speech, SpeechDone, Transcript
from gateway.units import MS, Nanos, Samples
from tests.unit.plugs.desk import Call, Leg, Provider

SPEECH = 1


class Table:
    def __init__(self, *others: Provider, **options: object) -> None:
        self.provider, self.leg = Provider(), Leg()
        self.call = Call(self.provider, *others)
        model = ["models", *(one.name for one in others)]
        parsed = RealtimeOptions.model_validate({"model": model, **options})
        self.session: RealtimePlugSession = SPEC.create(parsed).open(self.call)  # type: ignore[assignment]

    async def connect(self) -> None:
        await self.session.start(self.leg)
        self.session.answered()

    def lose(self, provider: Provider) -> None:
        provider.last("realtime").tell(Failed(ProviderError(provider.name, "gone", transient=True)))

    def speak(self, frames: int = 5) -> None:
        for frame in range(frames):
            self.session.on_audio(bytes(320), Samples(160 * frame), self.call.now(), SPEECH)

    def said(self) -> None:
        """The leg has sent what was queued before the mark."""
        self.session.on_mark(self.leg.marks[-1], self.call.now(), Samples(8000))

    def turn(self) -> Nanos:
        """The caller speaks, the model answers; returns when the caller had finished."""
        ended = Nanos(self.call.now() - 300 * MS)
        self.session.on_speech_started(Samples(0), Nanos(ended - 500 * MS))
        self.session.on_speech_ended(Samples(4000), ended)
        self.provider.last("realtime").tell(Speech(0, bytes(3200), 8000))
        self.session.on_playout_started(self.call.now(), Samples(0))
        return ended


@pytest.fixture
async def table() -> Table:
    table = Table()
    await table.connect()
    return table


async def test_a_turn_is_measured_and_names_its_model(table: Table) -> None:
    table.turn()
    table.session.on_playout_idle(table.call.now(), Samples(1600))
    [line] = table.call.logged("turn")
    assert line["gap_ms"] >= 300
    assert set(line["stages_ms"]) == {"tts", "first_packet"}
    assert sum(line["stages_ms"].values()) == pytest.approx(line["gap_ms"], abs=0.01)
    assert line["models"] == {"realtime": "model 1"}
    assert not line["interrupted"]


async def test_an_interrupted_answer_is_flushed_recorded_and_the_model_told(table: Table) -> None:
    table.turn()
    table.provider.last("realtime").tell(Interrupted())
    assert len(table.leg.flushes) == 1
    table.session.on_flushed(table.leg.flushes[0], table.call.now(), Samples(800))
    assert table.provider.last("realtime").asked[-1] == ("interrupted", 100)
    assert table.call.logged("turn")[0]["interrupted"]


async def test_turns_without_an_answer_leave_nothing(table: Table) -> None:
    for _ in range(100):
        table.session.on_speech_started(Samples(0), Nanos(1))
        table.session.on_speech_ended(Samples(160), Nanos(2))
    assert len(table.call.timeline._turns) <= 2


async def test_a_lost_model_is_apologised_for_when_the_caller_is_owed_an_answer() -> None:
    table = Table(failover={"attempts": 1})
    await table.connect()
    table.provider.up = False
    table.session.on_audio(bytes(320), Samples(0), table.call.now(), SPEECH)
    table.provider.last("realtime").tell(Failed(ProviderError("models", "gone", transient=True)))
    assert len(table.leg.played) == 1
    assert not table.call.hung_up
    table.session.on_playout_idle(table.call.now(), Samples(80))  # of what was played before the sentence
    assert not table.call.hung_up
    table.said()
    assert table.call.hung_up == ["a model failed"]


async def test_a_call_without_a_model_hears_the_sentence_and_is_not_refused() -> None:
    table = Table(failover={"attempts": 1, "patience": "50ms"})
    table.provider.up = False
    await table.connect()
    assert len(table.leg.played) == 1
    table.said()
    assert table.call.hung_up == ["a model failed"]


async def test_a_model_that_comes_back_is_not_talked_over_the_sentence_twice() -> None:
    table = Table(failover={"attempts": 1}, on_failure={"then": "continue"})
    table.provider.up = False
    await table.connect()
    table.provider.up = True
    await table.provider.have("realtime", 1)
    table.speak()
    table.provider.last("realtime").tell(Interrupted())
    assert len(table.leg.played) == 1
    assert len(table.leg.flushes) == 1  # before the sentence
    table.said()
    assert not table.call.hung_up
    table.turn()
    assert len(table.leg.played) == 2


async def test_the_next_model_hears_what_got_no_answer() -> None:
    other = Provider("others")
    table = Table(other)
    await table.connect()
    for frame in range(30):
        table.session.on_audio(bytes(320), Samples(160 * frame), table.call.now(), SPEECH if frame >= 10 else 0)
    assert not other.sessions["realtime"]
    table.provider.last("realtime").tell(Failed(ProviderError("models", "gone", transient=True)))
    await other.have("realtime", 1)
    async with asyncio.timeout(5):
        while not other.last("realtime").asked:
            await asyncio.sleep(0)
    table.session.on_audio(bytes(320), Samples(4800), table.call.now(), SPEECH)
    assert len(other.last("realtime").asked) >= 30
    other.last("realtime").tell(Speech(0, bytes(3200), 8000))
    assert len(table.leg.played) == 1
    assert not table.call.hung_up


async def test_what_goes_on_after_the_beginning_of_an_answer_goes_straight_to_the_leg(table: Table) -> None:
    session = table.provider.last("realtime")
    table.turn()
    assert session.straight is not None
    session.straight(bytes(320), 8000)
    assert len(table.leg.played) == 2


async def test_what_begins_an_answer_is_measured_and_goes_no_short_way(table: Table) -> None:
    session = table.provider.last("realtime")
    session.tell(Speech(0, bytes(320), 8000))
    assert session.straight is not None
    table.session.on_audio(bytes(320), Samples(0), table.call.now(), SPEECH)
    assert session.straight is None  # who answers within its limit is seen by the failover
    session.tell(Speech(0, bytes(320), 8000))
    table.session.on_speech_ended(Samples(4000), table.call.now())
    assert session.straight is None  # the end of speech came after the answer began


async def test_a_model_that_was_lost_plays_nothing_more(table: Table) -> None:
    session = table.provider.last("realtime")
    table.turn()
    await table.session.close()
    assert session.straight is None


async def test_speech_over_the_beginning_of_an_answer_begins_no_work(table: Table) -> None:
    session = table.provider.last("realtime")
    table.session.on_audio(bytes(320), Samples(0), table.call.now(), SPEECH)
    session.tell(Speech(0, bytes(320), 8000))
    table.session.on_audio(bytes(320), Samples(160), table.call.now(), SPEECH)
    assert session.straight is not None


async def test_the_next_model_is_told_what_was_said_and_greets_nobody_again() -> None:
    other = Provider("others")
    table = Table(other, prompt="You sell pizza.", greeting="Hello!")
    await table.connect()
    [brief] = table.provider.briefs
    assert (brief.prompt, brief.greeting) == ("You sell pizza.", "Hello!")
    tell = table.provider.last("realtime").tell
    for result in (Speech(0, bytes(320), 8000), Said("Hello!", final=True), SpeechDone(0)):
        tell(result)
    tell(Transcript(1, "A large one.", final=True))
    tell(Said("With mush", final=False))
    table.lose(table.provider)
    await other.have("realtime", 1)
    [brief] = other.briefs
    assert brief.greeting == ""
    assert brief.prompt.startswith("You sell pizza.\n\nYou take over")
    assert brief.prompt.endswith("\nAgent: Hello!\nCaller: A large one.\nAgent: With mush ...")


async def test_a_greeting_that_nobody_heard_is_said_by_the_next_model() -> None:
    other = Provider("others")
    table = Table(other, greeting="Hello!")
    await table.connect()
    table.lose(table.provider)
    await other.have("realtime", 1)
    assert other.briefs[0].greeting == "Hello!"


async def test_an_answer_that_broke_off_is_asked_of_the_next_model() -> None:
    other = Provider("others")
    table = Table(other)
    await table.connect()
    table.speak()
    table.provider.last("realtime").tell(Speech(0, bytes(320), 8000))
    table.lose(table.provider)
    await other.have("realtime", 1)
    async with asyncio.timeout(5):
        while not other.last("realtime").asked:
            await asyncio.sleep(0)
    assert ("audio", 320) in other.last("realtime").asked


async def test_an_answer_that_came_whole_is_not_asked_for_again() -> None:
    other = Provider("others")
    table = Table(other)
    await table.connect()
    table.speak()
    table.provider.last("realtime").tell(Speech(0, bytes(320), 8000))
    table.provider.last("realtime").tell(SpeechDone(0))
    table.lose(table.provider)
    await other.have("realtime", 1)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not other.last("realtime").asked


async def test_who_took_the_call_over_keeps_it() -> None:
    other = Provider("others")
    table = Table(other)
    await table.connect()
    table.lose(table.provider)
    await other.have("realtime", 1)
    for _ in range(10):
        await asyncio.sleep(0)
    for _ in range(2):
        table.speak()
        other.last("realtime").tell(Speech(0, bytes(320), 8000))
        other.last("realtime").tell(SpeechDone(0))
    assert len(table.provider.sessions["realtime"]) == 1
    assert not other.last("realtime").closed


async def fail(tmp_path: Path, **failure: object) -> Table:
    """A call whose only model is lost while an answer is owed; the sentence was played."""
    write_wav(tmp_path / "sorry.wav", Clip(bytes(1600), 8000))
    failure = {"play": str(tmp_path / "sorry.wav"), **failure}
    table = Table(failover={"attempts": 1}, on_failure=failure)
    await table.connect()
    table.provider.up = False
    table.speak()
    table.lose(table.provider)
    assert table.leg.played == [(bytes(1600), 8000)]
    return table


async def test_the_configured_sentence_is_played_and_the_caller_goes_on(tmp_path: Path) -> None:
    table = await fail(tmp_path, then="continue")
    table.said()
    assert not table.call.hung_up


@pytest.mark.parametrize("taken", [True, False])
async def test_or_somebody_else_gets_the_caller(tmp_path: Path, taken: bool) -> None:
    table = await fail(tmp_path, then="transfer", transfer_to="tel:+4930123456")
    targets: list[str] = []

    async def transfer(target: str, **_: Any) -> TransferResult:
        targets.append(target)
        return TransferResult(200 if taken else 486, "")

    table.call.transfer = transfer  # type: ignore[attr-defined]
    table.said()
    await asyncio.gather(*table.call.tasks)
    assert targets == ["tel:+4930123456"]
    assert table.call.hung_up == ([] if taken else ["a model failed"])


def test_a_sentence_needs_somebody_to_say_it() -> None:
    with pytest.raises(ValueError, match="say needs voice"):
        RealtimeOptions.model_validate({"model": "m", "on_failure": {"say": "Sorry."}})


async def test_the_sentence_is_made_ahead_by_the_voice_in_the_calls_language() -> None:
    voice = Provider("voice")
    say = {"en": "Sorry.", "de": "Leider nicht."}
    options = {"model": "models", "language": "de-AT", "on_failure": {"say": say, "voice": "voice"}}
    call = Call(Provider(), voice)
    plug: Any = SPEC.create(RealtimeOptions.model_validate(options))
    preparing = asyncio.create_task(plug.prepare(call.providers, None))
    await voice.have("tts", 1)
    session = voice.last("tts")
    while not session.asked:
        await asyncio.sleep(0)
    assert session.asked == [("speak", 1, "Leider nicht.")]
    session.tell(Speech(1, bytes(480), 8000))
    session.tell(SpeechDone(1))
    await preparing
    assert plug.apology.pcm == bytes(480)
