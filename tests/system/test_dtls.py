"""Calls whose keys are made by a handshake on the port of the media, by a telephone that is far from the plane."""

from __future__ import annotations

import asyncio
import base64
import os
from pathlib import Path

import pytest
from pylibsrtp import Policy, Session

from codecs_ext.srtp import PROFILES
from gateway.media.dtls import Association, DtlsError, Identity
from gateway.sdp import DtlsPeer, parse
from tests.system.house import House, configuration, house
from tests.system.phone import Phone
from tests.system.test_numbers import TONE, hang_up, loud

SDES = "AES_CM_128_HMAC_SHA1_80"


class DtlsPhone(Phone):
    """Offers DTLS as ``setup``, with the certificate in ``identity``, or, with ``key``, a key in the description."""

    version = 1
    setup = "actpass"
    key: bytes | None = None
    association: Association | None = None
    shown: str | None = None

    def new_identity(self) -> None:
        self.identity = Identity()
        self.association = None
        self.outgoing: Session | None = None
        self.incoming: Session | None = None
        self.version += 1

    def sdp(self, direction: str = "sendrecv") -> str:
        text = super().sdp(direction).replace("o=- 1 1", f"o=- 1 {self.version}")
        if self.key is not None:
            line = f"a=crypto:1 {SDES} inline:{base64.b64encode(self.key).decode()}\r\n"
            return text.replace("RTP/AVP", "RTP/SAVP") + line
        lines = f"a=rtcp-mux\r\na=setup:{self.setup}\r\na=fingerprint:{self.shown or self.identity.fingerprint}\r\n"
        return text.replace("RTP/AVP", "UDP/TLS/RTP/SAVPF") + lines

    def answered(self) -> dict[str, str]:
        body = self.responses[-1].partition("\r\n\r\n")[2]
        return dict(parse(body.encode()).media[0].attributes)

    async def shake(self) -> None:
        """With what the last answer says. Ours may begin before it is read: that is said again."""
        said = self.answered()
        name, digits = said["fingerprint"].split()
        role = "passive" if said["setup"] == "active" else "active"
        peer = DtlsPeer(role, ((name, bytes.fromhex(digits.replace(":", ""))),))  # type: ignore[arg-type]
        self.association = Association(self.identity, peer)
        self.association.start()
        self._flush()
        await self._wait(lambda: self.outgoing, 10)

    def _flush(self) -> None:
        assert self.association is not None
        for datagram in self.association.outgoing():
            super().send_rtp(datagram)

    def _keyed(self) -> None:
        assert self.association is not None
        keys = self.association.keys
        if keys is not None and self.outgoing is None:
            profile = PROFILES[keys.suite]
            self.outgoing = Session(Policy(keys.send, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
            self.incoming = Session(Policy(keys.receive, Policy.SSRC_ANY_INBOUND, srtp_profile=profile))

    def _on_rtp(self, data: bytes, source: tuple[str, int]) -> None:
        if 20 <= data[0] <= 63:
            if self.association is not None:
                try:
                    self.association.receive(data)
                except DtlsError:
                    return
                self._flush()
                self._keyed()
                self._changed.set()
        elif self.incoming is not None and not 192 <= data[1] <= 223:
            super()._on_rtp(self.incoming.unprotect(data), source)

    def send_rtp(self, data: bytes) -> None:
        assert self.outgoing is not None
        super().send_rtp(self.outgoing.protect(data))

    async def again(self) -> None:
        """A re-INVITE with what ``sdp`` says now."""
        self.responses.clear()
        self.invite()
        await self.response(200)
        self.ack()


def keyed_by_dtls(*ways: str) -> dict[str, object]:
    config = configuration()
    config["trunks"][0] |= {"srtp": "require", "srtp_keys": list(ways)}
    return config


async def dialled(built: House, setup: str) -> DtlsPhone:
    phone = DtlsPhone(built.sip, "echo")
    phone.setup = setup
    phone.new_identity()
    return await phone.dial()  # type: ignore[return-value]


async def heard_again(phone: DtlsPhone, count: int) -> None:
    await phone.talk(TONE[:20])
    await phone.packets(lambda packets: len(loud(packets)) >= count)


@pytest.mark.parametrize("setup", ["actpass", "active", "passive"])
async def test_a_call_is_heard_whoever_opens_the_handshake(tmp_path: Path, setup: str) -> None:
    async with house(tmp_path, keyed_by_dtls("dtls")) as built:
        phone = await dialled(built, setup)
        assert phone.answered()["setup"] == ("passive" if setup == "active" else "active")
        await phone.shake()
        await built.gateway.line("call.secured")
        await heard_again(phone, 20)
        await hang_up(phone)
        ended = await built.gateway.line("call.ended")
        assert (ended["media"]["packets_received"], ended["media"]["packets_refused"]) == (20, 0)
        phone.close()


async def test_a_call_goes_on_through_reinvites(tmp_path: Path) -> None:
    """The same certificate: the association stands. Another: a new one. Then keys in the description."""
    async with house(tmp_path, keyed_by_dtls("dtls", "sdes")) as built:
        phone = await dialled(built, "actpass")
        await phone.shake()
        await built.gateway.line("call.secured")
        await heard_again(phone, 20)
        await phone.again()
        await heard_again(phone, 40)
        phone.new_identity()
        await phone.again()
        await phone.shake()
        async with asyncio.timeout(10):
            while len(built.gateway.events("call.secured")) < 2:
                await asyncio.sleep(0.01)
        await heard_again(phone, 60)
        phone.key = os.urandom(30)
        await phone.again()
        ours = base64.b64decode(phone.answered()["crypto"].split("inline:")[1])
        phone.outgoing = Session(Policy(phone.key, Policy.SSRC_ANY_OUTBOUND))
        phone.incoming = Session(Policy(ours, Policy.SSRC_ANY_INBOUND))
        await heard_again(phone, 80)
        await hang_up(phone)
        phone.close()


async def test_a_certificate_that_was_not_signalled_ends_the_call(tmp_path: Path) -> None:
    async with house(tmp_path, keyed_by_dtls("dtls")) as built:
        phone = DtlsPhone(built.sip, "echo")
        phone.new_identity()
        phone.shown = Identity().fingerprint
        await phone.dial()
        shaking = asyncio.ensure_future(phone.shake())
        bye = await phone.asked("BYE")
        shaking.cancel()
        await asyncio.gather(shaking, return_exceptions=True)
        assert "Reason:" in bye
        ended = await built.gateway.line("call.ended")
        assert "fingerprint" in ended["reason"]
        assert ended["media"]["packets_received"] == 0
        phone.close()


@pytest.mark.parametrize("without", ["a=rtcp-mux\r\n", "a=fingerprint"])
async def test_what_cannot_be_keyed_gets_488(tmp_path: Path, without: str) -> None:
    async with house(tmp_path, keyed_by_dtls("dtls")) as built:
        phone = await DtlsPhone(built.sip, "echo").open()
        phone.new_identity()
        phone.invite(phone.sdp().replace(without, "a=other:" if without.startswith("a=f") else ""))
        await phone.response(488)
        phone.ack()
        phone.close()
