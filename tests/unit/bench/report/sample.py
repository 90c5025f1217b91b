"""A run as the bench writes it, made of a seed: 3 minutes, some callers, a slow agent, one fault, recordings."""

from __future__ import annotations

import math
import random
import wave
from array import array
from functools import cache
from pathlib import Path

from gateway.bench.runs.figures import figure
from gateway.bench.runs.run_file import (
    Call,
    DeadAir,
    Fault,
    Generator,
    Inside,
    Knee,
    KneeStep,
    Machine,
    Objective,
    Phase,
    Rtp,
    Run,
    Target,
    Turn,
    Verdict,
)

SAYINGS = (
    "I would like a large pizza with mushrooms please",
    "Delivery, to 12 Garden Street",
    "no, pick up please",
    "Yes that is right, thank you",
)
RATE = 8000


def sample_run(
    *, calls: int = 60, seed: int = 1, slower: float = 1.0, fault: bool = True, recordings: Path | None = None
) -> Run:
    """``slower`` stretches the language model."""
    source = random.Random(seed)
    length = max(30.0, calls * 3.0)
    faults = [Fault(at_s=length * 0.5, until_s=length * 0.6, what="stall", target="tts")] if fault else []
    made = [_call(number, source, length, slower, faults, recordings) for number in range(1, calls + 1)]
    counted = [call for call in made if not call.warm_up]
    gaps = [t.gap_ms for c in counted for t in c.turns if t.gap_ms is not None and not t.talked_over]
    found = {
        "gap": figure(gaps),
        "set_up": figure(c.answered_ms for c in counted if c.answered_ms is not None),
        "greeting": figure(c.greeting_ms for c in counted if c.greeting_ms is not None),
        "stop": figure(t.stop_ms for c in counted for t in c.turns if t.stop_ms is not None),
        "dead_air": figure(d.ms for c in counted for d in c.dead_air),
    }
    outcomes: dict[str, int] = {}
    for call in counted:
        outcomes[call.outcome] = outcomes.get(call.outcome, 0) + 1
    steps = [
        KneeStep(callers=n, calls=n * 4, failed=max(0, n - 220) // 20, p50=620 + n * n / 400, p99=900 + (n / 14) ** 2.2,
                 met=900 + (n / 14) ** 2.2 < 1500)
        for n in (5, 25, 50, 100, 150, 200, 250, 300)
    ]  # fmt: skip
    bad = sum(count for name, count in outcomes.items() if name != "ok")
    return Run(
        name="pizza orders at noon",
        started="2026-11-20T12:00:00+00:00",
        seed=seed,
        command=["linecard", "bench", "run", "sip:pizza@127.0.0.1:5060", "--callers", "20", "--seed", str(seed)],
        version="0.1.0",
        machine=Machine(cpu="AMD EPYC", cores=2, kernel="6.18.0", python="3.11.7"),
        target=Target(uri="sip:pizza@127.0.0.1:5060", label="pizza line, release 7"),
        generator=Generator(
            lateness_ms=figure(abs(source.gauss(0.1, 0.15)) for _ in range(5000)), cpu_s=length / 6, wall_s=length,
            cores_used=0.17, late_sends=0, bottleneck=None, starts_ms=figure(source.random() * 3 for _ in range(calls)),
        ),
        phases=[
            Phase(name="warm-up", start_s=0, end_s=length * 0.1, callers=5, warm_up=True),
            Phase(name="fixed", start_s=length * 0.1, end_s=length, callers=20),
        ],
        faults=faults,
        calls=made,
        figures={key: value for key, value in found.items() if value is not None},
        outcomes=outcomes,
        objective=Objective(figure="gap", percentile=99, limit_ms=1500),
        knee=Knee(callers=150, bend=200, steps=steps),
        verdict=Verdict(ok=not bad, reasons=[f"{bad} calls failed"] if bad else []),
    )  # fmt: skip


