"""A realtime model whose audio passes the media thread alone: turns are measured and failures mended all the same."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.errors import ProviderError
from gateway.plugs.realtime import SPEC, RealtimeOptions, RealtimePlugSession
from gateway.providers.contract import AnswerBegan, Failed
from gateway.units import MS, Nanos, Samples
from tests.unit.plugs.desk import Call, Leg, Provider

SPEECH = 1


@dataclass
class Switch:
    """What a plug asks of a session that can be patched."""

    leg: Any = None
    ear: Any = None
    attended: int = 0
    keeps: list[bool] = field(default_factory=list)
    watches: list[int] = field(default_factory=list)

    def attend(self) -> None:
        self.attended += 1


def patchable(session: Any) -> Switch:
    switch = Switch()

    def patch(leg: Any, ear: Any) -> None:
        switch.leg, switch.ear = leg, ear

    session.patch, session.attend = patch, switch.attend
    session.keep, session.watch = switch.keeps.append, switch.watches.append
    return switch


class Table:
    def __init__(self, *others: Provider) -> None:
        self.provider, self.leg = Provider(), Leg()
        self.call = Call(self.provider, *others)
        parsed = RealtimeOptions.model_validate({"model": ["models", *(one.name for one in others)]})
        self.plug: RealtimePlugSession = SPEC.create(parsed).open(self.call)  # type: ignore[assignment]

    async def connect(self) -> Switch:
        """Patched."""
        await self.plug.start(self.leg)
        self.session = self.provider.last("realtime")
        switch = patchable(self.session)
        self.plug.answered()
        assert switch.leg is self.leg
        switch.ear.on_patched(self.session)
        return switch

    def frames(self, first: int, count: int, flags: int = SPEECH) -> list[tuple[bytes, int, int, int]]:
        return [(bytes([n]) * 320, 160 * n, self.call.now(), flags) for n in range(first, first + count)]

    def lose(self) -> None:
        self.session.tell(Failed(ProviderError("models", "gone", transient=True)))


async def heard(session: Any, count: int) -> None:
    async with asyncio.timeout(5):
        while len(session.asked) < count:
            await asyncio.sleep(0)


async def test_a_turn_is_measured_from_the_stamp_of_the_media_thread() -> None:
    table = Table()
    switch = await table.connect()
    ended = Nanos(table.call.now() - 300 * MS)
    table.plug.on_speech_started(Samples(0), Nanos(ended - 500 * MS))
    switch.ear.on_spoke(table.session)
    table.plug.on_speech_ended(Samples(4000), ended)
    table.session.tell(AnswerBegan(Nanos(ended + 100 * MS)))
    table.plug.on_playout_started(Nanos(ended + 110 * MS), Samples(0))
    table.plug.on_playout_idle(table.call.now(), Samples(1600))
    [line] = table.call.logged("turn")
    assert line["stages_ms"] == pytest.approx({"tts": 100, "first_packet": 10})
    assert line["models"] == {"realtime": "model 1"}
    assert not table.leg.played


async def test_speech_is_kept_until_its_answer_begins_and_then_watched_for_again() -> None:
    table = Table()
    switch = await table.connect()
    assert (switch.keeps, len(switch.watches), switch.attended) == ([False], 1, 1)
    switch.ear.on_spoke(table.session)
    assert (switch.keeps, len(switch.watches), switch.attended) == ([False, True], 1, 2)
    before = table.call.now()
    table.session.tell(AnswerBegan(before))
    assert switch.keeps[-1] is False
    assert switch.watches[-1] >= before + 500 * MS, "what is said over the beginning of an answer begins no work"


async def test_the_next_model_hears_what_the_lost_one_has_heard() -> None:
    other = Provider("others")
    table = Table(other)
    switch = await table.connect()
    switch.ear.on_spoke(table.session)
    switch.ear.on_kept(table.session, table.frames(0, 24))
    switch.ear.on_kept(table.session, table.frames(24, 6))
    switch.ear.on_unpatched(table.session)
    table.lose()
    await other.have("realtime", 1)
    table.plug.on_audio(bytes(320), Samples(4800), table.call.now(), SPEECH)
    await heard(other.last("realtime"), 30)
    assert len(table.plug._session._machine._unanswered) == 31


async def test_frames_that_come_up_late_are_told_to_whom_serves_then() -> None:
    other = Provider("others")
    table = Table(other)
    switch = await table.connect()
    switch.ear.on_spoke(table.session)
    table.lose()
    await other.have("realtime", 1)
    await asyncio.sleep(0)
    before = len(other.last("realtime").asked)
    switch.ear.on_kept(table.session, table.frames(0, 5))
    assert len(other.last("realtime").asked) == before + 5


async def test_an_answer_that_breaks_off_takes_its_question_to_the_next_model() -> None:
    other = Provider("others")
    table = Table(other)
    switch = await table.connect()
    switch.ear.on_spoke(table.session)
    switch.ear.on_kept(table.session, table.frames(0, 20))
    table.session.tell(AnswerBegan(table.call.now()))
    switch.ear.on_kept(table.session, table.frames(20, 5, flags=0))
    switch.ear.on_unpatched(table.session)
    table.lose()
    await other.have("realtime", 1)
    await heard(other.last("realtime"), 24)


async def test_without_a_patch_audio_goes_the_long_way_again() -> None:
    table = Table()
    switch = await table.connect()
    assert table.session.straight is not None
    switch.ear.on_unpatched(table.session)
    assert table.session.straight is None
    table.plug.on_audio(bytes(320), Samples(0), table.call.now(), 0)
    assert table.session.asked == [("audio", 320)]
