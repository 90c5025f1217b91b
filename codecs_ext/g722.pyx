"""ITU-T G.722 at 64 kbit/s: two bands of 8 kHz, each in ADPCM; 16 kHz speech in the bits of G.711.

Written from the Recommendation; the names of its blocks and signals (section 6.2) stand beside what they became here.
All arithmetic is its 16-bit arithmetic with saturation, so that encoder and decoder agree with every other one to the
bit. Two samples make one byte: the lower band's 6 bits below, the upper band's 2 above.
"""

from libc.stdint cimport int16_t, int32_t, uint8_t
from libc.string cimport memcpy, memset

from codecs_ext.codec cimport CodecTable, Kernel, kernel_new

__all__ = ["G722"]

cdef enum:
    TAPS = 24                   # of the quadrature mirror filter
    CHUNK = 160                 # bytes at a time: what the filter's line holds

cdef struct Band:
    # One adaptive predictor (blocks 4L and 4H). Index 0 is the newest.
    int32_t s                   # its estimate
    int32_t sz                  # the part of the six zeros
    int32_t[2] a                # poles
    int32_t[2] r                # reconstructed signal
    int32_t[2] p                # partially reconstructed signal
    int16_t[8] b                # zeros, six of them
    int16_t[8] d                # quantized differences
    int32_t nb                  # logarithmic scale factor
    int32_t det                 # scale factor

cdef struct Coding:
    Band low
    Band high
    int16_t line[TAPS]          # input of the encoder's filter, or sums and differences of the decoder's

cdef struct State:
    Coding sent
    Coding heard

cdef extern from *:
    """
    #include <stdint.h>
    /* Decision levels of the lower band (table 15), and the codes between them (tables 16 and 17) */
    static const int32_t Q6[29] = {35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786,
        858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919};
    static const uint8_t CODE_NEGATIVE[30] = {63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17,
        16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4};
    static const uint8_t CODE_POSITIVE[30] = {61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45,
        44, 43, 42, 41, 40, 39, 38, 37, 36, 35, 34, 33, 32};
    /* Output values of the inverse quantizers of 6, 4 and 2 bits */
    static const int32_t QM6[64] = {-136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280,
        -11192, -10232, -9360, -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776,
        -2400, -2032, -1688, -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232,
        9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040,
        728, 432, 136, -432, -136};
    static const int32_t QM4[16] = {0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288,
        4240, 2584, 1200, 0};
    static const int32_t QM2[4] = {-7408, -1616, 7408, 1616};
    /* Steps of the logarithmic scale factors by code (WL indexed by RL42, WH by RH2), and the antilogarithm */
    static const int32_t WL[16] = {-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30,
        -60};
    static const int32_t WH[4] = {798, -214, 798, -214};
    static const int32_t ILB[32] = {2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656,
        2714, 2774, 2834, 2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922,
        4008};
    /* The mirror filter (table 11) over both phases at once, so that gcc makes packed multiply-adds of it: the sum and
       the difference of its halves for the encoder, each half alone for the decoder. */
    static const int16_t SUM[24] = {3, -11, -11, 53, 12, -156, 32, 362, -210, -805, 951, 3876, 3876, 951, -805,
        -210, 362, 32, -156, 12, 53, -11, -11, 3};
    static const int16_t DIFFERENCE[24] = {-3, -11, 11, 53, -12, -156, -32, 362, 210, -805, -951, 3876, -3876, 951,
        805, -210, -362, 32, 156, 12, -53, -11, 11, 3};
    static const int16_t FIRST[24] = {0, -11, 0, 53, 0, -156, 0, 362, 0, -805, 0, 3876, 0, 951, 0, -210, 0, 32, 0,
        12, 0, -11, 0, 3};
    static const int16_t SECOND[24] = {3, 0, -11, 0, 12, 0, 32, 0, -210, 0, 951, 0, 3876, 0, -805, 0, 362, 0, -156,
        0, 53, 0, -11, 0};
    /* UPZERO, DELAYA and FILTEZ (block 4), six taps at a time. 32640 b >> 15 is b less b / 256 rounded up, and neither it
       nor a step of 128 more leaves 16 bits. */
    #ifdef __SSE2__
    #include <emmintrin.h>
    static inline int32_t lc_zeros(int16_t *b, int16_t *d, int32_t newest) {
        __m128i zeros = _mm_loadu_si128((const __m128i *)b), past = _mm_loadu_si128((const __m128i *)d);
        __m128i unlike = _mm_xor_si128(_mm_srai_epi16(past, 15), _mm_set1_epi16((short)(newest >> 31)));
        __m128i size = _mm_set_epi16(0, 0, 128, 128, 128, 128, 128, 128), sum;
        __m128i step = _mm_sub_epi16(_mm_xor_si128(size, unlike), unlike);
        __m128i whole = _mm_cmpeq_epi16(_mm_and_si128(zeros, _mm_set1_epi16(255)), _mm_setzero_si128());
        __m128i leak = _mm_add_epi16(_mm_add_epi16(_mm_srai_epi16(zeros, 8), _mm_set1_epi16(1)), whole);
        __m128i twice, low, high;
        step = _mm_and_si128(step, _mm_set_epi16(0, 0, -1, -1, -1, -1, -1, -1));
        step = _mm_and_si128(step, _mm_set1_epi16(newest ? -1 : 0));
        zeros = _mm_add_epi16(_mm_sub_epi16(zeros, leak), step);
        past = _mm_insert_epi16(_mm_slli_si128(past, 2), (short)newest, 0);
        _mm_storeu_si128((__m128i *)b, zeros);
        _mm_storeu_si128((__m128i *)d, past);
        twice = _mm_adds_epi16(past, past);
        low = _mm_mullo_epi16(zeros, twice);
        high = _mm_mulhi_epi16(zeros, twice);
        sum = _mm_add_epi32(_mm_srai_epi32(_mm_unpacklo_epi16(low, high), 15),
                            _mm_srai_epi32(_mm_unpackhi_epi16(low, high), 15));
        sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
        sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
        return _mm_cvtsi128_si32(sum);
    }
    #else
    static inline int32_t lc_zeros(int16_t *b, int16_t *d, int32_t newest) {
        int32_t sum = 0;
        for (int i = 0; i < 6; i++)
            b[i] = (int16_t)((b[i] * 32640 >> 15) + (newest ? ((d[i] < 0) == (newest < 0) ? 128 : -128) : 0));
        for (int i = 5; i > 0; i--) d[i] = d[i - 1];
        d[0] = (int16_t)newest;
        for (int i = 0; i < 6; i++) {
            int32_t twice = 2 * d[i];
            sum += b[i] * (twice > 32767 ? 32767 : twice < -32768 ? -32768 : twice) >> 15;
        }
        return sum;
    }
    #endif
    /* Block 1L without a branch: how many decision levels the magnitude reaches, of 29. */
    static inline int lc_level(int32_t magnitude, int32_t det) {
        int level = 0;
        for (int step = 16; step; step >>= 1) {
            int next = level + step, place = next > 29 ? 29 : next;
            level = (magnitude >= Q6[place - 1] * det >> 12) ? next : level;
        }
        return level > 29 ? 29 : level;
    }
    static inline int32_t lc_filter(const int16_t *taps, const int16_t *window) {
        int32_t sum = 0;
        for (int i = 0; i < 24; i++) sum += (int32_t)taps[i] * window[i];
        return sum;
    }
    """
    const int32_t *Q6
    const uint8_t *CODE_NEGATIVE
    const uint8_t *CODE_POSITIVE
    const int32_t *QM6
    const int32_t *QM4
    const int32_t *QM2
    const int32_t *WL
    const int32_t *WH
    const int32_t *ILB
    const int16_t *SUM
    const int16_t *DIFFERENCE
    const int16_t *FIRST
    const int16_t *SECOND
    int32_t lc_zeros(int16_t *b, int16_t *d, int32_t newest) noexcept nogil
    int lc_level(int32_t magnitude, int32_t det) noexcept nogil
    int32_t lc_filter(const int16_t *taps, const int16_t *window) noexcept nogil


