"""Faults: as they are written, what the proxy does to connections, and that each is ended whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop
import yaml

from gateway.bench.runs.agent_file import read_agent_file
from gateway.bench.runs.faults.clock import FaultClock
from gateway.bench.runs.faults.options import FaultOptions, load_faults
from gateway.bench.runs.faults.proxy import FaultProxy
from gateway.config import loads
from gateway.errors import ConfigError
from gateway.units import SECOND
from tests.unit.bench.callers.virtual import run


def written(directory: Path, text: str) -> Path:
    path = directory / "faults.yaml"
    path.write_text(text)
    return path


def test_faults_are_read_in_the_order_of_time(tmp_path: Path) -> None:
    text = "- {at: 9s, drop: models}\n- {at: 2s, slow: deepgram, by: 100ms, for: 1s}\n"
    slow, drop = load_faults(written(tmp_path, text))
    assert (slow.what, slow.target, slow.at, slow.by) == ("slow", "deepgram", 2 * SECOND, SECOND // 10)
    assert (drop.what, drop.target, drop.lasts) == ("drop", "models", False)
    assert load_faults(written(tmp_path, f"faults:\n  {text.splitlines()[0]}\n")) == [drop]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- {at: 1s}", "faults.yaml:1: a fault has one of"),
        ("- {at: 1s, drop: models}\n- {at: 1s, kill: models, stall: models}", "faults.yaml:2: a fault has one of"),
        ("- {at: 1s, restart: models}", "restart is done to the gateway"),
        ("- {at: 1s, kill: disk}", "a disk is filled"),
        ("- {at: 1s, kill: models, for: 11m}", "lasts longer than 600 s"),
        ("faults:\n  - {kill: models}", "faults.yaml:2: Field required"),
        ("- nonsense", "a fault is a block"),
    ],
)
def test_a_fault_that_makes_no_sense_is_told_by_its_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_faults(written(tmp_path, text))
    assert any(told in problem for problem in error.value.problems), error.value.problems


def test_a_file_without_faults_is_no_run_without_faults(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r":1: there are no faults in it"):
        load_faults(written(tmp_path, "name: pizza\nsteps: [listen]\n"))


# --- the proxy --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def echoing() -> AsyncIterator[tuple[FaultProxy, int]]:
    """A server that sends back what it reads, behind a proxy."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    proxy = FaultProxy("127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        yield proxy, await proxy.start()
    finally:
        await proxy.stop()
        server.close()


async def test_bytes_pass_both_ways_and_the_end_as_well() -> None:
    async with echoing() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = bytes(range(256)) * 2000
        writer.write(sent)
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(-1), 10) == sent
        writer.close()


async def test_what_comes_back_is_late_and_in_order() -> None:
    async with echoing() as (proxy, port):
        proxy.delay_s = 0.2
        loop = asyncio.get_running_loop()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = loop.time()
        for number in range(5):
            writer.write(bytes([number]))
        assert await asyncio.wait_for(reader.readexactly(5), 10) == bytes(range(5))
        assert loop.time() - began >= 0.2
        writer.close()


@pytest.mark.parametrize("loop_kind", ["asyncio", "uvloop"])
def test_dropped_connections_are_gone_and_new_ones_are_taken(loop_kind: str) -> None:
    async def main() -> None:
        async with echoing() as (proxy, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            assert proxy.drop() == 1
            with suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"again")
            assert await asyncio.wait_for(reader.readexactly(5), 10) == b"again"
            writer.close()

    asyncio.run(main()) if loop_kind == "asyncio" else uvloop.run(main())


async def test_who_is_refused_reads_503() -> None:
    async with echoing() as (proxy, port):
        proxy.refusing = True
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /models HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n")
        assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 503 ")
        writer.close()


async def test_models_that_are_gone_end_the_connection() -> None:
    proxy = FaultProxy("127.0.0.1", 9)  # the discard port: nobody is there
    port = await proxy.start()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
    finally:
        await proxy.stop()


# --- the clock --------------------------------------------------------------------------------------------------------


class Patient:
    """Writes down what is done to it, on virtual time."""

    def __init__(self) -> None:
        self.loop: Any = asyncio.get_running_loop()
        self.origin = self.loop.time()
        self.log: list[tuple[str, str, float]] = []

    def elapsed_s(self) -> float:
        return float(self.loop.time() - self.origin)

    async def begin(self, fault: FaultOptions) -> None:
        self.log.append(("begin", fault.what, round(self.elapsed_s(), 3)))

    async def end(self, fault: FaultOptions) -> None:
        self.log.append(("end", fault.what, round(self.elapsed_s(), 3)))


def options(**keys: Any) -> FaultOptions:
    return FaultOptions.model_validate(keys)


def test_faults_happen_at_their_time_and_end_at_theirs() -> None:
    async def main() -> tuple[Patient, FaultClock]:
        patient = Patient()
        stall = options(at="10s", stall="models", **{"for": "5s"})
        clock = FaultClock(patient, [stall, options(at="12s", drop="models")], patient.elapsed_s)
        await clock.run()
        return patient, clock

    patient, clock = run(main())
    assert patient.log == [("begin", "stall", 10.0), ("begin", "drop", 12.0), ("end", "stall", 15.0)]
    assert [(one.what, one.at_s, one.until_s) for one in clock.done] == [("stall", 10.0, 15.0), ("drop", 12.0, None)]


def test_a_run_that_ends_early_ends_its_faults() -> None:
    async def main() -> Patient:
        patient = Patient()
        clock = FaultClock(patient, [options(at="1s", stall="models", **{"for": "60s"})], patient.elapsed_s)
        task = asyncio.create_task(clock.run())
        await asyncio.sleep(3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(1)
        return patient

    assert run(main()).log == [("begin", "stall", 1.0), ("end", "stall", 3.0)]


# --- the agent's configuration ----------------------------------------------------------------------------------------


def test_a_configuration_is_moved_to_ports_and_a_directory_of_the_run(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(
        Path("config/linecard.yaml")
        .read_text()
        .replace("plug: pizza}", 'plug: pizza, recording: {file: "/rec/{call_id}"}}')
    )
    file = read_agent_file(path)
    assert (file.number, file.own_models) == ("pizza", ["embedded"])
    moved = file.moved(5099, {"embedded": "ws://127.0.0.1:9999/"}, tmp_path)
    assert moved["sip"]["listen"] == "udp://127.0.0.1:5099"
    assert moved["providers"]["embedded"]["url"] == "ws://127.0.0.1:9999/"
    assert moved["records"]["database"] == str(tmp_path / "calls.sqlite")
    assert moved["routes"][0]["recording"]["file"] == str(tmp_path / "recordings" / "{call_id}")
    assert moved["plugs"] == file.raw["plugs"]


def test_a_configuration_without_anybody_who_talks_needs_a_number(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text("plugs: {echo: {kind: echo}}\nroutes: [{to: echo, plug: echo}]\n")
    with pytest.raises(ConfigError, match="name a number"):
        read_agent_file(path)
    assert read_agent_file(path, "echo").number == "echo"


def test_a_moved_configuration_is_valid_again(tmp_path: Path) -> None:
    file = read_agent_file(Path("config/linecard.yaml"))
    loads(yaml.safe_dump(file.moved(5099, {"embedded": "ws://127.0.0.1:9999/"}, tmp_path)))
