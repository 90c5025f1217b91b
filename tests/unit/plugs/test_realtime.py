"""A realtime model takes the turns; the gateway plays, flushes, measures, and is there when the model is not."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import ProviderError
from gateway.plugs.realtime import SPEC, RealtimeOptions, RealtimePlugSession
from gateway.providers.contract import Failed, Interrupted, Speech
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
    table.session.on_playout_idle(table.call.now(), Samples(8000))
    assert table.call.hung_up == ["a model failed"]


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
