"""Calls a second: INVITE, 100, 180, 200, ACK, BYE, 200, with SIPp as the generator beside the gateway.

    python benchmarks/call_setup.py --rate 600 --seconds 10                  # media ports opened and closed
    python benchmarks/call_setup.py --rate 350 --seconds 10 --plug echo      # and a WebSocket connected before the 200
    python benchmarks/call_setup.py --rate 800 --limit 400 --seconds 10      # twice the limit: what is shed, and how
    python benchmarks/call_setup.py --burst 400                              # as many INVITEs at once

Set-up is INVITE to 200 as SIPp measures it. The processor time of a call is what a busy machine does not falsify.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import tempfile
from pathlib import Path

from common import Cpu, gateway, machine, row

SCENARIO = Path(__file__).with_name("call_setup.xml")


async def sipp(target: str, user: str, rate: int, calls: int, directory: Path, period_ms: int = 1000) -> None:
    command = [
        "sipp", target, "-sf", str(SCENARIO), "-s", user, "-i", "127.0.0.1", "-r", str(rate), "-m", str(calls),
        "-rp", str(period_ms),
        "-l", "20000", "-nostdin", "-trace_stat", "-stf", str(directory / "stat.csv"), "-fd", "1",
        "-trace_rtt", "-rtt_freq", "1", "-timeout", f"{calls // rate + 40}s", "-buff_size", "4000000",
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command, cwd=directory, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    if process.returncode not in (0, 1):
        raise SystemExit(errors.decode()[-500:])


def counts(directory: Path) -> dict[str, int]:
    """The last line of SIPp's statistics."""
    with (directory / "stat.csv").open() as file:
        *_, last = csv.DictReader(file, delimiter=";")
    names = {"SuccessfulCall(C)": "completed", "FailedCall(C)": "failed", "Retransmissions(C)": "retransmitted"}
    return {told: int(last[name]) for name, told in names.items()} | {"shed": int(last.get("GenericCounter1(C)") or 0)}


def set_ups(directory: Path) -> list[float]:
    """Milliseconds of each, from SIPp's own log."""
    found: list[float] = []
    for path in directory.glob("*rtt.csv"):
        for line in path.read_text().splitlines()[1:]:
            _, length, name, *_ = line.split(";")
            if name == "1":
                found.append(float(length))
    return found


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=600)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--plug", default="plain", choices=["plain", "echo"])
    parser.add_argument("--limit", type=float, help="limits.calls_per_second")
    parser.add_argument("--burst", type=int, help="calls that all come within 10 ms, instead of a rate")
    options = parser.parse_args()
    calls = options.burst or options.rate * options.seconds
    limits = {"concurrent_calls": 900, **({"calls_per_second": options.limit} if options.limit else {})}
    more = {"limits": limits, "sip": {"max_transactions": 200_000, "max_calls": 5000}}
    async with gateway(prompt=True, more=more) as bench:
        cpu = Cpu(bench.gateway.pid)
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            target = f"{bench.sip[0]}:{bench.sip[1]}"
            if options.burst:
                await sipp(target, options.plug, calls, calls, directory, period_ms=10)
            else:
                await sipp(target, options.plug, options.rate, calls, directory)
            spent = cpu.spent()
            told, lengths = counts(directory), set_ups(directory)
    answered = told["completed"] - told["shed"]
    print(machine())
    how = "at once" if options.burst else f"at {options.rate}/s"
    print(f"{calls} calls {how}, plug {options.plug}: {answered} answered, {told['shed']} shed with 503, "
          f"{told['failed']} failed, {told['retransmitted']} retransmissions")  # fmt: skip
    if options.limit:
        print(
            f"goodput {answered / options.seconds:.0f}/s, "
            f"{100 * answered / options.seconds / options.limit:.0f}% of the limit"
        )
    print(row("set-up, INVITE to 200", lengths))
    print(
        f"gateway CPU {1e6 * spent / calls:.0f} us a call offered, {1e6 * spent / max(1, answered):.0f} a call answered"
    )


if __name__ == "__main__":
    asyncio.run(main())
