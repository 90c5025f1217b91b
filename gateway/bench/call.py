"""``linecard call``: one talking call to any SIP address, told as it happens, measured at the wire."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.bench.callers.caller import Happening, PickedUp, Rang, Speaks, Target
from gateway.bench.callers.host import CallerHost, find, quiet_log
from gateway.bench.callers.scenario import Scenario, load_scenario
from gateway.bench.callers.through import find_through
from gateway.bench.callers.voice import clips_for
from gateway.bench.measure.onset import Edge
from gateway.bench.measure.results import CallResult, spans
from gateway.bench.summary import outside_rows
from gateway.bench.terminal import Terminal
from gateway.config import Config
from gateway.errors import ConfigError
from gateway.net.options import TlsOptions, TlsTrust, TlsUnverified
from gateway.units import SECOND, Nanos, to_ms

__all__ = ["Way", "main_async", "trust"]


@dataclass(frozen=True, slots=True)
class Way:
    """How the far end is reached."""

    config: Config | None = None
    trunk: str | None = None
    caller: str | None = None
    patience: Nanos | None = None
    """How long a far end that says nothing at all is waited for."""
    believes: TlsTrust | None = None
    """Which servers are believed over TLS where no configuration says so."""

    @property
    def tls(self) -> TlsOptions | None:
        return self.config.sip.tls if self.config is not None else None


def trust(ca: str | None, *, insecure: bool) -> TlsTrust | None:
    """What ``--ca`` and ``--insecure`` mean. Raises ``ConfigError``."""
    if ca is not None and not Path(ca).is_file():
        raise ConfigError([f"--ca: there is no file {ca}"])
    return TlsUnverified() if insecure else TlsTrust(ca=Path(ca)) if ca is not None else None


async def main_async(
    target: str, scenario: str, *, record: str | None = None, models: str | None = None, way: Way | None = None
) -> int:
    """Exit status 0 only if the call was answered, and every turn in it. Raises ``LinecardError``."""
    way = way or Way()
    quiet_log()
    terminal = Terminal()
    plot = load_scenario(scenario)
    if record is not None and not Path(record).parent.is_dir():
        raise ConfigError([f"{record}: there is no such directory to write the recording to"])
    if way.config is not None and way.trunk is not None:
        found = await find_through(way.config, way.trunk, target, way.caller, way.patience)
    else:
        found = await find(target, way.patience)
    if way.believes is not None and way.tls is not None:
        raise ConfigError(["--ca, --insecure: sip.tls of the configuration says already which servers are believed"])
    if isinstance(way.believes, TlsUnverified):
        terminal.note("--insecure: whoever answers is believed, and may listen", style="yellow")
    terminal.note(f"calling {found.uri} ({plot.name}: {plot.turns} turns)")
    clips = await clips_for(plot, models)
    result = await _call(terminal, found, plot, clips, way, record=None if record is None else Path(record))
    return _report(terminal, result, record)


async def _call(
    terminal: Terminal,
    target: Target,
    scenario: Scenario,
    clips: dict[str, bytes],
    way: Way,
    *,
    record: Path | None,
) -> CallResult:
    def on_caller(happening: Happening) -> None:
        match happening:
            case Rang():
                terminal.note("it rings")
            case PickedUp(at=at):
                terminal.start = at
                terminal.note("answered")
            case Speaks(text=text, at=at, interrupting=interrupting):
                terminal.speaks("caller", at, text, "(interrupts)" if interrupting else "")

    def on_agent(edge: Edge) -> None:
        tell("the agent speaks" if edge.started else "the agent is silent")
        if not edge.started:
            started = spans(caller.ear.edges)[-1].start
            terminal.speaks("agent", started.packet, f"(spoke for {(edge.at - started.at) / SECOND:.1f} s)")

    with terminal.busy(f"calling {target.uri}") as tell:
        async with CallerHost(target, tls=way.tls, believes=way.believes) as host:
            caller = host.caller(scenario, clips, record=record is not None, notify=on_caller)
            caller.ear.on_edge = on_agent
            return await host.run(caller, record)


def _report(terminal: Terminal, result: CallResult, record: str | None) -> int:
    if result.turns:
        terminal.headline("Turns")
    for turn in result.turns:
        gap = "no answer" if turn.gap is None else f"answered after {to_ms(turn.gap):.1f} ms"
        early = ", while the caller was still speaking" if turn.talked_over else ""
        stop = "" if turn.stop is None else f", agent silent {to_ms(turn.stop):.1f} ms after the interruption"
        terminal.note(f"  {turn.number}  {gap}{early}{stop}", style="default")
    if result.answered is not None:
        stats = result.stats
        terminal.table({"measured on the wire": outside_rows([result])})
        terminal.note(
            f"  RTP: {stats.packets_sent} packets sent, {stats.packets_received} received, {stats.packets_lost} lost, "
            f"jitter {stats.jitter_ms:.1f} ms"
        )
    if record is not None and Path(record).exists():
        terminal.note(f"  recording: {record} (left caller, right agent)")
    if result.success:
        terminal.success("answered, and every turn was")
        return 0
    talked_over = sum(turn.talked_over for turn in result.turns)
    early = f"; {talked_over} were answered before the caller had finished" if talked_over else ""
    terminal.failure(f"{result.failure or result.outcome}{early}")
    return 1
