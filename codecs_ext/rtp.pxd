from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef enum:
    RTP_HEADER = 12

cdef struct RtpPacket:
    uint32_t ssrc
    uint32_t timestamp
    uint16_t sequence
    uint8_t payload_type
    bint marker
    int size                    # of the payload, without padding
    const uint8_t *payload      # points into the parsed datagram

cdef bint rtp_parse(const uint8_t *data, int size, RtpPacket *packet) noexcept nogil
cdef void rtp_header(uint8_t *data, uint8_t payload_type, bint marker, uint16_t sequence, uint32_t timestamp,
                     uint32_t ssrc) noexcept nogil