cdef inline int32_t _clamp(int32_t value, int32_t low, int32_t high) noexcept nogil:
    return low if value < low else high if value > high else value


cdef inline int32_t _sat(int32_t value) noexcept nogil:
    return _clamp(value, -32768, 32767)


# --- the bands --------------------------------------------------------------------------------------------------------


cdef inline void _adapt_poles(Band *band, int32_t p0) noexcept nogil:
    """UPPOL2 and UPPOL1: the poles follow the signs of the partially reconstructed signal, and stay stable."""
    cdef bint alike = (p0 < 0) == (band.p[0] < 0)
    cdef int32_t first = _sat(band.a[0] * 4)
    cdef int32_t second = (_sat(-first) if alike else first) >> 7
    cdef int32_t bound
    second += 128 if (p0 < 0) == (band.p[1] < 0) else -128
    second = _clamp(second + (band.a[1] * 32512 >> 15), -12288, 12288)
    first = _sat((192 if alike else -192) + (band.a[0] * 32640 >> 15))
    bound = _sat(15360 - second)
    band.a[0] = _clamp(first, -bound, bound)
    band.a[1] = second


cdef inline void _predict(Band *band, int32_t d0) noexcept nogil:
    """Block 4: takes the newest difference in and estimates the next sample."""
    cdef int32_t p0 = _sat(band.sz + d0), r0 = _sat(band.s + d0)
    _adapt_poles(band, p0)
    band.r[1] = band.r[0]
    band.r[0] = r0
    band.p[1] = band.p[0]
    band.p[0] = p0
    band.sz = _sat(lc_zeros(band.b, band.d, d0))
    band.s = _sat(_sat((band.a[0] * _sat(2 * band.r[0]) >> 15) + (band.a[1] * _sat(2 * band.r[1]) >> 15)) + band.sz)


