from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from codecs_ext.counters cimport Counters
from codecs_ext.downlink cimport Downlink
from codecs_ext.rtcp cimport CNAME_BYTES
from codecs_ext.uplink cimport Uplink

cdef enum:
    TOLD = 4                    # sender reports whose echo is still believed

cdef struct ControlCounts:
    uint64_t reports_sent
    uint64_t reports_received
    uint64_t reports_refused
    int64_t round_trip_ns       # -1: not known
    bint far_reported
    int64_t far_lost
    uint8_t far_fraction
    uint32_t far_jitter
    uint64_t far_of             # packets that we had sent when the far end last reported
    bint far_metrics
    uint8_t far_r
    uint8_t far_mos             # conversational, times ten
    uint16_t far_delay_ms       # of its end system
    double burst_ratio          # of what we heard, G.107 7.5

cdef struct Control:
    bint enabled
    bint metrics                # VoIP metrics are wanted
    uint32_t ssrc
    uint8_t cname[CNAME_BYTES]
    int64_t interval            # 0: no RTCP on this leg
    uint64_t random
    int64_t due
    int64_t last                # report sent
    bint initial
    double size                 # mean of the compound packets of both sides, RFC 3550 6.3.3
    int64_t clock               # monotonic clock to nanoseconds since 1900
    uint32_t told[TOLD]         # middle 32 bits of the NTP times that we sent
    int told_next
    uint64_t sent[2]            # RTP packets at the last two reports
    uint64_t received           # RTP packets at the last report
    uint32_t heard_ssrc         # of the last sender report
    uint32_t heard_lsr
    int64_t heard_at
    ControlCounts counts

cdef void control_init(Control *control, uint32_t ssrc, const uint8_t *cname, int64_t interval,
                       uint64_t seed) noexcept nogil
cdef void control_connect(Control *control, bint metrics, int64_t now, int64_t real_offset) noexcept nogil
cdef bint control_receive(Control *control, const Uplink *up, const Counters *counters, const uint8_t *data, int size,
                          int64_t arrival) noexcept nogil
cdef int control_timer(Control *control, Uplink *up, const Downlink *down, const Counters *counters, int64_t packet_at,
                       int64_t now, uint8_t *data) noexcept nogil
cdef int control_goodbye(Control *control, Uplink *up, const Downlink *down, const Counters *counters,
                         int64_t packet_at, int64_t now, uint8_t *data) noexcept nogil
