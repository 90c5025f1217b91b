from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from gateway.config import LogOptions
from gateway.daemon.logs import configure, redact


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


def written(options: LogOptions, event: str, **fields: object) -> dict[str, Any]:
    stream = io.StringIO()
    configure(options, stream)
    structlog.get_logger().info(event, **fields)
    line: dict[str, Any] = json.loads(stream.getvalue())
    return line


def test_a_line_is_one_json_object() -> None:
    line = written(LogOptions(), "turn", call_id="a@b", turn=1, gap_ms=512.5)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "turn", "level": "info", "call_id": "a@b", "turn": 1, "gap_ms": 512.5}


def test_levels_below_are_not_written() -> None:
    stream = io.StringIO()
    configure(LogOptions(level="warning"), stream)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("heard", "a large pizza please", "(4 words)"),
        ("said", "", "(0 words)"),
        ("caller", "+4930123456", "…56"),
        ("caller", "sip:4930123456@192.0.2.100:5060", "sip:…56@192.0.2.100:5060"),
        ("called", "pizza", "pizza"),
        ("reason", "from +4930123456 refused", "from …56 refused"),
        ("reason", "no route to 4930123456", "no route to …56"),
        ("error", "cannot bind 192.168.100.100:50600", "cannot bind 192.168.100.100:50600"),
        ("call_id", "12345678901234@host", "12345678901234@host"),
        ("stamps", {"endpoint": 123456789012}, {"endpoint": 123456789012}),
        ("sent", 123456789012, 123456789012),
        ("data", {"caller": "+4930123456", "list": ["+4930123456"]}, {"caller": "…56", "list": ["…56"]}),
        ("heard", None, None),
    ],
)
def test_numbers_and_speech_are_redacted(key: str, value: object, shown: object) -> None:
    assert written(LogOptions(), "x", **{key: value})[key] == shown


def test_redaction_can_be_switched_off() -> None:
    line = written(LogOptions(redact=False), "turn", heard="a pizza", caller="+4930123456")
    assert (line["heard"], line["caller"]) == ("a pizza", "+4930123456")


@pytest.mark.parametrize("redact", [True, False])
@pytest.mark.parametrize(
    "fields",
    [
        {"token": "s3cret"},
        {"Authorization": "Digest s3cret"},
        {"block": {"password": "s3cret"}},
        {"block": [{"api_key": "s3cret"}]},
        {"value": SecretStr("s3cret")},
        {"values": {"a": (SecretStr("s3cret"),)}},
    ],
)
def test_secrets_are_never_written(redact: bool, fields: dict[str, Any]) -> None:
    assert "s3cret" not in json.dumps(written(LogOptions(redact=redact), "x", **fields))


def test_a_packages_own_log_is_one_of_ours() -> None:
    stream = io.StringIO()
    configure(LogOptions(), stream)
    logging.getLogger("some.package").warning("about %s", "+4930123456")
    logging.getLogger("some.package").info("chatter")
    (line,) = [json.loads(text) for text in stream.getvalue().splitlines()]
    assert (line["event"], line["source"], line["message"]) == ("package.log", "some.package", "about …56")


def test_an_exception_is_text_in_its_line() -> None:
    stream = io.StringIO()
    configure(LogOptions(), stream)
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "ValueError: broken" in json.loads(stream.getvalue())["exception"]


def test_a_terminal_gets_columns() -> None:
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    configure(LogOptions(), stream)
    structlog.get_logger().info("turn", turn=1)
    assert "turn" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_nothing_is_told_of_a_digit() -> None:
    assert redact(None, "info", {"event": "digit", "digit": "7", "duration_ms": 60}) == {
        "event": "digit",
        "digit": "*",
        "duration_ms": 60,
    }


class Counted(io.StringIO):
    """Counts what costs a system call."""

    flushes = 0

    def flush(self) -> None:
        self.flushes += 1
        super().flush()


async def test_the_lines_of_a_round_of_the_loop_are_one_write() -> None:
    stream = Counted()
    configure(LogOptions(), stream)
    for number in range(5):
        structlog.get_logger().info("turn", turn=number)
    assert not stream.getvalue()
    await asyncio.sleep(0)
    assert [json.loads(line)["turn"] for line in stream.getvalue().splitlines()] == [0, 1, 2, 3, 4]
    assert stream.flushes == 1


async def test_a_warning_does_not_wait_and_takes_along_what_does() -> None:
    stream = Counted()
    configure(LogOptions(), stream)
    structlog.get_logger().info("first")
    structlog.get_logger().warning("second")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["first", "second"]
    await asyncio.sleep(0)
    assert stream.flushes == 1


def test_what_waits_when_the_loop_ends_is_not_lost() -> None:
    stream = Counted()

    async def tell(event: str) -> None:
        structlog.get_logger().info(event)
        asyncio.get_running_loop().stop()  # before the round is over

    configure(LogOptions(), stream)
    for event in ("one", "two"):
        with contextlib.suppress(RuntimeError):
            asyncio.run(tell(event))
    structlog.get_logger().info("three")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["one", "two", "three"]


class Full(io.StringIO):
    """A disk without room, or a pipe that nobody reads."""

    full = True

    def flush(self) -> None:
        if self.full:
            self.seek(0)
            self.truncate()
            raise OSError(errno.ENOSPC, "No space left on device")
        super().flush()


async def test_lines_that_cannot_be_written_cost_no_call_and_are_counted() -> None:
    stream = Full()
    configure(LogOptions(), stream)
    structlog.get_logger().info("one")
    structlog.get_logger().error("two")
    structlog.get_logger().info("three")
    await asyncio.sleep(0)
    stream.full = False
    structlog.get_logger().warning("four")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line.get("lines")) for line in lines] == [("four", None), ("log.lost", 3)]
