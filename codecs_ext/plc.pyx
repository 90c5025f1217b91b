"""Concealment of lost audio by repeating periods of its pitch, after ITU-T G.711 Appendix I, at any rate of a codec.

The last period is repeated for 10 ms, then the last two, then three, so that a long loss does not buzz; all fade from
10 ms on and are silent at 60. The end of what is repeated is overlapped with what came before its beginning, so that it
joins itself; and real audio, when it comes back, is overlapped with what would have been made up.
The Appendix delays everything by 3.75 ms, to be able to smooth the last real samples into the first made up. We hand up
at once and never take back: instead, the step that is left at that joint decays over a quarter of a period.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython cimport cdivision
from libc.math cimport lrintf, sqrtf
from libc.stdint cimport int16_t, uint8_t
from libc.string cimport memcpy, memmove, memset

from codecs_ext.resample cimport resample_rate_known

__all__ = ["Conceal"]

cdef enum:
    # Samples at 8 kHz (Appendix I.2)
    SHORTEST = 40               # period: 200 Hz
    LONGEST = 120               # 66 Hz
    WINDOW = 160                # that are compared to find it
    SPAN = 390                  # remembered
    TEN_MS = 80
    GONE = 480                  # after these nothing is left
    RESYNC_STEP = 32            # longer overlap for each further 10 ms of loss


cdef void plc_init(Concealer *plc, int rate) noexcept nogil:
    """Nothing heard yet. ``rate`` is one of the resampler's."""
    memset(plc, 0, sizeof(Concealer))
    plc.scale = rate // 8000


cdef void _remember(Concealer *plc, const int16_t *samples, int count) noexcept nogil:
    cdef int span = SPAN * plc.scale
    if count >= span:
        memcpy(plc.heard, samples + count - span, span * sizeof(int16_t))
    else:
        memmove(plc.heard, plc.heard + count, (span - count) * sizeof(int16_t))
        memcpy(plc.heard + span - count, samples, count * sizeof(int16_t))


# --- the period -------------------------------------------------------------------------------------------------------


cdef float _likeness(const Concealer *plc, int lag, int stride) noexcept nogil:
    """Of the last 20 ms with what came ``lag`` before, by every ``stride``-th sample."""
    cdef const int16_t *now = plc.last + (SPAN - WINDOW) * plc.scale
    cdef const int16_t *before = now - lag
    cdef float product = 0.0, energy = 1.0
    cdef int i = 0
    while i < WINDOW * plc.scale:
        product += <float>now[i] * before[i]
        energy += <float>before[i] * before[i]
        i += stride
    return product / sqrtf(energy)


@cdivision(True)
cdef int _find_period(const Concealer *plc) noexcept nogil:
    """First at 4 kHz, then exactly around the best."""
    cdef int stride = 2 * plc.scale, lag, best = SHORTEST * plc.scale, coarse
    cdef float likeness, highest = -1e30
    lag = best
    while lag <= LONGEST * plc.scale:
        likeness = _likeness(plc, lag, stride)
        if likeness > highest:
            highest = likeness
            best = lag
        lag += stride
    coarse = best
    highest = -1e30
    for lag in range(coarse - stride + 1, coarse + stride):
        if SHORTEST * plc.scale <= lag <= LONGEST * plc.scale:
            likeness = _likeness(plc, lag, 1)
            if likeness > highest:
                highest = likeness
                best = lag
    return best


cdef void _begin(Concealer *plc) noexcept nogil:
    """The first sample of a loss is to be made up."""
    cdef int end = SPAN * plc.scale
    memcpy(plc.last, plc.heard, end * sizeof(int16_t))
    plc.period = _find_period(plc)
    plc.overlap = plc.period // 4
    plc.periods = 1
    plc.place = plc.fading = 0
    plc.step = <float>(plc.last[end - 1] - plc.last[end - 1 - plc.period])


# --- what is made up --------------------------------------------------------------------------------------------------


