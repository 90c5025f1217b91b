"""ITU-T G.711, both laws, by table.

The tables are computed once at import by the rules of the ITU-T software tool library (G.191): negative samples are taken
in one's complement, so that the decision values are symmetric around the boundary between -1 and 0.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int16_t, uint8_t, uint16_t

from codecs_ext.codec cimport CodecTable, kernel_new

__all__ = ["PCMA", "PCMU", "alaw_to_linear", "linear_to_alaw", "linear_to_ulaw", "ulaw_to_linear"]

cdef int16_t _decoded[2][256]
# mu-law decides on the upper 14 bits of a sample, A-law on the upper 12: the tables are no larger than that.
cdef uint8_t _mu[16384]
cdef uint8_t _a[4096]


cdef int16_t _mu_expand(uint8_t code) noexcept nogil:
    cdef int inverted = code ^ 0xFF
    cdef int exponent = (inverted >> 4) & 7
    cdef int step = 8 << exponent
    cdef int magnitude = (0x80 << exponent) + step * (inverted & 15) + step // 2 - 132
    return <int16_t>(magnitude if code & 0x80 else -magnitude)


cdef int16_t _a_expand(uint8_t code) noexcept nogil:
    cdef int plain = (code ^ 0x55) & 0x7F
    cdef int exponent = plain >> 4
    cdef int mantissa = plain & 15
    if exponent > 0:
        mantissa += 16
    cdef int magnitude = (mantissa << 4) + 8
    if exponent > 1:
        magnitude <<= exponent - 1
    return <int16_t>(magnitude if code & 0x80 else -magnitude)


cdef uint8_t _mu_compress(int value) noexcept nogil:
    """``value`` is the sample shifted right by 2."""
    cdef int magnitude = (~value if value < 0 else value) + 33
    cdef int segment = 1
    if magnitude > 0x1FFF:
        magnitude = 0x1FFF
    while magnitude >> (segment + 5):
        segment += 1
    cdef int code = ((8 - segment) << 4) | (15 - ((magnitude >> segment) & 15))
    return <uint8_t>(code if value < 0 else code | 0x80)


cdef uint8_t _a_compress(int value) noexcept nogil:
    """``value`` is the sample shifted right by 4."""
    cdef int magnitude = ~value if value < 0 else value
    cdef int exponent = 1
    if magnitude > 15:
        while magnitude > 31:
            magnitude >>= 1
            exponent += 1
        magnitude += (exponent << 4) - 16
    return <uint8_t>((magnitude if value < 0 else magnitude | 0x80) ^ 0x55)


cdef void _build() noexcept nogil:
    cdef int i
    for i in range(256):
        _decoded[<int>LAW_MU][i] = _mu_expand(<uint8_t>i)
        _decoded[<int>LAW_A][i] = _a_expand(<uint8_t>i)
    for i in range(-8192, 8192):
        _mu[i & 16383] = _mu_compress(i)
    for i in range(-2048, 2048):
        _a[i & 4095] = _a_compress(i)


_build()


cdef void g711_decode(Law law, const uint8_t *encoded, int16_t *samples, int count) noexcept nogil:
    cdef int i
    cdef const int16_t *table = _decoded[<int>law]
    for i in range(count):
        samples[i] = table[encoded[i]]


cdef void g711_encode(Law law, const int16_t *samples, uint8_t *encoded, int count) noexcept nogil:
    cdef int i
    if law == LAW_MU:
        for i in range(count):
            encoded[i] = _mu[<uint16_t>samples[i] >> 2]
    else:
        for i in range(count):
            encoded[i] = _a[<uint16_t>samples[i] >> 4]


# --- as codecs of the plane -------------------------------------------------------------------------------------------


cdef int _encode_mu(void *state, const int16_t *samples, int count, uint8_t *payload) noexcept nogil:
    g711_encode(LAW_MU, samples, payload, count)
    return count


cdef int _encode_a(void *state, const int16_t *samples, int count, uint8_t *payload) noexcept nogil:
    g711_encode(LAW_A, samples, payload, count)
    return count


cdef int _decode_mu(void *state, const uint8_t *payload, int size, int16_t *samples) noexcept nogil:
    g711_decode(LAW_MU, payload, samples, size)
    return size


cdef int _decode_a(void *state, const uint8_t *payload, int size, int16_t *samples) noexcept nogil:
    g711_decode(LAW_A, payload, samples, size)
    return size


cdef CodecTable _mu_table, _a_table
_mu_table = CodecTable(8000, 8000, 960, 0xFF, 0, NULL, _encode_mu, _decode_mu, NULL, NULL)
_a_table = CodecTable(8000, 8000, 960, 0xD5, 0, NULL, _encode_a, _decode_a, NULL, NULL)
PCMU = kernel_new(&_mu_table)
PCMA = kernel_new(&_a_table)


# --- alone ------------------------------------------------------------------------------------------------------------


cdef bytes _decode(Law law, const uint8_t[::1] encoded):
    cdef Py_ssize_t count = encoded.shape[0]
    cdef bytes pcm = PyBytes_FromStringAndSize(NULL, 2 * count)
    if count:
        g711_decode(law, &encoded[0], <int16_t *>PyBytes_AS_STRING(pcm), <int>count)
    return pcm


cdef bytes _encode(Law law, const uint8_t[::1] pcm):
    cdef Py_ssize_t count = pcm.shape[0] >> 1
    if pcm.shape[0] & 1:
        raise ValueError("16-bit samples need an even number of bytes")
    cdef bytes encoded = PyBytes_FromStringAndSize(NULL, count)
    if count:
        g711_encode(law, <const int16_t *>&pcm[0], <uint8_t *>PyBytes_AS_STRING(encoded), <int>count)
    return encoded


def ulaw_to_linear(encoded) -> bytes:
    """PCMU to 16-bit little-endian samples (G.711 table 2)."""
    return _decode(LAW_MU, encoded)


def alaw_to_linear(encoded) -> bytes:
    """PCMA to 16-bit little-endian samples (G.711 table 1)."""
    return _decode(LAW_A, encoded)


def linear_to_ulaw(pcm) -> bytes:
    """16-bit little-endian samples to PCMU. Raises ``ValueError`` for an odd number of bytes."""
    return _encode(LAW_MU, pcm)


def linear_to_alaw(pcm) -> bytes:
    """16-bit little-endian samples to PCMA. Raises ``ValueError`` for an odd number of bytes."""
    return _encode(LAW_A, pcm)
