from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gateway.errors import ResourceError
from gateway.net.endpoint import open_endpoint
from gateway.net.options import SignallingOptions
from gateway.net.transport import Listen
from gateway.sip.events import ByeFailed, Confirmed, Ended, Invited, Pinged, Refused
from gateway.sip.message import Request, Response
from tests.unit.net.certificates import Authority, needs_openssl
from tests.unit.net.phones import SDP, Line, Phone, line, phone, request

pytestmark = needs_openssl


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def ours(authority: Authority) -> dict[str, Any]:
    return authority.options("ours")


def trusting(authority: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.check_hostname = False
    return context


@pytest.mark.parametrize("kind", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("mutual", [False, True])
def test_a_call_over_tls(kind: Callable[[], asyncio.AbstractEventLoop], ours: dict[str, Any], mutual: bool) -> None:
    async def run() -> None:
        theirs = {**ours, "verify_client": mutual}
        async with phone("tls", tls=ours) as caller, phone("tls", tls=theirs) as callee:
            caller.sip.invite(callee.uri("tls"), SDP, caller="alice")
            (invited,) = await callee.until(Invited)
            assert invited.request.via.transport == "TLS"
            assert ";transport=tls>" in (invited.request.get("Contact") or "")
            assert invited.flow.names == ({"127.0.0.1"} if mutual else set())
            await callee.until(Confirmed)
            assert (await callee.until(Ended))[0].by == "remote"
            await caller.until(Ended)

    with asyncio.Runner(loop_factory=kind) as runner:
        runner.run(run())


async def test_a_bye_goes_back_by_the_connection_of_its_call(ours: dict[str, Any]) -> None:
    async with phone("tls", tls=ours) as caller, phone("tls", tls=ours, streams={"max_connections": 1}) as callee:
        caller.on_answered = lambda event: None
        caller.sip.invite(callee.uri("tls"), SDP, caller="alice")
        (confirmed,) = await callee.until(Confirmed)
        callee.sip.hang_up(confirmed.call, "enough")
        assert (await caller.until(Ended))[0].by == "remote"


async def test_a_peer_of_another_make(authority: Authority, ours: dict[str, Any]) -> None:
    """The standard library's TLS, with SNI and cut at each byte."""
    secure = {"ssl": trusting(authority), "server_hostname": "sip.example.org"}
    async with phone("tls", tls=ours) as callee, line(callee, "tls", **secure) as peer:
        for byte in request():
            peer.send(bytes([byte]))
        answer = await peer.message()
        assert isinstance(answer, Response)
        assert answer.status == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_versions(authority: Authority, ours: dict[str, Any], version: ssl.TLSVersion) -> None:
    context = trusting(authority)
    context.minimum_version = context.maximum_version = version
    async with phone("tls", tls=ours) as callee, line(callee, "tls", ssl=context, server_hostname="x") as peer:
        peer.send(request())
        assert (await peer.message()).call_id == "1"


async def test_an_older_version_is_refused(authority: Authority, ours: dict[str, Any]) -> None:
    context = trusting(authority)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with phone("tls", tls=ours) as callee:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with line(callee, "tls", ssl=context, server_hostname="x"):
                pass


@pytest.mark.parametrize(
    ("alternative", "target", "proven"),
    [
        ("DNS:sip.example.org", "sip.example.org", True),
        ("URI:sip:example.org,DNS:a.example", "example.org", True),
        ("URI:sip:example.org,DNS:a.example", "a.example", False),
        ("DNS:*.example.org", "sip.example.org", False),
        ("DNS:sip.example.org", "127.0.0.1", False),
        ("IP:127.0.0.1", "127.0.0.1", True),
    ],
)
async def test_a_server_proves_the_name_that_was_asked_for(
    authority: Authority, ours: dict[str, Any], alternative: str, target: str, proven: bool
) -> None:
    theirs = authority.options("theirs", alternative)
    async with phone("tls", tls=ours) as caller, phone("tls", tls=theirs) as callee:
        caller.sip.options_ping(f"sip:{target};transport=tls", remote=callee.sip.local)
        (pinged,) = await caller.until(Pinged)
        assert pinged.status == (200 if proven else 503)


async def test_a_wildcard_is_believed_where_the_operator_says_so(authority: Authority, ours: dict[str, Any]) -> None:
    theirs = authority.options("wild", "DNS:*.example.org")
    async with phone("tls", tls={**ours, "wildcards": True}) as caller, phone("tls", tls=theirs) as callee:
        caller.sip.options_ping("sip:sip.example.org;transport=tls", remote=callee.sip.local)
        assert (await caller.until(Pinged))[0].status == 200


async def test_a_connection_carries_only_what_its_certificate_covers(
    authority: Authority, ours: dict[str, Any]
) -> None:
    theirs = authority.options("two", "DNS:a.example,DNS:b.example")
    async with phone("tls", tls=ours) as caller, phone("tls", tls=theirs, streams={"max_connections": 2}) as callee:
        for host in ("a.example", "b.example", "c.example"):
            caller.sip.options_ping(f"sip:{host};transport=tls", remote=callee.sip.local)
            await caller.until(Pinged, len(caller.told) + 1)
        assert [event.status for event in caller.events(Pinged)] == [200, 200, 503]


async def test_a_server_of_an_unknown_authority_is_refused(tmp_path: Path, ours: dict[str, Any]) -> None:
    async with (
        phone("tls", tls=ours) as caller,
        phone("tls", tls=Authority(tmp_path, "other").options("them")) as callee,
    ):
        caller.sip.invite(callee.uri("tls"), SDP, caller="alice")
        (ended,) = await caller.until(Ended)
        assert ended.status == 503
        assert ended.reason == "TLS: self-signed certificate in certificate chain"
        (refused,) = await callee.until(Refused)
        assert refused.rule.startswith("TLS: ")


async def test_a_client_without_a_good_certificate_is_refused(
    tmp_path: Path, authority: Authority, ours: dict[str, Any]
) -> None:
    mutual = {**ours, "verify_client": True}
    stranger = {**Authority(tmp_path, "other").options("stranger"), "ca": authority.certificate}
    async with phone("tls", tls=stranger) as caller, phone("tls", tls=mutual) as callee:
        caller.sip.options_ping(callee.uri("tls"))
        assert (await caller.until(Pinged))[0].status == 503
        (refused,) = await callee.until(Refused)
        assert refused.rule.startswith("TLS: ")


async def test_a_changed_certificate_is_used_and_connections_go_on(tmp_path: Path, authority: Authority) -> None:
    options = {**authority.options("old"), "certificate": tmp_path / "c.pem", "key": tmp_path / "k.pem"}

    def put(name: str) -> None:
        for source, target in zip(authority.issue(name, f"DNS:{name}.example"), ("c.pem", "k.pem"), strict=True):
            shutil.copy(source, tmp_path / target)

    def subject(peer: Any) -> str:
        return str(dict(peer.writer.get_extra_info("peercert")["subject"][0])["commonName"])

    put("first")
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
    secure = {"ssl": trusting(authority), "server_hostname": ""}
    async with phone("tls", tls=options) as callee, line(callee, "tls", **secure) as old:
        put("second")
        async with line(callee, "tls", **secure) as new:
            assert (subject(old), subject(new)) == ("first", "second")
        (tmp_path / "c.pem").write_text("half a certif")
        async with line(callee, "tls", **secure) as new:
            assert subject(new) == "second"
        assert len(faults) == 1
        assert faults[0]["message"].startswith("sip.tls: the changed files cannot be used")
        old.send(request())
        assert (await old.message()).call_id == "1"


@pytest.mark.parametrize(
    ("tls", "why"),
    [
        (None, "sip.tls names no certificate and key"),
        ({"certificate": "/nowhere/c.pem", "key": "/nowhere/k.pem"}, "sip.tls: No such file or directory"),
    ],
)
async def test_no_usable_certificate_is_one_clear_line(tls: dict[str, str] | None, why: str) -> None:
    options = SignallingOptions.model_validate({"tls": tls})
    with pytest.raises(ResourceError, match=rf"cannot listen on tls://127\.0\.0\.1:0: {why}"):
        await open_endpoint(options, listen=[Listen("tls", "127.0.0.1", 0)], on_event=lambda event: None)


async def test_plain_text_on_the_port_of_tls(ours: dict[str, Any]) -> None:
    async with phone("tls", tls=ours) as callee, line(callee, "tls") as peer:
        peer.send(request())
        await peer.ended()
        (refused,) = await callee.until(Refused)
        assert refused.rule.startswith("TLS: ")


async def test_a_connection_that_proves_its_alias_is_used_back(authority: Authority, ours: dict[str, Any]) -> None:
    """RFC 5923: a new call of ours to where the peer listens takes the connection that the peer has opened."""
    theirs = {**ours, "verify_client": True}
    async with phone("tls", tls=ours) as peer, phone("tls", tls=theirs, streams={"max_connections": 1}) as side:
        peer.sip.options_ping(side.uri("tls", "x"))
        await peer.until(Pinged)
        side.sip.options_ping(peer.uri("tls", "x"))
        (pinged,) = await side.until(Pinged)
        assert pinged.status == 200  # by a second connection it could not


async def test_who_shows_no_certificate_has_no_alias(ours: dict[str, Any]) -> None:
    async with phone("tls", tls=ours) as peer, phone("tls", tls=ours, streams={"max_connections": 1}) as side:
        peer.sip.options_ping(side.uri("tls", "x"))
        await peer.until(Pinged)
        side.sip.options_ping(peer.uri("tls", "x"))
        (pinged,) = await side.until(Pinged)
        assert pinged.status == 503


@asynccontextmanager
async def restarted(side: Phone, client: ssl.SSLContext, server: ssl.SSLContext) -> AsyncIterator[asyncio.Queue[Line]]:
    """A peer calls, loses its connection, and waits for another at the address that its Via and Contact have named."""
    arrived = asyncio.Queue[Line]()
    listener = await asyncio.start_server(lambda *pair: arrived.put_nowait(Line(*pair)), "127.0.0.1", 0, ssl=server)
    via = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with line(side, "tls", ssl=client, server_hostname="x") as peer:
        peer.send(over_tls(request("INVITE", via=via)))
        while (answer := await peer.message()).status != 200:  # type: ignore[attr-defined]
            pass
        peer.send(over_tls(request("ACK", via=via, to_tag=f";tag={answer.to.tag}")))
        await side.until(Confirmed)
    yield arrived
    while not arrived.empty():
        await arrived.get_nowait().close()
    listener.close()


def over_tls(message: bytes) -> bytes:
    return message.replace(b"SIP/2.0/TCP", b"SIP/2.0/TLS").replace(b"transport=tcp", b"transport=tls")


def showing(authority: Authority, side: int, tls: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.load_verify_locations(authority.certificate)
    context.load_cert_chain(tls["certificate"], tls["key"])
    return context


async def test_a_peer_whose_connection_is_gone_is_who_proves_the_same_name(
    authority: Authority, ours: dict[str, Any]
) -> None:
    """Its Via and Contact are addresses, its certificate is for a name."""
    theirs = authority.options("named", "DNS:peer.example")
    client, server = (
        showing(authority, ssl.PROTOCOL_TLS_CLIENT, theirs),
        showing(authority, ssl.PROTOCOL_TLS_SERVER, theirs),
    )
    async with phone("tls", tls={**ours, "verify_client": True}) as side, restarted(side, client, server) as arrived:
        side.sip.hang_up(side.events(Invited)[0].call, "enough")
        again = await asyncio.wait_for(arrived.get(), 5)
        bye = await again.message()
        assert isinstance(bye, Request)
        assert bye.method == "BYE"
        await again.close()


@pytest.mark.parametrize("mutual", [True, False])
async def test_another_one_at_its_address_does_not_get_the_bye(
    authority: Authority, ours: dict[str, Any], mutual: bool
) -> None:
    """Nor does anybody if the peer has proved nothing. It is told, and nothing is left of the call."""
    theirs, another = (authority.options(name, f"DNS:{name}.example") for name in ("peer", "another"))
    client = showing(authority, ssl.PROTOCOL_TLS_CLIENT, theirs)
    server = showing(authority, ssl.PROTOCOL_TLS_SERVER, another)
    async with phone("tls", tls={**ours, "verify_client": mutual}) as side, restarted(side, client, server):
        side.sip.hang_up(side.events(Invited)[0].call, "enough")
        (failed,) = await side.until(ByeFailed)
        assert (failed.call_id, failed.status) == ("1", 503)
        assert failed.reason == "TLS: the certificate is not for 127.0.0.1 but for another.example (RFC 5922 7)"
        assert side.sip.calls == 0
