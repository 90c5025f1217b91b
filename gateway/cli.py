"""The command line: arguments, exit codes, and nothing else.

Exit status 0: done; 1: it ran and failed; 2: the command line or the configuration is wrong (nothing was started).
Everything heavy is imported by the command that needs it, so that ``--help`` and ``check`` answer at once.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from gateway import __version__
from gateway.errors import ConfigError, LinecardError

if TYPE_CHECKING:
    from rich.table import Table

    from gateway.config import Config
    from gateway.records.archive import Archive, Selection

__all__ = ["main"]

DEFAULT_CONFIG: Final = "config/linecard.yaml"
OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


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


# --- arguments --------------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="linecard",
        description="A SIP/RTP media gateway for voice AI: the model is a plug, the network is the socket.",
        epilog="example: linecard demo    (a call you can watch, with everything it needs)",
    )
    parser.add_argument("--version", action="version", version=f"linecard {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_check(commands)
    _add_explain(commands)
    _add_call(commands)
    _add_calls(commands)
    _add_turns(commands)
    _add_providers(commands)
    _add_models(commands)
    _add_demo(commands)
    return parser


def _add(
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


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config", nargs="?", default=DEFAULT_CONFIG, metavar="FILE", help=f"configuration (default: {DEFAULT_CONFIG})"
    )


def _add_run(commands: Any) -> None:
    parser = _add(commands, "run", _run, "take calls until told to stop", "linecard run config/linecard.yaml")
    _add_config(parser)
    parser.add_argument(
        "--no-redact", action="store_true", help="log numbers and what was said in full, whatever log.redact says"
    )


def _add_check(commands: Any) -> None:
    about = "validate a configuration, and print the addresses that callers will be told"
    _add_config(_add(commands, "check", _check, about, "linecard check config/linecard.yaml"))


def _add_explain(commands: Any) -> None:
    about = "say what would become of an INVITE: which trunk, which rule, which route, and what is answered"
    example = "linecard explain call.sip --source 203.0.113.7\nlinecard explain - config/linecard.yaml < call.sip"
    parser = _add(commands, "explain", _explain, about, example)
    parser.description = f"{parser.description} Exit status 0: it would be taken, 1: it would be refused."
    parser.add_argument("message", metavar="MESSAGE", help="file with the INVITE as it was on the wire; - reads it")
    _add_config(parser)
    parser.add_argument("--source", metavar="IP[:PORT]", help="who sent it (default: what its topmost Via says)")
    parser.add_argument("--transport", metavar="NAME", help="udp, tcp, tls, ... (default: what its topmost Via says)")
    parser.add_argument(
        "--tls-name",
        action="append",
        metavar="NAME",
        help="what its TLS certificate proves, as for a trunk's tls_names; give it again for each name",
    )


def _add_call(commands: Any) -> None:
    example = (
        "linecard call sip:pizza@127.0.0.1:5060\nlinecard call sip:agent@192.0.2.7 --record call.wav\n"
        "linecard call sips:agent@sip.example.net --ca ca.pem\n"
        "linecard call --config linecard.yaml --trunk carrier +493012345678"
    )
    parser = _add(commands, "call", _call, "place a talking call to any SIP address and measure every turn", example)
    parser.add_argument(
        "target", metavar="SIP-ADDRESS", help="whom to call, like sip:pizza@127.0.0.1:5060; with --trunk, a number"
    )
    parser.add_argument("--config", metavar="FILE", help="configuration whose trunk, or whose TLS, the call uses")
    parser.add_argument("--trunk", metavar="NAME", help="place the call through this trunk of the configuration")
    trust = parser.add_mutually_exclusive_group()
    trust.add_argument("--ca", metavar="FILE", help="over TLS, believe what these roots (PEM) have signed alone")
    trust.add_argument("--insecure", action="store_true", help="over TLS, believe whoever answers: for a test machine")
    parser.add_argument("--caller", metavar="NUMBER", help="number to show (default: the trunk's)")
    parser.add_argument(
        "--give-up",
        metavar="TIME",
        help="how long a far end that says nothing is waited for (default: the trunk's patience, else 5s)",
    )
    parser.add_argument(
        "--scenario", default="pizza", metavar="NAME", help="what the caller does: a shipped one, or a YAML file"
    )
    parser.add_argument("--record", metavar="FILE", help="write the call as a stereo WAV: caller left, agent right")
    parser.add_argument(
        "--models", metavar="URL", help="models process for the caller's voice (default: one is started for the call)"
    )


def _add_calls(commands: Any) -> None:
    example = "linecard calls --since 1h\nlinecard calls --failed --trunk carrier --json"
    parser = _add(commands, "calls", _calls, "list recorded calls, the newest first", example)
    _add_selection(parser, "only calls that were refused or cut short")


def _add_turns(commands: Any) -> None:
    example = "linecard turns --slowest --since 1d\nlinecard turns --by tts\nlinecard turns --call a84b4c76e66710"
    parser = _add(commands, "turns", _turns, "list recorded turns and what each caller waited for", example)
    _add_selection(parser, "only turns without an answer")
    order = parser.add_mutually_exclusive_group()
    order.add_argument("--slowest", action="store_true", help="the longest gaps first, instead of the newest turns")
    order.add_argument("--by", type=_turn_group, metavar="WHAT", help="percentiles by trunk, plug, tts, version, ...")
    parser.add_argument("--call", metavar="CALL-ID", help="only turns of this call")


def _add_selection(parser: argparse.ArgumentParser, failed: str) -> None:
    _add_config(parser)
    parser.add_argument("--database", metavar="FILE", help="call records to ask (default: records.database of FILE)")
    parser.add_argument("--since", type=_duration, metavar="TIME", help="only the last 30m, 6h or 7d")
    parser.add_argument("--trunk", metavar="NAME", help="only calls of this trunk")
    parser.add_argument("--plug", metavar="NAME", help="only calls of this plug")
    parser.add_argument("--failed", action="store_true", help=failed)
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most this many (default: 20)")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object per line, with everything that was recorded"
    )


def _add_providers(commands: Any) -> None:
    example = "linecard providers\nDEEPGRAM_API_KEY=... linecard providers check deepgram"
    about = "list the kinds of model providers, or try one of them live"
    parser = _add(commands, "providers", _providers, about, example)
    parser.add_argument(
        "what",
        nargs="*",
        metavar="check NAME",
        help="one live round trip in every role, with your key: each stage's time",
    )
    parser.add_argument(
        "--config", metavar="FILE", help=f"where NAME is a provider's block (default: {DEFAULT_CONFIG}, if it is there)"
    )


def _add_models(commands: Any) -> None:
    example = "linecard models --port 8765\nlinecard models --dialogue mine.yaml --token-delay 40ms"
    parser = _add(commands, "models", _models, "serve the embedded STT, TTS and scripted dialogue to gateways", example)
    parser.description = f"{parser.description} If LINECARD_MODELS_TOKEN is set, gateways must send it."
    parser.add_argument("--host", default="127.0.0.1", metavar="HOST", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", default=8765, type=_port, metavar="N", help="port to listen on (default: 8765)")
    parser.add_argument("--dialogue", metavar="FILE", help="what the scripted LLM says (default: takes a pizza order)")
    parser.add_argument("--voice", metavar="NAME", help="voice of espeak-ng, like en-us or en-us+f3")
    parser.add_argument(
        "--token-delay", metavar="TIME", help="pause before each token, to feel like a slower LLM: 40ms"
    )
    parser.add_argument("--stt-threads", type=int, metavar="N", help="threads that decode speech (default: 2)")


def _add_demo(commands: Any) -> None:
    parser = _add(commands, "demo", _demo, "start gateway and models, and place a call through them", "linecard demo")
    _add_config(parser)
    parser.add_argument("--once", action="store_true", help="end after the call; status 0 only if every turn was good")


def _sip_address(text: str) -> str:
    if not re.fullmatch(r"sips?:([^@\s]+@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?([;?]\S*)?", text):
        raise ConfigError([f"{text!r} is not a SIP address; write one like sip:pizza@127.0.0.1:5060"])
    return text


def _duration(text: str) -> int:
    from gateway.options import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _turn_group(text: str) -> str:
    from gateway.records.archive import GROUPS

    if text not in GROUPS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(GROUPS)}")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")
    return int(text)


# --- commands ---------------------------------------------------------------------------------------------------------


def _load(options: argparse.Namespace) -> Config:
    from gateway.config import load

    return load(options.config)


def _loop(main_coroutine: Coroutine[Any, Any, int]) -> int:
    import uvloop

    return uvloop.run(main_coroutine)


def _run(options: argparse.Namespace) -> int:
    config = _load(options)
    from gateway.daemon import app, logs

    log = config.log.model_copy(update={"redact": False}) if options.no_redact else config.log
    logs.configure(log)
    return _loop(app.run(config))


def _check(options: argparse.Namespace) -> int:
    from gateway.config.summary import describe

    config = _load(options)
    print(f"{options.config}: valid")
    print(describe(config))
    return OK


def _explain(options: argparse.Namespace) -> int:
    config = _load(options)
    from gateway.daemon import explanation

    return explanation.main(
        options.message, config, options.source, options.transport, tls_names=options.tls_name or ()
    )


def _call(options: argparse.Namespace) -> int:
    if options.trunk is None:
        _sip_address(options.target)
    from gateway.bench import call
    from gateway.options import parse_duration

    config = None
    if options.trunk is not None or options.config is not None:
        options.config = options.config or DEFAULT_CONFIG
        config = _load(options)
    default = None if options.trunk is not None else "5s"
    try:
        patience = parse_duration(wanted) if (wanted := options.give_up or default) else None
    except ValueError as error:
        raise ConfigError([f"--give-up: {error}"]) from None
    believes = call.trust(options.ca, insecure=options.insecure)
    way = call.Way(config, options.trunk, options.caller, patience, believes)
    return _loop(
        call.main_async(options.target, options.scenario, record=options.record, models=options.models, way=way)
    )


def _calls(options: argparse.Namespace) -> int:
    from gateway.records.tables import call_table

    archive, selection = _archive(options)
    rows = archive.calls(selection, options.limit)
    return _shown(rows, lambda: call_table(rows), as_json=options.json)


def _turns(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from gateway.records.tables import group_table, turn_table

    archive, selection = _archive(options)
    if options.by is not None:
        groups = archive.groups(selection, options.by)
        return _shown(
            [asdict(group) for group in groups], lambda: group_table(options.by, groups), as_json=options.json
        )
    rows = archive.turns(selection, options.limit, slowest=options.slowest)
    return _shown(rows, lambda: turn_table(rows), as_json=options.json)


def _archive(options: argparse.Namespace) -> tuple[Archive, Selection]:
    """The database that is meant, and which of its records."""
    import time
    from pathlib import Path

    from gateway.records.archive import Archive, Selection

    path = Path(options.database) if options.database else _load(options).records.database_file
    if path is None:
        raise ConfigError([f"{options.config}: records.database is off; name a file with --database"])
    since = None if options.since is None else time.time() - options.since / 1e9
    call_id = getattr(options, "call", None)
    return Archive(path), Selection(since, call_id, options.trunk, options.plug, options.failed)


def _shown(rows: Sequence[Mapping[str, Any]], table: Callable[[], Table], *, as_json: bool) -> int:
    """Rows as JSON lines or as a table; an empty answer is no failure."""
    import json

    from rich.console import Console

    if as_json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
    elif rows:
        Console(highlight=False).print(table())
    else:
        print("no records match", file=sys.stderr)
    return OK


def _providers(options: argparse.Namespace) -> int:
    from gateway.bench import provider_check

    match options.what:
        case []:
            print("\n".join(provider_check.listing()))
            return OK
        case ["check", name]:
            from gateway.config import load

            path = options.config or DEFAULT_CONFIG
            config = load(path) if options.config or os.path.exists(path) else None  # noqa: PTH110

            async def run() -> int:
                return OK if await provider_check.check(name, config, print) else FAILED

            return _loop(run())
        case _:
            raise ConfigError(["providers: write `linecard providers`, or `linecard providers check NAME`"])


def _models(options: argparse.Namespace) -> int:
    from pydantic import ValidationError

    from gateway.config import LogOptions
    from gateway.daemon import logs
    from gateway.models import server
    from gateway.models.options import ModelsOptions

    wanted = {name: getattr(options, name) for name in ("dialogue", "voice", "token_delay", "stt_threads")}
    # A secret on the command line can be read by everybody on the machine.
    wanted["token"] = os.environ.get("LINECARD_MODELS_TOKEN")
    try:
        models = ModelsOptions.model_validate({key: value for key, value in wanted.items() if value is not None})
    except ValidationError as error:
        raise ConfigError(
            [f"--{_option(one['loc'])}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors()]
        ) from None
    logs.configure(LogOptions())
    return _loop(server.serve(options.host, options.port, models))


def _option(place: tuple[str | int, ...]) -> str:
    return str(place[0]).replace("_", "-")


def _demo(options: argparse.Namespace) -> int:
    config = _load(options)
    from gateway.bench import demo

    return _loop(demo.main_async(options.config, config, once=options.once))


if __name__ == "__main__":
    sys.exit(main())
