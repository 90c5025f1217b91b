"""The daemon as the service manager sees it: datagrams on a socket, and an exit status."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from tests.system.house import configuration, free_port

pytestmark = pytest.mark.interop


@asynccontextmanager
async def service(directory: Path, **environ: str) -> AsyncIterator[tuple[socket.socket, asyncio.subprocess.Process]]:
    """`linecard run` beside a socket that hears what it tells its manager."""
    config = configuration()
    config["sip"]["listen"] = f"udp://127.0.0.1:{free_port()}"
    del config["providers"], config["plugs"]["pizza"], config["routes"][0]
    (directory / "c.yaml").write_text(yaml.safe_dump(config))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(directory / "notify"))
        manager.setblocking(False)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "gateway.cli", "run", str(directory / "c.yaml")),
            stdout=asyncio.subprocess.DEVNULL,
            env={**os.environ, "NOTIFY_SOCKET": str(directory / "notify"), **environ},
        )
        try:
            yield manager, process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def hear(manager: socket.socket) -> str:
    async with asyncio.timeout(10):
        return (await asyncio.get_running_loop().sock_recv(manager, 4096)).decode()


async def test_ready_watchdog_stopping_and_a_clean_end(tmp_path: Path) -> None:
    async with service(tmp_path, WATCHDOG_USEC="500000") as (manager, process):
        assert (await hear(manager)).startswith("READY=1\nSTATUS=taking calls at 127.0.0.1:")
        for _ in range(4):
            assert await hear(manager) == "WATCHDOG=1"
        process.send_signal(signal.SIGTERM)
        while (told := await hear(manager)) == "WATCHDOG=1":
            pass
        assert told.startswith("STOPPING=1\n")
        assert await asyncio.wait_for(process.wait(), 5) == 0


async def test_without_a_watchdog_nobody_feeds_one(tmp_path: Path) -> None:
    async with service(tmp_path) as (manager, process):
        assert (await hear(manager)).startswith("READY=1")
        process.send_signal(signal.SIGINT)
        assert (await hear(manager)).startswith("STOPPING=1")
        assert await asyncio.wait_for(process.wait(), 5) == 0


async def test_a_port_in_use_is_never_ready(tmp_path: Path) -> None:
    async with service(tmp_path) as (manager, first):
        await hear(manager)
        second = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "gateway.cli", "run", str(tmp_path / "c.yaml")),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")},
        )
        try:
            _, errors = await asyncio.wait_for(second.communicate(), 10)
        finally:
            if second.returncode is None:
                second.kill()
        assert second.returncode == 1
        assert errors.decode().count("\n") == 1
        assert "port is in use" in errors.decode()
        with pytest.raises(BlockingIOError):
            manager.recv(4096)
        assert first.returncode is None
