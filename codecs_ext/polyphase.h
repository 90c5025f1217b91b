/* The inner loop of the resampler: sums of products of 16-bit samples, four outputs at a time.
 *
 * Each sum is made of packed multiply-adds over its taps, and only then are all four added up across their lanes together,
 * which costs a quarter of doing so for each. Of the ratios that telephony uses the compiler knows rows and offsets, so
 * that taps and samples which two of the four outputs share are loaded once. Integers do not round: whatever the order
 * of the additions, the samples are the same.
 *
 * SSE2 is part of every x86-64, so nothing is asked of the processor at run time. Elsewhere the compiler makes vectors of
 * its own of the plain loop.
 */
#ifndef LC_POLYPHASE_H
#define LC_POLYPHASE_H

#include <stdint.h>
#if defined(__SSE2__)
#include <emmintrin.h>
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
LC_INLINE void lc_dot4(const int16_t *const taps[4], const int16_t *const samples[4], int n, int16_t *out) {
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

/* As many whole rounds of `group` outputs, a multiple of four and of `up`, as there are samples for. */
LC_INLINE int lc_rounds(LcPolyphase *p, const int16_t *line, int count, int16_t *out, int up, int down, int n, int group) {
    int made = lc_singly(p, line, count, out, 1), reach = (group - 1) * down / up;
    for (; p->position + reach < count; p->position += group / up * down, made += group)
        for (int k = 0; k < group; k += 4) {
            const int16_t *taps[4], *samples[4];
            for (int j = 0; j < 4; j++) {
                taps[j] = p->bank + (k + j) * down % up * n;
                samples[j] = line + p->position + (k + j) * down / up;
            }
            lc_dot4(taps, samples, n, out + made + k);
        }
    return made;
}

/* Any ratio: rows and places are looked up for each four. */
static int lc_any(LcPolyphase *p, const int16_t *line, int count, int16_t *out) {
    int made = 0, whole = p->down / p->up, rest = p->down % p->up, k;
    const int16_t *taps[4], *samples[4];
    do {
        for (k = 0; k < 4 && p->position < count; k++) {
            taps[k] = p->bank + p->phase * p->taps;
            samples[k] = line + p->position;
            p->phase += rest;
            p->position += whole;
            if (p->phase >= p->up) {
                p->phase -= p->up;
                p->position++;
            }
        }
        if (k == 4) lc_dot4(taps, samples, p->taps, out + made);
        else
            for (int j = 0; j < k; j++) out[made + j] = lc_dot(taps[j], samples[j], p->taps);
        made += k;
    } while (k == 4);
    return made;
}

/* Every output whose newest sample is before line[taps - 1 + count]; returns how many. */
static int lc_polyphase(LcPolyphase *p, const int16_t *line, int count, int16_t *out) {
    int made;
    switch (p->up * 8 + p->down) {
    case 1 * 8 + 2: made = lc_rounds(p, line, count, out, 1, 2, 48, 4); break;
    case 1 * 8 + 3: made = lc_rounds(p, line, count, out, 1, 3, 72, 4); break;
    case 2 * 8 + 1: made = lc_rounds(p, line, count, out, 2, 1, 24, 4); break;
    case 2 * 8 + 3: made = lc_rounds(p, line, count, out, 2, 3, 48, 4); break;
    case 3 * 8 + 1: made = lc_rounds(p, line, count, out, 3, 1, 24, 12); break;
    case 3 * 8 + 2: made = lc_rounds(p, line, count, out, 3, 2, 24, 12); break;
    case 6 * 8 + 1: made = lc_rounds(p, line, count, out, 6, 1, 24, 12); break;
    case 1 * 8 + 6: made = lc_rounds(p, line, count, out, 1, 6, 144, 4); break;
    default: return lc_any(p, line, count, out);
    }
    return made + lc_singly(p, line, count, out + made, 0);
}

#endif
