"""Stateful polyphase resampling between 8, 16, 24 and 48 kHz, and from 22.05 and 44.1 kHz, in integers.

A windowed sinc, cut off at 0.46 of the lower rate (3.7 kHz for telephone speech) and 60 dB down at 0.54 of it, is designed
once per pair of rates at import. Taps are Q14, so that a whole filter fits a 32-bit sum without overflow and packed
multiply-adds can make it (polyphase.h).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython cimport cdivision
from libc.math cimport M_PI, fabs, lround, sin, sqrt
from libc.stdint cimport int16_t, uint8_t
from libc.stdlib cimport malloc
from libc.string cimport memcpy, memmove, memset

__all__ = ["RATES", "SOURCES", "Resample"]

cdef extern from "polyphase.h":
    ctypedef struct LcPolyphase:
        const int16_t *bank
        int up
        int down
        int taps
        int phase
        int position

    int lc_polyphase(LcPolyphase *phases, const int16_t *line, int count, int16_t *out) noexcept nogil

cdef enum:
    CHUNK = 480
    TAPS = 24           # per phase at the lower rate: transition band 0.15 of it at 60 dB (Kaiser)
    UNITY = 16384

RATES = (8000, 16000, 24000, 48000)
SOURCES = (8000, 16000, 22050, 24000, 44100, 48000)

cdef enum:
    RATES_OUT = 4
    RATES_IN = 6

cdef int[RATES_IN] _rates = [8000, 16000, 24000, 48000, 22050, 44100]
cdef const int16_t *_banks[RATES_IN][RATES_OUT]


cdef int _index(int rate) noexcept nogil:
    cdef int i
    for i in range(RATES_IN):
        if _rates[i] == rate:
            return i
    return -1


cdef int _gcd(int a, int b) noexcept nogil:
    while b:
        a, b = b, a % b
    return a


cdef double _bessel(double x) noexcept nogil:
    """Modified Bessel function of the first kind, order 0, by its series."""
    cdef double term = 1.0, total = 1.0
    cdef int k
    for k in range(1, 40):
        term *= (x / (2 * k)) * (x / (2 * k))
        total += term
    return total


cdef int _taps(int up, int down) noexcept nogil:
    return TAPS * ((down + up - 1) // up)


cdef const int16_t *_design(int up, int down) noexcept nogil:
    """Rows of taps, one per phase, each in the order of the samples (oldest first) and with a sum of exactly one."""
    cdef int taps = _taps(up, down), phase, i, total, length = taps * up, middle
    cdef double cutoff = 0.46 / (up if up > down else down), beta = 5.65, t, window, h
    cdef int16_t *bank = <int16_t *>malloc(length * sizeof(int16_t))
    cdef double scale
    cdef double[144] row
    if bank == NULL:
        return NULL
    for phase in range(up):
        scale = 0.0
        for i in range(taps):
            # Tap i meets the sample that is (taps - 1 - i) older than the newest, hence this place of the prototype.
            t = (taps - 1 - i) * up + phase - (length - 1) / 2.0
            window = 2 * t / length
            window = _bessel(beta * sqrt(1 - window * window)) / _bessel(beta)
            h = 2 * cutoff if fabs(t) < 1e-9 else sin(2 * M_PI * cutoff * t) / (M_PI * t)
            row[i] = h * window
            scale += row[i]
        total = 0
        for i in range(taps):
            bank[phase * taps + i] = <int16_t>lround(UNITY * row[i] / scale)
            total += bank[phase * taps + i]
        middle = phase * taps + taps // 2
        bank[middle] = <int16_t>(bank[middle] + UNITY - total)
    return bank


cdef bint _build() except -1:
    cdef int i, k, divisor
    for i in range(RATES_IN):
        for k in range(RATES_OUT):
            _banks[i][k] = NULL
            if i != k:
                divisor = _gcd(_rates[i], _rates[k])
                _banks[i][k] = _design(_rates[k] // divisor, _rates[i] // divisor)
                if _banks[i][k] == NULL:
                    raise MemoryError
    return True


_build()


cdef bint resample_rate_known(int rate) noexcept nogil:
    """A codec's or the uplink's."""
    return 0 <= _index(rate) < RATES_OUT


cdef bint resample_source_known(int rate) noexcept nogil:
    """Of audio that is played."""
    return _index(rate) >= 0


@cdivision(True)
cdef void resample_init(Resampler *state, int rate_in, int rate_out) noexcept nogil:
    """Both rates must be known ones."""
    cdef int divisor = _gcd(rate_in, rate_out)
    memset(state, 0, sizeof(Resampler))
    state.bank = _banks[_index(rate_in)][_index(rate_out)]
    state.up = rate_out / divisor
    state.down = rate_in / divisor
    state.taps = _taps(state.up, state.down)


@cdivision(True)
cdef int resample_wanted(const Resampler *state, int outputs) noexcept nogil:
    """Input samples that the next ``outputs`` samples need. Upwards the last of them may give more than asked for."""
    if state.bank == NULL or outputs <= 0:
        return outputs if outputs > 0 else 0
    return state.position + (state.phase + (outputs - 1) * state.down) / state.up + 1


cdef int _run_chunk(Resampler *state, const int16_t *samples, int count, int16_t *out) noexcept nogil:
    cdef int16_t[CHUNK + RESAMPLE_HISTORY] line
    cdef int keep = state.taps - 1, made
    cdef LcPolyphase phases
    phases.bank, phases.up, phases.down, phases.taps = state.bank, state.up, state.down, state.taps
    phases.phase, phases.position = state.phase, state.position
    memcpy(line, state.history, keep * sizeof(int16_t))
    memcpy(line + keep, samples, count * sizeof(int16_t))
    made = lc_polyphase(&phases, line, count, out)
    state.phase = phases.phase
    state.position = phases.position - count
    memcpy(state.history, line + count, keep * sizeof(int16_t))
    return made


cdef int resample_run(Resampler *state, const int16_t *samples, int count, int16_t *out) noexcept nogil:
    """Takes all samples in, writes those that come out and returns how many. ``out`` holds count * up / down + 1."""
    cdef int made = 0, chunk
    if state.bank == NULL:
        memmove(out, samples, count * sizeof(int16_t))
        return count
    while count > 0:
        chunk = count if count < CHUNK else CHUNK
        made += _run_chunk(state, samples, chunk, out + made)
        samples += chunk
        count -= chunk
    return made


cdef class Resample:
    """One stream, from ``rate_in`` to ``rate_out`` Hz. The first is one of ``SOURCES``, the second one of ``RATES``, or
    ``ValueError`` is raised."""

    cdef Resampler state

    def __init__(self, rate_in: int, rate_out: int) -> None:
        if rate_in not in SOURCES or rate_out not in RATES:
            raise ValueError(f"{rate_in} to {rate_out} Hz: the rates are {SOURCES} to {RATES}")
        resample_init(&self.state, rate_in, rate_out)

    def wanted(self, outputs: int) -> int:
        """Input samples that the next ``outputs`` samples need."""
        return resample_wanted(&self.state, outputs)

    def process(self, const uint8_t[::1] pcm not None) -> bytes:
        """16-bit little-endian samples in, those that are ready out: any cut of a stream gives the same samples.

        Raises ``ValueError`` for an odd number of bytes.
        """
        cdef Py_ssize_t count = pcm.shape[0] >> 1
        if pcm.shape[0] & 1:
            raise ValueError("16-bit samples need an even number of bytes")
        if count == 0:
            return b""
        cdef Py_ssize_t room = count * self.state.up // self.state.down + 1
        cdef bytes out = PyBytes_FromStringAndSize(NULL, 2 * room)
        cdef int16_t *target = <int16_t *>PyBytes_AS_STRING(out)
        return out[:2 * resample_run(&self.state, <const int16_t *>&pcm[0], <int>count, target)]
