"""One line per event: JSON objects for machines, columns for a terminal.

``configure(options)`` is called once; ``structlog.get_logger()`` works everywhere after it. Before a line is written,
secrets are taken out always, and telephone numbers and what was said unless ``log.redact`` is false.

A line is written together with all others of its round of the event loop: one system call, and one reader that wakes,
where calls come by hundreds. A warning, an error, or a line from outside a loop is written at once and takes along what
waits; so does the end of the process, also by an exception. Only a process that is killed loses its last round's lines.
Lines that cannot be written (a full disk, a reader that is gone) are lost, and counted once others can be: no call is.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, TextIO

import structlog
from pydantic import SecretStr
from structlog.typing import EventDict, Processor

from gateway.config.model import LogOptions
from gateway.redaction import figures_alone, redacted

__all__ = ["Lines", "configure", "hide_secrets", "redact"]

_SECRETS: Final = frozenset({"password", "secret", "token", "key", "api_key", "authorization", "proxy_authorization"})
_HIDDEN: Final = "**********"
_PLAIN: Final = (str, int, float, type(None))
"""Nearly all values. Asked for first, because an abstract class like ``Mapping`` is slow to ask for."""
_MOST: Final = 1000
"""Lines that wait for the end of their round at most."""


def configure(options: LogOptions, stream: TextIO | None = None) -> None:
    """Sets up structlog, and sends the standard library's log (of packages) the same way."""
    output = sys.stdout if stream is None else stream
    console = options.format == "console" or (options.format == "auto" and output.isatty())
    level = getattr(logging, options.level.upper())
    shared: list[Processor] = [_order, _told_exception, hide_secrets]
    if console:
        shared.insert(0, structlog.processors.TimeStamper(fmt="iso", utc=False))
    if options.redact:
        shared.append(redact)
    last: Processor = structlog.dev.ConsoleRenderer(colors=True) if console else _as_json
    lines = Lines(output)
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    _adopt_standard_logging(max(level, logging.WARNING))


class Lines:
    """Where structlog's lines go: to ``stream``, those of a round of the loop together."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: list[str] = []
        self._lost = 0
        self._flushes: asyncio.AbstractEventLoop | None = None
        """The loop that will flush before long."""
        atexit.register(self.flush)

    def info(self, line: str) -> None:
        self._waiting.append(line)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if len(self._waiting) >= _MOST:
            self.flush()
        elif self._flushes is not loop:
            self._flushes = loop
            loop.call_soon(self.flush)

    debug = info

    def warning(self, line: str) -> None:
        self._waiting.append(line)
        self.flush()

    error = critical = fatal = failure = warn = exception = log = msg = warning

    def flush(self) -> None:
        """Writes what waits. Raises nothing: whoever logs is about to serve a call."""
        waiting, self._waiting, self._flushes = self._waiting, [], None
        if not waiting or self._stream.closed:
            return
        try:
            self._stream.write("\n".join([*waiting, ""]))
            self._stream.flush()
        except OSError:
            self._lost += len(waiting)
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            structlog.get_logger().warning("log.lost", lines=lost)


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


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _order(_logger: object, method: str, event: EventDict) -> EventDict:
    """When, how bad and what stand first: that is what an eye looks for."""
    micros = time.time_ns() // 1000
    stamp = event.pop("timestamp", None) or f"{_second(micros // 1_000_000)}.{micros % 1_000_000:06}Z"
    return {"timestamp": stamp, "level": _LEVELS.get(method, method), "event": event.pop("event", ""), **event}


_LEVELS: Final = {"warn": "warning", "exception": "error"}


def _told_exception(logger: Any, method: str, event: EventDict) -> EventDict:
    return structlog.processors.format_exc_info(logger, method, event) if "exc_info" in event else event


_JSON: Final = json.JSONEncoder(default=str)


def _as_json(_logger: object, _method: str, event: EventDict) -> str:
    return _JSON.encode(event)


def hide_secrets(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Keys named like a secret, and values that are one, never reach the output."""
    return {key: _hide(key, value) for key, value in event.items()}


@lru_cache(maxsize=4096)
def _is_secret(key: str) -> bool:
    return key.lower() in _SECRETS


def _hide(key: str, value: Any) -> Any:
    if value is not None and _is_secret(key):
        return _HIDDEN
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, SecretStr):
        return _HIDDEN
    if isinstance(value, Mapping):
        harmless = figures_alone(value) and not any(map(_is_secret, value))
        return value if harmless else {name: _hide(str(name), item) for name, item in value.items()}
    return [_hide("", item) for item in value] if isinstance(value, list | tuple) else value


def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Numbers keep two digits, speech keeps its length."""
    return redacted(event)
