from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from codecs_ext.codec cimport CODEC_BYTES, CODEC_SAMPLES, CodecTable
from codecs_ext.delay cimport Delay
from codecs_ext.plc cimport Concealer

cdef enum:
    JITTER_SLOTS = 32           # packets held: 640 ms of packets of 20 ms
    JITTER_SAMPLES = 2 * CODEC_SAMPLES + 1024

cdef struct JitterCounts:
    # Samples of the codec
    uint64_t played
    uint64_t concealed
    uint64_t shortened
    uint64_t lengthened
    # Packets
    uint64_t late               # came after their place was concealed, or twice
    uint64_t overflows          # pushed out by newer ones

cdef struct JitterPacket:
    bint used
    int64_t sequence
    int64_t at                  # of its first sample
    int size
    uint8_t data[CODEC_BYTES]

cdef struct Jitter:
    const CodecTable *codec
    void *coding
    int64_t least               # nanoseconds of delay
    int64_t most
    bint started                # a packet has come
    bint playing                # and one was due
    int64_t sequence            # extended, of the next packet to be decoded
    int64_t newest              # extended, of the newest packet
    int64_t newest_time         # its timestamp, extended
    int64_t end                 # media time of the sample after those decoded; counts samples of the codec
    int64_t stretched_at        # when time was last stretched
    int frame                   # samples of the last packet
    int have                    # samples decoded and not played
    int64_t ahead               # made up because nothing was there at all: of packets that are late, or lost
    Delay delay
    Concealer plc
    JitterCounts counts
    int held
    JitterPacket slots[JITTER_SLOTS]
    int16_t pcm[JITTER_SAMPLES]

cdef void jitter_init(Jitter *jitter, const CodecTable *codec, void *coding, int64_t least, int64_t most,
                      double quantile) noexcept nogil
cdef void jitter_restart(Jitter *jitter) noexcept nogil
cdef bint jitter_put(Jitter *jitter, uint16_t sequence, uint32_t timestamp, const uint8_t *payload, int size,
                     int64_t arrival) noexcept nogil
cdef void jitter_take(Jitter *jitter, int16_t *samples, int count, int64_t now) noexcept nogil
cdef int64_t jitter_delay(const Jitter *jitter, int64_t now) noexcept nogil
