from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from codecs_ext.codec cimport CodecTable
from codecs_ext.counters cimport Counters
from codecs_ext.dtmf cimport DigitState
from codecs_ext.plc cimport Concealer
from codecs_ext.reception cimport Reception
from codecs_ext.reorder cimport Reorder
from codecs_ext.resample cimport Resampler
from codecs_ext.ring cimport Ring
from codecs_ext.vad cimport Vad

cdef struct UplinkOptions:
    int rate                    # of the PCM handed up
    int64_t window_ns           # how long a gap may stay open
    int64_t stall_ns            # without a packet for so long: silence in real time. 0: never
    int64_t timeout_ns          # without a packet for so long: RTP_TIMEOUT. 0: never
    int max_gap                 # samples at 8 kHz that are filled at most
    double vad_threshold_db
    double vad_min_level_db
    int vad_attack              # blocks of 10 ms
    int vad_release

cdef struct Uplink:
    UplinkOptions options
    Ring *ring
    uint64_t spare              # bytes of the ring that audio leaves to everything else
    uint32_t slot
    Counters *counters
    # stream
    bint enabled
    const CodecTable *codec     # NULL before the first connect
    void *coding                # its state, the leg's
    int payload_type
    int event_payload_type      # -1: none
    # source
    bint started                # a packet of audio was handed up
    bint have_ssrc
    uint32_t ssrc
    uint32_t next_timestamp     # of the sample after the last one handed up
    int64_t media_time          # samples at 8 kHz handed up
    int rest                    # and the fraction of one, in units of the codec's rate
    bint have_transit
    uint32_t transit
    Reception reception
    # timers, in monotonic nanoseconds; NEVER if off
    int64_t fill_at
    int64_t timeout_at
    Reorder reorder
    DigitState digits
    Vad vad
    Concealer plc
    Resampler resampler         # to the rate handed up
    Resampler narrow            # to 8 kHz, for the detector

cdef enum:
    COMFORT_NOISE = 13          # static payload type, RFC 3551 6

cdef int64_t NEVER

cdef void uplink_init(Uplink *up, const UplinkOptions *options, Ring *ring, uint32_t slot,
                      Counters *counters) noexcept nogil
cdef void uplink_connect(Uplink *up, const CodecTable *codec, void *coding, int payload_type, int event_payload_type,
                         bint receive, int64_t now) noexcept nogil
cdef void uplink_new_source(Uplink *up) noexcept nogil
cdef bint uplink_receive(Uplink *up, const uint8_t *data, int size, int64_t arrival, int64_t now) noexcept nogil
cdef int64_t uplink_timer(Uplink *up, int64_t now) noexcept nogil
cdef int64_t uplink_wake(const Uplink *up) noexcept nogil
