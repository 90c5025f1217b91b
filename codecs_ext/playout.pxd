from libc.stdint cimport int16_t, int64_t

from codecs_ext.resample cimport Resampler

cdef enum:
    SLACK = 8                   # samples that a buffer for ``playout_take`` has beyond what is asked for
    POOL_SAMPLES = 320          # of a block of a shard's pool: 20 ms at 16 kHz

cdef struct Block:
    Block *next
    int rate                    # 0: a mark, without samples
    Block **pool                # of a shard's thread, to which it goes back; NULL: to who frees
    int64_t number              # of the mark; of audio: when it begins (``Downlink.appointment``), 0: at once
    int count                   # samples
    int taken
    int16_t samples[1]          # ``count`` of them

cdef struct Playout:
    Block *first
    Block *last
    int64_t queued              # samples at 8 kHz, about
    int64_t limit
    int out_rate                # of the samples taken
    int rate                    # that the resampler is set to; 0: to none
    Resampler resampler
    int16_t carry[SLACK]        # samples that came out beyond what was asked for
    int carried
    Block **freed               # shared stack of blocks for the event loop's thread to free

cdef Block *block_new(int rate, int count, int64_t number) noexcept nogil
cdef Block *block_take(Block **pool) noexcept nogil
cdef void block_return(Block **freed, Block *block) noexcept nogil
cdef void blocks_free(Block **freed) noexcept nogil
cdef void playout_init(Playout *queue, int64_t limit, Block **freed) noexcept nogil
cdef bint playout_push(Playout *queue, Block *block) noexcept nogil
cdef int playout_take(Playout *queue, int16_t *samples, int count) noexcept nogil
cdef Block *playout_mark(Playout *queue) noexcept nogil
cdef void playout_restart(Playout *queue) noexcept nogil
cdef void playout_set_rate(Playout *queue, int rate) noexcept nogil
cdef int64_t playout_trim(Playout *queue, int64_t keep) noexcept nogil
cdef void playout_clear(Playout *queue) noexcept nogil
