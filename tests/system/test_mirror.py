"""A realtime model that repeats what it hears, over connections that the media thread speaks: every sample, once, in
order."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.system.house import configuration, house
from tests.system.phone import Heard, Phone

SILENCE = 0xFF
COUNT = 150


def said(number: int) -> bytes:
    """A packet that is told from all others, without silence, and too quiet to be speech."""
    return bytes([0xE0 + number % 14, 0xE0 + number // 14]) * 80


def sound(heard: list[Heard]) -> bytes:
    """What came, without the silence where a packet was late."""
    return b"".join(packet.payload for packet in heard).replace(bytes([SILENCE]), b"")


async def test_calls_on_one_connection_hear_themselves_whole(tmp_path: Path) -> None:
    config = configuration()
    config["media"]["playout"] = {"catch_up": False}  # nothing is left out to make up for a late packet
    config["plugs"]["mirror"] = {"kind": "realtime", "model": "embedded"}
    config["routes"].append({"to": "mirror", "plug": "mirror"})
    sent = b"".join(said(number) for number in range(COUNT))
    async with house(tmp_path, config, models=True) as built:
        phones = [await Phone(built.sip, "mirror").dial() for _ in range(3)]
        await asyncio.gather(*(phone.talk(map(said, range(COUNT))) for phone in phones))
        for phone in phones:
            heard = await phone.packets(lambda packets: len(sound(packets)) >= len(sent))
            assert sound(heard) == sent
            phone.bye()
            await phone.response(200, "BYE")
