/* The inner loop of the resampler: sums of products of 16-bit samples, four outputs at a time.
 *
 * Each sum is made of packed multiply-adds over its taps, and only then are all four added up across their lanes together,
 * which costs a quarter of doing so for each. Of the ratios that telephony uses the compiler knows rows and offsets, so
 * that taps and samples which two of the four outputs share are loaded once. Integers do not round: whatever the order
 * of the additions, the samples are the same.
 *
 * SSE2 is part of every x86-64; AVX2, with sums of sixteen products at once, is used where the processor says that it has it.
 * Elsewhere the compiler makes vectors of its own of the plain loop.
 */
#ifndef LC_POLYPHASE_H
#define LC_POLYPHASE_H

#include <stdint.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define LC_INLINE static inline __attribute__((always_inline))

typedef struct {
    const int16_t *bank;    /* `up` rows of `taps` (a multiple of 8) in Q14, oldest sample first */
    int up, down, taps;
    int phase;              /* row of the next output */
    int position;           /* of its first sample in the line */
} LcPolyphase;

LC_INLINE int16_t lc_dot(const int16_t *taps, const int16_t *samples, int n) {
    int32_t sum = 1 << 13;
    for (int i = 0; i < n; i++) sum += (int32_t)taps[i] * samples[i];
    sum >>= 14;
    return (int16_t)(sum > 32767 ? 32767 : sum < -32768 ? -32768 : sum);
}

#if defined(__SSE2__)
LC_INLINE __m128i lc_product(const int16_t *a, const int16_t *b) {
    return _mm_madd_epi16(_mm_loadu_si128((const __m128i *)a), _mm_loadu_si128((const __m128i *)b));
}
#endif

/* out[k] from taps[k] and samples[k]. */
LC_INLINE void lc_dot4_plain(const int16_t *const taps[4], const int16_t *const samples[4], int n, int16_t *out) {
#if defined(__SSE2__)
    __m128i a = _mm_setzero_si128(), b = a, c = a, d = a;
    for (int i = 0; i < n; i += 8) {
        a = _mm_add_epi32(a, lc_product(taps[0] + i, samples[0] + i));
        b = _mm_add_epi32(b, lc_product(taps[1] + i, samples[1] + i));
        c = _mm_add_epi32(c, lc_product(taps[2] + i, samples[2] + i));
        d = _mm_add_epi32(d, lc_product(taps[3] + i, samples[3] + i));
    }
    __m128i ab = _mm_add_epi32(_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b));
    __m128i cd = _mm_add_epi32(_mm_unpacklo_epi32(c, d), _mm_unpackhi_epi32(c, d));
    __m128i sum = _mm_add_epi32(_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd));
    sum = _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(1 << 13)), 14);
    _mm_storel_epi64((__m128i *)out, _mm_packs_epi32(sum, sum));
#else
    for (int k = 0; k < 4; k++) out[k] = lc_dot(taps[k], samples[k], n);
#endif
}

/* One output after the other, in any ratio; until the next is that of phase 0 where that is asked for. */
static int lc_singly(LcPolyphase *p, const int16_t *line, int count, int16_t *out, int to_phase_0) {
    int made = 0, whole = p->down / p->up, rest = p->down % p->up;
    while (p->position < count && !(to_phase_0 && p->phase == 0)) {
        out[made++] = lc_dot(p->bank + p->phase * p->taps, line + p->position, p->taps);
        p->phase += rest;
        p->position += whole;
        if (p->phase >= p->up) {
            p->phase -= p->up;
            p->position++;
        }
    }
    return made;
}

#define LC_FOR(name) name##_plain
#include "polyphase_rounds.h"
#undef LC_FOR

#if defined(__x86_64__) && defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("avx2")

LC_INLINE __m256i lc_product16(const int16_t *a, const int16_t *b) {
    return _mm256_madd_epi16(_mm256_loadu_si256((const __m256i *)a), _mm256_loadu_si256((const __m256i *)b));
}

LC_INLINE __m256i lc_sums(const int16_t *taps, const int16_t *samples, int n) {
    __m256i sums = n & 8 ? _mm256_zextsi128_si256(lc_product(taps + n - 8, samples + n - 8)) : _mm256_setzero_si256();
    for (int i = 0; i + 16 <= n; i += 16) sums = _mm256_add_epi32(sums, lc_product16(taps + i, samples + i));
    return sums;
}

/* The same as lc_dot4_plain. */
LC_INLINE void lc_dot4_avx2(const int16_t *const taps[4], const int16_t *const samples[4], int n, int16_t *out) {
    __m256i ab = _mm256_hadd_epi32(lc_sums(taps[0], samples[0], n), lc_sums(taps[1], samples[1], n));
    __m256i cd = _mm256_hadd_epi32(lc_sums(taps[2], samples[2], n), lc_sums(taps[3], samples[3], n));
    __m256i four = _mm256_hadd_epi32(ab, cd);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
    sum = _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(1 << 13)), 14);
    _mm_storel_epi64((__m128i *)out, _mm_packs_epi32(sum, sum));
}

#define LC_FOR(name) name##_avx2
#include "polyphase_rounds.h"
#undef LC_FOR
#pragma GCC pop_options
#endif

/* Every output whose newest sample is before line[taps - 1 + count]; returns how many. */
static int lc_polyphase(LcPolyphase *p, const int16_t *line, int count, int16_t *out) {
#if defined(__x86_64__) && defined(__GNUC__)
    if (__builtin_cpu_supports("avx2")) return lc_polyphase_avx2(p, line, count, out);
#endif
    return lc_polyphase_plain(p, line, count, out);
}

#endif
