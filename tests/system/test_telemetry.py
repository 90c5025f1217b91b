"""A daemon that is asked for its figures answers while it takes calls."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from tests.system.house import configuration, house
from tests.system.phone import SILENCE, Phone


async def test_figures_and_health(tmp_path: Path) -> None:
    config = configuration()
    config["telemetry"] = {"listen": "127.0.0.1:0"}
    async with house(tmp_path, config) as built, aiohttp.ClientSession() as session:
        url = (await built.gateway.line("telemetry.ready"))["url"]
        phone = await Phone(built.sip, "echo").dial()
        await phone.talk([SILENCE] * 10)
        async with session.get(url) as response:
            assert "\nlinecard_calls 1.0\n" in await response.text()
        phone.bye()
        await phone.response(200, "BYE")
        await built.gateway.line("call.ended")
        async with session.get(url) as response:
            text = await response.text()
        assert 'linecard_calls_ended_total{by="remote",plug="echo",trunk="loopback"} 1.0' in text
        assert 'linecard_rtp_packets_total{trunk="loopback",what="lost"} 0.0' in text
        assert 'linecard_bans_total{cause="scanner"} 0.0' in text
        async with session.get(url.replace("/metrics", "/health")) as response:
            assert response.status == 200
            told = await response.json()
            assert told == {"healthy": True, "registered": {}, "targets": {}, "banned": 0}
        assert await built.gateway.stop() == 0
