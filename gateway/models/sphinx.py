"""pocketsphinx through ctypes: a decoder of one grammar that takes audio as it comes.

The package's own Cython class holds the GIL while it decodes (seen in 5.1: its binary never calls PyEval_SaveThread), so
two decoders would not run at once and would hold up the event loop; the same shared object exports the C functions, and
ctypes releases the GIL around each.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pocketsphinx

from gateway.errors import ResourceError

__all__ = ["MODEL", "Decoder", "Heard", "Setting"]

MODEL: Final = Path(pocketsphinx.__file__).parent / "model" / "en-us"

Setting = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Heard:
    """The best path: its words, and its score per frame against the best that any sound of the model would score."""

    words: tuple[str, ...]
    score: float
    complete: bool = True


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
            ("ps_get_hyp", text, [pointer, ctypes.POINTER(ctypes.c_int32)]),
            ("ps_get_n_frames", ctypes.c_int, [pointer]),
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
        self.fresh_cmn = self.cmn()

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
        score = ctypes.c_int32(0)
        text = self._c.ps_get_hyp(self._decoder, ctypes.byref(score))
        frames = max(1, self._c.ps_get_n_frames(self._decoder))
        return Heard(tuple(text.decode().split()) if text else (), score.value / frames)

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
