"""A bot that was written with Pipecat for Twilio takes a call of ours, unmodified (`make interop-pipecat`)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.system.house import configuration, free_port, house
from tests.system.phone import SILENCE, Phone
from tests.system.test_numbers import TONE, loud

PYTHON = os.environ.get("LINECARD_PIPECAT_PYTHON", "")

pytestmark = [pytest.mark.interop, pytest.mark.skipif(not PYTHON, reason="needs Pipecat: make interop-pipecat")]


@asynccontextmanager
async def pipecat(port: int, rest: str) -> AsyncIterator[None]:
    script = Path(__file__).with_name("bot.py")
    process = await asyncio.create_subprocess_exec(PYTHON, script, str(port), rest, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while (await process.stdout.readline()).strip() != b"ready":
                assert process.returncode is None
        yield
    finally:
        process.terminate()
        await process.communicate()


def press(phone: Phone, digit: int) -> None:
    """RFC 4733: its beginning, and its end three times."""
    start = phone.timestamp
    for end, length in ((0, 160), (0x80, 480), (0x80, 480), (0x80, 480)):
        phone.timestamp = start
        phone.send_rtp(phone.packet(bytes([digit, end | 10]) + length.to_bytes(2, "big"), 101))
    phone.timestamp = start + 480


async def test_a_pipecat_bot_hears_speaks_is_interrupted_and_hangs_up(tmp_path: Path) -> None:
    port, rest = free_port(), f"127.0.0.1:{free_port()}"
    config = configuration()
    about = {"url": f"ws://127.0.0.1:{port}/", "rest": rest, "auth_token": "secret"}
    config["plugs"]["pizza"] = {"kind": "twilio", **about}
    async with pipecat(port, f"http://{rest}"), house(tmp_path, config) as built:
        phone = await Phone(built.sip, "pizza").dial()
        await phone.talk([*TONE, *[SILENCE] * 10])
        await phone.packets(lambda packets: len(loud(packets)) >= len(TONE) - 5)  # its resampler keeps a little back

        before = len(loud(phone.heard))
        press(phone, 5)
        await phone.packets(lambda packets: len(loud(packets)) >= before + 25)
        press(phone, 1)
        await phone.packets(lambda packets: not loud(packets[-25:]), timeout=10)
        assert len(loud(phone.heard)) < before + 500  # of the 1000 packets of the tone

        press(phone, 11)
        await phone.asked("BYE")
        ended = await built.gateway.line("call.ended")
        assert "the bot hung up" in str(ended)
        phone.close()
