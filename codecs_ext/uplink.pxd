from libc.stdint cimport int64_t, uint8_t, uint32_t

from codecs_ext.codec cimport CODEC_BYTES, CodecTable
from codecs_ext.counters cimport Counters
from codecs_ext.dtmf cimport DigitState
from codecs_ext.frames cimport Frames
from codecs_ext.reception cimport Reception
from codecs_ext.reorder cimport Reorder
from codecs_ext.ring cimport Ring
from codecs_ext.rtp cimport RtpPacket

cdef struct UplinkOptions:
    int rate                    # of the PCM handed up
    int64_t window_ns           # how long a gap may stay open at most
    int64_t window_least_ns     # and at least, where nothing was ever overtaken
    int64_t stall_ns            # without a packet for so long: silence in real time. 0: never
    int64_t timeout_ns          # without a sign of life for so long: RTP_TIMEOUT. 0: never
    int64_t hold_timeout_ns     # the same for a call on hold
    int max_gap                 # samples at 8 kHz that are filled at most
    double vad_threshold_db
    double vad_min_level_db
    int vad_attack              # blocks of 10 ms
    int vad_release

cdef struct Uplink:
    UplinkOptions options
    Counters *counters
    # stream
    bint enabled
    bint muted                  # audio is another leg's affair: nothing of it is handed up
    const CodecTable *codec     # NULL before the first connect
    void *coding                # its state, the leg's
    int payload_type
    int event_payload_type      # -1: none
    int64_t patience_ns         # with the far end, as things stand
    # source
    bint started                # a packet of audio was handed up
    bint have_ssrc
    uint32_t ssrc
    int packet_samples          # of the last packet
    bint have_transit
    uint32_t transit
    Reception reception
    # the first packet of another source
    bint doubted
    RtpPacket doubt_packet
    int64_t doubt_arrival
    uint8_t doubt_payload[CODEC_BYTES]
    # timers, in monotonic nanoseconds; NEVER if off
    int64_t fill_at
    int64_t timeout_at
    Reorder reorder
    DigitState digits
    Frames frames

cdef enum:
    COMFORT_NOISE = 13          # static payload type, RFC 3551 6

cdef int64_t NEVER

cdef void uplink_init(Uplink *up, const UplinkOptions *options, Ring *ring, uint32_t slot,
                      Counters *counters) noexcept nogil
cdef void uplink_connect(Uplink *up, const CodecTable *codec, void *coding, int payload_type, int event_payload_type,
                         bint send, bint receive, int64_t now) noexcept nogil
cdef void uplink_new_source(Uplink *up) noexcept nogil
cdef void uplink_alive(Uplink *up, int64_t now) noexcept nogil
cdef bint uplink_fits(const Uplink *up, const uint8_t *data, int size, RtpPacket *packet) noexcept nogil
cdef void uplink_take(Uplink *up, const RtpPacket *packet, int64_t arrival, int64_t now) noexcept nogil
cdef int64_t uplink_timer(Uplink *up, int64_t now) noexcept nogil
cdef int64_t uplink_wake(const Uplink *up) noexcept nogil
