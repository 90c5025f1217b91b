"""A realtime model takes the turns; the gateway plays, flushes, measures, and is there when the model is not."""

from __future__ import annotations

import pytest

from gateway.errors import ProviderError
from gateway.plugs.realtime import SPEC, RealtimeOptions, RealtimePlugSession
from gateway.providers.contract import Failed, Interrupted, Speech
from gateway.units import MS, Nanos, Samples
from tests.unit.plugs.desk import Call, Leg, Provider


class Table:
    def __init__(self) -> None:
        self.provider, self.leg = Provider(), Leg()
        self.call = Call(self.provider)
        self.session: RealtimePlugSession = SPEC.create(RealtimeOptions(model="models")).open(self.call)  # type: ignore[assignment]

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


async def test_a_lost_model_is_apologised_for(table: Table) -> None:
    table.provider.last("realtime").tell(Failed(ProviderError("models", "gone", transient=True)))
    assert len(table.leg.played) == 1
    assert not table.call.hung_up
    table.session.on_playout_idle(table.call.now(), Samples(8000))
    assert table.call.hung_up == ["a model failed"]
