"""What the records of one turn cost each of those who read them, in processor time of one thread.

    python benchmarks/kernels/watching.py

The event loop hands a record over and counts it; the records' thread writes it into SQLite and makes spans of it; the
traces' thread encodes them. Best of several passes over the records of 200 calls with three turns each, so that who
else uses the machine is left out as far as can be; the records of call set-up and end are in the figure.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gateway import trace
from gateway.daemon.metrics import Metrics
from gateway.daemon.otlp import encoded
from gateway.daemon.spans import Span, Spans
from gateway.media.costs import PlaneCosts
from gateway.records.database import Database
from gateway.records.writer import Records
from gateway.redaction import redacted
from gateway.units import SECOND, Nanos

CALLS, TURNS, PASSES = 200, 3, 7
MS = 1_000_000
STAMPS = {
    "speech_started": 1000 * MS, "speech_ended": 2000 * MS, "endpoint": 2500 * MS, "stt_final": 2530 * MS,
    "llm_first_token": 2800 * MS, "llm_first_sentence": 2850 * MS, "tts_first_audio": 2900 * MS,
    "first_packet": 2905 * MS, "last_packet": 5000 * MS,
}  # fmt: skip
MODELS = {"stt": "prompt 1", "llm": "prompt 1", "tts": "prompt 1"}
TURN = {
    "event": "turn", "kind": "answer", "heard": "yes please", "said": "Certainly, that is all right.", "language": "en",
    "understood": True, "interrupted": False, "gap_ms": 905.0, "ours_ms": 7.0, "hangover_configured_ms": 500.0,
    "stages_ms": {"hangover": 500.0, "stt": 30.0, "llm": 270.0, "tts": 100.0, "first_packet": 5.0},
    "model_ms": {"stt": 25.0, "llm": 2.0, "tts": 1.0}, "stamps": STAMPS, "models": MODELS, "providers": MODELS,
    "usage": [{"role": "stt", "provider": "models", "seconds": 1.2, "cost": 0.0}], "cost": 0.0,
}  # fmt: skip
MEDIA = dict.fromkeys(
    [f"packets_{what}" for what in ("received", "sent", "lost", "late", "duplicate", "refused")], 100
) | {"frames_concealed": 0, "underruns": 0, "jitter_ms": 0.2, "mos": 4.4}  # fmt: skip


def records() -> list[dict[str, Any]]:
    """As the gateway makes them."""
    made: list[dict[str, Any]] = []
    for number in range(CALLS):
        about = {"call_id": f"{number:016x}@127.0.0.1", "at": time.time()}
        where = {"trunk": "loopback", "plug": "pizza", "caller": "+4930123456", "called": "pizza", "direction": "in"}
        made.append({"event": "call.started", **about, **where, "traceparent": trace.begin().traceparent})
        made += [{**TURN, "turn": turn, **about} for turn in range(TURNS)]
        made.append(
            {"event": "call.ended", **about, **where, "by": "remote", "duration_s": 9.0, "talk_s": 9.0, "media": MEDIA}
        )
    return made


def best(what: Callable[[], Callable[[], object]]) -> float:
    """Microseconds a turn; ``what`` makes everything new for a pass and gives what is timed."""
    spent = []
    for _ in range(PASSES):
        run = what()
        began = time.thread_time()
        run()
        spent.append(time.thread_time() - began)
    return min(spent) / (CALLS * TURNS) * 1e6


def counting(made: Sequence[dict[str, Any]]) -> Callable[[], object]:
    to, metrics = Records(), Metrics(PlaneCosts, lambda: 0)
    to.listen(metrics.hear)
    return lambda: [to.add(record) for record in made]


def storing(made: Sequence[dict[str, Any]], directory: Path) -> Callable[[], object]:
    database = Database(directory / f"{time.monotonic_ns()}.sqlite", keep=Nanos(3600 * SECOND))
    database.open()
    return lambda: [database.append(made[at : at + 50]) for at in range(0, len(made), 50)]


def spans(made: Sequence[dict[str, Any]]) -> list[Span]:
    maker = Spans()
    return [span for record in made for span in maker.hear(redacted(record), 0)]


def main() -> None:
    made = records()
    found = spans(made)
    with tempfile.TemporaryDirectory() as directory:
        figures = {
            "metrics, on the event loop": best(lambda: counting(made)),
            "call records into SQLite": best(lambda: storing(made, Path(directory))),
            "spans out of records": best(lambda: lambda: spans(made)),
            "spans into protobuf": best(
                lambda: lambda: [encoded(found[i : i + 512]) for i in range(0, len(found), 512)]
            ),
        }
    for name, cost in figures.items():
        print(f"{name:<28} {cost:7.1f} us a turn")
    print(f"{'together':<28} {sum(figures.values()):7.1f} us a turn")


if __name__ == "__main__":
    main()
