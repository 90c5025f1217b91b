"""The daemon: puts the house together, takes calls until it is told to stop, and takes the house apart again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import structlog

from gateway import __version__
from gateway.call.decision import Policy
from gateway.call.explain import Explanation
from gateway.call.gate import Gate
from gateway.call.health import Health
from gateway.call.house import House, untraced
from gateway.call.outbound import Outbound
from gateway.call.overload import Overload
from gateway.call.registrations import Registrations
from gateway.call.switchboard import Switchboard
from gateway.config import Config
from gateway.config.addresses import advertised, endpoint_options
from gateway.config.blocks import find_spec
from gateway.daemon.garbage import Housekeeping
from gateway.daemon.health import MediaHealth
from gateway.daemon.systemd import Notifier
from gateway.errors import ResourceError
from gateway.media.codecs.contract import Codecs
from gateway.media.plane import MediaPlane
from gateway.media.srtp import load_srtp
from gateway.net.endpoint import EndpointDriver, open_endpoint
from gateway.plugs.contract import Plug, Prepares
from gateway.providers.router.options import UpstreamOptions
from gateway.providers.router.upstream import Upstream
from gateway.records.opening import open_records
from gateway.records.writer import Records
from gateway.sip.events import Event
from gateway.sip.message import Request
from gateway.sip.uri import join_host_port
from gateway.sip.values import plain
from gateway.units import SECOND

if TYPE_CHECKING:
    from gateway.daemon.telemetry import Telemetry
    from gateway.daemon.tracing import Tracing

__all__ = ["run"]

_PATIENCE: Final = 0.6
"""Seconds for the calls to end in when the daemon stops: a hang-up and its answer, no more."""


async def run(config: Config) -> int:
    """Takes calls until SIGTERM or SIGINT. Raises ``ResourceError`` if a port or file cannot be had."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    notifier = Notifier.from_environment()
    async with AsyncExitStack() as stack:
        plane, sip = await _open(config, stack)
        housekeeping = Housekeeping(lambda: sip.calls)
        housekeeping.start()
        stack.push_async_callback(housekeeping.close)
        address = advertised(config)
        structlog.get_logger().info(
            "ready",
            version=__version__,
            sip=" ".join(f"{name}:{join_host_port(local)}" for name, local in sip.listeners),
            contact=address.contact,
        )
        notifier.ready(f"taking calls at {address.contact}")
        watchdog = loop.create_task(notifier.watchdog(MediaHealth(plane.costs, config.media.shards, time.monotonic_ns)))
        await stop.wait()
        structlog.get_logger().info("stopping")
        notifier.stopping("calls are hung up")
        watchdog.cancel()
        await asyncio.gather(watchdog, return_exceptions=True)
    structlog.get_logger().info("stopped")
    return 0


async def _open(config: Config, stack: AsyncExitStack) -> tuple[MediaPlane, EndpointDriver]:
    """Opens everything in the order in which a call needs it; the stack closes it in reverse."""
    tracing = _make_tracing(config)
    records = open_records(config.records, *([tracing] if tracing is not None else []))
    records.start()
    stack.callback(records.close)
    providers = await _start_providers(config, stack)
    if any(trunk.srtp != "off" for trunk in config.trunks):
        structlog.get_logger().info("srtp.loaded", library=load_srtp())
    plane = MediaPlane(config.media)
    if any(trunk.srtp != "off" and "dtls" in trunk.srtp_keys for trunk in config.trunks):
        structlog.get_logger().info("dtls.ready", fingerprint=plane.fingerprint)
    plane.start()
    stack.push_async_callback(plane.stop)
    telemetry = None
    if config.telemetry.listen is not None:
        telemetry = await _open_telemetry(config.telemetry.listen, plane, config.media.shards, records, providers)
        stack.push_async_callback(telemetry.close)
    sip = await _listen(config, stack, plane, providers, records, telemetry=telemetry, tracing=tracing)
    return plane, sip


def _make_tracing(config: Config) -> Tracing | None:
    """Imported by who wants it, as it costs; raises ``ResourceError`` where it is not installed."""
    options = config.telemetry.tracing
    if options is None:
        return None
    try:
        from gateway.daemon.tracing import Tracing
    except ImportError as error:
        raise ResourceError(
            "telemetry.tracing: OpenTelemetry is not installed: pip install 'linecard[tracing]'"
        ) from error
    return Tracing(options, redact=config.log.redact)


