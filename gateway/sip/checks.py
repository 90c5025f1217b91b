"""What a request must be before anybody acts on it (RFC 3261 8.1.1, 8.2). Each check raises ``SipError``.

``check_syntax`` also parses every value that the layers above read later, so that nothing from the wire can fail in the
middle of a change of state.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.errors import SipError
from gateway.sip.message import Request, Response
from gateway.sip.responses import METHODS
from gateway.sip.uri import parse_uri
from gateway.sip.values import parse_address, parse_via, plain, split_list

__all__ = ["check_acceptable", "check_body", "check_hops", "check_method", "check_response", "check_syntax"]

_KNOWN_METHODS: Final = frozenset(
    ("REGISTER", "SUBSCRIBE", "NOTIFY", "PUBLISH", "REFER", "INFO", "UPDATE", "PRACK", "MESSAGE")
)


def check_syntax(request: Request) -> None:
    """400 if a header that we rely on is missing or malformed, 505 for another version."""
    if request.version != "SIP/2.0":
        raise SipError(505, "Version Not Supported", "RFC 3261 21.5.6: only SIP/2.0")
    if request.cseq.method != request.method:
        raise SipError(400, "Bad Request", "RFC 3261 8.1.1.5: CSeq names another method")
    request.via, request.from_, request.to, request.call_id  # noqa: B018  parsed here, so that they cannot fail later
    if request.method == "INVITE":
        request.from_.uri, request.to.uri  # noqa: B018
        _check_routes(request, needs_contact=True)
    elif request.method in ("UPDATE", "REFER", "NOTIFY"):
        _check_routes(request, needs_contact=False)
    if "," in (vias := request.get("Via") or ""):
        for via in split_list(vias):
            parse_via(via)
    if "?" in parse_uri(request.uri).parameters and request.uri[:3].lower() == "sip":
        raise SipError(400, "Bad Request", "RFC 3261 19.1.1: headers in the Request-URI")


def check_response(response: Response) -> None:
    """Raises for a response that must be dropped (RFC 3261 8.1.3.3, 16.3)."""
    response.via, response.cseq, response.from_, response.to, response.call_id  # noqa: B018
    if sum(name == "Via" for name, _ in response.headers) != 1 or len(split_list(response.get("Via") or "")) != 1:
        raise SipError(400, "Bad Request", "RFC 3261 8.1.3.3: more than one Via")
    if response.cseq.method in ("INVITE", "UPDATE") and 100 < response.status < 300:
        _check_routes(response, needs_contact=False)


def _check_routes(message: Request | Response, *, needs_contact: bool) -> None:
    contact = message.contact
    if contact is None and needs_contact:
        raise SipError(400, "Bad Request", "RFC 3261 8.1.1.8: Contact is missing")
    if contact is not None and contact.uri.scheme not in ("sip", "sips"):
        raise SipError(400, "Bad Request", "RFC 3261 8.1.1.8: Contact is not a sip URI")
    for route in message.all("Record-Route") if message.get("Record-Route") else ():
        if parse_address(route).uri.scheme not in ("sip", "sips"):
            raise SipError(400, "Bad Request", "RFC 3261 20.30: Record-Route is not a sip URI")


def check_method(request: Request) -> None:
    """405 for a method that exists but is not served here, 501 for one that nobody knows (RFC 3261 8.2.1)."""
    if request.method in METHODS:
        return
    if request.method in _KNOWN_METHODS:
        raise SipError(405, "Method Not Allowed", f"RFC 3261 8.2.1: {request.method} is not served here")
    raise SipError(501, "Not Implemented", "RFC 3261 21.5.2: unknown method")


def check_acceptable(request: Request, extensions: Iterable[str] = ()) -> None:
    """416 and 420 (RFC 3261 8.2.2); ``extensions`` are those that we have."""
    if parse_uri(request.uri).scheme not in ("sip", "sips", "tel"):
        raise SipError(416, "Unsupported URI Scheme", "RFC 3261 8.2.2.1: only sip and tel")
    if set(request.options("Require")).difference(extensions):
        raise SipError(420, "Bad Extension", "RFC 3261 8.2.2.3: required extension is not supported")


def check_body(request: Request) -> None:
    """415 and 406 (RFC 3261 8.2.3, 21.4.7): a session description, alone or among parts that may be passed over. What a
    sender marks as dispensable is passed over alone, too (20.11)."""
    if request.body and request.content_type not in ("application/sdp", ""):
        for part in request.parts:
            known = part.media_type == "application/sdp"
            optional = "handling=optional" in part.disposition.replace(" ", "").lower()
            if not known and (part.required or (len(request.parts) == 1 and not optional)):
                raise SipError(415, "Unsupported Media Type", f"RFC 3261 8.2.3: {plain(part.media_type)} is not served")
    if request.body and (request.get("Content-Encoding") or "identity").strip().lower() != "identity":
        raise SipError(415, "Unsupported Media Type", "RFC 3261 8.2.3: no Content-Encoding")
    accept = request.get("Accept")
    if request.method == "INVITE" and accept is not None and accept != "application/sdp":
        ranges = {item.partition(";")[0].strip().lower() for item in request.all("Accept")}
        if not ranges & {"application/sdp", "application/*", "*/*"}:
            raise SipError(406, "Not Acceptable", "RFC 3261 21.4.7: Accept excludes application/sdp")


def check_hops(request: Request) -> None:
    """483: a call that has no hops left must not go further, and behind us it does (RFC 3261 16.3, RFC 7332 5)."""
    hops = request.get("Max-Forwards")
    if hops is None:
        return  # RFC 2543 peers
    if not (hops.isascii() and hops.isdecimal() and len(hops) <= 3):
        raise SipError(400, "Bad Request", "RFC 3261 20.22: malformed Max-Forwards")
    if int(hops) == 0 and request.method == "INVITE":
        raise SipError(483, "Too Many Hops", "RFC 3261 16.3: Max-Forwards is 0")
