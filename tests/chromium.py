"""A real browser for tests: headless Chromium, told what to do over its DevTools protocol.

``.ci/system chromium`` installs it; without it the tests that ask for it are skipped, unless LINECARD_REQUIRE_PEERS=1.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

__all__ = ["Page", "browser"]

_PATIENCE = 60.0
"""Seconds that a loaded machine may need for anything."""
_ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--mute-audio", "--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0")  # fmt: skip


class Page:
    """One tab. ``problems`` are errors of its console, ``requests`` all that it asked the network for."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self._session: dict[str, str] = {}
        self.problems: list[str] = []
        self.requests: list[str] = []

    async def read(self) -> None:
        """Until the browser closes the connection."""
        with suppress(ConnectionClosed):
            await self._hear_all()

    async def _hear_all(self) -> None:
        async for text in self._connection:
            message = json.loads(text)
            if "id" in message:
                self._waiting.pop(message["id"]).set_result(message)
            else:
                self._hear(message["method"], message.get("params", {}))

    def _hear(self, method: str, params: dict[str, Any]) -> None:
        match method:
            case "Page.loadEventFired":
                self._loaded.set()
            case "Runtime.exceptionThrown":
                self.problems.append(json.dumps(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in {"error", "warning", "assert"}:
                self.problems.append(json.dumps(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in {"error", "warning"}:
                self.problems.append(params["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])

    async def do(self, method: str, **params: Any) -> dict[str, Any]:
        """One command. Raises ``AssertionError`` if the browser refuses it."""
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": params, **self._session}
        await self._connection.send(json.dumps(message))
        async with asyncio.timeout(_PATIENCE):
            answer = await future
        assert "error" not in answer, answer
        return answer["result"]

    async def run(self, script: str) -> Any:
        """The value of an expression, awaited if it is a promise."""
        result = await self.do(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def open(self) -> None:
        """The tab. Raises ``AssertionError`` if there is none to be had."""
        target = await self.do("Target.createTarget", url="about:blank")
        attached = await self.do("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.do(f"{domain}.enable")

    async def show(self, path: Path, *, width: int = 1000, height: int = 900, dark: bool = False) -> None:
        """Loads a file, as a screen of that size shows it."""
        await self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.do("Emulation.setEmulatedMedia", media="", features=[scheme])
        self.problems.clear()
        self.requests.clear()
        self._loaded.clear()
        await self.do("Page.navigate", url=path.absolute().as_uri())
        async with asyncio.timeout(_PATIENCE):
            await self._loaded.wait()

    async def picture(self, path: Path, *, whole: bool = True) -> None:
        """A PNG of the page."""
        result = await self.do("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(result["data"]))


@asynccontextmanager
async def browser() -> AsyncIterator[Page]:
    """A browser of its own with one tab, gone at the end."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        if os.environ.get("LINECARD_REQUIRE_PEERS") == "1":
            pytest.fail("Chromium is not installed")
        pytest.skip("Chromium is not installed (.ci/system chromium)")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            program, *_ARGUMENTS, f"--user-data-dir={home}", "about:blank", stdout=quiet, stderr=asyncio.subprocess.PIPE
        )
        assert process.stderr is not None
        try:
            async with asyncio.timeout(_PATIENCE):
                address = await _address(process.stderr)
            async with asyncio.TaskGroup() as tasks, connect(address, max_size=None, proxy=None) as connection:
                tasks.create_task(_drain(process.stderr))
                page = Page(connection)
                tasks.create_task(page.read())
                await page.open()
                yield page
                process.kill()
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _address(output: asyncio.StreamReader) -> str:
    while line := (await output.readline()).decode():
        _, found, address = line.partition("DevTools listening on ")
        if found:
            return address.strip()
    raise AssertionError("Chromium has ended before it began")


async def _drain(output: asyncio.StreamReader) -> None:
    while await output.read(65536):
        pass
