"""A server that knows docs/plug-protocol.md and nothing of ours, as a process of its own, in every role it claims."""

from __future__ import annotations

import ast
import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.providers.contract import Generated, Message, Speech, SpeechDone, Transcript
from gateway.providers.native import SPEC, NativeProvider
from gateway.units import Samples

SERVER = Path(__file__).with_name("third_party_server.py")


@pytest.fixture
async def server() -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(sys.executable, str(SERVER), "0", stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(10):
            port = int((await process.stdout.readline()).removeprefix(b"listening on "))
        yield f"ws://127.0.0.1:{port}/"
    finally:
        process.kill()
        await process.wait()


def test_it_imports_nothing_of_ours() -> None:
    imported = set()
    for node in ast.walk(ast.parse(SERVER.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported & set(sys.stdlib_module_names) == imported - {"websockets"}


async def test_one_call_in_all_its_roles(server: str) -> None:
    provider = SPEC.create("acme", SPEC.options.model_validate({"url": server}))
    assert isinstance(provider, NativeProvider)
    await provider.start()
    results: asyncio.Queue[Any] = asyncio.Queue()
    try:
        async with asyncio.timeout(10):
            stt = await provider.open_stt(results.put_nowait, rate=8000, language="en")
            stt.begin_turn(1, Samples(0))
            for n in range(50):
                stt.audio(bytes(320), Samples(160 * n), 0)
            stt.end_turn(1, Samples(8000))
            final = await results.get()
            assert final == Transcript(1, "1000 milliseconds", True, elapsed=final.elapsed)
            assert final.elapsed is not None

            llm = await provider.open_llm(results.put_nowait)
            llm.generate(1, [Message("user", "good bye")])
            assert (await results.get()).text + (await results.get()).text == "good bye"
            assert await results.get() == Generated(1)

            tts = await provider.open_tts(results.put_nowait, rate=8000, language="en")
            tts.speak(1, "ab")
            bursts = [await results.get(), await results.get()]
            assert [type(burst) for burst in bursts] == [Speech, Speech]
            assert await results.get() == SpeechDone(1)

            realtime = await provider.open_realtime(results.put_nowait, rate=16000)
            realtime.audio(b"ab" * 320, Samples(0), 0)
            assert (await results.get()).audio == b"ab" * 320
            assert await results.get() == SpeechDone(0)
    finally:
        await provider.close()
