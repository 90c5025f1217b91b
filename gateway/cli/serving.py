"""The gateway and what stands beside it: run, check, explain, models, demo."""

from __future__ import annotations

import argparse
import os
from typing import Any

from gateway.cli.arguments import OK, add_command, add_config, load_config, port, run_loop
from gateway.errors import ConfigError

__all__ = ["add_commands"]


def add_commands(commands: Any) -> None:
    """To the parser's subparsers."""
    _add_run(commands)
    _add_check(commands)
    _add_explain(commands)
    _add_models(commands)
    _add_demo(commands)


def _add_run(commands: Any) -> None:
    parser = add_command(commands, "run", _run, "take calls until told to stop", "linecard run config/linecard.yaml")
    add_config(parser)
    parser.add_argument(
        "--no-redact", action="store_true", help="log numbers and what was said in full, whatever log.redact says"
    )


def _add_check(commands: Any) -> None:
    about = "validate a configuration, and print the addresses that callers will be told"
    add_config(add_command(commands, "check", _check, about, "linecard check config/linecard.yaml"))


def _add_explain(commands: Any) -> None:
    about = "say what would become of an INVITE: which trunk, which rule, which route, and what is answered"
    example = "linecard explain call.sip --source 203.0.113.7\nlinecard explain - config/linecard.yaml < call.sip"
    parser = add_command(commands, "explain", _explain, about, example)
    parser.description = f"{parser.description} Exit status 0: it would be taken, 1: it would be refused."
    parser.add_argument("message", metavar="MESSAGE", help="file with the INVITE as it was on the wire; - reads it")
    add_config(parser)
    parser.add_argument("--source", metavar="IP[:PORT]", help="who sent it (default: what its topmost Via says)")
    parser.add_argument("--transport", metavar="NAME", help="udp, tcp, tls, ... (default: what its topmost Via says)")
    parser.add_argument(
        "--tls-name",
        action="append",
        metavar="NAME",
        help="what its TLS certificate proves, as for a trunk's tls_names; give it again for each name",
    )


def _add_models(commands: Any) -> None:
    example = "linecard models --port 8765\nlinecard models --dialogue mine.yaml --token-delay 40ms"
    parser = add_command(
        commands, "models", _models, "serve the embedded STT, TTS and scripted dialogue to gateways", example
    )
    parser.description = f"{parser.description} If LINECARD_MODELS_TOKEN is set, gateways must send it."
    parser.add_argument("--host", default="127.0.0.1", metavar="HOST", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", default=8765, type=port, metavar="N", help="port to listen on (default: 8765)")
    parser.add_argument("--dialogue", metavar="FILE", help="what the scripted LLM says (default: takes a pizza order)")
    parser.add_argument("--voice", metavar="NAME", help="voice of espeak-ng, like en-us or en-us+f3")
    parser.add_argument(
        "--token-delay", metavar="TIME", help="pause before each token, to feel like a slower LLM: 40ms"
    )
    parser.add_argument("--stt-threads", type=int, metavar="N", help="threads that decode speech (default: 2)")


def _add_demo(commands: Any) -> None:
    parser = add_command(
        commands, "demo", _demo, "start gateway and models, and place a call through them", "linecard demo"
    )
    add_config(parser)
    parser.add_argument("--once", action="store_true", help="end after the call; status 0 only if every turn was good")


def _run(options: argparse.Namespace) -> int:
    config = load_config(options)
    from gateway.daemon import app, logs

    log = config.log.model_copy(update={"redact": False}) if options.no_redact else config.log
    logs.configure(log)
    return run_loop(app.run(config))


def _check(options: argparse.Namespace) -> int:
    from gateway.config.summary import describe

    config = load_config(options)
    print(f"{options.config}: valid")
    print(describe(config))
    return OK


def _explain(options: argparse.Namespace) -> int:
    config = load_config(options)
    from gateway.daemon import explanation

    return explanation.main(
        options.message, config, options.source, options.transport, tls_names=options.tls_name or ()
    )


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
    return run_loop(server.serve(options.host, options.port, models))


def _option(place: tuple[str | int, ...]) -> str:
    return str(place[0]).replace("_", "-")


def _demo(options: argparse.Namespace) -> int:
    config = load_config(options)
    from gateway.bench import demo

    return run_loop(demo.main_async(options.config, config, once=options.once))
