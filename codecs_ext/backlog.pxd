from libc.stdint cimport int64_t

cdef struct Backlog:
    # Times in ticks, spans of audio in samples at 8 kHz.
    bint enabled
    int64_t owed                # silence that underruns have put into the utterance
    int64_t excess              # of what is queued, to be left out
    int64_t lowest              # queued after a packet, in the window so far
    int64_t first               # at its beginning; -1: none has begun
    int64_t since               # it began
    int64_t window              # how long the queue has to stand before anything is left out
    int64_t left_out            # when something was last
    int packets                 # since then

cdef void backlog_init(Backlog *backlog, bint enabled) noexcept nogil
cdef void backlog_begin(Backlog *backlog) noexcept nogil
cdef void backlog_underrun(Backlog *backlog, int64_t tick, int64_t gap) noexcept nogil
cdef void backlog_packet(Backlog *backlog, int64_t tick, int64_t queued, int64_t samples) noexcept nogil
cdef int backlog_wanted(Backlog *backlog, int rate) noexcept nogil
cdef void backlog_taken(Backlog *backlog, int64_t tick, int count, int rate) noexcept nogil
