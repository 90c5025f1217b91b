"""Wyoming's messages on a stream that is cut anywhere, and what a turn brings of what was said before it."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import ValidationError

from gateway.providers.contract import Transcript
from gateway.providers.wyoming import SPEC, WyomingOptions, WyomingStt
from gateway.units import Samples
from tests.played.stage import staged
from tests.played.wyoming import Stt, frame

FRAMING = WyomingStt.framing
FRAME = b"\x40\x1f" * 320  # 20 ms at 16 kHz


def test_a_message_is_as_long_as_its_line_says_wherever_it_is_cut() -> None:
    message = frame("audio-chunk", {"rate": 16_000}, b"12\n{")
    for end in range(len(message) + 1):
        assert FRAMING.size(bytearray(message[:end])) in {None, len(message)}
    assert FRAMING.size(bytearray(message + b"{")) == len(message)
    assert FRAMING.size(bytearray(b'{"type":"ping"}\n')) == 16


@pytest.mark.parametrize(
    "sent",
    [b"HTTP/1.1 400\r\n", b"{" * (1 << 20), b'{"data_length":-1}\n', b'{"payload_length":99999999}\n', b"{nonsense\n"],
    ids=["http", "endless", "negative", "huge", "no json"],
)
def test_what_is_no_message_is_refused(sent: bytes) -> None:
    with pytest.raises(ValueError, match=r"brace|1 MiB|lengths|Expecting"):
        FRAMING.size(bytearray(sent))


@pytest.mark.parametrize("url", ["http://127.0.0.1:10300", "tcp://127.0.0.1", "10300"])
def test_an_address_is_one_of_tcp(url: str) -> None:
    with pytest.raises(ValidationError, match="write one like tcp://"):
        WyomingOptions(base_url=url)


async def test_a_turn_brings_a_little_of_what_was_said_before_it_and_nothing_of_the_pause() -> None:
    finals: asyncio.Queue[Transcript] = asyncio.Queue()

    def listen(result: object) -> None:
        if isinstance(result, Transcript) and result.final:
            finals.put_nowait(result)

    async with staged(Stt) as (_, at), asyncio.timeout(5):
        provider = SPEC.create("tested", WyomingOptions(base_url=f"tcp://{at}"))
        session = await provider.open_stt(listen, rate=16_000, language="en")
        for turn in (1, 2):
            for _ in range(100):  # a pause of two seconds
                session.audio(FRAME, Samples(0), 0)
            session.begin_turn(turn, Samples(0))
            for _ in range(10):
                session.audio(FRAME, Samples(0), 1)
            session.end_turn(turn, Samples(0))
            assert (await finals.get()).text == "600 ms"
        await provider.close()