def _call(
    number: int, source: random.Random, length: float, slower: float, faults: list[Fault], to: Path | None
) -> Call:
    started = (number - 1) * length * 0.85 / 60 if number <= 60 else source.random() * length * 0.85
    warm = started < length * 0.1
    scenario = source.choice(("pizza", "angry", "noisy"))
    common = {"number": number, "call_id": f"{number:04x}@bench", "scenario": scenario,
              "phase": "warm-up" if warm else "fixed", "warm_up": warm, "due_s": started, "started_s": started + 0.001,
              "late_ms": 1.0}  # fmt: skip
    if source.random() < 0.03:
        return Call(
            **common, outcome="busy", status=486, failure="486 Busy Here", ended_by="remote", ended_s=started + 0.05
        )
    at, turns = started + 3.0, []
    for turn in range(1, 5):
        turns.append(_turn(turn, at, source, slower, faults))
        at = (turns[-1].onset_s or turns[-1].ended_s + 3) + 2.4
    unanswered = any(t.gap_ms is None for t in turns)
    call = Call(
        **common, ringing_ms=2 + source.random(), answered_ms=source.lognormvariate(1.7, 0.3), first_audio_ms=12.0,
        greeting_ms=source.lognormvariate(4.5, 0.4), ended_s=at, ended_by="caller", status=200,
        outcome="unanswered-turn" if unanswered else "ok", failure="turn 3 got no answer" if unanswered else None,
        rtp=Rtp(sent=900, received=880, lost=source.choice([0, 0, 0, 4]), late=0, jitter_ms=source.random(), mos=4.3),
        dead_air=[DeadAir(at_s=t.ended_s + 2, ms=t.gap_ms) for t in turns if (t.gap_ms or 0) > 2000], turns=turns,
        recording=f"calls/{number}.wav" if to is not None else None,
    )  # fmt: skip
    if to is not None:
        _record(call, to / f"calls/{number}.wav")
    return call


def _turn(number: int, at: float, source: random.Random, slower: float, faults: list[Fault]) -> Turn:
    ended = at + 1.2 + source.random()
    stages = {
        "hangover": 500.0, "stt": source.lognormvariate(3.4, 0.5), "llm": source.lognormvariate(5.2, 0.45) * slower,
        "tts": source.lognormvariate(4.4, 0.35), "first_packet": 2 + source.random() * 5,
    }  # fmt: skip
    if any(fault.at_s <= ended < (fault.until_s or 0) for fault in faults):
        stages["tts"] += source.lognormvariate(6.4, 0.5)
    gap = sum(stages.values())
    models = {stage: stages[stage] * 0.95 for stage in ("stt", "llm", "tts")}
    inside = Inside(gap_ms=gap, stages_ms=stages, model_ms=models, ours_ms=gap - 500 - sum(models.values()))
    lost = source.random() < 0.004
    return Turn(
        number=number, said=SAYINGS[(number - 1) % 4], spoke_s=at, ended_s=ended, gap_ms=None if lost else gap + 0.4,
        onset_s=None if lost else ended + (gap + 0.4) / 1000,
        stop_ms=130 + source.gauss(0, 12) if number == 3 else None,
        inside=None if lost else inside,
    )  # fmt: skip


def _record(call: Call, path: Path) -> None:
    """Something like speech: syllables of a harmonic tone, the caller left, the agent right."""
    began = (call.started_s or 0) + ((call.answered_ms or 0) + (call.first_audio_ms or 0)) / 1000
    sides = [array("h", bytes(2 * int(((call.ended_s or 0) - began) * RATE))) for _ in range(2)]
    for turn in call.turns:
        _speak(sides[0], turn.spoke_s - began, turn.ended_s - began, 130)
        if turn.onset_s is not None:
            _speak(sides[1], turn.onset_s - began, turn.onset_s - began + 2.0, 210)
    stereo = array("h", bytes(4 * len(sides[0])))
    stereo[0::2], stereo[1::2] = sides
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, RATE, 0, "NONE", "not compressed"))
        file.writeframes(stereo.tobytes())


def _speak(side: array[int], start: float, end: float, pitch: int) -> None:
    first, last = max(0, int(start * RATE)), min(len(side), int(end * RATE))
    side[first:last] = (_voice(pitch) * 20)[: max(0, last - first)]


@cache
def _voice(pitch: int) -> array[int]:
    """A second of it."""
    tone = 2 * math.pi * pitch
    return array("h", (
        int(6000 * abs(math.sin(math.pi * 4 * t)) * (math.sin(tone * t) + 0.5 * math.sin(3 * tone * t)))
        for t in (i / RATE for i in range(RATE))
    ))  # fmt: skip
