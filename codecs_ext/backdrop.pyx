"""What sounds beside queued audio: a gain on it, a loop under it (or only between), and comfort noise in its pauses."""

from cython cimport cdivision
from libc.math cimport lrintf
from libc.stdint cimport int16_t
from libc.string cimport memcpy

from codecs_ext.noise cimport noise_make
from codecs_ext.resample cimport resample_init, resample_run, resample_wanted

__all__: list[str] = []

cdef enum:
    LONGEST = 2880              # samples of 60 ms at 48 kHz
    ROOM = LONGEST + 256        # what the resampler may want of the loop for them, and more than it may give


cdef void backdrop_set(Backdrop *state, const int16_t *loop, int count, int rate, float level,
                       float duck) noexcept nogil:
    """Another loop, which begins at its beginning and fades in over a packet; NULL ends the one there is."""
    state.loop = loop
    state.count = count
    state.place = state.out_rate = 0
    state.rate = rate
    state.level = level
    state.duck = duck
    state.now = 0.0


cdef bint backdrop_idle(const Backdrop *state, bint audio) noexcept nogil:
    """Nothing to do: the samples are what is sent."""
    return state.loop == NULL and (state.gain == 1.0 if audio else not state.comfort.known)


cdef inline int16_t _clip(float value) noexcept nogil:
    return <int16_t>(32767 if value > 32767 else -32768 if value < -32768 else lrintf(value))


cdef int _take(Backdrop *state, int16_t *out, int count) noexcept nogil:
    """Up to ``count`` samples of the loop at the codec's rate; fewer only where the resampler is filled first."""
    cdef int16_t[ROOM] taken
    cdef int wanted = resample_wanted(&state.resampler, count), filled = 0, step
    if wanted > ROOM:
        wanted = ROOM
    while filled < wanted:
        step = state.count - state.place
        if step > wanted - filled:
            step = wanted - filled
        memcpy(taken + filled, state.loop + state.place, step * sizeof(int16_t))
        filled += step
        state.place = (state.place + step) % state.count
    return resample_run(&state.resampler, taken, wanted, out)


@cdivision(True)
cdef void backdrop_mix(Backdrop *state, int16_t *samples, int count, int rate, bint audio) noexcept nogil:
    """Changes one packet in place. ``audio``: it holds queued audio, and not the silence between."""
    cdef int16_t[ROOM] under
    cdef float target, factor
    cdef int i, made
    if audio and state.gain != 1.0:
        for i in range(count):
            samples[i] = _clip(samples[i] * state.gain)
    elif not audio and state.comfort.known:
        noise_make(&state.comfort, samples, count)
    if state.loop == NULL:
        return
    if state.out_rate != rate:
        state.out_rate = rate
        resample_init(&state.resampler, state.rate, rate)
    made = _take(state, under, count)
    if made > count:
        made = count
    target = state.level * state.duck if audio else state.level
    for i in range(made):
        factor = state.now + (target - state.now) * (i + 1) / count
        samples[i] = _clip(samples[i] + under[i] * factor)
    state.now = target
