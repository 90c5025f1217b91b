"""HTTP of a provider: one warm pool of connections, and answers that are read as they come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from gateway.errors import ProviderError
from gateway.providers import faults
from gateway.providers.dialect import HttpReply, HttpRequest
from gateway.providers.options import dumps
from gateway.providers.sessions.link import tls
from gateway.units import SECOND, Nanos

__all__ = ["Answer", "Http", "Progress"]

_KEEP: Final = 75.0
"""Seconds that an idle connection is kept; servers of the field close theirs after 60 to 120, and a closed one is
noticed before it is used."""
_DRAIN: Final = 1.0
_REFUSAL_BYTES: Final = 64 * 1024
_ANSWER_BYTES: Final = 1024 * 1024


class Progress:
    """A limit of time that begins anew with each piece."""

    def __init__(self, limit: Nanos) -> None:
        self._seconds = limit / SECOND
        self._timeout = asyncio.timeout(self._seconds)

    async def __aenter__(self) -> Progress:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._timeout.__aexit__(*error)  # type: ignore[arg-type]

    def made(self) -> None:
        if not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._seconds)

    def pause(self) -> None:
        """Until the next ``made``: what is waited for is not the provider's affair."""
        self._timeout.reschedule(None)


class Answer:
    """The head, and the body in pieces as they arrive."""

    def __init__(self, name: str, response: aiohttp.ClientResponse) -> None:
        self._name = name
        self._response = response
        self.head = HttpReply({key.lower(): value for key, value in response.headers.items()})

    async def pieces(self) -> AsyncIterator[bytes]:
        """Raises ``ProviderError`` if the body breaks off."""
        try:
            async for piece in self._response.content.iter_any():
                yield piece
        except (aiohttp.ClientError, OSError) as error:
            raise ProviderError(self._name, f"the answer broke off: {error}", transient=True) from error

    async def drain(self) -> None:
        """Reads what follows the last word, for a moment: a connection whose answer was read whole is used again."""
        try:
            async with asyncio.timeout(_DRAIN):
                async for _ in self._response.content.iter_any():
                    pass
        except (TimeoutError, aiohttp.ClientError, OSError):
            self._response.close()


class Http:
    """The connections of one provider. Closing an answer before its end closes its connection: that is how every
    provider is told to stop."""

    def __init__(self, name: str, *, connect: Nanos) -> None:
        self._name = name
        self._connect = connect / SECOND
        self._session: aiohttp.ClientSession | None = None
        self._used = -_KEEP

    @asynccontextmanager
    async def post(self, request: HttpRequest) -> AsyncIterator[Answer]:
        """Raises ``ProviderError`` for a refusal, and if nothing can be reached."""
        session = self._open()
        self._used = asyncio.get_running_loop().time()
        try:
            # A redirect is a refusal: the key is for the host that it was written for.
            async with session.post(
                request.url, data=dumps(request.body).encode(), headers=dict(request.headers), allow_redirects=False
            ) as response:
                if response.status >= 300:
                    raise await self._refused(response)
                yield Answer(self._name, response)
        except (aiohttp.ClientError, OSError) as error:
            raise ProviderError(self._name, f"cannot be reached: {error}", transient=True) from error

    async def ask(self, request: HttpRequest) -> Any:
        """The JSON of a short answer, within the time for connecting. Raises ``ProviderError``, and ``ValueError`` for
        what is no JSON."""
        try:
            async with asyncio.timeout(self._connect), self.post(request) as answer:
                body = bytearray()
                async for piece in answer.pieces():
                    body += piece
                    if len(body) > _ANSWER_BYTES:
                        raise ValueError("the answer is too long")
        except TimeoutError as error:
            raise ProviderError(self._name, "no answer in time", transient=True) from error
        return json.loads(body)

    def open(self) -> None:
        """Makes the pool, so that no call waits for the certificates of the authorities to be read."""
        self._open()

    async def warm(self, url: str) -> None:
        """Connects to the host while the phone rings: shaking hands with it takes as long as a first token. What it
        answers is of no interest."""
        now = asyncio.get_running_loop().time()
        if now - self._used < _KEEP / 2:
            return
        self._used = now
        parts = urlsplit(url)
        try:
            async with self._open().head(f"{parts.scheme}://{parts.netloc}/", allow_redirects=False) as response:
                await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError):
            self._used = -_KEEP

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            # The limits of a provider are the router's affair, not those of a pool of sockets.
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP, ssl=tls(), ttl_dns_cache=300)
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None, connect=self._connect),
                skip_auto_headers=("User-Agent",),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def _refused(self, response: aiohttp.ClientResponse) -> ProviderError:
        body = await response.content.read(_REFUSAL_BYTES)
        headers = {key.lower(): value for key, value in response.headers.items()}
        return faults.to_error(self._name, faults.http_fault(response.status, headers, body))
