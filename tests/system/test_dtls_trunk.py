"""Two of our own gateways key a call by DTLS: one places it, in this process, the other answers, as it is started."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.call.house import House
from gateway.call.occupancy import Occupancy
from gateway.call.options import LimitOptions
from gateway.call.outbound import Outbound
from gateway.call.placing import Order, Results
from gateway.call.switchboard import Switchboard
from gateway.call.trunk_options import TrunkOptions
from gateway.media.contract import Leg
from gateway.media.srtp import load_srtp
from gateway.net.endpoint import open_endpoint
from gateway.net.options import SignallingOptions
from gateway.net.transport import Listen
from gateway.sip.events import Event
from tests.system.house import configuration, house
from tests.unit.media.peer import Ear, plane_running

NUMBER = "+493012345678"


class Listener(Ear):
    """A plug, and the session of its one call."""

    uplink_rate = 8000

    def open(self, call: object) -> Listener:
        return self

    async def start(self, leg: Leg) -> None: ...

    def answered(self) -> None:
        self.on_answered()

    async def close(self) -> None: ...

    def add(self, record: dict[str, object]) -> None: ...


@pytest.mark.parametrize("mode", ["prefer", "require"])
async def test_two_gateways_hear_each_other(tmp_path: Path, mode: str) -> None:
    """Our offer: DTLS alone, or on a line that plain RTP might have taken as well (RFC 8643)."""
    load_srtp()
    config = configuration()
    config["trunks"][0] |= {"srtp": "require", "srtp_keys": ["dtls"]}
    config["routes"].append({"to": NUMBER, "plug": "tone"})
    boards: list[Switchboard] = []

    def on_event(event: Event) -> None:
        for one in boards:
            one.on_event(event)

    async with house(tmp_path, config) as built, plane_running() as plane:
        options = {"targets": [{"uri": f"sip:{built.sip[0]}:{built.sip[1]}"}], "srtp": mode, "srtp_keys": ["dtls"]}
        trunk = TrunkOptions.model_validate({"name": "carrier", **options})
        listen = [Listen("udp", "127.0.0.1", 0)]
        sip = await open_endpoint(SignallingOptions(), listen=listen, on_event=on_event)
        plug, occupancy = Listener(), Occupancy()
        everything = cast("Any", plug)
        ours = House(sip, plane, "127.0.0.1", {"p": everything}, {}, everything, LimitOptions())
        boards.append(Switchboard(ours, occupancy))
        try:
            async with asyncio.timeout(20):
                result = await Outbound(ours, boards[0], occupancy, [trunk]).call(Order("carrier", NUMBER, plug="p"))
            assert result.what is Results.ANSWERED
            await plug.wait("answered")
            frames = [await plug.wait("audio", count) for count in range(1, 21)]
            assert any(max(frame[0]) for frame in frames)
            await built.gateway.line("call.secured")
        finally:
            await boards[0].close(5)
            await sip.close()
        media = (await built.gateway.line("call.ended"))["media"]
        assert media["packets_received"] > 0
        assert media["packets_refused"] == 0
