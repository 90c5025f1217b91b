"""Causes of the telephone network (Q.850) and statuses of SIP, each as the other (RFC 3398 7.2.4.1 and 8.2.6.1)."""

from __future__ import annotations

from typing import Final

from gateway.errors import SipError
from gateway.sip.message import Message, Response
from gateway.sip.values import parse_parameters

__all__ = ["q850_cause", "status_of_cause", "to_q850"]

NORMAL: Final = 16
_TO_SIP: Final = {
    1: 404, 2: 404, 3: 404, 17: 486, 18: 408, 19: 480, 20: 480, 21: 403, 22: 410, 23: 410, 26: 404, 27: 502, 28: 484,
    29: 501, 31: 480, 34: 503, 38: 503, 41: 503, 42: 503, 47: 503, 55: 403, 57: 403, 58: 503, 65: 488, 70: 488, 79: 501,
    87: 403, 88: 503, 102: 504, 111: 500, 127: 500,
}  # fmt: skip
_TO_Q850: Final = {
    400: 41, 401: 21, 402: 21, 403: 21, 404: 1, 405: 63, 406: 79, 407: 21, 408: 102, 410: 22, 413: 127, 414: 127,
    415: 79, 416: 127, 420: 127, 421: 127, 423: 127, 480: 18, 481: 41, 482: 25, 483: 25, 484: 28, 485: 1, 486: 17,
    487: 16, 488: 65, 500: 41, 501: 79, 502: 38, 503: 41, 504: 102, 505: 127, 513: 127, 600: 17, 603: 21, 604: 1,
    606: 65,
}  # fmt: skip


def status_of_cause(cause: int) -> int:
    """The refusal that a cause means; one that RFC 3398 does not name means 500."""
    return _TO_SIP.get(cause, 500)


def to_q850(status: int) -> int:
    """The cause that a refusal means; one that RFC 3398 does not name is interworking (127)."""
    return _TO_Q850.get(status, 127)


def q850_cause(message: Message | None) -> int | None:
    """Why a BYE, CANCEL or final response ended a call: what its Reason says of Q.850, else what its SIP cause or its
    status means. A BYE without a Reason is normal clearing."""
    if message is None:
        return None
    status = message.status if isinstance(message, Response) else None
    for value in message.all("Reason"):
        protocol, semicolon, rest = value.partition(";")
        try:
            text = parse_parameters(semicolon + rest).get("cause", "")
        except SipError:
            continue
        cause = int(text) if text.isascii() and text.isdecimal() and len(text) <= 3 else None
        if cause is not None and protocol.strip().upper() == "Q.850" and cause < 128:
            return cause
        if cause is not None and protocol.strip().upper() == "SIP":
            status = status or cause
    if status is None or status < 300:
        return NORMAL
    return to_q850(status)
