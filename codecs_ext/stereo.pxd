from libc.stdint cimport int16_t, int64_t, uint32_t

from codecs_ext.resample cimport Resampler

cdef struct Channel:
    bint anchored
    int rate                    # of the samples that come
    Resampler resampler
    uint32_t timestamp          # RTP, of the sample at ``position``
    int64_t position            # samples since the start
    int64_t slack               # the least lateness of this period, in samples
    int frames                  # of this period
    int period

cdef struct Track:
    int rate
    bint cut                    # a pause leaves no gap
    int64_t origin              # monotonic time of position 0
    int64_t base                # position of the first sample of the window
    int64_t paused_at           # 0: it is not
    int window                  # samples of both channels together that can still change
    int16_t *samples            # a ring of ``window`` pairs
    Channel channels[2]
    int16_t *ready              # pairs that cannot change any more
    int64_t ready_count
    int64_t ready_room
    uint32_t misplaced          # samples that came after their place was written, or that memory was lacking for

cdef void track_put(Track *track, int side, const int16_t *samples, int count, int rate, int clock, uint32_t timestamp,
                    int64_t stamp, bint made_up) noexcept nogil
cdef void track_pause(Track *track, int64_t stamp) noexcept nogil
cdef void track_resume(Track *track, int64_t stamp) noexcept nogil

cdef class Stereo:
    cdef Track track
