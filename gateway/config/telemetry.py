"""The block ``telemetry``: where the gateway tells how it is."""

from __future__ import annotations

from pydantic import Field, field_validator

from gateway.options import Address, Duration, Options, Secret

__all__ = ["TelemetryOptions", "TracingOptions"]


class TracingOptions(Options):
    """Traces for an OpenTelemetry collector, by OTLP over HTTP: a call, its turns, their stages. Needs
    `linecard[tracing]`."""

    endpoint: str
    """Where spans are sent, like `http://127.0.0.1:4318/v1/traces`."""
    headers: dict[str, Secret] = Field(default_factory=dict)
    """Sent along, for collectors that want a key."""
    sample: float = Field(default=1.0, ge=0, le=1)
    """Share of calls that are traced: all of a call, or nothing of it."""
    queue: int = Field(default=8192, ge=512, le=1_000_000)
    """Spans that may wait for the collector; more are lost, and no call waits. A turn has seven or so."""
    timeout: Duration = Field(default="5s", validate_default=True)
    """What the collector gets for one batch."""

    @field_validator("endpoint")
    @classmethod
    def _is_an_address(cls, endpoint: str) -> str:
        if not endpoint.startswith(("http://", "https://")):
            raise ValueError(f"{endpoint!r} is no address; write one like http://127.0.0.1:4318/v1/traces")
        return endpoint


class TelemetryOptions(Options):
    """Figures for a Prometheus server; `grafana/linecard.json` is a dashboard of them. Traces for OpenTelemetry."""

    listen: Address | None = None
    """Address of `/metrics` and `/health` over HTTP, like `127.0.0.1:9464`. There is no password: let nobody but the
    monitoring reach it."""
    tracing: TracingOptions | None = None
    """Off unless it is there."""
