"""The block ``telemetry``: where the gateway tells how it is."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from gateway.options import Options

__all__ = ["TelemetryOptions"]


def _address(value: object) -> tuple[str, int]:
    """``127.0.0.1:9464``, ``[::1]:9464``."""
    if isinstance(value, str):
        host, colon, port = value.rpartition(":")
        if colon and host and port.isdecimal() and int(port) < 65536:
            return host.strip("[]"), int(port)
    raise ValueError(f"{value!r} is not an address; write one like 127.0.0.1:9464")


Address = Annotated[tuple[str, int], BeforeValidator(_address), WithJsonSchema({"type": "string"})]


class TelemetryOptions(Options):
    """Figures for a Prometheus server; `grafana/linecard.json` is a dashboard of them."""

    listen: Address | None = None
    """Address of `/metrics` and `/health` over HTTP, like `127.0.0.1:9464`. There is no password: let nobody but the
    monitoring reach it."""
