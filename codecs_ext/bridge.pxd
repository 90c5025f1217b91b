"""What two legs of one shard are to each other."""

from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t

from codecs_ext.jitter cimport Jitter
from codecs_ext.playout cimport Block
from codecs_ext.resample cimport Resampler
from codecs_ext.rtp cimport RtpPacket

cdef struct BridgeOrder:
    uint32_t peer               # its slot
    bint relay                  # both speak the same codec: packets go on as they come
    bint listen                 # what is heard is handed up as well
    Block *jitter[2]            # of what the leg hears, and its peer; NULL if relayed
    Block *coding[2]            # decoders for them; NULL if the codec has no state

cdef struct Bridge:
    # Of the leg that hears: what becomes of it at the other one.
    void *peer                  # the other ``Leg``; NULL: none
    bint relay
    Block *jitter               # holds a ``Jitter``
    Block *coding
    Resampler resampler         # to the rate of the other one's codec
    int64_t now                 # of the tick, for who asks for samples
    # relayed packets
    bint have_source
    uint32_t ssrc
    uint16_t sequence_offset
    uint32_t timestamp_offset
    # events beside transcoded audio
    uint32_t event_heard        # timestamp of the event under way
    uint32_t event_sent
    bint event_known

cdef void bridge_put(Bridge *bridge, const RtpPacket *packet, int64_t arrival) noexcept nogil
cdef void bridge_pull(Bridge *bridge, int16_t *samples, int count) noexcept nogil
