"""One line per event: JSON objects for machines, columns for a terminal.

``configure(options)`` is called once; ``structlog.get_logger()`` works everywhere after it. Before a line is written,
secrets are taken out always, and telephone numbers and what was said unless ``log.redact`` is false.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any, Final, TextIO

import structlog
from pydantic import SecretStr
from structlog.typing import EventDict, Processor

from gateway.config.model import LogOptions
from gateway.redaction import redacted

__all__ = ["configure", "hide_secrets", "redact"]

_SECRETS: Final = frozenset({"password", "secret", "token", "key", "api_key", "authorization", "proxy_authorization"})
_HIDDEN: Final = "**********"
_PLAIN: Final = (str, int, float, type(None))
"""Nearly all values. Asked for first, because an abstract class like ``Mapping`` is slow to ask for."""


def configure(options: LogOptions, stream: TextIO | None = None) -> None:
    """Sets up structlog, and sends the standard library's log (of packages) the same way."""
    output = sys.stdout if stream is None else stream
    console = options.format == "console" or (options.format == "auto" and output.isatty())
    level = getattr(logging, options.level.upper())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=not console),
        structlog.processors.format_exc_info,
        hide_secrets,
        _order,
    ]
    if options.redact:
        shared.append(redact)
    last: Processor = (
        structlog.dev.ConsoleRenderer(colors=console) if console else structlog.processors.JSONRenderer(default=str)
    )
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(output),
        cache_logger_on_first_use=False,
    )
    _adopt_standard_logging(max(level, logging.WARNING))


class _ToStructlog(logging.Handler):
    """A package's own log line, as one of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        log.log(
            record.levelno, "package.log", source=record.name, message=record.getMessage(), exc_info=record.exc_info
        )


def _adopt_standard_logging(level: int) -> None:
    root = logging.getLogger()
    root.handlers = [_ToStructlog()]
    root.setLevel(level)


def _order(_logger: object, _method: str, event: EventDict) -> EventDict:
    """When, how bad and what stand first: that is what an eye looks for."""
    first = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    return {**first, **event}


def hide_secrets(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Keys named like a secret, and values that are one, never reach the output."""
    return {key: _hide(key, value) for key, value in event.items()}


def _hide(key: str, value: Any) -> Any:
    if value is not None and key.lower() in _SECRETS:
        return _HIDDEN
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, SecretStr):
        return _HIDDEN
    if isinstance(value, Mapping):
        return {name: _hide(str(name), item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hide("", item) for item in value]
    return value


def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Numbers keep two digits, speech keeps its length."""
    return redacted(event)
