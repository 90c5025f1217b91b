"""Speech a little faster or slower at the same pitch: one period of it left out or said twice (WSOLA).

The period is the lag at which the beginning is most like what follows it, and both are overlapped there, so that nothing
clicks. Where nothing resembles, as in the middle of a plosive, nothing is done; where it is silent, any lag will do.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.math cimport lrintf, sqrtf
from libc.stdint cimport int16_t, uint8_t
from libc.string cimport memcpy, memmove

from codecs_ext.resample cimport resample_rate_known

__all__ = ["Stretch"]

cdef enum:
    # In samples at 8 kHz
    SHORTEST = 20               # period: 400 Hz
    LONGEST = 120               # 66 Hz
    OVERLAP = 64                # 8 ms
    MOST = 1 << 14              # samples that ``Stretch`` takes

cdef float ALIKE = 0.85         # correlation from which on the joint is not heard
cdef float QUIET = 40.0 * 40.0  # mean square: -58 dB of full scale


cdef float _energy(const int16_t *samples, int count, int stride) noexcept nogil:
    cdef float sum = 0.0
    cdef int i = 0
    while i < count:
        sum += <float>samples[i] * samples[i]
        i += stride
    return sum


cdef float _likeness(const int16_t *samples, int lag, int overlap, int stride, float energy) noexcept nogil:
    """Correlation of the beginning with what comes ``lag`` later, by every ``stride``-th sample."""
    cdef float product = 0.0, other = 1.0
    cdef int i = 0
    while i < overlap:
        product += <float>samples[i] * samples[i + lag]
        other += <float>samples[i + lag] * samples[i + lag]
        i += stride
    return product / sqrtf(other * (energy + 1.0))


cdef int _best(const int16_t *samples, int low, int high, int overlap, int stride, int step, float *likeness) noexcept nogil:
    cdef float energy = _energy(samples, overlap, stride), found
    cdef int lag = low, best = 0
    likeness[0] = -1.0
    while lag <= high:
        found = _likeness(samples, lag, overlap, stride, energy)
        if found > likeness[0]:
            likeness[0] = found
            best = lag
        lag += step
    return best


cdef int _period(const int16_t *samples, int high, int rate) noexcept nogil:
    """The lag to join at, up to ``high``; 0 if there is none that is not heard."""
    cdef int scale = rate // 8000, overlap = OVERLAP * scale, low = SHORTEST * scale, coarse
    cdef float likeness
    if high > LONGEST * scale:
        high = LONGEST * scale
    if high < low:
        return 0
    if _energy(samples, overlap + high, 1) < QUIET * (overlap + high):
        return high
    coarse = _best(samples, low, high, overlap, 2 * scale, scale, &likeness)
    if scale > 1:
        low = coarse - scale + 1 if coarse - scale + 1 > low else low
        high = coarse + scale - 1 if coarse + scale - 1 < high else high
        coarse = _best(samples, low, high, overlap, 1, 1, &likeness)
    return coarse if likeness >= ALIKE else 0


cdef inline int16_t _mixed(int16_t old, int16_t new, int place, int overlap) noexcept nogil:
    cdef float share = <float>(place + 1) / <float>(overlap + 1)
    return <int16_t>lrintf(old + (<float>new - old) * share)


cdef int stretch_shorten(int16_t *samples, int count, int most, int rate) noexcept nogil:
    """Leaves one period out, at most ``most`` samples, in place. Returns by how many samples it has become shorter."""
    cdef int overlap = OVERLAP * (rate // 8000), room = count - overlap, lag, i
    lag = _period(samples, most if most < room else room, rate)
    if lag == 0:
        return 0
    for i in range(overlap):
        samples[i] = _mixed(samples[i], samples[i + lag], i, overlap)
    memmove(samples + overlap, samples + overlap + lag, (count - overlap - lag) * sizeof(int16_t))
    return lag


cdef int stretch_lengthen(int16_t *samples, int count, int rate) noexcept nogil:
    """Says one period twice, in place; there is room for 15 ms more. Returns by how many samples it has become longer."""
    cdef int overlap = OVERLAP * (rate // 8000), lag = _period(samples, count - overlap, rate), i
    if lag == 0:
        return 0
    memmove(samples + lag + overlap, samples + overlap, (count - overlap) * sizeof(int16_t))
    for i in range(overlap - 1, -1, -1):        # backwards, so that nothing is read after it was written
        samples[lag + i] = _mixed(samples[lag + i], samples[i], i, overlap)
    return lag


cdef class Stretch:
    """The kernel alone, for samples of 16 bits. Raises ``ValueError`` for a rate that is none of the plane's."""

    cdef int rate

    def __cinit__(self, rate: int = 8000) -> None:
        if not resample_rate_known(rate):
            raise ValueError(f"{rate} Hz is no rate of a codec")
        self.rate = rate

    cdef object _run(self, const uint8_t[::1] pcm, int most):
        cdef int16_t[MOST] samples
        cdef Py_ssize_t size = pcm.shape[0] & ~1
        cdef int count = <int>(size >> 1)
        if size == 0 or count > MOST - 1000:
            raise ValueError(f"{size} bytes: up to {MOST - 1000} samples are stretched at a time")
        memcpy(samples, &pcm[0], size)
        if most > 0:
            count -= stretch_shorten(samples, count, most, self.rate)
        else:
            count += stretch_lengthen(samples, count, self.rate)
        return PyBytes_FromStringAndSize(<char *>samples, 2 * count)

    def shorten(self, const uint8_t[::1] pcm not None, most: int) -> bytes:
        """With one period less, ``most`` samples at most, or as it was."""
        return self._run(pcm, max(most, 1))

    def lengthen(self, const uint8_t[::1] pcm not None) -> bytes:
        """With one period more, or as it was."""
        return self._run(pcm, 0)
