"""What a pipeline plays when nobody can answer: in the call's language, and made ahead."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.plugs.pipeline_options import PipelineOptions
from gateway.plugs.sounds import Sounds
from gateway.plugs.wav import Clip, apology, write_wav
from gateway.providers.contract import Speech, SpeechDone
from gateway.providers.router.upstream import Upstream
from tests.unit.plugs.desk import Provider

QUIET = {"no_input_prompt": "", "no_input_goodbye": "", "not_understood": ""}


async def made(**plug: Any) -> tuple[Sounds, list[str]]:
    """What the voice was asked to make, with the audio of each as long as its text."""
    voice = Provider()
    given = {"stt": "models", "llm": "models", "tts": "models", **QUIET, **plug}
    sounds = Sounds(PipelineOptions.model_validate(given))
    preparing = asyncio.create_task(sounds.phrases.prepare([Upstream(voice)], None))
    texts: list[str] = []
    while not preparing.done():
        await asyncio.sleep(0)
        for session in voice.sessions["tts"]:
            if session.asked and not session.closed:
                _, request, text = session.asked.pop()
                texts.append(text)
                session.tell(Speech(request, bytes(2 * len(text)), 8000))
                session.tell(SpeechDone(request))
    return sounds, texts


@pytest.mark.parametrize("language", ["de", "de-AT", "DE"])
async def test_the_sentence_for_the_worst_case_is_in_the_language_of_the_call(language: str) -> None:
    sounds, [text] = await made(language=language)
    assert text.startswith("Es tut uns leid")
    assert sounds.apology.samples == len(text)


@pytest.mark.parametrize("language", ["en", "en-GB", "xx"])
async def test_the_recording_is_what_there_is_in_english(language: str) -> None:
    sounds, texts = await made(language=language)
    assert (texts, sounds.apology) == ([], apology())


async def test_what_is_configured_wins(tmp_path: Path) -> None:
    _, texts = await made(language="de", on_failure={"say": {"fr": "Non.", "de": "Nein."}})
    assert texts == ["Nein."]
    write_wav(tmp_path / "no.wav", Clip(bytes(320), 8000))
    sounds, texts = await made(language="de", on_failure={"play": str(tmp_path / "no.wav")})
    assert (texts, sounds.apology.samples) == ([], 160)
