"""A trunk with an account, as an operator writes it: the daemon registers when it starts and leaves when it stops."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.interop.peer import SCENARIOS, free_port, needs_sipp, sipp
from tests.system.house import configuration, house
from tests.system.phone import Phone

pytestmark = [pytest.mark.interop, needs_sipp]


async def test_the_daemon_registers_and_leaves(tmp_path: Path) -> None:
    port = free_port()
    registrar = asyncio.create_task(sipp(tmp_path, "-sf", str(SCENARIOS / "registrar.xml"), "-m", "1", port=port))
    config = configuration()
    (tmp_path / "password").write_text("secret\n")
    config["trunks"][0]["register"] = {
        "registrar": f"sip:127.0.0.1:{port}", "user": "linecard", "password": {"file": "password"},
    }  # fmt: skip
    async with house(tmp_path, config) as built:
        line = await built.gateway.line("trunk.registered")
        assert (line["trunk"], line["expires_s"]) == ("loopback", 300)
        assert await built.gateway.stop() == 0
    await registrar


async def test_a_trunk_that_has_an_account_and_no_more_takes_the_calls_of_its_registrar(tmp_path: Path) -> None:
    """Most small carriers: a user, a password, and calls from wherever their servers are."""
    port = free_port()
    registrar = asyncio.create_task(sipp(tmp_path, "-sf", str(SCENARIOS / "registrar.xml"), "-m", "1", port=port))
    config = configuration()
    account = {"registrar": f"sip:127.0.0.1:{port}", "user": "linecard", "password": "secret"}
    config["trunks"] = [{"name": "account", "register": account}]
    async with house(tmp_path, config) as built:
        await built.gateway.line("trunk.registered")
        phone = await Phone(built.sip, "silence").open()
        try:
            phone.invite()
            await phone.response(200)
            phone.ack()
            assert (await built.gateway.line("call.started"))["trunk"] == "account"
        finally:
            phone.close()
        assert await built.gateway.stop() == 0
    await registrar
