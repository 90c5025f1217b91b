"""What people see: without colour, cursor or wide characters where the output has none."""

from __future__ import annotations

import asyncio
import io
import json

from rich.console import Console

from gateway.bench.callers.caller import PickedUp, Speaks
from gateway.bench.conversation import Conversation
from gateway.bench.measure.inside import InsideTurn, LogLine
from gateway.bench.measure.results import CallResult, summarise
from gateway.bench.summary import inside_rows, outside_rows
from gateway.bench.terminal import Row, Terminal
from gateway.units import SECOND, Nanos

STAGES = {"hangover": 200.0, "stt": 30.0, "llm": 1.0, "tts": 2.0, "first_packet": 4.0}


def plain(width: int = 100, encoding: str = "utf-8") -> tuple[Terminal, io.TextIOWrapper]:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    return Terminal(Console(file=file, width=width, highlight=False)), file


def text(file: io.TextIOWrapper) -> str:
    file.flush()
    raw = file.buffer.getvalue()  # type: ignore[attr-defined]
    return str(raw.decode(file.encoding))


def test_a_waterfall_shows_each_stage_the_sum_and_the_view_from_outside() -> None:
    terminal, file = plain()
    terminal.waterfall(InsideTurn(1, "heard", "said", 237.0, STAGES), 238.4)
    lines = text(file).splitlines()
    assert [line.split()[0] for line in lines] == ["hangover", "STT", "LLM", "TTS", "first", "=", "heard"]
    assert [float(line.split()[-2]) for line in lines] == [200.0, 30.0, 1.0, 2.0, 4.0, 237.0, 238.4]
    assert len({len(line) for line in lines}) == 1
    assert max(map(len, lines)) <= 100


def test_an_old_terminal_gets_ascii() -> None:
    terminal, file = plain(80, "ascii")
    terminal.waterfall(InsideTurn(1, "heard", "said", 237.0, STAGES), None)
    terminal.success("fine")
    terminal.failure("not fine")
    assert "ok fine" in text(file)
    assert all(len(line) <= 80 for line in text(file).splitlines())


def test_long_speech_is_one_line_in_a_pipe() -> None:
    terminal, file = plain(60)
    terminal.speaks("agent", 5 * SECOND, "word " * 40)
    assert len(text(file).splitlines()) == 1


def test_a_table_holds_percentiles() -> None:
    terminal, file = plain()
    summary = summarise([100.0, 200.0, 300.0])
    assert summary is not None
    terminal.table({"outside": [Row("response gap", summary)], "inside": [Row("hangover", summary, stage=True)]})
    rows = [line.split() for line in text(file).splitlines()]
    assert ["response", "gap", "3", "200.0", "300.0", "300.0", "ms"] in rows
    assert ["inside"] in rows


def test_a_call_without_measurements_has_no_rows() -> None:
    assert outside_rows([CallResult()]) == []
    assert inside_rows([], []) == []
    labels = [row.label for row in inside_rows([InsideTurn(1, "", "", 237.0, STAGES, ours_ms=6.0)], [])]
    assert labels[0] == "response gap, in the gateway"
    assert "STT final" in labels


# --- the conversation -------------------------------------------------------------------------------------------------


class FakeCaller:
    """What the conversation asks of a caller."""

    def __init__(self) -> None:
        self.result = CallResult(call_id="mine")

    def so_far(self) -> CallResult:
        return CallResult()


def line(event: str, call_id: str = "mine", **fields: object) -> LogLine:
    return LogLine(event, json.loads(json.dumps({"event": event, "call_id": call_id, **fields})))


def turn(number: int, said: str, *, interrupted: bool = False, at: int = 11) -> LogLine:
    stamps = {"first_packet": at * SECOND, "speech_ended": at * SECOND}
    return line(
        "turn",
        turn=number,
        said=said,
        heard="x",
        gap_ms=237.0,
        stages_ms=STAGES,
        interrupted=interrupted,
        stamps=stamps,
    )


def tell(*happenings: Speaks | LogLine) -> list[str]:
    async def main() -> str:
        terminal, file = plain()
        conversation = Conversation(terminal)
        conversation.caller = FakeCaller()  # type: ignore[assignment]
        conversation.on_caller(PickedUp(Nanos(10 * SECOND)))
        for happening in happenings:
            if isinstance(happening, Speaks):
                conversation.on_caller(happening)
            else:
                conversation.on_line(happening)
        conversation.release()
        return text(file)

    return [part for part in asyncio.run(main()).splitlines() if "caller " in part or "agent " in part]


def test_who_said_what_and_when() -> None:
    lines = tell(Speaks("a pizza", Nanos(11 * SECOND), False), turn(1, "Which one?", at=13), turn(2, "x", at=14))
    assert lines[0].split() == ["1.00", "caller", "a", "pizza"]
    assert lines[1].split()[:3] == ["3.00", "agent", "Which"]


def test_an_interruption_is_shown_after_what_it_interrupts() -> None:
    lines = tell(
        Speaks("no, two", Nanos(13 * SECOND), True),
        line("barge_in", turn=1, confirm_ms=120, stop_ms=141.5),
        turn(1, "Which one would", interrupted=True),
    )
    assert [part.split()[1] for part in lines[:2]] == ["agent", "caller"]
    assert lines[0].endswith("Which one would —")
    assert "agent silent after 141.5 ms" in lines[2]
    assert len(lines[2]) <= 80


def test_an_interruption_that_the_gateway_never_noticed_is_shown_all_the_same() -> None:
    assert tell(Speaks("no, two", Nanos(13 * SECOND), True))[0].split()[1] == "caller"


def test_other_calls_are_not_ours_to_tell() -> None:
    assert tell(line("turn", call_id="another", turn=1, said="secret", gap_ms=1.0)) == []


def test_the_last_line_of_the_call_is_noticed() -> None:
    async def main() -> bool:
        conversation = Conversation(plain()[0])
        conversation.caller = FakeCaller()  # type: ignore[assignment]
        conversation.on_line(line("call.ended"))
        return conversation.over.is_set()

    assert asyncio.run(main())
