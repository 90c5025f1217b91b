"""What the commands share: how one is added, what its arguments may be, and how it is run."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.config import Config

__all__ = [
    "DEFAULT_CONFIG", "FAILED", "INTERRUPTED", "OK", "USAGE", "add_command", "add_config", "duration", "load_config",
    "port", "run_loop", "sip_address",
]  # fmt: skip

DEFAULT_CONFIG: Final = "config/linecard.yaml"
OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def add_command(
    commands: Any, name: str, command: Callable[[argparse.Namespace], int], about: str, example: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog="example:\n  " + example.replace("\n", "\n  "),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    return parser


def add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config", nargs="?", default=DEFAULT_CONFIG, metavar="FILE", help=f"configuration (default: {DEFAULT_CONFIG})"
    )


def sip_address(text: str) -> str:
    found = re.fullmatch(r"sips?:([^@\s]+@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:(?P<port>\d{1,5}))?([;?]\S*)?", text)
    if found is None or not 0 < int(found["port"] or 5060) <= 65535:
        raise ConfigError([f"{text!r} is not a SIP address; write one like sip:pizza@127.0.0.1:5060"])
    return text


def duration(text: str) -> int:
    from gateway.options import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")
    return int(text)


def load_config(options: argparse.Namespace) -> Config:
    from gateway.config import load

    return load(options.config)


def run_loop(main_coroutine: Coroutine[Any, Any, int]) -> int:
    import uvloop

    return uvloop.run(main_coroutine)
