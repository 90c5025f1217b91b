"""What a run leaves behind: one JSON file with every call and every turn in it, for reports, comparisons and scripts.

``*_s`` are seconds since the start of the run on one monotonic clock, ``*_ms`` durations in milliseconds. What is
unknown is null. ``format`` names the version: a reader of this one refuses another, and passes over keys that a later
release of the same version has added.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.errors import ConfigError

__all__ = [
    "FORMAT",
    "Call",
    "DeadAir",
    "FarEnd",
    "Fault",
    "Figure",
    "Generator",
    "Inside",
    "Knee",
    "KneeStep",
    "Machine",
    "Objective",
    "Phase",
    "Rtp",
    "Run",
    "Target",
    "Turn",
    "Verdict",
    "read_run",
    "write_run",
]

FORMAT: Final = "linecard-bench/1"
_LARGEST: Final = 1 << 30
"""Bytes of a file that is read: some million turns."""
_TOLD: Final = 10
"""Problems of a broken file that are told."""

Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Part(BaseModel):
    """A block of the file: frozen, and tolerant of keys that a later release has added."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Figure(_Part):
    """The distribution of one measurement, in milliseconds, read from its full histogram."""

    count: int
    p50: Finite
    p90: Finite
    p95: Finite
    p99: Finite
    p999: Finite
    max: Finite
    p99_ci: tuple[Finite, Finite | None] | None = None
    """95% confidence interval of p99 by order statistics. The upper end is null where the sample is too small to have
    one (below 368 values); the whole is null for a single value."""
    histogram: str = ""
    """HdrHistogram, V2 compressed encoding, base64; its values are microseconds."""


class Machine(_Part):
    """Where the generator ran."""

    cpu: str
    cores: int
    kernel: str
    python: str


class Target(_Part):
    """Who was called."""

    uri: str
    label: str


class Generator(_Part):
    """Whether the callers themselves kept their time."""

    lateness_ms: Figure | None
    """How late the callers' packets left after their moment on the packet clock."""
    starts_ms: Figure | None = None
    """How late calls began after they were due."""
    cpu_s: Finite
    wall_s: Finite
    cores_used: Finite
    late_sends: int
    """Moments of the packet clock that were missed altogether."""
    bottleneck: str | None
    """Why the figures show the generator rather than the agent, if they do."""


class Phase(_Part):
    """A stretch of the run with one load."""

    name: str
    start_s: Finite
    end_s: Finite
    callers: int | None = None
    """That many at once; null where calls arrive by ``rate``."""
    rate: Finite | None = None
    """Calls a second."""
    warm_up: bool = False
    """Its calls are kept, and in no figure."""


class Fault(_Part):
    """What the bench did to the agent, on schedule."""

    at_s: Finite
    until_s: Finite | None
    """When it was over; null for what only has a beginning."""
    what: str
    target: str


class FarEnd(_Part):
    """What the far end's RTCP says of the caller's stream."""

    packets_lost: int
    """Negative if it got more than was sent."""
    recent_loss: Finite
    jitter_ms: Finite
    r_factor: Finite
    mos: Finite
    reported_r_factor: int | None = None
    reported_mos: Finite | None = None


class Rtp(_Part):
    """The caller's RTP session."""

    sent: int
    received: int
    lost: int
    late: int
    duplicate: int = 0
    refused: int = 0
    """Of a codec that was not agreed on, of another source, or not RTP."""
    jitter_ms: Finite
    mos: Finite | None
    round_trip_ms: Finite | None = None
    far: FarEnd | None = None


class DeadAir(_Part):
    """Neither side spoke for longer than the scenario's limit (2 s)."""

    at_s: Finite
    ms: Finite


class Inside(_Part):
    """The agent's own stamps of a turn, when it is Linecard."""

    gap_ms: Finite | None
    stages_ms: dict[str, Finite] = {}
    model_ms: dict[str, Finite] = {}
    ours_ms: Finite | None = None


class Turn(_Part):
    """One turn of the caller and what came back."""

    number: int
    said: str
    manner: str = "turn"
    """``turn``, ``interruption``, ``talk-over``, ``backchannel`` or ``digits``."""
    spoke_s: Finite
    """Its first sample of speech was sent."""
    ended_s: Finite
    """Its last one."""
    late_ms: Finite = 0.0
    """How much later than the scenario wanted it began: the generator's fault, not the agent's."""
    gap_ms: Finite | None
    """From then to the first sample of the answer; null without an answer, negative when talked over."""
    packet_gap_ms: Finite | None = None
    """The same between the packets that held those samples, as an analyser on the wire sees it."""
    onset_s: Finite | None = None
    """The first sample of the answer."""
    awaited: bool = True
    """The caller waited for an answer."""
    stop_ms: Finite | None = None
    """From the first packet of an interruption to the agent's last one with speech."""
    interrupting: bool = False
    talked_over: bool = False
    """The agent began to answer while the caller was still speaking."""
    false_barge_in: bool = False
    """The agent stopped for something that was no interruption."""
    talk_over_ms: Finite | None = None
    """How long both spoke at once."""
    clipped_ms: Finite | None = None
    """Speech of the agent that is missing against what was expected."""
    inside: Inside | None = None


