"""``/metrics`` and ``/health`` over HTTP, for the machines that watch this one."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from gateway.daemon.metrics import Metrics
from gateway.daemon.trunks import TrunkFigures
from gateway.errors import ResourceError

__all__ = ["Telemetry"]


class Telemetry:
    """A small HTTP server on the event loop; a scrape reads nothing that a packet waits for."""

    def __init__(self, metrics: Metrics, healthy: Callable[[], bool]) -> None:
        self._metrics = metrics
        self._healthy = healthy
        self._trunks: TrunkFigures | None = None
        application = web.Application(client_max_size=1024)
        application.router.add_get("/metrics", self._on_metrics)
        application.router.add_get("/health", self._on_health)
        self._runner = web.AppRunner(application, access_log=None, keepalive_timeout=75)
        self.address = ("", 0)

    def watch(self, trunks: TrunkFigures) -> None:
        """They come later than the first scrape may."""
        self._trunks = trunks
        self._metrics.add(trunks)

    async def start(self, host: str, port: int) -> None:
        """Raises ``ResourceError`` if the address cannot be had."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            reason = error.strerror or str(error)
            raise ResourceError(f"telemetry.listen: {host}:{port}: {reason}; choose another address or port") from error
        self.address = self._runner.addresses[0][:2]

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _on_metrics(self, request: web.Request) -> web.Response:
        body, content_type = self._metrics.exposition(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _on_health(self, _request: web.Request) -> web.Response:
        """503 when a media thread has stopped: what balances load sends its calls elsewhere. A trunk that is down is
        told of, and is no reason to leave the others."""
        healthy = self._healthy()
        more = self._trunks.summary() if self._trunks is not None else {}
        return web.json_response({"healthy": healthy, **more}, status=200 if healthy else 503)
