"""The command line: arguments, exit codes, and nothing else.

Exit status 0: done; 1: it ran and failed; 2: the command line or the configuration is wrong (nothing was started).
Everything heavy is imported by the command that needs it, so that ``--help`` and ``check`` answer at once.

arguments   what the commands share          serving   run, check, explain, models, demo
calling     call, providers                  records   calls, turns
bench       bench run, bench ab          reports   bench report, bench compare
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from gateway import __version__
from gateway.cli import bench, calling, records, serving
from gateway.cli.arguments import FAILED, INTERRUPTED, USAGE
from gateway.errors import ConfigError, LinecardError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return USAGE
    except LinecardError as error:
        return _failed(str(error))
    except OSError as error:  # a port in use, an address that is not ours, a file that cannot be written
        return _failed(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except KeyboardInterrupt:
        return INTERRUPTED


def _failed(text: str) -> int:
    print(f"linecard: {text}", file=sys.stderr)
    return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="linecard",
        description="A SIP/RTP media gateway for voice AI: the model is a plug, the network is the socket.",
        epilog="example: linecard demo    (a call you can watch, with everything it needs)",
    )
    parser.add_argument("--version", action="version", version=f"linecard {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for room in (serving, calling, records, bench):
        room.add_commands(commands)
    return parser