async def _open_telemetry(
    listen: tuple[str, int], plane: MediaPlane, shards: int, records: Records, providers: Mapping[str, Upstream]
) -> Telemetry:
    """Imported by who wants it: a gateway that nobody watches carries neither HTTP server nor counters."""
    from gateway.daemon.metrics import Metrics
    from gateway.daemon.providers import ProviderFigures
    from gateway.daemon.telemetry import Telemetry

    metrics = Metrics(plane.costs, lambda: records.lost)
    metrics.add(ProviderFigures(providers))
    records.listen(metrics.hear)
    telemetry = Telemetry(metrics, MediaHealth(plane.costs, shards, time.monotonic_ns))
    await telemetry.start(*listen)
    structlog.get_logger().info("telemetry.ready", url=f"http://{join_host_port(telemetry.address)}/metrics")
    return telemetry


async def _start_providers(config: Config, stack: AsyncExitStack) -> Mapping[str, Upstream]:
    providers: dict[str, Upstream] = {}
    for name, block in config.providers.items():
        provider = Upstream(
            find_spec("providers", block.kind).create(name, block.options),
            cast("UpstreamOptions", block.options),
            fingerprint=f"{block.kind} {block.options.model_dump_json()}",
        )
        stack.push_async_callback(provider.close)
        await provider.start()
        providers[name] = provider
    return providers


def _prepare(
    plugs: Mapping[str, Plug], providers: Mapping[str, Upstream], cache: Path | None, stack: AsyncExitStack
) -> None:
    """Calls do not wait for it."""
    loop = asyncio.get_running_loop()
    tasks = [
        loop.create_task(plug.prepare(providers, cache), name=f"prepare {name}")
        for name, plug in plugs.items()
        if isinstance(plug, Prepares)
    ]

    async def stop() -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    stack.push_async_callback(stop)


def _tell_decision(request: Request, explanation: Explanation) -> None:
    """What ``linecard explain`` would say of this call."""
    decision, call_id = explanation.decision, plain(request.call_id)
    fields = {"status": decision.status, "steps": explanation.lines(), "not_taken": explanation.not_taken()}
    structlog.get_logger().debug("call.decided", call_id=call_id, **fields)


async def _listen(
    config: Config,
    stack: AsyncExitStack,
    plane: MediaPlane,
    providers: Mapping[str, Upstream],
    records: Records,
    *,
    telemetry: Telemetry | None,
    tracing: Tracing | None,
) -> EndpointDriver:
    """Signalling and switchboard know each other; no event comes before the loop runs again, so none is missed."""
    switchboard: Switchboard | None = None
    registrations: Registrations | None = None
    health: Health | None = None

    def on_event(event: Event) -> None:
        if switchboard is not None:
            switchboard.on_event(event)
        if registrations is not None:
            registrations.on_event(event)
        if health is not None:
            health.on_event(event)

    overload = Overload(config.limits)
    gate = Gate(
        Policy(config.trunks, config.routes, config.limits),
        config.authentication,
        key=os.urandom(32),
        overload=plane.overload,
        retry_after_s=config.media.admission.retry_after // SECOND,
        tell=_tell_decision if config.log.level == "debug" else None,
    )
    gate.occupancy.strain = overload.rule
    sip = await open_endpoint(
        endpoint_options(config), listen=config.sip.listen, on_event=on_event, admit=gate.admit, known=gate.knows,
        waited=overload.waited,
    )  # fmt: skip
    stack.push_async_callback(sip.close)
    plugs: dict[str, Plug] = {
        name: find_spec("plugs", block.kind).create(block.options) for name, block in config.plugs.items()
    }
    _prepare(plugs, providers, config.cache.place, stack)
    codecs = {trunk.name: Codecs(trunk.codecs).formats for trunk in config.trunks if trunk.codecs}
    media_host, kept = advertised(config).media_host, config.records.headers
    house = House(
        sip, plane, media_host, plugs, providers, records, config.limits, codecs, record_headers=kept,
        trace=tracing.begin if tracing is not None else untraced,
    )  # fmt: skip
    if any(route.capture for route in config.routes):
        sip.on_message = house.wiretap.on_message
    switchboard = Switchboard(house, gate.occupancy, gate.not_taken)
    outbound = Outbound(house, switchboard, gate.occupancy, config.trunks)
    overload.start()
    stack.push_async_callback(overload.close)
    health = Health(sip, outbound.trunks)
    stack.push_async_callback(health.close)
    health.start()
    stack.push_async_callback(switchboard.close, _PATIENCE)
    registrations = Registrations(sip, config.trunks)
    gate.registered_at = registrations.at
    stack.push_async_callback(registrations.close)
    registrations.start()
    if telemetry is not None:
        from gateway.daemon.trunks import TrunkFigures

        telemetry.watch(TrunkFigures(sip, registrations, outbound.trunks))
    return sip
