"""Networks of their own (Linux network namespaces): a NAT between us and a registrar, and a server that goes dark.

caller 10.77.1.2 ── 10.77.1.1 NAT 10.77.2.1 ── 10.77.2.2 carrier        (masquerading, bindings of 2 s)
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def _may() -> bool:
    """Namespaces need root, and not every container lets root have them."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("nft") is None:
        return False
    name = f"lc-probe-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return False
    works = subprocess.run(["ip", "netns", "exec", name, "nft", "list", "tables"], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return works.returncode == 0


pytestmark = [pytest.mark.interop, pytest.mark.skipif(not _may(), reason="needs root, iproute2 and nftables")]

PROGRAM = Path(__file__).with_name("namespace_peer.py")


class Net:
    """Namespaces with names of their own; everything in them ends with them."""

    def __init__(self) -> None:
        self._suffix = f"-{os.getpid()}"
        self.names: list[str] = []

    def add(self, name: str) -> None:
        self.names.append(name)
        self.run("ip", "netns", "add", self._name(name))
        self.inside(name, "ip", "link", "set", "lo", "up")

    def wire(self, one: str, address: str, other: str, far: str) -> None:
        """A cable between two of them."""
        ends = f"{one[:4]}{other[:4]}", f"{other[:4]}{one[:4]}"
        self.run("ip", "link", "add", ends[0], "netns", self._name(one), "type", "veth", "peer", "name", ends[1],
                 "netns", self._name(other))  # fmt: skip
        for name, end, its in ((one, ends[0], address), (other, ends[1], far)):
            self.inside(name, "ip", "address", "add", f"{its}/24", "dev", end)
            self.inside(name, "ip", "link", "set", end, "up")

    def inside(self, name: str, *command: str) -> None:
        self.run("ip", "netns", "exec", self._name(name), *command)

    def program(self, name: str, *arguments: str) -> list[str]:
        return ["ip", "netns", "exec", self._name(name), sys.executable, str(PROGRAM), *arguments]

    def run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=20)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"

    def close(self) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "del", self._name(name)], capture_output=True, check=False, timeout=20)

    def _name(self, name: str) -> str:
        return f"lc-{name}{self._suffix}"


@pytest.fixture
def net() -> Iterator[Net]:
    made = Net()
    try:
        yield made
    finally:
        made.close()


class Peer:
    """``namespace_peer.py`` in one of them: a line of JSON for each thing that happens."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, net: Net, name: str, *arguments: str) -> Peer:
        process = await asyncio.create_subprocess_exec(
            *net.program(name, *arguments), stdout=subprocess.PIPE, stdin=subprocess.PIPE
        )
        peer = cls(process)
        await peer.until("ready")
        return peer

    async def until(self, what: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            while line := await self.process.stdout.readline():
                told: dict[str, Any] = json.loads(line)
                if told["event"] == what:
                    return told
        raise AssertionError(f"ended without {what!r}")

    async def stop(self) -> None:
        """Its standard input ends, and so does it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), 15)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


async def test_a_call_finds_its_way_back_through_a_nat(net: Net) -> None:
    """The NAT forgets a binding after 2 s of silence. rport shows the registrar where we are, an empty datagram each
    second keeps that place, and 6 s later a call comes in by it."""
    for name in ("caller", "nat", "carrier"):
        net.add(name)
    net.wire("caller", "10.77.1.2", "nat", "10.77.1.1")
    net.wire("nat", "10.77.2.1", "carrier", "10.77.2.2")
    net.inside("caller", "ip", "route", "add", "default", "via", "10.77.1.1")
    net.inside("nat", "sysctl", "-qw", "net.ipv4.ip_forward=1")
    rules = "table ip lc { chain post { type nat hook postrouting priority 100; oifname natcarr masquerade random; }; }"
    net.inside("nat", "nft", rules)
    for key in ("udp_timeout", "udp_timeout_stream"):
        net.inside("nat", "sysctl", "-qw", f"net.netfilter.nf_conntrack_{key}=2")
    carrier = await Peer.start(net, "carrier", "registrar", "10.77.2.2")
    caller = await Peer.start(net, "caller", "account", "10.77.1.2", "10.77.2.2")
    try:
        bound = await carrier.until("bound")
        assert bound["source"] == "10.77.2.1"
        assert (await caller.until("invited"))["source"] == "10.77.2.2"
        assert (await carrier.until("answered"))["after_s"] >= 6
    finally:
        await caller.stop()
        await carrier.stop()


async def test_a_server_that_goes_dark(net: Net) -> None:
    """No ICMP, no answer: its cable is cut. The call reaches the other one; the next call goes there at once."""
    for name in ("caller", "one", "two"):
        net.add(name)
    net.wire("caller", "10.77.3.1", "one", "10.77.3.2")
    net.wire("caller", "10.77.4.1", "two", "10.77.4.2")
    one = await Peer.start(net, "one", "answer", "10.77.3.2", "10.77.3.1")
    two = await Peer.start(net, "two", "answer", "10.77.4.2", "10.77.4.1")
    caller = await Peer.start(net, "caller", "dial", "0.0.0.0", "10.77.3.2", "10.77.4.2")
    try:
        assert (await caller.until("answered"))["by"] == "10.77.3.2"
        net.inside("one", "nft", "table ip lc { chain in { type filter hook input priority 0; policy drop; }; }")
        assert caller.process.stdin is not None
        caller.process.stdin.write(b"\n")
        second = await caller.until("answered")
        caller.process.stdin.write(b"\n")
        third = await caller.until("answered")
        assert (second["by"], third["by"]) == ("10.77.4.2", "10.77.4.2")
        assert second["tries"] > third["tries"] == 1
    finally:
        for peer in (caller, one, two):
            await peer.stop()
