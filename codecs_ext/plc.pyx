"""Concealment of lost audio: the last 20 ms, repeated and faded out over 60 ms."""

from libc.stdint cimport int16_t, uint8_t
from libc.string cimport memcpy, memmove, memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

__all__ = ["Conceal"]

cdef enum:
    FADE = 480                  # samples until nothing is left


cdef void plc_init(Concealer *plc, int rate) noexcept nogil:
    """Nothing heard yet."""
    memset(plc, 0, sizeof(Concealer))


cdef void plc_hear(Concealer *plc, const int16_t *samples, int count) noexcept nogil:
    """Remembers real audio."""
    plc.made = 0
    if count >= PLC_PERIOD:
        memcpy(plc.last, samples + count - PLC_PERIOD, PLC_PERIOD * sizeof(int16_t))
    else:
        memmove(plc.last, plc.last + count, (PLC_PERIOD - count) * sizeof(int16_t))
        memcpy(plc.last + PLC_PERIOD - count, samples, count * sizeof(int16_t))


cdef void plc_make(Concealer *plc, int16_t *samples, int count) noexcept nogil:
    """Makes up what follows the samples heard or made up before."""
    cdef int i
    for i in range(count):
        if plc.made >= FADE:
            memset(samples + i, 0, (count - i) * sizeof(int16_t))
            return
        samples[i] = <int16_t>(plc.last[plc.made % PLC_PERIOD] * (FADE - plc.made) // FADE)
        plc.made += 1


cdef class Conceal:
    """The concealer alone."""

    cdef Concealer plc

    def hear(self, const uint8_t[::1] pcm not None) -> None:
        """Real audio: 16-bit little-endian samples at 8 kHz."""
        if pcm.shape[0] >= 2:
            plc_hear(&self.plc, <const int16_t *>&pcm[0], <int>(pcm.shape[0] >> 1))

    def make(self, count: int) -> bytes:
        """The next ``count`` samples after what was heard or made up."""
        cdef bytes pcm = PyBytes_FromStringAndSize(NULL, 2 * count)
        plc_make(&self.plc, <int16_t *>PyBytes_AS_STRING(pcm), count)
        return pcm
