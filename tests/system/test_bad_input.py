"""What goes wrong is refused with a reason on the wire, and with one line in the log that names the rule."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.system.house import House, configuration, house, start
from tests.system.phone import Phone


async def refused(phone: Phone, house: House, status: int, rule: str, *, event: str = "call.refused") -> None:
    response = await phone.response(status)
    phone.ack()
    assert rule in response
    line = await house.gateway.line(event, lambda line: line["status"] == status)
    assert rule in line["rule"]
    phone.close()


async def test_no_common_codec(gateway: House) -> None:
    phone = await Phone(gateway.sip, "echo", codecs=(18, 101)).open()
    phone.invite()
    response = await phone.response(488)
    assert "Warning: 305" in response
    await refused(phone, gateway, 488, "no common codec")


async def test_unreadable_session(gateway: House) -> None:
    phone = await Phone(gateway.sip, "echo").open()
    phone.invite("v=0\r\nthis is no session\r\n")
    assert "Warning: " in await phone.response(488)
    phone.ack()
    phone.close()


async def test_unknown_number(gateway: House) -> None:
    phone = await Phone(gateway.sip, "nobody").open()
    phone.invite()
    await refused(phone, gateway, 404, "no route fits")


async def test_unknown_trunk(tmp_path: Path) -> None:
    config = configuration()
    config["trunks"][0]["from"] = ["192.0.2.0/24"]
    async with house(tmp_path, config) as built:
        phone = await Phone(built.sip, "echo").open()
        phone.invite()
        await refused(phone, built, 403, "no trunk takes calls", event="sip.refused")


async def test_too_many_calls(tmp_path: Path) -> None:
    config = configuration()
    config["limits"]["concurrent_calls"] = 1
    async with house(tmp_path, config) as built:
        first = await Phone(built.sip, "echo").dial()
        second = await Phone(built.sip, "echo").open()
        second.invite()
        await refused(second, built, 503, "limits.concurrent_calls")
        first.bye()
        await first.response(200, "BYE")
        await built.gateway.line("call.ended")
        third = await Phone(built.sip, "echo").dial()
        first.close()
        third.close()


async def test_no_port_left(tmp_path: Path) -> None:
    config = configuration()
    low = int(config["media"]["ports"].split("-")[0])
    config["media"]["ports"] = f"{low}-{low + 1}"
    async with house(tmp_path, config) as built:
        first = await Phone(built.sip, "echo").dial()
        second = await Phone(built.sip, "echo").open()
        second.invite()
        await refused(second, built, 503, "media.ports")
        first.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("CSeq: 1 INVITE", "CSeq: one INVITE"),
        lambda text: text.replace("Call-ID: ", "Call-ID:"),
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("Content-Length: ", "Content-Length: 9"),
        lambda text: text.replace("Max-Forwards: 70\r\n", "X: " + "y" * 60_000 + "\r\n"),
        lambda text: text.replace("SIP/2.0\r\n", "SIP/7.0\r\n", 1),
        lambda _: "\r\n\r\n",
        lambda _: "\0" * 500,
        lambda _: "INVITE",
    ],
)
async def test_a_damaged_invite_does_not_hurt_the_next(gateway: House, damage: object) -> None:
    phone = await Phone(gateway.sip, "nobody").open()  # what is still a good INVITE afterwards is refused
    phone._cseq = 1
    phone.send(damage(phone.request("INVITE", phone.sdp())))  # type: ignore[operator]
    phone.close()
    good = await Phone(gateway.sip, "echo").dial()
    good.bye()
    await good.response(200, "BYE")
    good.close()


async def test_random_bytes_do_not_hurt(gateway: House) -> None:
    phone = await Phone(gateway.sip, "nobody").open()
    chance = random.Random(7)
    whole = phone.request("INVITE", phone.sdp()).encode()
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        phone.send(bytes(data[: chance.randrange(1, len(data) + 1)]))
    phone.close()
    good = await Phone(gateway.sip, "echo").dial()
    good.bye()
    await good.response(200, "BYE")
    good.close()
    assert len(gateway.gateway.events("call.started")) == 1


async def test_a_port_in_use_is_one_line(gateway: House) -> None:
    second = await start("run", str(gateway.directory / "linecard.yaml"))
    await second.line("eof")
    texts = [line["text"] for line in second.events("text")]
    assert await second.stop() == 1
    assert len(texts) == 1
    assert f":{gateway.sip[1]}: the port is in use" in texts[0]


async def test_a_typo_in_the_configuration_is_one_line_each(tmp_path: Path) -> None:
    path = tmp_path / "linecard.yaml"
    path.write_text("sip:\n  lisen: udp://127.0.0.1:5060\nroutes:\n  - {to: a, plug: nobody}\n")
    process = await start("run", str(path))
    await process.line("eof")
    texts = [line["text"] for line in process.events("text")]
    assert await process.stop() == 2
    assert len(texts) == 2
    assert "linecard.yaml:2:" in texts[0]
    assert "listen" in texts[0]
    assert "linecard.yaml:4:" in texts[1]
