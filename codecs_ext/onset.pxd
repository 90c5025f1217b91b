from libc.stdint cimport int16_t, int64_t

cdef enum:
    ONSET_EDGES = 8             # of one frame at most; further ones come with the next

cdef struct OnsetOptions:
    # As ``gateway.media.contract.Hearing`` says them.
    double threshold            # mean square of a sample that counts as sound at least
    double margin               # factor above the background; 0: the threshold alone decides
    int block_us                # 0: nobody listens
    int confirm                 # blocks of sound that make a beginning
    int release                 # blocks of silence that make an end
    bint audio                  # frames are handed up as well

cdef struct Edge:
    bint started                # or ended
    int64_t packet              # arrival of the packet that held it
    int64_t at                  # the same, plus its place in the packet
    int64_t media_time          # of the sample, in the rate of what is heard
    int64_t sound               # of an end: nanoseconds of sound since the beginning

cdef struct Onset:
    OnsetOptions options
    int rate                    # 0: nobody listens
    int block                   # samples
    double floor                # mean square of the background
    bint speaking
    int loud                    # blocks, of what is not confirmed yet
    int quiet                   # blocks in a row
    int64_t blocks              # loud ones since the beginning
    Edge first
    Edge last
    int count                   # of edges found in this frame
    Edge edges[ONSET_EDGES]

cdef void onset_init(Onset *onset, const OnsetOptions *options, int rate) noexcept nogil
cdef void onset_hear(Onset *onset, const int16_t *samples, int count, int64_t media_time, int64_t packet, bint real) noexcept nogil
cdef void onset_finish(Onset *onset) noexcept nogil
