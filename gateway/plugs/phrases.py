"""What a plug always says in the same words, synthesised before it is needed: no call waits for it, and it needs no
model.

On disk the audio lies under the hash of all that it depends on (the provider's whole configuration, language, rate,
text), so that a changed voice or text is made anew, and a restart finds what was made before.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog

from gateway.errors import ConfigError, ProviderError
from gateway.options import Options
from gateway.plugs.wav import Clip, read_wav, write_wav
from gateway.providers.contract import Failed, Speech, SpeechDone, TtsResult
from gateway.providers.router.upstream import Upstream

__all__ = ["CacheOptions", "Phrases", "in_language"]

_LIMIT: Final = 20.0
"""Seconds that a synthesis may take."""
_PAUSES: Final = (0.2, 30.0)
"""First and longest pause between attempts while no provider can do it."""


class CacheOptions(Options):
    """Audio that is made ahead, kept over restarts."""

    directory: Path | None = None
    """Where; it is made if it does not exist. None: the service's cache directory (systemd's `CacheDirectory`) if
    there is one, else the phrases of each plug are made anew at every start. Old files may be deleted at any time."""

    @property
    def place(self) -> Path | None:
        given = os.environ.get("CACHE_DIRECTORY")
        return self.directory or (Path(given) if given else None)


class Phrases:
    """``get`` answers at once; None until the phrase was made."""

    def __init__(self, texts: Iterable[str], *, language: str, rate: int) -> None:
        self._texts = list(dict.fromkeys(text for text in texts if text))
        self._language = language
        self._rate = rate
        self._made: dict[str, Clip] = {}
        self._log = structlog.get_logger()

    def get(self, text: str) -> Clip | None:
        return self._made.get(text)

    async def prepare(self, voices: Sequence[Upstream], directory: Path | None) -> None:
        """Until everything was made, by the first voice that can; cancelled when the daemon stops."""
        wanted = [text for text in self._texts if not self._found(text, voices, directory)]
        pause = _PAUSES[0]
        while wanted:
            left = [text for text in wanted if not await self._make(text, voices, directory)]
            if left == wanted:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _PAUSES[1])
            wanted = left

    def _found(self, text: str, voices: Sequence[Upstream], directory: Path | None) -> bool:
        """By the first voice alone: what another one said while it was down is made again."""
        path = self._path(text, voices[0], directory)
        if path is None or not path.exists():
            return False
        try:
            self._made[text] = read_wav(path)
        except ConfigError as error:  # cut short by a full disk, perhaps
            self._log.warning("cache.unreadable", reason=str(error))
            return False
        return True

    async def _make(self, text: str, voices: Sequence[Upstream], directory: Path | None) -> bool:
        for voice in voices:
            try:
                async with asyncio.timeout(_LIMIT):
                    clip = await self._synthesise(text, voice)
            except (ProviderError, TimeoutError) as error:
                self._log.debug("phrase.failed", provider=voice.name, reason=str(error))
                continue
            self._made[text] = clip
            self._keep(clip, self._path(text, voice, directory))
            return True
        return False

    async def _synthesise(self, text: str, voice: Upstream) -> Clip:
        results: asyncio.Queue[TtsResult] = asyncio.Queue()
        session = await voice.open_tts(results.put_nowait, rate=self._rate, language=self._language)
        pcm, rate = bytearray(), self._rate
        try:
            session.speak(1, text)
            while not isinstance(result := await results.get(), SpeechDone):
                if isinstance(result, Failed):
                    raise result.error
                if isinstance(result, Speech):
                    pcm += result.encoding.to_pcm(result.audio)
                    rate = result.rate
        finally:
            session.close()
        if not pcm:
            raise ProviderError(voice.name, "a phrase without audio", transient=True)
        return Clip(bytes(pcm), rate)

    def _path(self, text: str, voice: Upstream, directory: Path | None) -> Path | None:
        if directory is None:
            return None
        depends = "\0".join((voice.fingerprint, self._language, str(self._rate), text))
        return directory / f"{hashlib.sha256(depends.encode()).hexdigest()}.wav"

    def _keep(self, clip: Clip, path: Path | None) -> None:
        """A cache that cannot be written costs the next start some synthesis, and no call."""
        if path is None:
            return
        unfinished = path.with_suffix(f".{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_wav(unfinished, clip)
            unfinished.replace(path)
        except OSError as error:
            self._log.warning("cache.failed", reason=str(error))


def in_language(text: str | Mapping[str, str], language: str) -> str:
    """A text, or the one of several that fits: ``de-AT``, then ``de``, then the first."""
    if isinstance(text, str):
        return text
    first = next(iter(text.values()), "")
    return text.get(language) or text.get(language.partition("-")[0]) or first
