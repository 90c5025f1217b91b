"""What a call's signalling does to the running gateway: packet times, refreshes, digits and transfers."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.system.house import House, configuration, house
from tests.system.phone import Phone


@pytest.fixture
async def phone(gateway: House) -> AsyncIterator[Phone]:
    phone = Phone(gateway.sip, "tone")
    yield phone
    phone.close()


async def call(phone: Phone, more: str = "") -> None:
    await phone.open()
    phone.invite(phone.sdp() + more)
    await phone.response(200)
    phone.ack()


async def hang_up(phone: Phone) -> None:
    phone.bye()
    await phone.response(200, "BYE")


@pytest.mark.parametrize("ptime", [10, 30, 40])
async def test_packets_are_as_long_as_the_caller_wishes(gateway: House, phone: Phone, ptime: int) -> None:
    await call(phone, f"a=ptime:{ptime}\r\n")
    assert f"a=ptime:{ptime}\r\n" in phone.responses[-1]
    heard = await phone.packets(lambda packets: len(packets) >= 20)
    assert {len(packet.payload) for packet in heard} == {8 * ptime}
    steps = {(two.timestamp - one.timestamp) & 0xFFFFFFFF for one, two in itertools.pairwise(heard)}
    assert steps == {8 * ptime}
    await hang_up(phone)


async def test_a_refresh_with_the_same_description_leaves_the_media_alone(gateway: House, phone: Phone) -> None:
    """RFC 3264 8: the version stays, and so do the stream's numbers."""
    await call(phone)
    before = phone.responses[-1].partition("\r\n\r\n")[2]
    await phone.packets(lambda packets: len(packets) >= 5)
    phone.responses.clear()
    phone.invite()
    answer = await phone.response(200)
    phone.ack()
    assert answer.partition("\r\n\r\n")[2] == before
    seen = len(phone.heard)
    heard = await phone.packets(lambda packets: len(packets) >= seen + 20)
    assert {(two.sequence - one.sequence) & 0xFFFF for one, two in itertools.pairwise(heard)} == {1}
    assert {(two.timestamp - one.timestamp) & 0xFFFFFFFF for one, two in itertools.pairwise(heard)} == {160}
    await hang_up(phone)


async def test_digits_by_info_are_heard_and_a_transfer_is_declined(gateway: House, phone: Phone) -> None:
    await call(phone)
    phone._cseq += 1
    phone.send(
        phone.request("INFO", "Signal=7\r\nDuration=200\r\n").replace("application/sdp", "application/dtmf-relay")
    )
    await phone.response(200, "INFO")
    line = await gateway.gateway.line("digit")
    assert (line["digit"], line["duration_ms"]) == ("7", 200)
    phone._cseq += 1
    refer = phone.request("REFER").replace("Content-Type: application/sdp\r\n", "Refer-To: <sip:desk@192.0.2.9>\r\n")
    phone.send(refer)
    await phone.response(603, "REFER")
    await hang_up(phone)


async def test_the_log_explains_each_call(tmp_path: Path) -> None:
    """What `linecard explain` says, said while it happens."""
    config = configuration()
    config["log"]["level"] = "debug"
    async with house(tmp_path, config) as gateway:
        for number, status in (("silence", 200), ("silences", 404)):
            phone = await Phone(gateway.sip, number).open()
            phone.invite()
            await phone.response(status)
            phone.ack()
            phone.close()
        taken, refused = [
            await gateway.gateway.line("call.decided", lambda line, code=status: line["status"] == code)  # type: ignore[misc]
            for status in (200, 404)
        ]
        assert taken["steps"][0] == "yes, trunk: loopback: 127.0.0.1 is in 127.0.0.0/8"
        assert refused["steps"][-1] == "no, route: no route fits the called number"
        line = await gateway.gateway.line("call.refused")
        assert line["not_taken"] == refused["not_taken"] == ["route silence: looks like silences, but does not fit it"]
