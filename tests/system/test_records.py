"""What a call leaves behind can be asked with `linecard calls` and `linecard turns`, while it lasts and after."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.system.house import House, configuration, house
from tests.system.phone import SILENCE, Phone


async def asked(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.cli", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={"PATH": "", "COLUMNS": "200"},
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def rows(house: House, *arguments: str) -> list[dict[str, Any]]:
    """Asked until the writer's thread has come to it."""
    async with asyncio.timeout(20):
        while True:
            status, output = await asked(*arguments, str(house.directory / "linecard.yaml"), "--json")
            assert status == 0, output
            if found := [json.loads(line) for line in output.splitlines() if line.startswith("{")]:
                return found


async def test_a_call_and_its_turns(tmp_path: Path) -> None:
    config = configuration()
    config["records"] = {"database": str(tmp_path / "calls.sqlite")}
    async with house(tmp_path, config, models=True) as built:
        phone = await Phone(built.sip, "pizza").dial()
        await phone.talk([SILENCE] * 10)
        await phone.packets(lambda heard: any(packet.level > 500 for packet in heard))  # the greeting
        (running,) = await rows(built, "calls")
        assert (running["called"], running["ended"]) == ("pizza", None)
        phone.bye()
        await phone.response(200, "BYE")
        ended = await built.gateway.line("call.ended")
        (greeting,) = await rows(built, "turns", "--call", ended["call_id"])
        assert (greeting["turn"], greeting["said"], greeting["plug"]) == (0, "Welcome.", "pizza")
        status, table = await asked("calls", str(built.directory / "linecard.yaml"))
        assert status == 0
        assert "remote" in table
    status, table = await asked("turns", "--database", str(tmp_path / "calls.sqlite"))
    assert status == 0
    assert "Welcome." in table


async def test_no_records_is_one_line(tmp_path: Path) -> None:
    assert await asked("calls", "--database", str(tmp_path / "none.sqlite")) == (
        1, f"linecard: {tmp_path}/none.sqlite: no call records there; see records.database in the configuration\n",
    )  # fmt: skip
