from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t

from codecs_ext.linux cimport sockaddr_storage
from codecs_ext.ring cimport Ring

cdef enum TapeKind:
    TAPED_CALLER = 1            # samples that were handed up
    TAPED_AGENT                 # samples of a packet that left; none: silence
    TAPED_PACKET                # a datagram as it was on the wire
    TAPED_PAUSE
    TAPED_RESUME

cdef enum PacketFlag:
    PACKET_OUT = 1
    PACKET_CONTROL = 2          # on the RTCP port of its own

cdef struct TapeOrder:
    # What is wanted of a leg from now on, as the command carries it.
    uint32_t name               # by which the reader knows whose samples these are
    bint voice
    bint packets
    bint paused                 # samples are withheld here already: what is not recorded leaves the plane nowhere
    int beep_ms                 # a beep this often; 0: none
    bint beep_both              # the agent hears it too

cdef struct Tape:
    Ring *ring                  # the shard's; its reader is a thread that this one never waits for
    TapeOrder order
    uint32_t lost               # records that found the ring full
    bint beeping[2]             # the first sample is known, for the caller and for the agent
    uint32_t first[2]           # RTP time of it

cdef struct TapedSamples:
    # Follows the ring's header; the samples follow it.
    uint32_t timestamp          # RTP, of the first sample
    int rate
    int clock
    int count                   # agent: also where there are no samples
    bint made_up

cdef struct TapedPacket:
    uint16_t size
    uint8_t address[28]         # of the far end: sockaddr_in or sockaddr_in6

cdef void tape_order(Tape *tape, const TapeOrder *order, int64_t now) noexcept nogil
cdef void tape_samples(Tape *tape, TapeKind kind, const int16_t *samples, int count, int rate, int clock,
                       uint32_t timestamp, int64_t stamp, bint made_up) noexcept nogil
cdef bint tape_beep(Tape *tape, bint agent, int16_t *samples, int count, int rate, int clock,
                    uint32_t timestamp) noexcept nogil
cdef void tape_packet(Tape *tape, const uint8_t *data, int size, const sockaddr_storage *remote, int64_t stamp,
                      int flags) noexcept nogil
