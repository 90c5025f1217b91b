"""The pipeline carries the conversation's wishes to the models and the leg, and theirs back; it survives their loss."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import ProviderError
from gateway.media.contract import PLAYED_RATES
from gateway.plugs.pipeline import SPEC, PipelineSession
from gateway.plugs.pipeline_options import PipelineOptions
from gateway.providers.contract import (
    Bye,
    Digits,
    Failed,
    Generated,
    LanguageWanted,
    Message,
    Speech,
    SpeechDone,
    Token,
    ToolCall,
    ToolUse,
    Transcript,
    Unasked,
)
from gateway.units import MS, Nanos, Samples
from tests.unit.plugs.desk import Call, Leg, Provider

FRAME = bytes(640)
SPEECH = 1


class Table:
    """A pipeline session with everything round it."""

    def __init__(self, *others: Provider, **options: object) -> None:
        self.provider, self.leg = Provider(), Leg()
        self.call = Call(self.provider, *others)
        parsed = PipelineOptions.model_validate(
            {"stt": "models", "llm": "models", "tts": "models", "greeting": "Hello.", "hangover": "0ms", **options}
        )
        self.session: PipelineSession = SPEC.create(parsed).open(self.call)  # type: ignore[assignment]

    async def answer(self) -> None:
        await self.session.start(self.leg)
        self.session.answered()

    def say(self, request: int, ms: int) -> None:
        tts = self.provider.last("tts")
        tts.tell(Speech(request, bytes(16 * ms), 8000, Nanos(MS)))
        tts.tell(SpeechDone(request))

    def play(self) -> None:
        """The leg plays all that is queued."""
        now = self.session._drive.now()
        self.session.on_playout_started(now, Samples(0))
        self.session.on_playout_idle(now, self.leg.samples)

    async def greet(self) -> None:
        await self.answer()
        [(_, request, text)] = self.provider.last("tts").asked
        assert text == "Hello."
        self.say(request, 100)
        self.play()

    def speak(self) -> int:
        """The caller says something; returns the turn."""
        now = self.session._drive.now()
        self.session.on_speech_started(Samples(0), Nanos(now - 500 * MS))
        self.session.on_audio(FRAME, Samples(0), Nanos(now - 480 * MS), SPEECH)
        self.session.on_speech_ended(Samples(4000), Nanos(now - 20 * MS))
        verb, turn = self.provider.last("stt").asked[-1]
        assert verb == "end"
        return int(turn)


@pytest.fixture
async def table() -> Table:
    return Table()


async def test_a_whole_turn(table: Table) -> None:
    await table.greet()
    turn = table.speak()
    table.provider.last("stt").tell(Transcript(turn, "a pizza", final=True, elapsed=Nanos(2 * MS)))
    llm = table.provider.last("llm")
    [(_, request, messages)] = llm.asked
    assert messages == (Message("assistant", "Hello."), Message("user", "a pizza"))
    llm.tell(Token(request, "Sure!", Nanos(MS)))
    llm.tell(Generated(request))
    _, speaking, text = table.provider.last("tts").asked[-1]
    assert text == "Sure!"
    table.say(speaking, 200)
    table.play()
    greeting, line = table.call.logged("turn")
    assert greeting["kind"] == "greeting"
    assert (line["turn"], line["heard"], line["said"], line["understood"]) == (1, "a pizza", "Sure!", True)
    assert sum(line["stages_ms"].values()) == pytest.approx(line["gap_ms"], abs=0.01)
    assert line["model_ms"] == {"stt": 2.0, "llm": 1.0, "tts": 1.0}
    assert line["models"] == {"stt": "model 1", "llm": "model 1", "tts": "model 1"}
    await table.session.close()
    assert all(table.provider.last(role).closed for role in ("stt", "llm", "tts"))


async def test_an_interruption_flushes_and_is_recorded(table: Table) -> None:
    await table.answer()
    [(_, request, _)] = table.provider.last("tts").asked
    table.provider.last("tts").tell(Speech(request, bytes(16000), 8000))
    now = table.session._drive.now()
    table.session.on_playout_started(now, Samples(0))
    table.session.on_speech_started(Samples(0), Nanos(now - 200 * MS))
    table.session.on_audio(FRAME, Samples(0), now, SPEECH)
    [number] = table.leg.flushes
    assert table.provider.last("tts").asked[-1] == ("cancel", request)
    table.session.on_flushed(number, Nanos(now + 5 * MS), Samples(1600))
    [line] = table.call.logged("barge_in")
    assert line["stop_ms"] == 205
    assert line["stamps"]["last_packet"] == now + 5 * MS


async def interrupt(table: Table) -> int:
    """The caller makes a noise over the greeting, and is quiet again; returns its turn."""
    await table.answer()
    table.provider.last("tts").tell(Speech(table.provider.last("tts").asked[0][1], bytes(16000), 8000))
    now = table.session._drive.now()
    table.session.on_playout_started(now, Samples(0))
    table.session.on_speech_started(Samples(0), Nanos(now - 200 * MS))
    table.session.on_audio(FRAME, Samples(0), now, SPEECH)
    table.session.on_flushed(table.leg.flushes[0], Nanos(now + 5 * MS), Samples(1600))
    table.session.on_speech_ended(Samples(4000), Nanos(now - 20 * MS))
    return int(table.provider.last("stt").asked[-1][1])


async def test_a_cough_that_silenced_the_agent_is_a_false_barge_in(table: Table) -> None:
    turn = await interrupt(table)
    table.provider.last("stt").tell(Transcript(turn, "", final=True))
    greeting, noise = table.call.logged("turn")
    assert "false_barge_in" not in greeting
    assert (noise["kind"], noise["false_barge_in"]) == ("noise", True)


async def test_an_interruption_with_words_is_none(table: Table) -> None:
    turn = await interrupt(table)
    table.provider.last("stt").tell(Transcript(turn, "wait", final=True))
    request = table.provider.last("llm").asked[-1][1]
    table.provider.last("llm").tell(Token(request, "Yes?"))
    table.provider.last("llm").tell(Generated(request))
    table.say(table.provider.last("tts").asked[-1][1], 100)
    table.play()
    assert "false_barge_in" not in table.call.logged("turn")[-1]


async def test_the_language_of_a_turn_is_what_was_heard_or_else_what_is_configured(table: Table) -> None:
    await table.greet()
    turn = table.speak()
    table.provider.last("stt").tell(Transcript(turn, "", final=True, language="de"))
    assert [line["language"] for line in table.call.logged("turn")] == ["en", "de"]


async def test_no_model_at_the_start_is_an_apology_and_the_end(table: Table) -> None:
    table.provider.up = False
    await table.answer()
    assert len(table.leg.played) == 1
    assert len(table.call.logged("provider.failed")) == 3
    table.play()
    assert table.call.hung_up == ["a model failed"]


async def test_models_lost_in_mid_sentence_are_apologised_for_once() -> None:
    table = Table(failover={"attempts": 1}, greeting="Hello, this is the first call of many more.")
    await table.answer()
    [(_, request, _)] = table.provider.last("tts").asked
    table.provider.last("tts").tell(Speech(request, bytes(16000), 8000))
    gone = Failed(ProviderError("models", "connection lost", transient=True))
    for role in ("stt", "llm", "tts"):
        table.provider.last(role).tell(gone)
    assert len(table.leg.flushes) == 1
    assert len(table.leg.played) == 2
    now = table.session._drive.now()
    table.session.on_flushed(table.leg.flushes[0], now, Samples(0))
    table.session.on_playout_idle(now, Samples(table.leg.samples))
    assert table.call.hung_up == ["a model failed"]


async def test_a_call_that_goes_on_finds_its_models_again() -> None:
    table = Table(on_failure={"then": "continue"}, failover={"attempts": 1})
    await table.greet()
    gone = Failed(ProviderError("models", "connection lost", transient=True))
    for role in ("stt", "llm", "tts"):
        table.provider.last(role).tell(gone)
    for role in ("stt", "llm", "tts"):
        await table.provider.have(role, 2)
    await asyncio.gather(*table.call.tasks)
    assert not table.call.hung_up
    turn = table.speak()
    table.provider.last("stt").tell(Transcript(turn, "again", final=True))
    assert table.provider.last("llm").asked[-1][2][-1] == Message("user", "again")
    assert len(table.provider.sessions["llm"]) == 2


async def test_one_failed_request_keeps_the_session() -> None:
    table = Table(on_failure={"then": "continue"}, failover={"attempts": 1})
    await table.greet()
    turn = table.speak()
    table.provider.last("stt").tell(Transcript(turn, "a pizza", final=True))
    [(_, request, _)] = table.provider.last("llm").asked
    table.provider.last("llm").tell(Failed(ProviderError("models", "no token in 2 s", transient=True), request))
    await asyncio.gather(*table.call.tasks)
    assert len(table.provider.sessions["llm"]) == 1
    assert table.call.logged("turn")[-1]["kind"] == "greeting"
    assert len(table.leg.played) == 2


async def test_a_cancelled_request_that_is_acknowledged_is_no_answer(table: Table) -> None:
    await table.answer()
    [(_, request, _)] = table.provider.last("tts").asked
    table.provider.last("tts").tell(SpeechDone(request, cancelled=True))
    table.provider.last("llm").tell(Generated(99, cancelled=True))
    assert not table.call.logged("turn")


async def test_a_caller_who_is_gone_gets_a_hang_up(table: Table) -> None:
    await table.answer()
    table.session.on_rtp_timeout(Nanos(0))
    assert table.call.hung_up == ["RTP timeout"]


async def test_a_voice_that_cannot_be_played_is_replaced() -> None:
    other = Provider("others")
    table = Table(other, tts=["models", "others"])
    await table.answer()
    [(_, request, _)] = table.provider.last("tts").asked
    table.provider.last("tts").tell(Speech(request, bytes(600), 11025))
    await other.have("tts", 1)
    async with asyncio.timeout(5):
        while not other.last("tts").asked:
            await asyncio.sleep(0)
    assert other.last("tts").asked[0][2] == "Hello."
    assert not table.leg.played
    [line] = table.call.logged("provider.failed")
    assert "11025 Hz" in line["reason"]


def test_what_is_called_playable_is_what_the_plane_plays() -> None:
    from codecs_ext.resample import SOURCES

    assert PLAYED_RATES == SOURCES


async def test_what_a_model_wants_beside_its_answers(table: Table) -> None:
    await table.greet()
    tell = table.provider.last("llm").tell
    tell(Digits("1w2#"))
    assert table.leg.digits == ["12#"]
    tell(Digits("?"))
    assert table.leg.digits == ["12#"]
    tell(LanguageWanted("es-ES", "es-ES"))
    assert table.call.logged("language.wanted") == [{"speech": "es-ES", "transcription": "es-ES"}]
    tell(Unasked("Are you there?", last=True))
    _, speaking, text = table.provider.last("tts").asked[-1]
    assert text == "Are you there?"
    tell(Bye())
    assert not table.call.hung_up
    table.say(speaking, 200)
    table.play()
    assert table.call.hung_up == ["the model ended the call"]


async def test_keys_that_the_caller_presses_are_told_to_the_model(table: Table) -> None:
    await table.greet()
    table.session.on_digit("5", 120, Nanos(0))
    assert table.provider.last("llm").asked == [("digit", "5")]


async def test_a_tool_that_the_model_asks_for_is_written_down_and_the_call_goes_on(table: Table) -> None:
    await table.greet()
    turn = table.speak()
    table.provider.last("stt").tell(Transcript(turn, "a pizza", final=True))
    llm = table.provider.last("llm")
    [(_, request, _)] = llm.asked
    llm.tell(ToolCall(request, ToolUse("c1", "order", "{}")))
    assert table.call.logged("tool.called") == [{"name": "order"}]
    llm.tell(Generated(request, finish="tools"))
    assert table.call.logged("turn")[-1]["heard"] == "a pizza"
    table.speak()
    assert not table.call.hung_up