cdef inline void _scale(Band *band, int32_t step, int32_t limit, int32_t shift) noexcept nogil:
    """LOGSC and SCALE (blocks 3): the quantizer's next scale factor."""
    band.nb = _clamp((band.nb * 127 >> 7) + step, 0, limit)
    shift -= band.nb >> 11
    if shift < 0:
        band.det = ILB[(band.nb >> 6) & 31] << -shift << 2
    else:
        band.det = ILB[(band.nb >> 6) & 31] >> shift << 2


cdef inline void _low_step(Band *band, int code) noexcept nogil:
    """Blocks 2L to 4L; the two last bits of the code do not take part (6.2.1.3)."""
    cdef int32_t difference = band.det * QM4[code >> 2] >> 15
    _scale(band, WL[code >> 2], 18432, 8)
    _predict(band, difference)


cdef inline void _high_step(Band *band, int code) noexcept nogil:
    cdef int32_t difference = band.det * QM2[code] >> 15
    _scale(band, WH[code], 22528, 10)
    _predict(band, difference)


cdef inline int _quantize_low(const Band *band, int32_t sample) noexcept nogil:
    """Block 1L: the first decision level that the difference stays below."""
    cdef int32_t difference = _sat(sample - band.s)
    cdef int32_t magnitude = ~difference if difference < 0 else difference
    cdef int below = lc_level(magnitude, band.det)
    return CODE_NEGATIVE[below] if difference < 0 else CODE_POSITIVE[below]


cdef inline int _quantize_high(const Band *band, int32_t sample) noexcept nogil:
    cdef int32_t difference = _sat(sample - band.s)
    cdef int32_t magnitude = ~difference if difference < 0 else difference
    cdef bint far = magnitude >= 564 * band.det >> 12
    if difference < 0:
        return 0 if far else 1
    return 2 if far else 3


# --- streams ----------------------------------------------------------------------------------------------------------


cdef void _start_coding(Coding *coding) noexcept nogil:
    memset(coding, 0, sizeof(Coding))
    coding.low.det = 32
    coding.high.det = 8


cdef void _start(void *state, const uint8_t *terms) noexcept nogil:
    _start_coding(&(<State *>state).sent)
    _start_coding(&(<State *>state).heard)


cdef void _encode_chunk(Coding *coding, const int16_t *samples, int count, uint8_t *payload) noexcept nogil:
    """``count`` bytes of two samples each."""
    cdef int16_t[TAPS + 2 * CHUNK] line
    cdef const int16_t *window
    cdef int i, low, high
    memcpy(line, coding.line, sizeof(coding.line))
    memcpy(line + TAPS, samples, 2 * count * sizeof(int16_t))
    for i in range(count):
        window = line + 2 * i + 2
        low = _quantize_low(&coding.low, lc_filter(SUM, window) >> 14)
        high = _quantize_high(&coding.high, lc_filter(DIFFERENCE, window) >> 14)
        _low_step(&coding.low, low)
        _high_step(&coding.high, high)
        payload[i] = <uint8_t>(high << 6 | low)
    memcpy(coding.line, line + 2 * count, sizeof(coding.line))


cdef int _encode(void *state, const int16_t *samples, int count, uint8_t *payload) noexcept nogil:
    cdef int done = 0, step
    while done < count // 2:
        step = count // 2 - done
        if step > CHUNK:
            step = CHUNK
        _encode_chunk(&(<State *>state).sent, samples + 2 * done, step, payload + done)
        done += step
    return done


cdef void _decode_chunk(Coding *coding, const uint8_t *payload, int count, int16_t *samples) noexcept nogil:
    cdef int16_t[TAPS + 2 * CHUNK] line
    cdef const int16_t *window
    cdef int32_t low, high
    cdef int i
    memcpy(line, coding.line, sizeof(coding.line))
    for i in range(count):
        low = _clamp(coding.low.s + (coding.low.det * QM6[payload[i] & 63] >> 15), -16384, 16383)      # 5L, 6L
        high = _clamp(coding.high.s + (coding.high.det * QM2[payload[i] >> 6] >> 15), -16384, 16383)
        _low_step(&coding.low, payload[i] & 63)
        _high_step(&coding.high, payload[i] >> 6)
        line[TAPS + 2 * i] = <int16_t>(low + high)
        line[TAPS + 2 * i + 1] = <int16_t>(low - high)
        window = line + 2 * i + 2
        samples[2 * i] = <int16_t>_sat(lc_filter(FIRST, window) >> 11)
        samples[2 * i + 1] = <int16_t>_sat(lc_filter(SECOND, window) >> 11)
    memcpy(coding.line, line + 2 * count, sizeof(coding.line))


cdef int _decode(void *state, const uint8_t *payload, int size, int16_t *samples) noexcept nogil:
    cdef int done = 0, step
    while done < size:
        step = size - done if size - done < CHUNK else CHUNK
        _decode_chunk(&(<State *>state).heard, payload + done, step, samples + 2 * done)
        done += step
    return 2 * size


cdef CodecTable _table
# The clock is 8000 Hz by an error of RFC 1890 that RFC 3551 4.5.2 keeps.
_table = CodecTable(16000, 8000, 960, -1, sizeof(State), _start, _encode, _decode, NULL, NULL)
G722 = kernel_new(&_table)
