"""A provider that is left alone is probed until it is back, every time."""

from __future__ import annotations

import asyncio
import random

from gateway.errors import ProviderError
from gateway.providers.router.breaker import State
from gateway.providers.router.options import BreakerOptions, UpstreamOptions
from gateway.providers.router.upstream import Upstream
from gateway.units import Nanos
from tests.unit.plugs.desk import Provider

AT = Nanos(0)
BROKEN = ProviderError("models", "gone", transient=True)


class Probed(Provider):
    """Tells when a probe was answered, before anybody else can act on it."""

    def __init__(self) -> None:
        super().__init__()
        self.probes = 0

    async def open_realtime(self, *arguments: object, **more: object) -> object:  # type: ignore[override]
        self.probes += 1
        return await super().open_realtime(*arguments, **more)  # type: ignore[arg-type]


async def test_a_breaker_that_opens_as_its_probe_ends_is_probed_again() -> None:
    provider = Probed()
    upstream = Upstream(
        provider,
        UpstreamOptions(breaker=BreakerOptions(failures=1, pause="1ms")),  # type: ignore[arg-type]
        jitter=random.Random(1),
    )
    health = upstream.health("realtime")
    closed = asyncio.Event()
    probed = health.breaker.probed

    def and_fail_at_once(*arguments: object, **more: object) -> None:
        """Calls whose requests were under way fail in the same round of the loop."""
        probed(*arguments, **more)  # type: ignore[arg-type]
        if provider.probes == 1:
            asyncio.get_running_loop().call_soon(health.failed, BROKEN, AT)
        else:
            closed.set()

    health.breaker.probed = and_fail_at_once  # type: ignore[method-assign]
    health.failed(BROKEN, AT)
    assert health.breaker.state is State.OPEN
    async with asyncio.timeout(5):
        await closed.wait()
    assert provider.probes == 2
    await upstream.close()
