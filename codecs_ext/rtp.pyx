"""RTP packets (RFC 3550 5.1): read any, write the plain form that telephones send."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

__all__ = ["build", "parse"]


cdef inline uint32_t _word(const uint8_t *data) noexcept nogil:
    return (<uint32_t>data[0] << 24) | (<uint32_t>data[1] << 16) | (<uint32_t>data[2] << 8) | data[3]


cdef inline void _put_word(uint8_t *data, uint32_t value) noexcept nogil:
    data[0] = <uint8_t>(value >> 24)
    data[1] = <uint8_t>(value >> 16)
    data[2] = <uint8_t>(value >> 8)
    data[3] = <uint8_t>value


cdef bint rtp_parse(const uint8_t *data, int size, RtpPacket *packet) noexcept nogil:
    """False for what is not RTP: too short, wrong version, or a length inside that leads outside."""
    if size < RTP_HEADER or data[0] >> 6 != 2:
        return False
    cdef int start = RTP_HEADER + 4 * (data[0] & 15)
    cdef int end = size
    if data[0] & 0x10:          # extension (5.3.1): skipped by its length
        if start + 4 > size:
            return False
        start += 4 + 4 * ((data[start + 2] << 8) | data[start + 3])
    if data[0] & 0x20:          # padding: its last octet counts itself, so it is never 0
        if data[size - 1] == 0:
            return False
        end -= data[size - 1]
    if start > end:
        return False
    packet.marker = data[1] >> 7
    packet.payload_type = data[1] & 0x7F
    packet.sequence = <uint16_t>((data[2] << 8) | data[3])
    packet.timestamp = _word(data + 4)
    packet.ssrc = _word(data + 8)
    packet.payload = data + start
    packet.size = end - start
    return True


cdef void rtp_header(uint8_t *data, uint8_t payload_type, bint marker, uint16_t sequence, uint32_t timestamp,
                     uint32_t ssrc) noexcept nogil:
    """Writes 12 octets: no padding, extension or contributing sources."""
    data[0] = 0x80
    data[1] = <uint8_t>((0x80 if marker else 0) | payload_type)
    data[2] = <uint8_t>(sequence >> 8)
    data[3] = <uint8_t>sequence
    _put_word(data + 4, timestamp)
    _put_word(data + 8, ssrc)


def parse(const uint8_t[::1] data not None):
    """``(payload_type, marker, sequence, timestamp, ssrc, payload)``, or None for what is not RTP."""
    cdef RtpPacket packet
    if data.shape[0] == 0 or data.shape[0] > 65535 or not rtp_parse(&data[0], <int>data.shape[0], &packet):
        return None
    return (packet.payload_type, bool(packet.marker), packet.sequence, packet.timestamp, packet.ssrc,
            <bytes>(<const char *>packet.payload)[:packet.size])


def build(payload_type: int, marker: bool, sequence: int, timestamp: int, ssrc: int, payload: bytes) -> bytes:
    """One packet. Numbers are taken modulo the width of their field."""
    cdef uint8_t header[RTP_HEADER]
    rtp_header(header, payload_type & 0x7F, marker, <uint16_t>(sequence & 0xFFFF), <uint32_t>(timestamp & 0xFFFFFFFF),
               <uint32_t>(ssrc & 0xFFFFFFFF))
    return (<char *>header)[:RTP_HEADER] + payload
