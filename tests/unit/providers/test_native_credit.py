"""Credit for the audio of a native session: all of it, in its time, in few messages."""

from __future__ import annotations

import asyncio

from gateway.providers.native_connection import Limits
from gateway.providers.native_realtime import Realtime
from gateway.units import SECOND, Nanos


class Wire:
    """What a session needs of its connection."""

    def __init__(self) -> None:
        self.name, self.limits, self.outbox = "models", Limits(SECOND, SECOND, Nanos(10 * SECOND)), None
        self.loop = asyncio.get_running_loop()
        self.given: list[int] = []

    def attach(self, stream: object) -> int:
        return 1

    def owes(self, stream: object) -> None:
        """It is asked in any case."""

    def send(self, kind: str, **fields: object) -> None:
        if kind == "credit":
            self.given.append(fields["bytes"])  # type: ignore[arg-type]


async def test_credit_comes_back_in_few_messages_and_all_of_it() -> None:
    wire = Wire()
    session = Realtime(wire, lambda _: None, rate=8000, timeout=SECOND)  # type: ignore[arg-type]
    for _ in range(40):  # ten seconds of audio in real time
        session.on_audio((1, 0, 0, 0, 0, bytes(4000)))
        session.give_credit(0.25)
    assert 4 <= len(wire.given) <= 10
    while session.give_credit(0.25):
        pass
    assert sum(wire.given) == 40 * 4000


async def test_credit_comes_back_no_faster_than_audio_is_played() -> None:
    wire = Wire()
    session = Realtime(wire, lambda _: None, rate=8000, timeout=SECOND)  # type: ignore[arg-type]
    session.on_audio((1, 0, 0, 0, 0, bytes(64000)))  # four seconds at once
    for _ in range(8):
        session.give_credit(0.25)
    assert sum(wire.given) <= 32000
