from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t

cdef enum:
    RTCP_BYTES = 192            # more than the longest compound packet that is written: 28+24 + 28 + 44 + 8
    CNAME_BYTES = 16            # 96 random bits in base64 (RFC 7022 5)

cdef struct SenderInfo:
    uint32_t ntp_high
    uint32_t ntp_low
    uint32_t timestamp
    uint32_t packets
    uint32_t octets

cdef struct ReportBlock:
    uint32_t ssrc               # of the source reported on
    uint8_t fraction
    int32_t lost                # 24 bits on the wire
    uint32_t highest
    uint32_t jitter
    uint32_t lsr
    uint32_t dlsr

cdef struct VoipMetrics:        # RFC 3611 4.7
    uint32_t ssrc
    uint8_t loss_rate
    uint8_t discard_rate
    uint8_t burst_density
    uint8_t gap_density
    uint16_t burst_ms
    uint16_t gap_ms
    uint16_t round_trip_ms
    uint16_t end_delay_ms
    uint8_t signal_level
    uint8_t noise_level
    uint8_t echo_loss
    uint8_t gmin
    uint8_t r_factor
    uint8_t external_r
    uint8_t mos_listening       # times ten
    uint8_t mos_conversation
    uint8_t receiver
    uint16_t buffer_ms
    uint16_t buffer_maximum_ms
    uint16_t buffer_absolute_ms

cdef struct Compound:           # what a compound packet tells one receiver
    uint32_t sender
    bint has_info
    bint has_report             # about the receiver
    bint has_metrics            # about the receiver
    bint bye                    # of the sender
    SenderInfo info
    ReportBlock report
    VoipMetrics metrics

cdef bint rtcp_parse(const uint8_t *data, int size, uint32_t receiver, Compound *out) noexcept nogil
cdef int rtcp_put_report(uint8_t *data, uint32_t sender, const SenderInfo *info,
                         const ReportBlock *block) noexcept nogil
cdef int rtcp_put_cname(uint8_t *data, uint32_t sender, const uint8_t *cname) noexcept nogil
cdef int rtcp_put_metrics(uint8_t *data, uint32_t sender, const VoipMetrics *metrics) noexcept nogil
cdef int rtcp_put_bye(uint8_t *data, uint32_t sender) noexcept nogil