class Call(_Part):
    """One call of the schedule, placed or not."""

    number: int
    call_id: str
    scenario: str
    seed: int = 0
    """Of all that this call drew: think times, noise, losses."""
    phase: str
    warm_up: bool
    due_s: Finite
    """As the schedule says, fixed before the run."""
    started_s: Finite | None
    """Its INVITE was sent."""
    late_ms: Finite | None
    """Between the two."""
    ringing_ms: Finite | None = None
    """INVITE to 180."""
    answered_ms: Finite | None = None
    """INVITE to 200."""
    first_audio_ms: Finite | None = None
    """200 to the first RTP packet, with sound or without."""
    greeting_ms: Finite | None = None
    """200 to the first packet of the agent's speech."""
    ended_s: Finite | None = None
    ended_by: str = ""
    status: int | None = None
    """Of the final response, when the call was refused."""
    outcome: str
    """A name: ``ok``, ``busy``, ``refused``, ``no-answer``, ... (docs/bench.md has all)."""
    failure: str | None = None
    """Why it is not ``ok``, in words."""
    rtp: Rtp | None = None
    impairments: dict[str, object] | None = None
    recording: str | None = None
    """Stereo WAV, relative to the run file."""
    dead_air: list[DeadAir] = []
    heard: list[tuple[Finite, Finite | None]] = []
    """When the agent spoke; the end is null if it still did when the call ended."""
    turns: list[Turn] = []


class Objective(_Part):
    """What the run was to keep."""

    figure: str
    percentile: Finite
    limit_ms: Finite
    failures: int = 0
    """Calls that may fail."""


class KneeStep(_Part):
    """One load, and whether the objective was kept under it."""

    callers: int
    calls: int
    failed: int
    p50: Finite | None
    p99: Finite | None
    met: bool


class Knee(_Part):
    """Latency against concurrency."""

    callers: int | None
    """The largest load that kept the objective; null if none did, or there was none."""
    bend: int | None = None
    """Where p99 turns upwards: the load farthest below the straight line from the first to the last."""
    steps: list[KneeStep]


class Verdict(_Part):
    """``ok`` is the exit status; ``reasons`` say why it is not."""

    ok: bool
    reasons: list[str] = []


class Run(_Part):
    """The whole file."""

    format: Literal["linecard-bench/1"] = "linecard-bench/1"
    name: str
    started: str
    """ISO 8601, UTC."""
    seed: int
    command: list[str]
    version: str
    """Of Linecard that measured."""
    machine: Machine
    target: Target
    generator: Generator
    phases: list[Phase]
    faults: list[Fault] = []
    calls: list[Call]
    figures: dict[str, Figure]
    """``gap``, ``set_up``, ``ringing``, ``greeting``, ``stop``, ``dead_air``: of all calls outside warm-up."""
    outcomes: dict[str, int]
    objective: Objective | None = None
    knee: Knee | None = None
    verdict: Verdict

    def measured(self) -> list[Call]:
        """Calls that count: those of the warm-up do not."""
        return [call for call in self.calls if not call.warm_up]


def write_run(run: Run, path: Path) -> None:
    """Whole or not at all: a reader never sees half a file, and a full disk leaves the old one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(run.model_dump_json(indent=1))
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def read_run(path: Path) -> Run:
    """Raises ``ConfigError`` with a line per problem if it is no run file, or a broken one."""
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigError([f"{path}: larger than {_LARGEST >> 20} MiB; this is no run file"])
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"]) from error
    except ValueError as error:
        raise ConfigError([f"{path}: not JSON: {error}"]) from error
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        raise ConfigError([f"{path}: not a run file of this version: its format is {found!r}, expected {FORMAT!r}"])
    try:
        return Run.model_validate(document)
    except ValidationError as error:
        places = [(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors()]
        problems = [f"{path}: {place}: {what}" for place, what in places[:_TOLD]]
        more = len(places) - _TOLD
        raise ConfigError(problems + ([f"{path}: and {more} more problems"] if more > 0 else [])) from error
