"""A voice that does not speak the plug's language is told before a caller hears it."""

from __future__ import annotations

import pytest

from gateway.config import loads
from gateway.config.languages import language_warnings

SENTENCES = "no_input_prompt: 'Noch da?', no_input_goodbye: Tschau., not_understood: 'Bitte?'"


def told(tts: str, plug: str) -> list[str]:
    models = "m: {kind: native, url: 'ws://127.0.0.1:1/'}"
    return list(
        language_warnings(
            loads(
                f"providers: {{{models}, v: {tts}}}\n"
                f"plugs: {{p: {{kind: pipeline, stt: m, llm: m, tts: [m, v], {plug}}}}}\n"
            )
        )
    )


@pytest.mark.parametrize(
    ("voice", "language", "spoken"),
    [
        ("{kind: deepgram, api_key: k}", "de", "en"),
        ("{kind: deepgram, api_key: k, tts: {model: flux-haley-en}}", "fr-CA", "en"),
        ("{kind: deepgram, api_key: k, tts: {model: aura-2-viktoria-de}}", "de-AT", ""),
        ("{kind: azure-speech, api_key: k, tts: {voice: en-US-JennyNeural}}", "de", "en"),
        ("{kind: azure-speech, api_key: k}", "de", ""),
        ("{kind: native, url: 'ws://127.0.0.1:1/'}", "de", ""),
    ],
)
def test_a_voice_of_another_language_is_told(voice: str, language: str, spoken: str) -> None:
    found = told(voice, f"language: {language}, {SENTENCES}")
    assert len(found) == bool(spoken)
    assert all(f"plugs.p.tts: the voice of provider 'v' speaks {spoken!r}" in text for text in found)


def test_sentences_that_were_left_in_english_are_told() -> None:
    [text] = told("{kind: native, url: 'ws://127.0.0.1:1/'}", "language: de, not_understood: 'Bitte?'")
    assert "no_input_prompt, no_input_goodbye would be said in English" in text
    assert not told("{kind: native, url: 'ws://127.0.0.1:1/'}", "greeting: Hello.")
