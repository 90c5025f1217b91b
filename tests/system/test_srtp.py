"""Calls with encrypted media, by a telephone whose SRTP is pylibsrtp's."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

import pytest
from pylibsrtp import Policy, Session

from tests.system.house import configuration, house
from tests.system.phone import Phone
from tests.system.test_numbers import TONE, hang_up, loud


class SecurePhone(Phone):
    """Offers one key; what comes is opened with the key of the answer."""

    version = 1
    incoming: Session | None = None

    def new_key(self) -> None:
        self.key = os.urandom(30)
        self.outgoing = Session(Policy(self.key, Policy.SSRC_ANY_OUTBOUND))
        self.version += 1

    def sdp(self, direction: str = "sendrecv") -> str:
        secure = super().sdp(direction).replace("RTP/AVP", "RTP/SAVP").replace("o=- 1 1", f"o=- 1 {self.version}")
        return secure + f"a=crypto:5 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(self.key).decode()}\r\n"

    def answered_key(self) -> bytes:
        """Of the last answer, which has exactly one."""
        found = re.findall(r"^a=crypto:5 AES_CM_128_HMAC_SHA1_80 inline:(\S+)\r$", self.responses[-1], re.MULTILINE)
        assert len(found) == 1
        assert self.responses[-1].count("a=crypto") == 1
        return base64.b64decode(found[0])

    def _on_rtp(self, data: bytes, source: tuple[str, int]) -> None:
        if self.incoming is None:
            self.incoming = Session(Policy(self.answered_key(), Policy.SSRC_ANY_INBOUND))
        super()._on_rtp(self.incoming.unprotect(data), source)

    def send_rtp(self, data: bytes) -> None:
        super().send_rtp(self.outgoing.protect(data))


async def test_an_encrypted_call_is_heard_and_goes_on_with_a_new_key(tmp_path: Path) -> None:
    config = configuration()
    config["trunks"][0]["srtp"] = "prefer"
    async with house(tmp_path, config) as built:
        phone = SecurePhone(built.sip, "echo")
        phone.new_key()
        await phone.dial()
        ours = phone.answered_key()
        await phone.talk(TONE[:20])
        await phone.packets(lambda packets: len(loud(packets)) >= 20)
        phone.responses.clear()
        phone.new_key()
        phone.invite()
        await phone.response(200)
        phone.ack()
        assert phone.answered_key() == ours  # our direction goes on as it was
        await phone.talk(TONE[:20])
        await phone.packets(lambda packets: len(loud(packets)) >= 40)
        await hang_up(phone)
        ended = await built.gateway.line("call.ended")
        assert (ended["media"]["packets_received"], ended["media"]["packets_refused"]) == (40, 0)
        phone.close()
        plain = await Phone(built.sip, "echo").dial()
        await hang_up(plain)
        plain.close()


@pytest.mark.parametrize("mode", ["off", "prefer", "require"])
async def test_what_the_trunk_does_not_allow_gets_488(tmp_path: Path, mode: str) -> None:
    config = configuration()
    config["trunks"][0]["srtp"] = mode
    async with house(tmp_path, config) as built:
        phone = await SecurePhone(built.sip, "echo").open()
        phone.new_key()
        bad = phone.sdp() if mode == "off" else phone.sdp().replace("inline:", "inline:AAAA")
        phone.invite(bad)
        await phone.response(488)
        phone.ack()
        phone.close()
        if mode == "require":
            plain = await Phone(built.sip, "echo").open()
            plain.invite()
            await plain.response(488)
            plain.ack()
            plain.close()
