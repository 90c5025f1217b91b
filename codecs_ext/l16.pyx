"""L16: samples as they are, in network byte order (RFC 3551 4.5.11), at 8 and 16 kHz."""

from libc.stdint cimport int16_t, uint8_t

from codecs_ext.codec cimport CodecTable, kernel_new

__all__ = ["L16_16K", "L16_8K"]


cdef int _encode(void *state, const int16_t *samples, int count, uint8_t *payload) noexcept nogil:
    cdef int i
    for i in range(count):
        payload[2 * i] = <uint8_t>(samples[i] >> 8 & 0xFF)
        payload[2 * i + 1] = <uint8_t>(samples[i] & 0xFF)
    return 2 * count


cdef int _decode(void *state, const uint8_t *payload, int size, int16_t *samples) noexcept nogil:
    """The odd byte at the end of a damaged packet is left out."""
    cdef int i
    for i in range(size // 2):
        samples[i] = <int16_t>(payload[2 * i] << 8 | payload[2 * i + 1])
    return size // 2


cdef CodecTable _narrow, _wide
_narrow = CodecTable(8000, 8000, 1920, -1, 0, NULL, _encode, _decode, NULL, NULL)
_wide = CodecTable(16000, 16000, 1920, -1, 0, NULL, _encode, _decode, NULL, NULL)
L16_8K = kernel_new(&_narrow)
L16_16K = kernel_new(&_wide)
