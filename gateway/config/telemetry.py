"""The block ``telemetry``: where the gateway tells how it is."""

from __future__ import annotations

from gateway.options import Address, Options

__all__ = ["TelemetryOptions"]


class TelemetryOptions(Options):
    """Figures for a Prometheus server; `grafana/linecard.json` is a dashboard of them."""

    listen: Address | None = None
    """Address of `/metrics` and `/health` over HTTP, like `127.0.0.1:9464`. There is no password: let nobody but the
    monitoring reach it."""
