/* The rounds of polyphase.h, compiled once for each instruction set: LC_FOR(name) is the name for it. No guard, on purpose. */

/* As many whole rounds of `group` outputs, a multiple of four and of `up`, as there are samples for. */
LC_INLINE int LC_FOR(lc_rounds)(LcPolyphase *p, const int16_t *line, int count, int16_t *out, int up, int down, int n, int group) {
    int made = lc_singly(p, line, count, out, 1), reach = (group - 1) * down / up;
    for (; p->position + reach < count; p->position += group / up * down, made += group)
        for (int k = 0; k < group; k += 4) {
            const int16_t *taps[4], *samples[4];
            for (int j = 0; j < 4; j++) {
                taps[j] = p->bank + (k + j) * down % up * n;
                samples[j] = line + p->position + (k + j) * down / up;
            }
            LC_FOR(lc_dot4)(taps, samples, n, out + made + k);
        }
    return made;
}

/* Any ratio: rows and places are looked up for each four. */
static int LC_FOR(lc_any)(LcPolyphase *p, const int16_t *line, int count, int16_t *out) {
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
        if (k == 4) LC_FOR(lc_dot4)(taps, samples, p->taps, out + made);
        else
            for (int j = 0; j < k; j++) out[made + j] = lc_dot(taps[j], samples[j], p->taps);
        made += k;
    } while (k == 4);
    return made;
}

/* Every output whose newest sample is before line[taps - 1 + count]; returns how many. */
static int LC_FOR(lc_polyphase)(LcPolyphase *p, const int16_t *line, int count, int16_t *out) {
    int made;
    switch (p->up * 8 + p->down) {
    case 1 * 8 + 2: made = LC_FOR(lc_rounds)(p, line, count, out, 1, 2, 48, 4); break;
    case 1 * 8 + 3: made = LC_FOR(lc_rounds)(p, line, count, out, 1, 3, 72, 4); break;
    case 2 * 8 + 1: made = LC_FOR(lc_rounds)(p, line, count, out, 2, 1, 24, 4); break;
    case 2 * 8 + 3: made = LC_FOR(lc_rounds)(p, line, count, out, 2, 3, 48, 4); break;
    case 3 * 8 + 1: made = LC_FOR(lc_rounds)(p, line, count, out, 3, 1, 24, 12); break;
    case 3 * 8 + 2: made = LC_FOR(lc_rounds)(p, line, count, out, 3, 2, 24, 12); break;
    case 6 * 8 + 1: made = LC_FOR(lc_rounds)(p, line, count, out, 6, 1, 24, 12); break;
    case 1 * 8 + 6: made = LC_FOR(lc_rounds)(p, line, count, out, 1, 6, 144, 4); break;
    default: return LC_FOR(lc_any)(p, line, count, out);
    }
    return made + lc_singly(p, line, count, out + made, 0);
}
