"""The whole configuration, put together from the blocks that each room defines beside the code that obeys them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, InstanceOf, WithJsonSchema

from gateway.call.options import AuthenticationOptions, LimitOptions, RouteOptions
from gateway.call.trunk_options import TrunkOptions
from gateway.config.sip_block import SipOptions
from gateway.config.telemetry import TelemetryOptions
from gateway.media.options import MediaOptions
from gateway.options import Options
from gateway.plugs.phrases import CacheOptions
from gateway.records.options import RecordOptions

__all__ = ["Block", "Config", "LogOptions"]


@dataclass(frozen=True, slots=True)
class Block:
    """One entry of ``providers`` or ``plugs``: a kind, and the options that the kind's registered spec defines."""

    kind: str
    options: Options


class LogOptions(Options):
    """What is written to standard output, one line per event."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is written."""
    format: Literal["auto", "json", "console"] = "auto"
    """`json` is one object per line, `console` is for eyes; `auto` takes the latter when the output is a terminal."""
    redact: bool = True
    """Shorten telephone numbers to their last two digits and replace what was said by its number of words."""


Blocks = dict[str, Annotated[InstanceOf[Block], WithJsonSchema({"type": "object"})]]


class Config(Options):
    """One file, checked. Every default stands where the option is read."""

    sip: SipOptions = SipOptions()
    """Where SIP is spoken."""
    media: MediaOptions = MediaOptions()
    """Where RTP flows, and how the media plane listens."""
    providers: Blocks = Field(default_factory=dict)
    """Model providers by name; `kind` names the adapter, the other keys are its own."""
    plugs: Blocks = Field(default_factory=dict)
    """What a call can be connected to, by name; `kind` names the plug, the other keys are its own."""
    trunks: list[TrunkOptions] = Field(default_factory=list)
    """Peers that calls come from and go to."""
    routes: list[RouteOptions] = Field(default_factory=list)
    """Called numbers and their plugs; the first that fits is taken."""
    authentication: AuthenticationOptions = AuthenticationOptions()
    """How peers are asked to log in."""
    limits: LimitOptions = LimitOptions()
    """Limits of the whole gateway."""
    records: RecordOptions = RecordOptions()
    """Call records."""
    telemetry: TelemetryOptions = TelemetryOptions()
    """Figures for Prometheus."""
    cache: CacheOptions = CacheOptions()
    """Audio that is made ahead."""
    log: LogOptions = LogOptions()
    """Logging."""


Raw = Mapping[str, Any]
