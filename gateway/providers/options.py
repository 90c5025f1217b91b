"""What the YAML blocks of providers share, and how their addresses and bodies are built from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from pydantic import Field, field_validator

from gateway.options import Duration, Options, Secret

__all__ = ["RoleOptions", "VendorOptions", "address", "dumps", "merged", "secret", "web_socket"]

Query = dict[str, str | int | float | bool | list[str]]


class RoleOptions(Options):
    """What every role of every provider takes, so that what we do not know of yet can be asked for."""

    query: Query = Field(default_factory=dict)
    """Added to the query of the address; a key that is there already is replaced."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Merged into the JSON that opens a session or asks for something; null removes a key."""

    @property
    def voice_language(self) -> str:
        """The one language that the chosen voice speaks, where its name tells; `linecard check` looks at it."""
        return ""


class VendorOptions(Options):
    """What every provider's block takes."""

    headers: dict[str, str] = Field(default_factory=dict)
    """Sent with every request and handshake; replaces what would be sent under the same name."""
    connect_timeout: Duration = Field(default="5s", validate_default=True)
    """From the first packet to a session that is ready."""
    stt_timeout: Duration = Field(default="3s", validate_default=True)
    """From the end of a turn to its final transcript."""
    llm_timeout: Duration = Field(default="10s", validate_default=True)
    """To the first token of an answer, and from one token to the next."""
    tts_timeout: Duration = Field(default="5s", validate_default=True)
    """To the first audio of a sentence, and from one burst to the next."""
    ping_interval: Duration = Field(default="10s", validate_default=True)
    """How often a connection is probed on which nothing comes."""
    ping_timeout: Duration = Field(default="5s", validate_default=True)
    """A server silent for this long after a probe is taken as gone."""

    @field_validator("base_url", check_fields=False)
    @classmethod
    def _base_is_an_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https", "ws", "wss"} or not parts.hostname:
            raise ValueError(f"{url!r} is not an address; write https://host, https://host/path or wss://host")
        return url.rstrip("/")


def secret(value: Secret | None) -> str:
    """Its text, as a header wants it."""
    return value.get_secret_value() if value is not None else ""


def address(base: str, path: str, query: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> str:
    """``base`` and ``path`` with a query: ``more`` (the operator's) wins, None is left out, a list repeats its key."""
    pairs: list[tuple[str, str]] = []
    for key, value in {**query, **(more or {})}.items():
        items = value if isinstance(value, (list, tuple)) else [value]
        pairs.extend((key, _plain(item)) for item in items if item is not None)
    encoded = urlencode(pairs, quote_via=quote)
    return f"{base}{path}{'?' if encoded else ''}{encoded}"


def web_socket(base: str) -> str:
    """The same address with ws for http."""
    parts = urlsplit(base)
    return urlunsplit(parts._replace(scheme={"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)))


def merged(body: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """``body`` with ``extra`` laid over it, block by block; null removes a key."""
    result = dict(body)
    for key, value in extra.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def dumps(message: Mapping[str, Any]) -> str:
    """JSON as it goes on the wire."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def _plain(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
