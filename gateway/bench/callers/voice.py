"""The caller's voice: a models process to synthesise it, an existing one or one of our own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from gateway.bench.callers.clip_cache import ClipCache
from gateway.bench.callers.noise import behind
from gateway.bench.callers.scenario import Scenario
from gateway.bench.callers.speech import prepare, read_wav, synthesise
from gateway.bench.callers.steps import Behind
from gateway.bench.children import Child
from gateway.errors import ConfigError, ProviderError
from gateway.providers.contract import Provider
from gateway.providers.native import SPEC

__all__ = ["MODELS_READY", "clips_for", "start_models"]

MODELS_READY: Final = ("models.ready",)
_START_LIMIT: Final = 20.0
_CONNECT_LIMIT: Final = 5.0
_STOP_GRACE: Final = 0.6
_OURS: Final = "en"
"""Of the embedded dialogue, in which a models process is asked to speak whatever its voice is."""


async def start_models(host: str = "127.0.0.1", port: int = 0, voice: str | None = None) -> tuple[Child, str]:
    """``linecard models`` as a child, ready; and its URL. Raises ``ResourceError``."""
    arguments = ["models", "--host", host, "--port", str(port)]
    if voice is not None:
        arguments += ["--voice", voice]
    child = await Child.start("linecard models", arguments)
    try:
        ready = await child.ready(MODELS_READY, _START_LIMIT)
    except BaseException:
        await child.stop(_STOP_GRACE)
        raise
    return child, str(ready.fields["url"])


@asynccontextmanager
async def _models(url: str | None, voice: str | None) -> AsyncIterator[str]:
    """A voice of its own needs a process of its own: a models server speaks with one."""
    if url is not None and voice is None:
        yield url
        return
    child, own = await start_models(voice=voice)
    try:
        yield own
    finally:
        await child.stop(_STOP_GRACE)


async def clips_for(scenario: Scenario, url: str | None, cache: ClipCache | None = None) -> dict[str, bytes]:
    """Everything that the caller will say, and what is behind it, by ``Speech.key`` and ``Behind.key``. Without a URL,
    or for a voice or language of its own, a models process is started, and ended.

    Raises ``ConfigError`` for a recording that cannot be used, ``ProviderError`` or ``ResourceError``.
    """
    clips: dict[str, bytes] = {}
    for speech in scenario.speeches():
        if speech.wav is not None:
            clips[speech.key] = _recorded(speech.wav, scenario.level_dbfs)
    if any(True for _ in scenario.texts()):
        clips |= await _spoken(scenario, url, cache or ClipCache())
    for step in scenario.steps:
        if isinstance(step, Behind) and step.noise != "off":
            clips[step.key] = behind(step, list(clips.values()))
    return clips


def _recorded(path: Path, level_dbfs: float) -> bytes:
    try:
        return prepare(read_wav(path), level_dbfs)
    except ProviderError as error:
        raise ConfigError([f"{path}: {error}"]) from error


async def _spoken(scenario: Scenario, url: str | None, cache: ClipCache) -> dict[str, bytes]:
    foreign = not scenario.language.lower().startswith(_OURS)
    voice = scenario.voice or (scenario.language.lower() if foreign else None)
    async with _models(url, voice) as at:
        provider = SPEC.create("voice", SPEC.options.model_validate({"url": at}))
        await provider.start()
        try:
            return await _synthesise(provider, scenario, voice or "", cache)
        finally:
            await provider.close()


async def _synthesise(provider: Provider, scenario: Scenario, voice: str, cache: ClipCache) -> dict[str, bytes]:
    """A provider connects in the background and says so by failing transiently until it has."""
    deadline = asyncio.get_running_loop().time() + _CONNECT_LIMIT
    while True:
        try:
            return await synthesise(provider, scenario.texts(), scenario.level_dbfs, voice=voice, kept=cache)
        except ProviderError as error:
            if not error.transient or asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.05)
