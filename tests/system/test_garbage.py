"""Calls of every kind leave nothing that only the garbage collector would find: its pauses would be the loop's."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from tests.system.house import House, configuration, house
from tests.system.phone import SILENCE, Phone


async def ended(built: House, calls: int) -> None:
    async with asyncio.timeout(20):
        while len(built.gateway.events("call.ended")) < calls:
            await asyncio.sleep(0.02)


async def answered(built: House, number: str) -> None:
    phone = Phone(built.sip, number)
    await phone.dial()
    await phone.talk([SILENCE] * 20)
    phone.bye()
    await phone.response(200, "BYE")


async def renegotiated(built: House, number: str) -> None:
    """Held by a re-INVITE, and hung up by the gateway."""
    phone = Phone(built.sip, number)
    await phone.dial()
    phone.invite(phone.sdp("sendonly"))
    await phone.response(200)
    phone.ack()
    phone.bye()
    await phone.response(200, "BYE")


async def cancelled(built: House) -> None:
    phone = await Phone(built.sip, "ringing").open()
    phone.invite()
    await phone.response(180)
    phone.cancel()
    await phone.response(487)
    phone.ack()


async def not_agreed_on(built: House) -> None:
    phone = await Phone(built.sip, "echo", codecs=(18,)).open()
    phone.invite()
    await phone.response(488)
    phone.ack()


async def hung_up_on(built: House) -> None:
    phone = await Phone(built.sip, "short").dial()
    await phone.asked("BYE")


async def garbage(built: House) -> dict[str, int]:
    before = len(built.gateway.events("garbage"))
    built.gateway.process.send_signal(signal.SIGUSR1)
    async with asyncio.timeout(20):
        while len(built.gateway.events("garbage")) == before:
            await asyncio.sleep(0.02)
    found: dict[str, int] = built.gateway.events("garbage")[-1]["found"]
    return found


async def test_no_call_waits_for_the_garbage_collector(tmp_path: Path) -> None:
    config = configuration()
    config["sip"]["t1"] = "20ms"  # 64 of them, and the transactions are over too
    config["plugs"]["mirror"] = {"kind": "realtime", "model": "embedded"}
    config["routes"].append({"to": "mirror", "plug": "mirror"})
    async with house(tmp_path, config, models=True, module="tests.system.watched") as built:
        await answered(built, "pizza")
        await answered(built, "mirror")
        await ended(built, 2)
        await garbage(built)  # what libraries make once, for the first call
        for number in ("echo", "tone", "early", "mirror", "pizza"):
            await answered(built, number)
        await renegotiated(built, "echo")
        await cancelled(built)
        await not_agreed_on(built)
        await hung_up_on(built)
        await ended(built, 11)
        assert await garbage(built) == {}
        assert not built.gateway.events("call.fault")
