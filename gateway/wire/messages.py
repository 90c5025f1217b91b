"""Control messages of the native plug protocol, version 1 (``docs/plug-protocol.md``): JSON to values and back.

Both ends of the protocol import this: the gateway's provider and the embedded models. The decoder takes anything that a
peer may send and answers with a dict whose fields have the documented types, or ``RemoteError``; unknown messages and
unknown fields pass, so that a newer peer can say more than we know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import IntFlag
from typing import Any, Final

from gateway.errors import RemoteError

__all__ = [
    "CLOCK_HZ",
    "MAX_AUDIO_BYTES",
    "MAX_TEXT_BYTES",
    "RATES",
    "ROLES",
    "SUBPROTOCOL",
    "Flags",
    "decode",
    "encode",
    "from_clock",
]

SUBPROTOCOL: Final = "linecard.plug.v1"
ROLES: Final = ("stt", "llm", "tts", "realtime")
RATES: Final = (8000, 16000, 24000, 48000)
CLOCK_HZ: Final = 8000
"""The RTP clock that the house counts media time in."""
MAX_TEXT_BYTES: Final = 256 * 1024
MAX_AUDIO_BYTES: Final = 64 * 1024


class Flags(IntFlag):
    """Of an audio message; the other bits are reserved, sent as zero and ignored."""

    SPEECH = 1
    CONCEALED = 2
    GAP = 4
    """Audio before this message was left out because the receiver gave no credit."""


def from_clock(media_time: int, rate: int) -> int:
    """Samples of the 8 kHz clock to samples at ``rate``: exact, as every rate is a multiple of the clock."""
    return media_time * (rate // CLOCK_HZ)


_ID_MAX: Final = 0xFFFFFFFF
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
"""What may be half a character; it costs little to look, and few messages have one."""
_TEXT: Final = (str,)
_COUNT: Final = (int,)
_BOOL: Final = (bool,)
_NUMBER: Final = (int, float)

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "stream": _COUNT,
    "request": _COUNT,
    "mark": _COUNT,
    "bytes": _COUNT,
    "credit": _COUNT,
    "rate": _COUNT,
    "at": _COUNT,
    "played_ms": _COUNT,
    "elapsed_us": _COUNT,
    "retry_after_ms": _COUNT,
    "protocol": _COUNT,
    "role": _TEXT,
    "language": _TEXT,
    "traceparent": _TEXT,
    "text": _TEXT,
    "code": _TEXT,
    "message": _TEXT,
    "final": _BOOL,
    "understood": _BOOL,
    "end_of_turn": _BOOL,
    "cancelled": _BOOL,
    "hang_up": _BOOL,
    "flushed": _BOOL,
    "transient": _BOOL,
    "confidence": _NUMBER,
    "messages": (list,),
    "words": (list,),
    "model": (dict,),
    "server": (dict,),
    "roles": (dict,),
    "limits": (dict,),
}
"""One name means one thing in every message, so one table checks them all."""

_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "hello": ("protocol", "roles"),
    "open": ("stream", "role", "credit"),
    "opened": ("stream", "model", "credit"),
    "close": ("stream",),
    "closed": ("stream",),
    "credit": ("stream", "bytes"),
    "begin": ("stream", "request", "at"),
    "end": ("stream", "request", "at"),
    "transcript": ("stream", "request", "text", "final"),
    "generate": ("stream", "request", "messages"),
    "token": ("stream", "request", "text"),
    "speak": ("stream", "request", "text"),
    "started": ("stream", "request"),
    "words": ("stream", "request", "words"),
    "cancel": ("stream", "request"),
    "done": ("stream", "request"),
    "interrupted": ("stream",),
    "mark": ("stream", "mark"),
    "marked": ("stream", "mark"),
    "error": ("stream", "transient", "code", "message"),
}


def encode(kind: str, **fields: object) -> str:
    """One control message. Fields that are None are left out."""
    message = {"type": kind} | {name: value for name, value in fields.items() if value is not None}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def decode(text: str) -> dict[str, Any]:
    """One control message, its documented fields checked. Raises ``RemoteError`` that names what is wrong."""
    try:
        message = json.loads(text)
        if _SURROGATE.search(text):
            json.dumps(message, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:  # JSON can say half of a character (RFC 8259 8.2), UTF-8 cannot
        raise RemoteError("a text message has a lone surrogate") from error
    except (ValueError, RecursionError) as error:
        raise RemoteError(f"a text message is not JSON: {error}") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise RemoteError("a text message is not an object with a type")
    kind = message["type"]
    for name in _REQUIRED.get(kind, ()):
        if message.get(name) is None:
            raise RemoteError(f"{kind!r} without {name!r}")
    if kind in _REQUIRED:
        for name, value in message.items():
            _check(kind, name, value)
    return message


def _check(kind: str, name: str, value: object) -> None:
    types = _TYPES.get(name)
    if types is None or value is None:
        return
    if not isinstance(value, types) or (isinstance(value, bool) and types is not _BOOL):
        raise RemoteError(f"{kind!r} has a {name!r} of the wrong type")
    if types is _COUNT and not 0 <= value <= (1 << 63) - 1:  # type: ignore[operator]
        raise RemoteError(f"{kind!r} has a {name!r} out of range")
    if name in {"stream", "request"} and value > _ID_MAX:  # type: ignore[operator]
        raise RemoteError(f"{kind!r} has a {name!r} out of range")
