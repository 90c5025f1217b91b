"""The latency bench: many talking callers, and what they measured."""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gateway.cli import reports
from gateway.cli.arguments import OK, add_command, duration, port, run_loop, sip_address
from gateway.cli.reports import tell_comparison, tell_run, writable
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.bench.runs.plan import Plan
    from gateway.bench.runs.run import Found, Job

__all__ = ["add_commands"]

_SHAPES: Final = {
    "callers": ("N", "so many callers at once"),
    "ramp": ("FROM:TO", "from so many callers to so many, in twelve steps"),
    "steps": ("N,N,...", "so many callers at once, one step after the other"),
    "spike": ("N:PEAK", "so many callers, then many more, then as before"),
    "soak": ("N", "so many callers for a long time, told in ten parts"),
    "rate": ("N/s", "so many new calls a second (also /m, /h), whatever becomes of those before"),
}


def add_commands(commands: Any) -> None:
    """To the parser's subparsers."""
    about = "measure a voice agent with many talking callers, under load and under faults"
    parser = add_command(commands, "bench", _list, about, "linecard bench run sip:pizza@127.0.0.1:5060")
    parts = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(parts)
    _add_ab(parts)
    reports.add_commands(parts)
    _add_reference(parts)
    add_command(parts, "list", _list, "list the suites and scenarios that ship", "linecard bench list")


def _add_run(parts: Any) -> None:
    example = (
        "linecard bench run sip:pizza@127.0.0.1:5060 --suite smoke\n"
        "linecard bench run sip:agent@192.0.2.7 --scenario pizza --callers 20 --for 2m --html run.html\n"
        "linecard bench run config/linecard.yaml --ramp 5:500 --find 'p99<800ms'"
    )
    parser = add_command(parts, "run", _run, "call an agent many times and measure every turn", example)
    parser.add_argument("target", metavar="TARGET", help=_TARGET)
    _add_plan(parser)
    parser.add_argument(
        "--find", metavar="OBJECTIVE", help="the largest number of callers that keeps it, like p99<800ms"
    )
    parser.add_argument("--faults", metavar="FILE", help="YAML: what happens to an agent of the run's own, and when")
    parser.add_argument(
        "--inside", metavar="FILE", help="log (JSON) or call records of the Linecard that is called, for its own view"
    )
    parser.add_argument("--out", metavar="FILE", help="run file (default: bench-SUITE-TIME.json)")
    parser.add_argument("--html", metavar="FILE", help="report to look at, beside the run file")


def _add_ab(parts: Any) -> None:
    example = "linecard bench ab a.yaml b.yaml --callers 4 --for 5m\nlinecard bench ab sip:a@192.0.2.7 sip:b@192.0.2.8"
    about = "call two agents in turn, in one run, and say whether they differ"
    parser = add_command(parts, "ab", _ab, about, example)
    parser.add_argument("target_a", metavar="TARGET_A", help=_TARGET)
    parser.add_argument("target_b", metavar="TARGET_B", help="the same")
    _add_plan(parser)
    parser.add_argument(
        "--out", metavar="NAME", default="ab", help="run files NAME-a.json and NAME-b.json (default: ab)"
    )
    parser.add_argument("--html", metavar="FILE", help="the comparison to look at")


def _add_reference(parts: Any) -> None:
    example = "linecard bench reference --delay 180ms --port 5080\nlinecard call sip:50ms@127.0.0.1:5080"
    about = "be an agent that answers exactly so late: what the bench measures is held against it"
    parser = add_command(parts, "reference", _reference, about, example)
    parser.description = (
        f"{parser.description} The user part of the address that is called may say otherwise: 800ms, busy, 503, "
        "never-answers, rings, no-audio, mute, other-codec, never-stops, hangs-up."
    )
    parser.add_argument("--delay", type=duration, default="180ms", metavar="TIME", help="default: 180ms")
    parser.add_argument("--answer", type=duration, default="800ms", metavar="TIME", help="how long it speaks (800ms)")
    parser.add_argument(
        "--stop", type=duration, default="100ms", metavar="TIME", help="how soon it stops when interrupted (100ms)"
    )
    parser.add_argument("--no-greeting", action="store_true", help="wait for the caller to speak first")
    parser.add_argument("--host", default="127.0.0.1", metavar="IP", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", default=5080, type=port, metavar="N", help="port to listen on (5080)")
    parser.add_argument("--quiet", action="store_true", help="no line per turn")


_TARGET: Final = "SIP address; or a gateway's FILE.yaml or FILE.yaml#NUMBER, which is started for the run, with models"


def _add_plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--suite", default=None, metavar="NAME|FILE", help="smoke (the default), standard, load, soak, chaos"
    )
    parser.add_argument("--scenario", action="append", metavar="NAME|FILE", help="what callers do; again for a mix")
    shapes = parser.add_mutually_exclusive_group()
    for shape, (metavar, about) in _SHAPES.items():
        shapes.add_argument(f"--{shape}", metavar=metavar, help=about)
    parser.add_argument("--for", dest="length", metavar="TIME", help="how long the load lasts, the warm-up not counted")
    parser.add_argument("--warm-up", metavar="TIME", help="before that, in no figure")
    parser.add_argument(
        "--every", metavar="TIME", help="each caller calls so often (default: as a trial call takes, and a tenth more)"
    )
    parser.add_argument("--calls", type=int, metavar="N", help="no more than so many calls")
    parser.add_argument("--seed", type=int, metavar="N", help="same seed, same schedule (default: a new one)")
    parser.add_argument("--objective", metavar="OBJECTIVE", help="fail unless it is kept, like p95<1.5s")
    parser.add_argument("--failures", type=int, metavar="N", help="so many calls may fail (default: 0)")
    parser.add_argument("--impair", metavar="NAME", help="the callers' lines, like bad-wifi, mobile or satellite")
    parser.add_argument("--record", metavar="DIR", help="keep every call as a stereo WAV: caller left, agent right")
    parser.add_argument(
        "--give-up",
        type=duration,
        default="5s",
        metavar="TIME",
        help="patience with a far end that says nothing at all",
    )
    parser.add_argument(
        "--voices", metavar="URL", help="models process for the callers' voices (default: one is started)"
    )
    parser.add_argument(
        "--caller",
        choices=("linecard", "pjsua2"),
        default="linecard",
        help="whose SIP and media the callers call with (default: our own)",
    )
    parser.add_argument(
        "--reference",
        action="store_true",
        help="`linecard bench reference` is called: lift pauses in speech that it would take for its end",
    )
    parser.add_argument(
        "--models", metavar="COMMAND", help="what serves the models of a gateway that is started; {port} is its port"
    )


