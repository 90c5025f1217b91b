"""Concealment of lost audio by repeating periods of its pitch, after ITU-T G.711 Appendix I, at any rate of a codec.

The last period is repeated for 10 ms, then the last two, then three, so that a long loss does not buzz; all fade from
10 ms on and are silent at 60. The end of what is repeated is overlapped with what came before its beginning, so that it
joins itself; and real audio, when it comes back, is overlapped with what would have been made up.
Where the packet behind a loss is already there, as it always is when the uplink gives a loss up, the whole of it is filled
from both sides: the past goes on, what came leads backwards, both by their pitch, and one fades into the other. So that
they meet in phase, the pitch glides from the one to the other over the loss.

The Appendix delays everything by 3.75 ms, to be able to smooth the last real samples into the first made up. We hand up
at once and never take back: instead, the step that is left at that joint decays over a quarter of a period.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython cimport cdivision
from libc.math cimport floorf, lrintf, sqrtf
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
    MOST_PERIODS = 3
    MARGIN = 1200               # half a period and 10 ms, at 48 kHz

cdef float ALIKE = 0.5          # correlation from which two sides are made to meet in phase


cdef void plc_init(Concealer *plc, int rate) noexcept nogil:
    """Nothing heard yet. ``rate`` is one of the resampler's. Memory that was never used, which is zero, is not touched."""
    if plc.scale:
        memset(plc, 0, sizeof(Concealer))
    plc.scale = rate // 8000


cdef void _remember(Concealer *plc, const int16_t *samples, int count) noexcept nogil:
    cdef int span = SPAN * plc.scale, room = span - plc.next
    if count >= span:
        memcpy(plc.heard, samples + count - span, span * sizeof(int16_t))
        plc.next = 0
    elif count < room:
        memcpy(plc.heard + plc.next, samples, count * sizeof(int16_t))
        plc.next += count
    else:
        memcpy(plc.heard + plc.next, samples, room * sizeof(int16_t))
        memcpy(plc.heard, samples + room, (count - room) * sizeof(int16_t))
        plc.next = count - room


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
    cdef int end = SPAN * plc.scale - plc.next
    memcpy(plc.last, plc.heard + plc.next, end * sizeof(int16_t))
    memcpy(plc.last + end, plc.heard, plc.next * sizeof(int16_t))
    _repeat(plc, _find_period(plc), MOST_PERIODS)


cdef void _repeat(Concealer *plc, int period, int most) noexcept nogil:
    """From here on the end of ``last``."""
    cdef int end = SPAN * plc.scale
    plc.period = period
    plc.most = most
    plc.overlap = period // 4
    plc.periods = 1
    plc.made = plc.place = plc.fading = 0
    plc.step = <float>(plc.last[end - 1] - plc.last[end - 1 - period])


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
cdef float _repeated(Concealer *plc) noexcept nogil:
    """The next sample of the repetition."""
    cdef int ten = TEN_MS * plc.scale
    cdef float value, share
    if (plc.made == ten or plc.made == 2 * ten) and plc.periods < plc.most:
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
    plc.made += 1
    return value


cdef inline float _next(Concealer *plc) noexcept nogil:
    """The same at the level that it has after so long a loss."""
    cdef int ten = TEN_MS * plc.scale, place = plc.made
    cdef float value = _repeated(plc)
    return value if place <= ten else value * (1 - <float>(place - ten) / <float>(GONE * plc.scale - ten))


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


# --- between two packets ----------------------------------------------------------------------------------------------


@cdivision(True)
cdef int _period_behind(const int16_t *samples, int count, int scale) noexcept nogil:
    """Of a packet alone: what is not compared with itself is the shorter, the longer the period."""
    cdef int lag = SHORTEST * scale, most = count * 3 // 4, best = lag, i
    cdef float product, here, there, likeness, highest = -1e30
    if most > LONGEST * scale:
        most = LONGEST * scale
    while lag <= most:
        product, here, there = 0.0, 1.0, 1.0
        for i in range(count - lag):
            product += <float>samples[i] * samples[i + lag]
            here += <float>samples[i] * samples[i]
            there += <float>samples[i + lag] * samples[i + lag]
        likeness = product / sqrtf(here * there)
        if likeness > highest:
            highest = likeness
            best = lag
        lag += scale
    return best


