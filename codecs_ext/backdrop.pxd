from libc.stdint cimport int16_t

from codecs_ext.noise cimport Noise
from codecs_ext.resample cimport Resampler

cdef struct Backdrop:
    const int16_t *loop         # samples that somebody else keeps; NULL: none
    int count
    int place
    int rate
    int out_rate                # that the resampler is set to; 0: to none
    Resampler resampler
    float level                 # of the loop, a factor
    float duck                  # and what it is multiplied by under queued audio
    float now                   # the factor at the end of the last packet
    float gain                  # of queued audio
    Noise comfort               # between talkspurts, if it is known

cdef struct BackdropOrder:      # as the command carries it
    const int16_t *loop
    int count
    int rate
    float level
    float duck

cdef void backdrop_set(Backdrop *state, const int16_t *loop, int count, int rate, float level,
                       float duck) noexcept nogil
cdef bint backdrop_idle(const Backdrop *state, bint audio) noexcept nogil
cdef void backdrop_mix(Backdrop *state, int16_t *samples, int count, int rate, bint audio) noexcept nogil