cdef inline float _at(const Concealer *plc, int periods, int place) noexcept nogil:
    """Of the last ``periods`` periods, whose end is turned into what came before their beginning."""
    cdef int length = periods * plc.period
    cdef const int16_t *sample = plc.last + SPAN * plc.scale - length + place
    cdef int turning = place - (length - plc.overlap) + 1
    cdef float share
    if turning <= 0:
        return sample[0]
    share = <float>turning / <float>(plc.overlap + 1)
    return sample[0] * (1 - share) + (sample - length)[0] * share


@cdivision(True)
cdef float _next(Concealer *plc) noexcept nogil:
    """The next sample of the repetition, at the level that it has after so long a loss."""
    cdef int ten = TEN_MS * plc.scale
    cdef float value, share
    if plc.made == ten or plc.made == 2 * ten:
        plc.old_place = plc.place
        plc.place %= plc.period
        plc.periods += 1
        plc.fading = plc.overlap
    value = _at(plc, plc.periods, plc.place)
    plc.place = (plc.place + 1) % (plc.periods * plc.period)
    if plc.fading > 0:
        share = <float>plc.fading / <float>(plc.overlap + 1)
        value = value * (1 - share) + _at(plc, plc.periods - 1, plc.old_place) * share
        plc.old_place = (plc.old_place + 1) % ((plc.periods - 1) * plc.period)
        plc.fading -= 1
    if plc.made < plc.overlap:
        value += plc.step * (1 - <float>(plc.made + 1) / <float>(plc.overlap + 1))
    if plc.made > ten:
        value *= 1 - <float>(plc.made - ten) / <float>(GONE * plc.scale - ten)
    plc.made += 1
    return value


cdef inline int16_t _sample(float value) noexcept nogil:
    return <int16_t>(32767 if value > 32767 else -32768 if value < -32768 else lrintf(value))


cdef void plc_make(Concealer *plc, int16_t *samples, int count) noexcept nogil:
    """Makes up what follows the samples heard or made up before."""
    cdef int i
    if plc.made == 0 and count > 0:
        _begin(plc)
    for i in range(count):
        if plc.made >= GONE * plc.scale:
            memset(samples + i, 0, (count - i) * sizeof(int16_t))
            break
        samples[i] = _sample(_next(plc))
    _remember(plc, samples, count)


@cdivision(True)
cdef void _resync(Concealer *plc, int16_t *samples, int count) noexcept nogil:
    """Real audio is back: what was made up goes on beneath its beginning, and fades."""
    cdef int ten = TEN_MS * plc.scale, i
    cdef int length = plc.overlap + (plc.made - 1) / ten * RESYNC_STEP * plc.scale
    cdef float share, made
    if length > ten:
        length = ten
    if length > count:
        length = count
    for i in range(length):
        made = _next(plc) if plc.made < GONE * plc.scale else 0.0
        share = <float>(i + 1) / <float>(length + 1)
        samples[i] = _sample(samples[i] * share + made * (1 - share))


cdef void plc_hear(Concealer *plc, int16_t *samples, int count) noexcept nogil:
    """Real audio; after a loss its beginning is changed in place."""
    if plc.made:
        _resync(plc, samples, count)
        plc.made = 0
    _remember(plc, samples, count)


cdef class Conceal:
    """The concealer alone. Raises ``ValueError`` for a rate that is none of the plane's."""

    cdef Concealer plc

    def __cinit__(self, rate: int = 8000) -> None:
        if not resample_rate_known(rate):
            raise ValueError(f"{rate} Hz is no rate of a codec")
        plc_init(&self.plc, rate)

    def hear(self, const uint8_t[::1] pcm not None) -> bytes:
        """Real audio, 16-bit little-endian, as it is handed up: after a loss it begins within what was made up."""
        cdef Py_ssize_t size = pcm.shape[0] & ~1
        cdef bytes heard = PyBytes_FromStringAndSize(NULL, size)
        if size:
            memcpy(PyBytes_AS_STRING(heard), &pcm[0], size)
            plc_hear(&self.plc, <int16_t *>PyBytes_AS_STRING(heard), <int>(size >> 1))
        return heard

    def make(self, count: int) -> bytes:
        """The next ``count`` samples after what was heard or made up."""
        cdef bytes pcm = PyBytes_FromStringAndSize(NULL, 2 * count)
        plc_make(&self.plc, <int16_t *>PyBytes_AS_STRING(pcm), count)
        return pcm