# --- commands ---------------------------------------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> int:
    from gateway.bench.runs.run_file import write_run

    out = writable(options.out or f"{_default_name(options)}.json")
    page = None if options.html is None else writable(options.html)
    found = _found(options, [options.target], out)
    (run,) = found.runs
    write_run(run, out)
    tell_run(run, out, page)
    print(f"run file: {out}")
    return found.status


def _ab(options: argparse.Namespace) -> int:
    from gateway.bench.runs.run_file import write_run

    outs = [writable(f"{options.out}-{name}.json") for name in "ab"]
    page = None if options.html is None else writable(options.html)
    found = _found(options, [options.target_a, options.target_b], outs[0])
    for run, out in zip(found.runs, outs, strict=True):
        write_run(run, out)
        tell_run(run, out)
        print(f"run file: {out}")
    tell_comparison(found.runs[0], found.runs[1], page=page)
    return found.status


def _list(options: argparse.Namespace) -> int:
    from gateway.bench.callers.scenario import load_scenario, shipped
    from gateway.bench.runs.plan import load_suite, shipped_suites

    print("suites (linecard bench run TARGET --suite NAME)")
    for name in shipped_suites():
        print(f"  {name:<20}{load_suite(name).about}")
    print("scenarios (--scenario NAME)")
    for name in shipped():
        print(f"  {name:<20}{load_scenario(name).about}")
    return OK


def _found(options: argparse.Namespace, targets: list[str], out: Path) -> Found:
    from gateway.bench.runs.run import run_job
    from gateway.bench.terminal import Terminal

    for target in targets:
        if not target.partition("#")[0].endswith((".yaml", ".yml")):
            sip_address(target if target.startswith(("sip:", "sips:")) else f"sip:{target}")
    plan, job = _plan(options), _job(options, targets, out)
    kept: list[Found] = []

    async def work() -> int:
        kept.append(await run_job(plan, job, Terminal()))
        return OK

    run_loop(work())
    if not kept:
        raise KeyboardInterrupt
    return kept[0]


def _plan(options: argparse.Namespace) -> Plan:
    from gateway.bench.runs.faults.options import load_faults
    from gateway.bench.runs.plan import load_suite, make_plan

    changes: dict[str, Any] = {
        "scenarios": options.scenario,
        "for": options.length,
        "warm_up": options.warm_up,
        "every": options.every,
        "objective": options.objective,
        "failures": options.failures,
        "impairments": options.impair,
        "load": next(({shape: text} for shape in _SHAPES if (text := getattr(options, shape)) is not None), None),
    }
    if (objective := getattr(options, "find", None)) is not None:
        changes |= {"find": True, "objective": objective}
    if (faults := getattr(options, "faults", None)) is not None:
        changes["faults"] = load_faults(Path(faults))
    if options.calls is not None and options.calls < 1:
        raise ConfigError([f"--calls: {options.calls}; give 1 or more"])
    given = {key: value for key, value in changes.items() if value is not None}
    suite = load_suite(options.suite if options.suite or given else "smoke", given)
    return make_plan(suite, random.getrandbits(31) if options.seed is None else options.seed, options.calls)


def _job(options: argparse.Namespace, targets: list[str], out: Path) -> Job:
    import os

    from gateway.bench.runs.faults.agent import MODELS_COMMAND
    from gateway.bench.runs.run import Job

    record = None if options.record is None else Path(options.record)
    return Job(
        targets=targets,
        command=["linecard", *sys.argv[1:]],
        record=record,
        recorded_as="" if record is None else os.path.relpath(record, out.parent),
        patience=options.give_up,
        inside=None if getattr(options, "inside", None) is None else Path(options.inside),
        voices=options.voices,
        models=options.models or MODELS_COMMAND,
        reference=options.reference,
        caller=options.caller,
    )


def _default_name(options: argparse.Namespace) -> str:
    import time

    suite = Path(options.suite or "run").stem
    return time.strftime(f"bench-{suite}-%Y%m%d-%H%M%S")


def _reference(options: argparse.Namespace) -> int:
    from gateway.bench.reference.agent import main_async
    from gateway.bench.reference.options import Manners

    manners = Manners(options.delay, greets=not options.no_greeting, answer=options.answer, stop=options.stop)
    return run_loop(main_async(manners, options.host, options.port, quiet=options.quiet))
