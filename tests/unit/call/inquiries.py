"""INVITEs and configurations for the tests of what is decided about them."""

from __future__ import annotations

from typing import Any

from gateway.call.decision import Policy
from gateway.call.options import LimitOptions, RouteOptions
from gateway.call.trunk_options import TrunkOptions
from gateway.sip.message import Request
from gateway.sip.parser import parse

__all__ = ["invite", "policy", "trunk"]


def invite(
    uri: str = "sip:echo@192.0.2.1", *headers: str, method: str = "INVITE", caller: str = "<sip:alice@x>"
) -> Request:
    lines = [
        f"{method} {uri} SIP/2.0", "Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1", f"From: {caller};tag=1", f"To: <{uri}>",
        "Call-ID: abc", f"CSeq: 1 {method}", "Contact: <sip:10.0.0.2>", *headers, "", "",
    ]  # fmt: skip
    message = parse("\r\n".join(lines).encode())
    assert isinstance(message, Request)
    return message


def trunk(name: str = "t", **keys: Any) -> TrunkOptions:
    return TrunkOptions.model_validate({"name": name, "from": ["10.0.0.0/24"], **keys})


def policy(*trunks: TrunkOptions, routes: list[dict[str, Any]] | None = None, **limits: Any) -> Policy:
    written = [{"to": "echo", "plug": "p"}] if routes is None else routes
    found = [RouteOptions.model_validate(one) for one in written]
    return Policy(trunks or (trunk(),), found, LimitOptions.model_validate(limits))
