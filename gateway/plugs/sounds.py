"""What a pipeline plays without asking a model for it."""

from __future__ import annotations

from gateway.plugs.model_sessions import TTS_RATE
from gateway.plugs.phrases import Phrases, in_language
from gateway.plugs.pipeline_options import PipelineOptions
from gateway.plugs.sorry import built_in_apology
from gateway.plugs.wav import Clip, apology, read_wav

__all__ = ["Sounds"]


class Sounds:
    """Recordings, and the phrases that are made ahead."""

    def __init__(self, options: PipelineOptions) -> None:
        failure, bridge = options.on_failure, options.bridge
        built_in = "" if failure.play else built_in_apology(options.language)
        self._sorry = in_language(failure.say, options.language) if failure.say else built_in
        self._moment = bridge.say if bridge else ""
        self._recorded_sorry = read_wav(failure.play) if failure.play else apology()
        self._recorded_moment = read_wav(bridge.play) if bridge and bridge.play else None
        greeting = options.greeting.text if options.greeting else ""
        asked = (options.no_input_prompt, options.no_input_goodbye, options.not_understood)
        texts = (self._sorry, greeting, self._moment, *asked)
        self.phrases = Phrases(texts, language=options.language, rate=TTS_RATE)

    @property
    def apology(self) -> Clip:
        """When nobody can answer."""
        return self.phrases.get(self._sorry) or self._recorded_sorry

    @property
    def bridge(self) -> Clip | None:
        """While another provider is asked."""
        return self._recorded_moment or self.phrases.get(self._moment)
