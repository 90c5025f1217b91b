"""Calls that come and go, recorded and captured: nothing of them stays. ``benchmarks/soak.py`` does it for minutes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.system.house import House, configuration, house
from tests.system.phone import SILENCE, Phone

AT_ONCE = 12


async def call(built: House) -> None:
    phone = Phone(built.sip, "echo")
    await phone.dial()
    await phone.talk([SILENCE] * 10)
    phone.bye()
    await phone.response(200, "BYE")
    phone.close()


@pytest.mark.slow
async def test_a_hundred_calls_leave_no_descriptor_no_thread_and_no_reel(tmp_path: Path) -> None:
    config = configuration()
    config["media"]["shards"] = 2
    config["routes"][1]["recording"] = {"file": str(tmp_path / "rec" / "{call_id}")}
    config["routes"][1]["capture"] = {"file": str(tmp_path / "cap" / "{call_id}"), "keep": "always"}
    async with house(tmp_path, config) as built:
        await call(built)  # the recorder's thread starts with the first
        await built.gateway.line("call.ended")
        before = built.gateway.descriptors(), built.gateway.threads()
        for turn in range(1, 9):
            await asyncio.gather(*(call(built) for _ in range(AT_ONCE)))
            async with asyncio.timeout(20):
                while len(built.gateway.events("call.ended")) < 1 + turn * AT_ONCE:
                    await asyncio.sleep(0.05)
        assert (built.gateway.descriptors(), built.gateway.threads()) == before
        ended = built.gateway.events("call.ended")
        assert all(line["recording"]["failed"] == line["capture"]["failed"] == "" for line in ended)
        assert not built.gateway.events("call.fault")
    assert len(list((tmp_path / "rec").iterdir())) == len(list((tmp_path / "cap").iterdir())) == 1 + 8 * AT_ONCE
