"""Files that samples and packets are written to. Used by one thread; every method may raise ``OSError``."""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from gateway.errors import ResourceError

__all__ = ["OpusSink", "PlainSink", "Sink", "WavSink", "create"]

_SAME_NAME: Final = 1000
_WAV_HEAD: Final = 44
_LARGEST: Final = 0xFFFF_FFFF - _WAV_HEAD


class Sink(Protocol):
    """One file under way."""

    path: Path

    def write(self, data: bytes) -> None:
        """Appends; what was written is valid as a file even if nothing follows."""

    def close(self) -> None:
        """Nothing follows. Harmless after an error."""


def create(path: Path) -> tuple[int, Path]:
    """A new file that only we may read; a number is put behind the name of one that exists. Raises ``OSError``."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for number in range(_SAME_NAME):
        candidate = path.with_stem(f"{path.stem}-{number}") if number else path
        with suppress(FileExistsError):
            return os.open(candidate, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), candidate
    raise FileExistsError(f"{path}: there are {_SAME_NAME} files of that name")


def _write_all(fd: int, data: bytes) -> int:
    """Returns how many bytes were written: all, or fewer if the disk was full after them."""
    view = memoryview(data)
    done = 0
    while done < len(view):
        try:
            done += os.write(fd, view[done:])
        except OSError:
            if done == 0:
                raise
            break
    return done


class PlainSink:
    """Bytes as they are."""

    def __init__(self, path: Path) -> None:
        self._fd, self.path = create(path)

    def write(self, data: bytes) -> None:
        if _write_all(self._fd, data) < len(data):
            raise OSError("the disk is full")

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class WavSink:
    """16-bit PCM, two channels. The sizes in the header follow every write, so that the file is valid at any moment."""

    def __init__(self, path: Path, rate: int) -> None:
        self._rate = rate
        self._octets = 0
        self._fd, self.path = create(path)
        _write_all(self._fd, self._head())

    def _head(self) -> bytes:
        fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, self._rate, self._rate * 4, 4, 16)
        return (
            struct.pack("<4sI4s", b"RIFF", self._octets + _WAV_HEAD - 8, b"WAVE")
            + fmt
            + struct.pack("<4sI", b"data", self._octets)
        )

    def write(self, data: bytes) -> None:
        if self._octets + len(data) > _LARGEST:
            raise OSError("4 GiB are all that a WAV file holds")
        done = _write_all(self._fd, data)
        self._octets += done - done % 4
        os.pwrite(self._fd, self._head(), 0)
        if done < len(data):
            raise OSError("the disk is full")

    def close(self) -> None:
        if self._fd >= 0:
            with suppress(OSError):
                os.ftruncate(self._fd, _WAV_HEAD + self._octets)
            os.close(self._fd)
            self._fd = -1


class OpusSink:
    """Opus in Ogg by PyAV, two channels. Pages are whole, so that the file is valid up to the last one."""

    def __init__(self, path: Path, rate: int, bitrate: int) -> None:
        try:
            import av
        except ImportError as error:
            raise ResourceError("recording.format opus needs the package av") from error
        self._av = av
        self._rate = rate
        self._file = PlainSink(path)
        self.path = self._file.path
        container = av.open(self._file, "w", format="ogg")
        self._container: av.container.OutputContainer | None = container
        stream = container.add_stream("libopus", rate=rate, layout="stereo", bit_rate=bitrate)
        self._stream = stream
        self._samples = 0

    def write(self, data: bytes) -> None:
        if not data:
            return
        frame = self._av.AudioFrame(format="s16", layout="stereo", samples=len(data) // 4)
        frame.sample_rate = self._rate
        frame.pts = self._samples
        size = frame.planes[0].buffer_size
        frame.planes[0].update(data.ljust(size, b"\0"))
        self._samples += frame.samples
        if self._container is not None:
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        try:
            if self._container is not None:
                with suppress(OSError):
                    self._container.mux(self._stream.encode(None))
                    self._container.close()
        finally:
            self._container = None
            self._file.close()
