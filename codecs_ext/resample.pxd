from libc.stdint cimport int16_t

cdef enum:
    RESAMPLE_HISTORY = 160      # longest filter (6:1) is 144 taps

cdef struct Resampler:
    const int16_t *bank         # one row of taps per phase; NULL: input and output rate are the same
    int up
    int down
    int taps
    int phase
    int position                # newest input sample of the next output, counted from the first one not yet taken in
    int16_t history[RESAMPLE_HISTORY]

cdef bint resample_rate_known(int rate) noexcept nogil
cdef bint resample_source_known(int rate) noexcept nogil
cdef void resample_init(Resampler *state, int rate_in, int rate_out) noexcept nogil
cdef int resample_wanted(const Resampler *state, int outputs) noexcept nogil
cdef int resample_run(Resampler *state, const int16_t *samples, int count, int16_t *out) noexcept nogil