@cdivision(True)
cdef int _shift(const float *ahead, const int16_t *samples, int count, int reach) noexcept nogil:
    """By how much what goes on must be moved to lie on what came; 0 where they are not alike."""
    cdef int shift, best = 0, i
    cdef float product, here, there, likeness, highest = ALIKE
    for shift in range(-reach, reach + 1):
        product, here, there = 0.0, 1.0, 1.0
        for i in range(count):
            product += ahead[shift + i] * samples[i]
            here += ahead[shift + i] * ahead[shift + i]
            there += <float>samples[i] * samples[i]
        likeness = product / sqrtf(here * there)
        if likeness > highest:
            highest = likeness
            best = shift
    return best


cdef inline float _between(const float *samples, float place) noexcept nogil:
    cdef int whole = <int>floorf(place)
    cdef float rest = place - whole
    return samples[whole] * (1 - rest) + samples[whole + 1] * rest


@cdivision(True)
cdef bint plc_bridge(Concealer *plc, int16_t *samples, int count, const int16_t *behind, int size) noexcept nogil:
    """The whole of a loss whose end is known: ``behind`` is what came then, to be heard next.

    False, and nothing done, if that is not enough to go by or the loss is too long.
    """
    cdef Concealer back
    cdef float[PLC_BRIDGE + 2 * MARGIN] before, after       # what goes on after the past; what led to what is behind
    cdef float *forth = before + MARGIN
    cdef float *come = after + MARGIN
    cdef int ten = TEN_MS * plc.scale, reach, shift, fade, i
    cdef float slant, ahead, gone
    if plc.made or not 0 < count <= PLC_BRIDGE or size < ten:
        return False
    if size > SPAN * plc.scale:
        size = SPAN * plc.scale
    _begin(plc)
    memset(&back, 0, sizeof(back))
    plc_init(&back, plc.scale * 8000)
    for i in range(size):
        back.last[SPAN * plc.scale - 1 - i] = behind[i]
    reach = _period_behind(behind, size, plc.scale)
    _repeat(&back, reach, 1 if size < 2 * reach + reach // 4 else 2)
    reach = (plc.period if plc.period < count else count) // 2      # half of them at most: time goes forward
    for i in range(reach + 2):
        forth[-1 - i] = plc.last[SPAN * plc.scale - 1 - i]
        come[count + i] = behind[i]
    for i in range(count + reach + ten):
        forth[i] = _repeated(plc)
    for i in range(count + reach + 1):
        come[count - 1 - i] = _repeated(&back)
    shift = _shift(forth + count, behind, ten, reach)
    fade = count if count < GONE * plc.scale else GONE * plc.scale
    for i in range(count):
        slant = <float>shift * (i + 1) / (count + 1)
        ahead = 1 - <float>(i + 1) / (fade + 1)
        gone = 1 - <float>(count - i) / (fade + 1)
        samples[i] = _sample((_between(forth, i + slant) * ahead if ahead > 0 else 0)
                             + (_between(come, i + slant - shift) * gone if gone > 0 else 0))
    plc.made = 0
    _remember(plc, samples, count)
    return True


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

    def bridge(self, count: int, const uint8_t[::1] behind not None) -> bytes | None:
        """``count`` samples between what was heard and ``behind``, which is to be heard next; None if that is not
        enough to go by."""
        cdef bytes pcm = PyBytes_FromStringAndSize(NULL, 2 * count)
        if not plc_bridge(&self.plc, <int16_t *>PyBytes_AS_STRING(pcm), count, <const int16_t *>&behind[0],
                          <int>(behind.shape[0] >> 1)):
            return None
        return pcm
