"""ITU-T G.711, both laws, by the exponent of a float.

A code is sign, exponent and four bits of mantissa, and so is the upper end of a float: converting a magnitude to one does
what the segment search of the recommendation does, and without a table or a branch it is done for four samples at a time.
Negative samples are taken in one's complement, as in the ITU-T software tool library (G.191), so that the decision values
are symmetric around the boundary between -1 and 0.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int16_t, uint8_t

from codecs_ext.codec cimport CodecTable, kernel_new

__all__ = ["PCMA", "PCMU", "alaw_to_linear", "linear_to_alaw", "linear_to_ulaw", "ulaw_to_linear"]

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    /* In C, since gcc makes vectors only of a loop with a plain induction variable. */
    #define LC_BIAS (127 << 4)      /* exponent and mantissa of 1.0, shifted right by 19 */
    static inline int32_t lc_bits(float value) { int32_t bits; memcpy(&bits, &value, 4); return bits; }
    static inline float lc_float(int32_t bits) { float value; memcpy(&value, &bits, 4); return value; }

    /* Decides on the upper 14 bits: with 33 added, segment s holds the magnitudes from 2^(s + 4) on. What needs no 32 bits
       is done in 16, for eight samples at a time. */
    static void lc_mu_encode(const int16_t *restrict in, uint8_t *restrict out, int n) {
        for (int i = 0; i < n; i++) {
            int16_t value = in[i] >> 2, sign = in[i] >> 15, magnitude = (int16_t)((value ^ sign) + 33);
            magnitude = magnitude > 0x1FFF ? 0x1FFF : magnitude;
            int16_t place = (int16_t)(lc_bits((float)magnitude) >> 19);
            out[i] = (uint8_t)((int16_t)(207 + LC_BIAS - place) | (~sign & 0x80));
        }
    }

    /* Decides on the upper 12 bits; the first two segments have steps of the same size, so the first is no float. */
    static void lc_a_encode(const int16_t *restrict in, uint8_t *restrict out, int n) {
        for (int i = 0; i < n; i++) {
            int16_t value = in[i] >> 4, sign = in[i] >> 15, magnitude = value ^ sign;
            int16_t code = (int16_t)(lc_bits((float)magnitude) >> 19) - LC_BIAS - 48;
            int16_t first = magnitude < 16 ? magnitude : 16;   /* below 16 the float's code is less, from there on not */
            code = code > first ? code : first;
            out[i] = (uint8_t)((code | (~sign & 0x80)) ^ 0x55);
        }
    }

    /* The middle of a step is half a step, bit 18, above its lower end. */
    static void lc_mu_decode(const uint8_t *restrict in, int16_t *restrict out, int n) {
        for (int i = 0; i < n; i++) {
            int32_t code = in[i] ^ 0xFF, sign = -(code >> 7);
            int32_t magnitude = (int32_t)lc_float(((code & 0x7F) << 19) + (134 << 23) + (1 << 18)) - 132;
            out[i] = (int16_t)((magnitude ^ sign) - sign);
        }
    }

    static void lc_a_decode(const uint8_t *restrict in, int16_t *restrict out, int n) {
        for (int i = 0; i < n; i++) {
            int32_t code = in[i] ^ 0x55, sign = (code >> 7) - 1, plain = code & 0x7F;
            int32_t first = plain < 16 ? -1 : 0;
            int32_t bits = ((plain + (first & 16)) << 19) + (134 << 23) + (1 << 18);
            int32_t magnitude = (int32_t)lc_float(bits) - (first & 256);
            out[i] = (int16_t)((magnitude ^ sign) - sign);
        }
    }
    """
    void lc_mu_encode(const int16_t *samples, uint8_t *encoded, int n) noexcept nogil
    void lc_a_encode(const int16_t *samples, uint8_t *encoded, int n) noexcept nogil
    void lc_mu_decode(const uint8_t *encoded, int16_t *samples, int n) noexcept nogil
    void lc_a_decode(const uint8_t *encoded, int16_t *samples, int n) noexcept nogil


cdef void g711_decode(Law law, const uint8_t *encoded, int16_t *samples, int count) noexcept nogil:
    if law == LAW_MU:
        lc_mu_decode(encoded, samples, count)
    else:
        lc_a_decode(encoded, samples, count)


cdef void g711_encode(Law law, const int16_t *samples, uint8_t *encoded, int count) noexcept nogil:
    if law == LAW_MU:
        lc_mu_encode(samples, encoded, count)
    else:
        lc_a_encode(samples, encoded, count)


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
