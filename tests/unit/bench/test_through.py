"""A synthetic call is dialled as the trunk wants it, and a far end that is dead is given up in time."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from gateway import cli
from gateway.bench.host import CallerHost, find
from gateway.bench.scenario import load_scenario
from gateway.bench.through import find_through
from gateway.config import loads
from gateway.errors import ConfigError, RemoteError
from gateway.units import MS, Nanos

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


@pytest.mark.parametrize(
    "arguments",
    [
        ["pizza"],
        ["http://127.0.0.1"],
        ["sip:a b@c"],
        ["sip:a@b", "--give-up", "5"],
        ["1", "--trunk", "nobody", "--config", "FILE"],
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "linecard.yaml").write_text(CONFIG)
    given = [str(tmp_path / "linecard.yaml") if one == "FILE" else one for one in arguments]
    assert cli.main(["call", *given]) == 2
