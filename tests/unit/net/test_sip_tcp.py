from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from gateway.errors import ResourceError
from gateway.net.endpoint import open_endpoint
from gateway.net.options import SignallingOptions
from gateway.net.transport import Listen
from gateway.sip.events import Answered, Confirmed, Ended, Invited, Pinged, Refused
from gateway.sip.message import Request, Response
from tests.unit.net.phones import SDP, Line, line, phone, request


@pytest.mark.parametrize("kind", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("hangs_up", ["caller", "callee"])
def test_a_call_over_tcp(kind: Callable[[], asyncio.AbstractEventLoop], hangs_up: str) -> None:
    async def run() -> None:
        async with phone("udp", "tcp") as caller, phone("udp", "tcp") as callee:
            if hangs_up == "callee":
                caller.on_answered = lambda event: None
            call = caller.sip.invite(callee.uri("tcp"), SDP, caller="alice")
            (invited,) = await callee.until(Invited)
            assert invited.flow.transport == "tcp"
            assert invited.flow.listens_at == caller.sip.listeners[1][1]
            await callee.until(Confirmed)
            if hangs_up == "callee":
                callee.sip.hang_up(invited.call, "go home")
            assert (await callee.until(Ended))[0].by == ("remote" if hangs_up == "caller" else "local")
            assert (await caller.until(Ended))[0].call == call

    with asyncio.Runner(loop_factory=kind) as runner:
        runner.run(run())


async def test_calls_share_one_connection_in_both_directions() -> None:
    async with phone("tcp") as caller, phone("tcp", streams={"max_connections": 1}) as callee:
        caller.on_answered = lambda event: None
        for _ in range(5):
            caller.sip.invite(callee.uri("tcp"), SDP, caller="alice")
        invited = await callee.until(Invited, 5)
        await callee.until(Confirmed, 5)
        assert len({event.flow.remote for event in invited}) == 1
        for event in invited:
            callee.sip.hang_up(event.call, "enough")  # by the same connection: there is room for one only
        assert {event.by for event in await caller.until(Ended, 5)} == {"remote"}


@pytest.mark.parametrize("cut", [1, 7, 200])
async def test_messages_arrive_in_pieces(cut: int) -> None:
    async with phone("tcp") as callee, line(callee) as peer:
        data = request(branch="a") + request(branch="b")
        for start in range(0, len(data), cut):
            peer.send(data[start : start + cut])
            await peer.writer.drain()
        for branch in "ab":
            answer = await peer.message()
            assert isinstance(answer, Response)
            assert (answer.status, answer.via.branch) == (200, f"z9hG4bK{branch}")


async def test_a_ping_gets_a_pong() -> None:
    async with phone("tcp") as callee, line(callee) as peer:
        peer.send(b"\r\n\r\n")
        assert await asyncio.wait_for(peer.reader.readexactly(2), 5) == b"\r\n"


@pytest.mark.parametrize(("length", "status"), [("x", 400), ("99999", 513)])
async def test_what_cannot_be_framed_is_answered_and_the_connection_closed(length: str, status: int) -> None:
    async with phone("tcp", max_message_bytes=2000) as callee, line(callee) as peer:
        peer.send(request(length=length) + request(branch="2"))
        assert (await peer.ended()).startswith(f"SIP/2.0 {status} ".encode())
        (refused,) = await callee.until(Refused)
        assert refused.status == status


async def test_what_is_not_sip_is_dropped_and_the_connection_closed() -> None:
    async with phone("tcp") as callee, line(callee) as peer:
        peer.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await peer.ended() == b""
        (refused,) = await callee.until(Refused)
        assert refused.status is None


async def test_a_response_finds_the_peer_when_its_connection_is_gone() -> None:
    """RFC 3261 18.2.2: a new connection to the port of sent-by."""
    arrived: asyncio.Future[Line] = asyncio.get_running_loop().create_future()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set_result(Line(reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with phone("tcp") as callee:
        callee.answers = False
        port = server.sockets[0].getsockname()[1]
        async with line(callee) as peer:
            peer.send(request("INVITE", via=f"127.0.0.1:{port}"))
            trying = await peer.message()
            assert isinstance(trying, Response)
            assert trying.status == 100
        callee.sip.answer(callee.events(Invited)[0].call, SDP)
        again = await asyncio.wait_for(arrived, 5)
        message = await again.message()
        assert isinstance(message, Response)
        assert message.status == 200
        await again.close()
    server.close()


async def test_nobody_listens_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        async with phone("tcp") as caller:
            caller.sip.invite(f"sip:x@127.0.0.1:{taken.getsockname()[1]}", SDP, caller="alice")
            (ended,) = await caller.until(Ended)
            assert (ended.status, ended.reason) == (503, "no connection: Connection refused")


async def test_nobody_answers_the_connection() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fillers = [socket.socket() for _ in range(4)]  # the kernel drops SYNs once its queue is full
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        async with phone("tcp", streams={"connect_timeout": "100ms"}) as caller:
            caller.sip.options_ping(f"sip:127.0.0.1:{deaf.getsockname()[1]}")
            (pinged,) = await caller.until(Pinged)
            assert pinged.status == 503
        for filler in fillers:
            filler.close()


async def test_one_connection_too_many_is_closed_at_once() -> None:
    async with phone("tcp", streams={"max_per_source": 1}) as callee:
        async with line(callee) as first:
            first.send(request())
            await first.message()
            async with line(callee) as second:
                assert await second.ended() == b""
            (refused,) = callee.events(Refused)
            assert refused.rule == "limit: sip.streams.max_per_source"
            first.send(request(branch="2"))  # and the first one lives
            await first.message()
        async with line(callee) as third:
            third.send(request(branch="3"))
            await third.message()


@pytest.mark.parametrize("said", [b"", b"OPTIONS sip:a", request() + b"OPT"])
async def test_a_peer_that_does_not_finish_its_message_is_cut_off(said: bytes) -> None:
    async with phone("tcp", streams={"message_timeout": "50ms"}) as callee, line(callee) as peer:
        peer.send(said)
        await peer.ended()
        (refused,) = await callee.until(Refused)
        assert refused.rule == "limit: sip.streams.message_timeout"


async def test_an_idle_connection_is_closed_without_a_word() -> None:
    async with phone("tcp", streams={"idle_timeout": "50ms"}) as callee, line(callee) as peer:
        peer.send(request())
        await peer.message()
        assert await peer.ended() == b""
        assert callee.told == []


async def test_a_peer_that_does_not_read_is_cut_off() -> None:
    async with phone("tcp", streams={"max_unsent_bytes": 65_536}) as callee, line(callee) as peer:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]

        async def talk() -> None:
            for number in range(100_000):
                peer.send(request(branch=str(number)))
                await peer.writer.drain()

        with pytest.raises(ConnectionError):
            await talk()


async def test_a_request_that_udp_would_fragment_goes_by_tcp() -> None:
    async with phone("udp", "tcp") as caller, phone("tcp") as callee:
        large = [("X-Story", "x" * 1300)]
        caller.sip.invite(callee.uri("tcp").partition(";")[0], SDP, caller="alice", headers=large)
        (invited,) = await callee.until(Invited)
        assert invited.flow.transport == "tcp"
        assert invited.request.via.transport == "TCP"
        await caller.until(Ended)


async def test_it_goes_by_udp_after_all_where_tcp_is_refused() -> None:
    """RFC 3261 18.1.1."""
    async with phone("udp", "tcp") as caller, phone("udp") as callee:
        large = [("X-Story", "x" * 1300)]
        caller.sip.invite(callee.uri("udp").partition(";")[0], SDP, caller="alice", headers=large)
        (invited,) = await callee.until(Invited)
        assert (invited.flow.transport, invited.request.via.transport) == ("udp", "UDP")
        await caller.until(Answered)
        assert (await callee.until(Ended))[0].by == "remote"


async def test_without_a_tcp_listener_nothing_changes() -> None:
    async with phone("udp") as caller, phone("udp", "tcp") as callee:
        caller.sip.invite(callee.uri("udp"), SDP, caller="alice", headers=[("X-Story", "x" * 1300)])
        (invited,) = await callee.until(Invited)
        assert invited.flow.transport == "udp"
        await caller.until(Ended)


async def test_a_transport_that_nothing_listens_with_is_one_clear_line() -> None:
    async with phone("udp") as caller:
        with pytest.raises(ResourceError, match=r"nothing listens with tcp here; add it to sip\.listen"):
            caller.sip.invite("sip:x@127.0.0.1;transport=TCP", SDP, caller="alice")


async def test_a_port_in_use_closes_what_was_opened_before() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = [Listen("udp", "127.0.0.1", 0), Listen("tcp", "127.0.0.1", taken.getsockname()[1])]
        with pytest.raises(ResourceError, match=r"cannot listen on tcp://127\.0\.0\.1:[0-9]+: the port is in use"):
            await open_endpoint(SignallingOptions(), listen=listen, on_event=lambda event: None)


async def test_a_fault_of_a_handler_does_not_close_the_connection() -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
    async with phone("tcp") as callee, line(callee) as peer:
        callee.sip.answer = None  # type: ignore[method-assign,assignment]
        peer.send(request("INVITE"))
        assert isinstance(await peer.message(), Response)
        peer.send(request(branch="2"))
        answer = await peer.message()
        assert isinstance(answer, Response)
        assert answer.status == 200
        assert faults[0]["message"] == "a SIP message was not handled"


async def test_closing_does_not_wait_for_a_connection_that_is_being_opened() -> None:
    async with phone("tcp") as caller:
        caller.sip.options_ping("sip:127.0.0.1:9")
        await asyncio.wait_for(caller.sip.close(patience=0), 1)


async def test_our_requests_name_the_transport() -> None:
    heard: asyncio.Future[Request] = asyncio.get_running_loop().create_future()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        message = await Line(reader, writer).message()
        assert isinstance(message, Request)
        heard.set_result(message)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with phone("tcp") as caller:
        caller.sip.options_ping(f"sip:127.0.0.1:{server.sockets[0].getsockname()[1]}")
        message = await asyncio.wait_for(heard, 5)
    port = caller.sip.local[1]
    assert (message.get("Via") or "").startswith(f"SIP/2.0/TCP 127.0.0.1:{port};branch=")
    assert message.get("Contact") == f"<sip:127.0.0.1:{port};transport=tcp>"
    server.close()


async def test_a_peer_that_takes_the_connection_and_closes_it_has_refused() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with phone("tcp") as caller:
        caller.sip.invite(f"sip:x@127.0.0.1:{server.sockets[0].getsockname()[1]}", SDP, caller="alice")
        (ended,) = await caller.until(Ended)
        assert (ended.status, ended.reason) == (503, "the connection was closed before a word")
    server.close()


async def test_a_peer_that_stops_answering_pings_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 5626 4.4.1; the answer to the first ping shows that it is one that answers."""
    monkeypatch.setattr("gateway.net.connection._PONG_TIMEOUT", 0.05)
    pings = asyncio.Queue[bytes]()
    peers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer)
        while data := await reader.read(4096):
            pings.put_nowait(data)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with phone("tcp", streams={"keep_alive": "100ms"}) as caller:
        caller.sip.options_ping(f"sip:127.0.0.1:{port}")
        assert (await asyncio.wait_for(pings.get(), 5)).startswith(b"OPTIONS")
        assert await asyncio.wait_for(pings.get(), 5) == b"\r\n\r\n"
        peers[0].write(b"\r\n")
        (refused,) = await caller.until(Refused)
        assert refused.rule == "RFC 5626 4.4.1: no answer to a ping"
        peers[0].close()
    server.close()


async def test_a_peer_that_never_answers_pings_is_left_in_peace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.net.connection._PONG_TIMEOUT", 0.01)
    heard = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n" * 4)
        heard.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with phone("tcp", streams={"keep_alive": "100ms"}) as caller:
        caller.sip.options_ping(f"sip:127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await asyncio.wait_for(heard.wait(), 5)
        assert caller.events(Refused) == []
    server.close()
