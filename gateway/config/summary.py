"""What ``linecard check`` prints about a valid configuration."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.call.trunk_options import TrunkOptions
from gateway.config.addresses import advertised, rtp_pairs, warnings
from gateway.config.blocks import attribute, find_spec
from gateway.config.languages import language_warnings
from gateway.config.model import Config

__all__ = ["describe"]


def describe(config: Config) -> str:
    """Addresses, ports, providers, plugs and routes, one per line; then what is seldom meant. Shows no secret."""
    seldom_meant = (*warnings(config), *language_warnings(config))
    return "\n".join([*_addresses(config), *_blocks(config), *(f"warning: {text}" for text in seldom_meant)])


def _addresses(config: Config) -> Iterator[str]:
    told = advertised(config)
    low, high = config.media.ports
    for listen in config.sip.listen:
        yield f"  listens on       {listen}"
    yield f"  Contact and Via  {told.contact}"
    yield f"  SDP (c= line)    {told.media_host}"
    yield f"  RTP ports        {low}-{high} on {config.media.address}: room for {rtp_pairs(low, high)} calls"


def _recognised(trunk: TrunkOptions) -> str:
    told = [f"from {', '.join(str(one) for one in trunk.source)}"] if trunk.source else []
    told += [f"with the certificate of {', '.join(trunk.tls_names)}"] if trunk.tls_names else []
    told += [f"that logs in as {trunk.login.user}"] if trunk.login else []
    told += ["from the servers of its registrar"] if trunk.known_by_registrar else []
    return " ".join(told) or "takes no calls"


def _blocks(config: Config) -> Iterator[str]:
    for name, block in config.providers.items():
        roles = ", ".join(sorted(find_spec("providers", block.kind).roles))
        yield f"  provider         {name} ({block.kind}: {roles})"
    for name, block in config.plugs.items():
        named = [attribute(block.options, key) for key in find_spec("plugs", block.kind).provider_roles]
        used = [name for names in named if names for name in ([names] if isinstance(names, str) else names)]
        on = f" on {', '.join(sorted({str(name) for name in used}))}" if used else ""
        yield f"  plug             {name} ({block.kind}{on})"
    for trunk in config.trunks:
        account = trunk.registration
        at = f", registers {account.user} at {account.registrar}" if account else ""
        to = f", calls {', '.join(one.uri for one in trunk.reached_at)}" if trunk.reached_at else ""
        yield f"  trunk            {trunk.name} {_recognised(trunk)}{at}{to}"
    for route in config.routes:
        yield f"  route            {route.to} -> {route.plug}"
