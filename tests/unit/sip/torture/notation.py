"""The messages of RFC 4475 and RFC 5118 as bytes, from text in the notation of RFC 4475 section 2."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

__all__ = ["messages"]

_ONE_LINE: Final = re.compile(rb"<allOneLine>\n(.*?)\n</allOneLine>", re.DOTALL)
_REPEAT: Final = re.compile(rb"<repeat count=(\d+)>(.*?)</repeat>")
_HEX: Final = re.compile(rb"<hex>([0-9A-F\s]*)</hex>")


def messages(name: str) -> dict[str, bytes]:
    """Every message of a file, by the name that the RFC gives it."""
    text = (Path(__file__).parent / name).read_bytes()
    _, *sections = re.split(rb"^#### \S+ (\S+)\n", text, flags=re.MULTILINE)
    names, bodies = sections[::2], sections[1::2]
    return {title.decode(): _wire(body) for title, body in zip(names, bodies, strict=True)}


def _wire(text: bytes) -> bytes:
    """The blank line before the next title is the file's; a message without a body keeps its own."""
    text = text.rstrip(b"\n") + b"\n"
    if b"\n\n" not in text:
        text += b"\n"
    text = _ONE_LINE.sub(lambda match: match[1].replace(b"\n", b""), text)
    text = _REPEAT.sub(lambda match: match[2] * int(match[1]), text).replace(b"\n", b"\r\n")
    return _HEX.sub(lambda match: bytes.fromhex("".join(match[1].decode().split())), text)
