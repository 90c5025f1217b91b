"""The caller's voice: a models process to synthesise it, an existing one or one of our own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from gateway.bench.callers.scenario import Scenario
from gateway.bench.callers.speech import synthesise
from gateway.bench.children import Child
from gateway.errors import ProviderError
from gateway.providers.contract import Provider
from gateway.providers.native import SPEC

__all__ = ["MODELS_READY", "clips_for", "start_models"]

MODELS_READY: Final = ("models.ready",)
_START_LIMIT: Final = 20.0
_CONNECT_LIMIT: Final = 5.0
_STOP_GRACE: Final = 0.6


async def start_models(host: str = "127.0.0.1", port: int = 0) -> tuple[Child, str]:
    """``linecard models`` as a child, ready; and its URL. Raises ``ResourceError``."""
    child = await Child.start("linecard models", ["models", "--host", host, "--port", str(port)])
    try:
        ready = await child.ready(MODELS_READY, _START_LIMIT)
    except BaseException:
        await child.stop(_STOP_GRACE)
        raise
    return child, str(ready.fields["url"])


@asynccontextmanager
async def _own_models(url: str | None) -> AsyncIterator[str]:
    if url is not None:
        yield url
        return
    child, own = await start_models()
    try:
        yield own
    finally:
        await child.stop(_STOP_GRACE)


async def clips_for(scenario: Scenario, url: str | None) -> dict[str, bytes]:
    """Everything the caller will say. Without a URL a models process is started for it, and ended.

    Raises ``ProviderError`` or ``ResourceError``.
    """
    async with _own_models(url) as at:
        provider = SPEC.create("voice", SPEC.options.model_validate({"url": at}))
        await provider.start()
        try:
            return await _synthesise(provider, scenario)
        finally:
            await provider.close()


async def _synthesise(provider: Provider, scenario: Scenario) -> dict[str, bytes]:
    """A provider connects in the background and says so by failing transiently until it has."""
    deadline = asyncio.get_running_loop().time() + _CONNECT_LIMIT
    while True:
        try:
            return await synthesise(provider, scenario.texts(), scenario.level_dbfs)
        except ProviderError as error:
            if not error.transient or asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.05)
