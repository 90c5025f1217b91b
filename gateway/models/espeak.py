"""espeak-ng through ctypes: text in, bursts of 16-bit PCM out.

GPL-3, so it is loaded here, in the models' own process, and nowhere else. The library keeps global state: one process
has one synthesiser, and one thread may use it. ctypes releases the GIL while it works.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Final

import espeakng_loader

from gateway.errors import ResourceError

__all__ = ["Espeak"]

_SYNCHRONOUS: Final = 2  # AUDIO_OUTPUT_SYNCHRONOUS: the callback gets the samples before espeak_Synth returns
_BURST_MS: Final = 60
_DONT_EXIT: Final = 0x8000
_CHARACTERS: Final = 1
_UTF8: Final = 1
_RATE: Final = 1
_PITCH: Final = 3

_LIST_ENDS: Final = 0
_WORD: Final = 1


class _Event(ctypes.Structure):
    """``espeak_EVENT``."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # in characters, from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_Events = ctypes.POINTER(_Event)
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, _Events)


class Espeak:
    """The synthesiser; make one, use it from one thread. ``rate`` is the rate of its samples in Hz."""

    def __init__(self) -> None:
        library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        library.espeak_Synth.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]
        library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
        library.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
        library.espeak_Info.argtypes = [ctypes.c_void_p]
        library.espeak_Info.restype = ctypes.c_char_p
        rate = library.espeak_Initialize(_SYNCHRONOUS, _BURST_MS, espeakng_loader.get_data_path().encode(), _DONT_EXIT)
        if rate <= 0:
            raise ResourceError("espeak-ng does not start; is its data complete?")
        self.rate: int = rate
        self.version: str = library.espeak_Info(None).decode().split()[0]
        self._library = library
        self._sink: Callable[[bytes], bool] = lambda _: False
        self._on_word: Callable[[int, int], None] = lambda character, ms: None
        self._callback = _CALLBACK(self._on_samples)  # kept: the library holds its address
        self._failure: Exception | None = None
        self._settings: tuple[str, int, int] | None = None
        library.espeak_SetSynthCallback(self._callback)

    def speak(
        self,
        text: str,
        sink: Callable[[bytes], bool],
        *,
        voice: str,
        speed: int,
        pitch: int,
        on_word: Callable[[int, int], None] = lambda character, ms: None,
    ) -> None:
        """Gives the samples of ``text`` to ``sink`` in bursts, until it returns False. ``speed`` in words per minute.
        ``on_word`` is told where a word begins, in the text and in milliseconds of sound, before its samples come.

        Raises ``ResourceError`` for a voice that does not exist, and what ``sink`` raises.
        """
        self._set(voice, speed, pitch)
        self._sink, self._on_word = sink, on_word
        data = text.replace("\0", " ").encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, _CHARACTERS, 0, _UTF8, None, None)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _set(self, voice: str, speed: int, pitch: int) -> None:
        if (voice, speed, pitch) == self._settings:
            return
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ResourceError(f"espeak-ng has no voice {voice!r}")
        self._library.espeak_SetParameter(_RATE, speed, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        self._settings = (voice, speed, pitch)

    def _on_samples(self, samples: Any, count: int, events: Any) -> int:
        try:
            self._tell_words(events)
            if not samples or count <= 0:
                return 0
            return 0 if self._sink(ctypes.string_at(samples, 2 * count)) else 1
        except Exception as error:  # noqa: BLE001 - cannot pass through C; speak() raises it
            self._failure = error
            return 1

    def _tell_words(self, events: Any) -> None:
        number = 0
        while events and events[number].type != _LIST_ENDS:
            event = events[number]
            if event.type == _WORD:
                self._on_word(event.text_position - 1, event.audio_position)
            number += 1
