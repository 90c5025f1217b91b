"""Digits in INFO (RFC 6086): ``application/dtmf-relay``, which names a duration, and ``application/dtmf``."""

from __future__ import annotations

from typing import Final

from gateway.errors import MisuseError, SipError
from gateway.sip.bodies import Body
from gateway.sip.message import Header, Request

__all__ = ["DTMF_TYPES", "digit_body", "read_digit"]

_RELAY: Final = "application/dtmf-relay"
_PLAIN: Final = "application/dtmf"
DTMF_TYPES: Final[Header] = ("Accept", f"{_RELAY}, {_PLAIN}")
_DIGITS: Final = "0123456789*#ABCD"
_EVENTS: Final = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
"""Some write the event code of RFC 4733 3.2."""
_USUAL_MS: Final = 160
_LONGEST_MS: Final = 10_000


def read_digit(request: Request) -> tuple[str, int] | None:
    """Digit and milliseconds; ``None`` for an INFO that says nothing. Raises ``SipError``: 415 for another body, 400
    for one that cannot be read, 469 for a package (RFC 6086 4.2.2), of which we have none."""
    if request.get("Info-Package"):
        raise SipError(469, "Bad Info Package", "RFC 6086 4.2.2: no Info packages here")
    if not request.body:
        return None
    if request.content_type not in (_RELAY, _PLAIN):
        raise SipError(415, "Unsupported Media Type", "RFC 3261 8.2.3: of INFO only digits are taken")
    fields = dict(_fields(request.body.decode("utf-8", "replace")))
    signal = fields.get("signal", "").upper()
    digit = _EVENTS.get(signal, signal)
    if len(digit) != 1 or digit not in _DIGITS:
        raise SipError(400, "Bad Request", "no digit in the INFO")
    duration = fields.get("duration", "")
    known = duration.isascii() and duration.isdecimal() and len(duration) <= 6
    return digit, min(int(duration), _LONGEST_MS) if known else _USUAL_MS


def _fields(text: str) -> list[tuple[str, str]]:
    """``Signal=5`` and ``Duration=160``, one a line; or the digit alone."""
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]
    if len(lines) == 1 and "=" not in lines[0]:
        return [("signal", lines[0])]
    pairs = [line.partition("=") for line in lines[:8]]
    return [(name.strip().lower(), value.strip()) for name, _, value in pairs]


def digit_body(digit: str, duration_ms: int) -> Body:
    if len(digit) != 1 or digit not in _DIGITS or not 1 <= duration_ms <= _LONGEST_MS:
        raise MisuseError(f"{digit!r} of {duration_ms} ms is no digit")
    return Body(_RELAY, f"Signal={digit}\r\nDuration={duration_ms}\r\n".encode())
