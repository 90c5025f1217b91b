"""Trying things out from outside: call, providers."""

from __future__ import annotations

import argparse
import os
from typing import Any

from gateway.cli.arguments import DEFAULT_CONFIG, FAILED, OK, add_command, load_config, run_loop, sip_address
from gateway.errors import ConfigError

__all__ = ["add_commands"]


def add_commands(commands: Any) -> None:
    """To the parser's subparsers."""
    _add_call(commands)
    _add_providers(commands)


def _add_call(commands: Any) -> None:
    example = (
        "linecard call sip:pizza@127.0.0.1:5060\nlinecard call sip:agent@192.0.2.7 --record call.wav\n"
        "linecard call sips:agent@sip.example.net --ca ca.pem\n"
        "linecard call --config linecard.yaml --trunk carrier +493012345678"
    )
    parser = add_command(
        commands, "call", _call, "place a talking call to any SIP address and measure every turn", example
    )
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


def _add_providers(commands: Any) -> None:
    example = "linecard providers\nlinecard providers check ears --config linecard.yaml"
    about = "list the kinds of model providers, or try one of them live"
    parser = add_command(commands, "providers", _providers, about, example)
    parser.add_argument(
        "what",
        nargs="*",
        metavar="check NAME",
        help="one live round trip in every role, with your key: each stage's time",
    )
    parser.add_argument(
        "--config", metavar="FILE", help=f"where NAME is a provider's block (default: {DEFAULT_CONFIG}, if it is there)"
    )


def _call(options: argparse.Namespace) -> int:
    if options.trunk is None:
        sip_address(options.target)
    from gateway.bench import call
    from gateway.options import parse_duration

    config = None
    if options.trunk is not None or options.config is not None:
        options.config = options.config or DEFAULT_CONFIG
        config = load_config(options)
    default = None if options.trunk is not None else "5s"
    try:
        patience = parse_duration(wanted) if (wanted := options.give_up or default) else None
    except ValueError as error:
        raise ConfigError([f"--give-up: {error}"]) from None
    believes = call.trust(options.ca, insecure=options.insecure)
    way = call.Way(config, options.trunk, options.caller, patience, believes)
    return run_loop(
        call.main_async(options.target, options.scenario, record=options.record, models=options.models, way=way)
    )


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

            return run_loop(run())
        case _:
            raise ConfigError(["providers: write `linecard providers`, or `linecard providers check NAME`"])
