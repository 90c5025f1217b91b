"""pocketsphinx through ctypes: a decoder of one grammar that takes audio as it comes.

The package's own Cython class holds the GIL while it decodes (seen in 5.1: its binary never calls PyEval_SaveThread),
so two decoders would not run at once and would hold up the event loop; the same shared object exports the C
functions, and ctypes releases the GIL around each.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pocketsphinx

from gateway.errors import ResourceError

__all__ = ["MODEL", "Decoder", "Heard", "Setting", "pronunciations"]

MODEL: Final = Path(pocketsphinx.__file__).parent / "model" / "en-us"

_PAUSE_FRAMES: Final = 8

Setting = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Heard:
    """The best path: its words, and how well they fit. Scores are per frame of 10 ms, 0 the best there can be."""

    words: tuple[str, ...]
    score: float
    """Mean over the words."""
    worst: float
    """That of the word that fits least."""
    longest_ms: int
    """Of the words' durations."""
    pause: float
    """Score of what was taken as silence before, between and after them: speech that found no place hides there."""


class _Library:
    """The exported C functions, with their types."""

    def __init__(self) -> None:
        c: Any = ctypes.CDLL(pocketsphinx._pocketsphinx.__file__)  # noqa: SLF001 - the shared object is what is wanted
        pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
        for name, result, arguments in (
            ("ps_config_init", pointer, [pointer]),
            ("ps_config_free", ctypes.c_int, [pointer]),
            ("ps_config_set_str", pointer, [pointer, text, text]),
            ("ps_config_set_int", pointer, [pointer, text, ctypes.c_long]),
            ("ps_config_set_float", pointer, [pointer, text, ctypes.c_double]),
            ("ps_config_set_bool", pointer, [pointer, text, ctypes.c_int]),
            ("ps_init", pointer, [pointer]),
            ("ps_free", ctypes.c_int, [pointer]),
            ("ps_add_jsgf_string", ctypes.c_int, [pointer, text, text]),
            ("ps_activate_search", ctypes.c_int, [pointer, text]),
            ("ps_start_utt", ctypes.c_int, [pointer]),
            ("ps_process_raw", ctypes.c_int, [pointer, text, size, ctypes.c_int, ctypes.c_int]),
            ("ps_end_utt", ctypes.c_int, [pointer]),
            ("ps_seg_iter", pointer, [pointer]),
            ("ps_seg_next", pointer, [pointer]),
            ("ps_seg_word", text, [pointer]),
            ("ps_seg_frames", None, [pointer, pointer, pointer]),
            ("ps_seg_prob", ctypes.c_int32, [pointer, pointer, pointer, pointer]),
            ("ps_get_cmn", text, [pointer, ctypes.c_int]),
            ("ps_set_cmn", ctypes.c_int, [pointer, text]),
        ):
            function = getattr(c, name)
            function.restype, function.argtypes = result, arguments
        self.c = c


class Decoder:
    """Not thread safe: one thread at a time, any thread. ``close`` gives the memory back."""

    def __init__(self, grammar: str, dictionary: Path, settings: Mapping[str, Setting]) -> None:
        self._c = _Library().c
        config = self._c.ps_config_init(None)
        given: dict[str, Setting] = {"loglevel": "FATAL", "hmm": str(MODEL / "en-us"), "dict": str(dictionary)}
        for name, value in (given | dict(settings)).items():
            self._set(config, name.encode(), value)
        self._decoder = self._c.ps_init(config)
        self._c.ps_config_free(config)
        if not self._decoder:
            raise ResourceError("pocketsphinx does not start; is its model complete?")
        if self._c.ps_add_jsgf_string(self._decoder, b"turn", grammar.encode()) or self._c.ps_activate_search(
            self._decoder, b"turn"
        ):
            raise ResourceError("pocketsphinx refuses the grammar")

    def _set(self, config: int, name: bytes, value: Setting) -> None:
        match value:
            case bool():
                self._c.ps_config_set_bool(config, name, int(value))
            case int():
                self._c.ps_config_set_int(config, name, value)
            case float():
                self._c.ps_config_set_float(config, name, value)
            case str():
                self._c.ps_config_set_str(config, name, value.encode())

    def cmn(self) -> bytes:
        """The cepstral mean so far: what the channel sounds like, to be given to the caller's next turn."""
        return bytes(self._c.ps_get_cmn(self._decoder, 0))

    def start(self, cmn: bytes) -> None:
        self._c.ps_set_cmn(self._decoder, cmn)
        self._c.ps_start_utt(self._decoder)

    def process(self, pcm: bytes) -> None:
        """16-bit samples at the configured rate. The GIL is free meanwhile."""
        self._c.ps_process_raw(self._decoder, pcm, len(pcm) // 2, 0, 0)

    def finish(self) -> Heard:
        """Ends the utterance."""
        self._c.ps_end_utt(self._decoder)
        path = list(self._segments())
        segments = [step for step in path if step[0][0] not in "<[("]
        if not segments:
            return Heard((), 0.0, 0.0, 0, 0.0)
        pauses = [score / length for word, length, score in path if word[0] in "<[" and length > _PAUSE_FRAMES]
        frames = sum(length for _, length, _ in segments)
        return Heard(
            tuple(word for word, _, _ in segments),
            sum(score for _, _, score in segments) / frames,
            min(score / length for _, length, score in segments),
            max(length for _, length, _ in segments) * 10,
            min(pauses, default=0.0),
        )

    def _segments(self) -> Iterator[tuple[str, int, int]]:
        """(word, frames, score) along the best path; silence and noise are words in <> or []."""
        first, last, score = ctypes.c_int(), ctypes.c_int(), ctypes.c_int32()
        segment = self._c.ps_seg_iter(self._decoder)
        while segment:
            word: str = self._c.ps_seg_word(segment).decode()
            self._c.ps_seg_frames(segment, ctypes.byref(first), ctypes.byref(last))
            self._c.ps_seg_prob(segment, ctypes.byref(score), None, None)
            yield word[:1] + word[1:].partition("(")[0], last.value - first.value + 1, score.value
            segment = self._c.ps_seg_next(segment)

    def close(self) -> None:
        if self._decoder:
            self._c.ps_free(self._decoder)
            self._decoder = None


def pronunciations(words: Iterable[str], dictionary: Path = MODEL / "cmudict-en-us.dict") -> dict[str, list[str]]:
    """Phones of each word that the model's dictionary knows, with its variants."""
    wanted = set(words)
    found: dict[str, list[str]] = {}
    for line in dictionary.read_text().splitlines():
        name, _, phones = line.partition(" ")
        word = name.partition("(")[0]
        if word in wanted:
            found.setdefault(word, []).append(phones.strip())
    return found
