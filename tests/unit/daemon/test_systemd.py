from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.daemon.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A service manager's socket, and its address as NOTIFY_SOCKET carries it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        if request.param == "path":
            address = str(tmp_path / "notify")
            listener.bind(address)
        else:
            listener.bind(f"\0linecard-test-{os.getpid()}")
            address = f"@linecard-test-{os.getpid()}"
        listener.setblocking(False)
        yield listener, address


def told(listener: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(listener.recv(4096).decode())
        except BlockingIOError:
            return messages


def test_states_arrive_as_datagrams(manager: tuple[socket.socket, str]) -> None:
    listener, address = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address})
    notifier.ready("taking calls")
    notifier.status("3 calls")
    notifier.stopping("draining\nREADY=1")
    assert told(listener) == ["READY=1\nSTATUS=taking calls", "STATUS=3 calls", "STOPPING=1\nSTATUS=draining READY=1"]


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({"WATCHDOG_USEC": "2000000"}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "x"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_armed_by_the_environment(environ: dict[str, str], interval: float | None) -> None:
    assert Notifier.from_environment(environ).interval == interval


async def test_a_live_loop_feeds_the_watchdog(manager: tuple[socket.socket, str]) -> None:
    listener, address = manager
    feeding = asyncio.create_task(Notifier(address, 0.02).watchdog())
    for _ in range(3):
        assert await asyncio.get_running_loop().sock_recv(listener, 100) == b"WATCHDOG=1"
    feeding.cancel()


async def test_a_loop_that_hangs_does_not(manager: tuple[socket.socket, str]) -> None:
    listener, address = manager
    feeding = asyncio.create_task(Notifier(address, 0.02).watchdog())
    await asyncio.get_running_loop().sock_recv(listener, 100)
    time.sleep(0.1)  # what is tested: the loop itself hangs
    assert told(listener) == []
    feeding.cancel()


async def test_a_sick_daemon_does_not_either(manager: tuple[socket.socket, str]) -> None:
    listener, address = manager
    answers = iter([True, False, False, True])
    asked = asyncio.Event()

    def healthy() -> bool:
        answer = next(answers, None)
        if answer is None:
            asked.set()
        return bool(answer)

    feeding = asyncio.create_task(Notifier(address, 0.004).watchdog(healthy))
    await asyncio.wait_for(asked.wait(), 2)
    assert told(listener) == ["WATCHDOG=1", "WATCHDOG=1"]
    feeding.cancel()


async def test_without_a_manager_nothing_happens() -> None:
    notifier = Notifier.from_environment({})
    notifier.ready("x")
    notifier.stopping("x")
    await asyncio.wait_for(notifier.watchdog(), 1)


def test_a_manager_that_is_gone_is_no_error(tmp_path: Path) -> None:
    Notifier(str(tmp_path / "gone")).ready("x")


def test_a_manager_that_does_not_read_blocks_nobody(manager: tuple[socket.socket, str]) -> None:
    _, address = manager
    notifier = Notifier(address)
    begin = time.monotonic()
    for _ in range(5000):
        notifier.status("x" * 100)
    assert time.monotonic() - begin < 5
