"""A synthetic call is dialled as the trunk wants it, and a far end that is dead is given up in time."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from gateway import cli
from gateway.bench import call
from gateway.bench.callers.caller import Target
from gateway.bench.callers.host import CallerHost, alternatives, find
from gateway.bench.callers.scenario import load_scenario
from gateway.bench.callers.through import find_through
from gateway.config import loads
from gateway.errors import ConfigError, RemoteError
from gateway.net.endpoint import open_endpoint
from gateway.net.options import SignallingOptions, TlsOptions
from gateway.net.transport import Listen
from gateway.sip.events import Ended, Event, Invited
from gateway.sip.flow import Hop
from gateway.units import MS, SECOND, Nanos
from tests.unit.net.certificates import Authority, needs_openssl

CONFIG = """
sip: {listen: [udp://127.0.0.1:5060, tcp://127.0.0.1:5060]}
trunks:
  - {name: inbound, from: [10.0.0.0/8]}
  - name: carrier
    targets: [{uri: "sip:127.0.0.1:5099;transport=tcp"}]
    numbers: {region: DE, format: plain}
    caller_id: {allowed: ["+4930*"], default: "+4930991234"}
    patience: 700ms
"""


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The command sets up the log of its process, which is ours."""
    root = logging.getLogger()
    before = root.handlers, root.level
    yield
    structlog.reset_defaults()
    root.handlers, root.level = before


async def test_the_trunk_says_how() -> None:
    target = await find_through(loads(CONFIG), "carrier", "030 12345678", None, None)
    assert target.uri == "sip:493012345678@127.0.0.1:5099;transport=tcp"
    assert (target.remote, target.transport, target.patience) == (("127.0.0.1", 5099), "tcp", 700 * MS)
    assert target.dial
    assert target.dial.user == "4930991234"


def test_more_servers_of_the_same_name_are_asked_by_the_same_socket() -> None:
    first = Hop("udp", ("192.0.2.1", 5060))
    others = [Hop("udp", ("192.0.2.2", 5060)), Hop("tcp", ("192.0.2.3", 5060)), Hop("udp", ("2001:db8::1", 5060))]
    assert alternatives(first, others) == (("192.0.2.2", 5060),)


async def test_a_server_that_is_dead_is_followed_by_the_next() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        remote = gone.getsockname()
    async with open_far_end() as (port, invited):
        target = Target("sip:x@127.0.0.1", remote, others=(("127.0.0.1", port),), patience=Nanos(5 * SECOND))
        async with CallerHost(target) as host:
            call = host.invite(target, b"", "caller", lambda event: None)
            await asyncio.wait_for(invited.wait(), 20)
            host.hang_up(call, "enough")


@asynccontextmanager
async def open_far_end() -> AsyncIterator[tuple[int, asyncio.Event]]:
    invited = asyncio.Event()
    listen = [Listen("udp", "127.0.0.1", 0)]
    sip = await open_endpoint(SignallingOptions(), listen=listen, on_event=lambda event: invited.set())
    try:
        yield sip.local[1], invited
    finally:
        await sip.close()


async def test_what_the_trunk_does_not_allow_is_not_dialled() -> None:
    with pytest.raises(ConfigError, match="there are: carrier"):
        await find_through(loads(CONFIG), "inbound", "1", None, None)
    with pytest.raises(RemoteError, match=r"caller_id\.allowed"):
        await find_through(loads(CONFIG), "carrier", "1", "+4940", None)


async def test_a_dead_address_is_given_up_in_time() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        target = await find(f"sip:nobody@127.0.0.1:{silent.getsockname()[1]}", Nanos(200 * MS))
        async with CallerHost(target) as host:
            caller = host.caller(load_scenario("pizza"), {})
            result = await caller.run(target)
    assert result.failure == "not answered: 408 no answer to INVITE"


@needs_openssl
@pytest.mark.parametrize(
    ("uri", "trust", "status"),
    [
        ("sips:pizza@localhost:{port}", "ca", 603),
        ("sip:pizza@localhost:{port};transport=tls", "ca", 603),
        ("sips:pizza@localhost:{port}", "insecure", 603),
        ("sips:pizza@127.0.0.1:{port}", "insecure", 603),
        ("sips:pizza@127.0.0.1:{port}", "ca", 503),  # the certificate is for localhost
        ("sips:pizza@localhost:{port}", "", 503),  # nobody on this machine knows who has signed it
    ],
)
async def test_a_call_over_tls_needs_no_configuration_and_believes_nobody_unasked(
    tmp_path: Path, uri: str, trust: str, status: int
) -> None:
    authority = Authority(tmp_path)
    tls = TlsOptions.model_validate(authority.options("far", "DNS:localhost"))

    def refuse(event: Event) -> None:
        if isinstance(event, Invited):
            sip.reject(event.call, 603, "no")

    listen = [Listen("tls", "127.0.0.1", 0)]
    sip = await open_endpoint(SignallingOptions(tls=tls), listen=listen, on_event=refuse)
    try:
        target = await find(uri.format(port=sip.local[1]), Nanos(10 * SECOND))
        ca = str(authority.certificate) if trust == "ca" else None
        ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()

        def told(event: Event) -> None:
            if isinstance(event, Ended):
                ended.set_result(event)

        async with CallerHost(target, believes=call.trust(ca, insecure=trust == "insecure")) as host:
            host.invite(target, b"", "caller", told)
            assert (await asyncio.wait_for(ended, 20)).status == status
    finally:
        await sip.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ["pizza"],
        ["http://127.0.0.1"],
        ["sip:a b@c"],
        ["sip:a@b", "--give-up", "5"],
        ["1", "--trunk", "nobody", "--config", "FILE"],
        ["sips:a@b", "--ca", "nowhere.pem"],
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "linecard.yaml").write_text(CONFIG)
    given = [str(tmp_path / "linecard.yaml") if one == "FILE" else one for one in arguments]
    assert cli.main(["call", *given]) == 2
