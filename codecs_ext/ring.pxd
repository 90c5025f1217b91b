from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum Kind:
    SKIP = 0                    # filler before the end of the memory
    # plane to event loop
    AUDIO
    SPEECH_STARTED
    SPEECH_ENDED
    DIGIT
    PLAYOUT_STARTED
    PLAYOUT_IDLE
    MARK
    FLUSHED
    TRIMMED
    RTP_TIMEOUT
    CLOSED
    HANDSHAKE
    SOUND                       # an edge: ``number`` is when, a payload of 8 octets its sound
    FIRST_PACKET
    PIPED                       # of a connection, whose slot it names; those below are of legs again
    PIPE_ENDED
    PATCHED
    UNPATCHED
    KEPT
    SPOKE
    ANSWERED
    # event loop to plane
    DO_OPEN
    DO_CONNECT
    DO_PLAY
    DO_MARK
    DO_FLUSH
    DO_TRIM
    DO_DIAL
    DO_BACKDROP
    DO_CLOSE
    DO_TAPE
    DO_BRIDGE
    DO_KEY
    DO_SEND
    DO_ECHO
    DO_LISTEN
    DO_PIPE                     # these are of connections
    DO_PIPE_WRITE
    DO_PIPE_ACK
    DO_PIPE_END
    DO_PATCH
    DO_PATCH_GO
    DO_UNPATCH
    DO_POOL
    DO_LINE

cdef struct Record:
    uint32_t size               # with this header and the padding
    uint16_t kind
    uint16_t flags
    uint32_t slot
    uint32_t bytes              # that follow the header
    int64_t number              # of a mark or flush; a digit; a pointer in a command
    int64_t media_time          # or position; a digit's duration
    int64_t stamp               # arrival or sent

cdef struct Ring:
    uint8_t *data
    uint64_t capacity           # a power of two
    uint64_t reserved           # the producer's own count: end of the record under construction
    uint8_t gap_a[40]           # the two ends live on cache lines of their own
    uint64_t head               # written by the producer
    uint8_t gap_b[56]
    uint64_t tail               # written by the consumer
    uint8_t gap_c[56]

cdef bint ring_init(Ring *ring, uint64_t capacity) noexcept nogil
cdef void ring_free(Ring *ring) noexcept nogil
cdef Record *ring_reserve(Ring *ring, Kind kind, uint32_t slot, uint32_t size, uint64_t spare) noexcept nogil
cdef void ring_commit(Ring *ring) noexcept nogil
cdef bint ring_tell(Ring *ring, Kind kind, uint32_t slot, int64_t number, int64_t media_time,
                    int64_t stamp) noexcept nogil
cdef Record *ring_peek(Ring *ring) noexcept nogil
cdef void ring_release(Ring *ring, const Record *record) noexcept nogil
