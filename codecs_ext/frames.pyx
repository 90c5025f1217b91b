"""What a leg hands up: samples without a hole, each frame with what is known of it, and what the detector hears in them."""

from cython cimport cdivision
from libc.stdint cimport int16_t, int64_t, uint32_t
from libc.string cimport memcpy, memset

from codecs_ext.codec cimport CODEC_SAMPLES, CodecTable
from codecs_ext.echo cimport echo_hear
from codecs_ext.noise cimport noise_make
from codecs_ext.onset cimport Edge, OnsetOptions, onset_finish, onset_hear, onset_init
from codecs_ext.patch cimport APART, PARTING, patch_commit, patch_reserve
from codecs_ext.plc cimport PLC_BRIDGE, plc_bridge, plc_hear, plc_init, plc_make
from codecs_ext.resample cimport resample_init, resample_run
from codecs_ext.ring cimport (
    AUDIO,
    FIRST_PACKET,
    SOUND,
    SPEECH_ENDED,
    SPEECH_STARTED,
    Kind,
    Record,
    ring_commit,
    ring_reserve,
    ring_tell,
)
from codecs_ext.tape cimport TAPED_CALLER, tape_beep, tape_samples
from codecs_ext.vad cimport vad_run

__all__: list[str] = []

cdef enum:
    FRAME_MAX = 960             # samples of 20 ms at 48 kHz: what is made up at a time
    NARROW_MAX = 2880           # of a packet at 16 kHz or more, at 8 kHz


cdef void frames_set_codec(Frames *frames, const CodecTable *codec) noexcept nogil:
    """Media time goes on."""
    frames.codec = codec
    frames.rest = 0
    plc_init(&frames.plc, codec.rate)
    resample_init(&frames.resampler, codec.rate, frames.rate)
    resample_init(&frames.narrow, codec.rate, 8000)
    if frames.ear.rate and frames.ear.rate != codec.rate:
        frames_listen(frames, &frames.ear.options)


cdef void frames_listen(Frames *frames, const OnsetOptions *options) noexcept nogil:
    """From here on edges of sound are told as well, or (``options.audio`` unset) instead."""
    cdef OnsetOptions wanted = options[0]
    onset_init(&frames.ear, &wanted, 8000 if frames.codec == NULL else frames.codec.rate)
    frames.deaf = frames.ear.rate != 0 and not wanted.audio
    frames.vad.events_count = 0


cdef void frames_tell(Frames *frames, int kind, int64_t number, int64_t media_time, int64_t stamp) noexcept nogil:
    """An event without audio."""
    if not ring_tell(frames.ring, <Kind>kind, frames.slot, number, media_time, stamp):
        frames.counters.overflows += 1


cdef bint _detect(Frames *frames, const int16_t *samples, int count, int64_t arrival, bint real) noexcept nogil:
    """What the detector, which listens at 8 kHz, says of them."""
    cdef int16_t[NARROW_MAX + 1] narrow
    if frames.deaf:
        return False
    if frames.codec.rate == 8000:
        return vad_run(&frames.vad, samples, count, frames.media_time, arrival, real)
    count = resample_run(&frames.narrow, samples, count, narrow)
    return vad_run(&frames.vad, narrow, count, frames.media_time, arrival, real)


@cdivision(True)
cdef void _pass(Frames *frames, int count) noexcept nogil:
    """Time goes on by ``count`` samples of the codec."""
    cdef int64_t scaled = <int64_t>count * 8000 + frames.rest
    frames.media_time += scaled / frames.codec.rate
    frames.rest = <int>(scaled % frames.codec.rate)
    frames.next_timestamp += <uint32_t>(<int64_t>count * frames.codec.clock / frames.codec.rate)


cdef void _tape(Frames *frames, const int16_t **samples, int16_t *beeped, int count, int64_t arrival,
                bint made_up) noexcept nogil:
    """Copies what a recording wants; the agent then hears its beep in ``beeped``."""
    tape_samples(frames.tape, TAPED_CALLER, samples[0], count, frames.codec.rate, frames.codec.clock,
                 frames.next_timestamp, arrival, made_up)
    if frames.tape.order.beep_ms and frames.tape.order.beep_both:
        memcpy(beeped, samples[0], count * sizeof(int16_t))
        if tape_beep(frames.tape, True, beeped, count, frames.codec.rate, frames.codec.clock, frames.next_timestamp):
            samples[0] = beeped


cdef void _tell_edge(Frames *frames, const Edge *edge) noexcept nogil:
    cdef Record *record = ring_reserve(frames.ring, SOUND, frames.slot, sizeof(int64_t), 0)
    if record == NULL:
        frames.counters.overflows += 1
        return
    record.flags = edge.started
    record.number = edge.at
    record.media_time = edge.media_time
    record.stamp = edge.packet
    memcpy(record + 1, &edge.sound, sizeof(int64_t))
    ring_commit(frames.ring)


cdef void frames_end(Frames *frames) noexcept nogil:
    """The leg closes: the end of what was still heard."""
    cdef int i
    if frames.ear.rate:
        onset_finish(&frames.ear)
        for i in range(frames.ear.count):
            _tell_edge(frames, &frames.ear.edges[i])


cdef void _listen(Frames *frames, const int16_t *samples, int count, int64_t arrival, int flags) noexcept nogil:
    cdef int i
    if not frames.began and not flags & ~LATE:
        frames.began = True
        frames_tell(frames, FIRST_PACKET, 0, frames.media_time, arrival)
    onset_hear(&frames.ear, samples, count, frames.media_time, arrival, not flags & ~LATE)
    for i in range(frames.ear.count):
        _tell_edge(frames, &frames.ear.edges[i])


cdef inline bint _is_patched(const Frames *frames) noexcept nogil:
    return frames.patch != NULL and frames.patch.state != APART and frames.patch.state != PARTING


@cdivision(True)
cdef Record *_reserve(Frames *frames, int count) noexcept nogil:
    """Room for so many samples of the codec, in the ring of who gets them."""
    cdef uint32_t room = <uint32_t>(count * frames.rate / frames.codec.rate + 1) * 2
    if _is_patched(frames):
        return patch_reserve(frames.patch, room)
    return ring_reserve(frames.ring, AUDIO, frames.slot, room, frames.spare)


cdef void _hand_over(Frames *frames, const int16_t *samples, int count, int64_t arrival, int flags) noexcept nogil:
    """To the event loop or straight to a model, at the rate that it asked for."""
    cdef Record *record = _reserve(frames, count)
    if record == NULL:
        frames.counters.overflows += 1
        return
    record.bytes = 2 * resample_run(&frames.resampler, samples, count, <int16_t *>(record + 1))
    record.flags = flags
    record.media_time = frames.media_time
    record.stamp = arrival
    if _is_patched(frames):
        patch_commit(frames.patch, record, (flags & SPEECH) != 0)
    else:
        ring_commit(frames.ring)


cdef void _echo(Frames *frames, const int16_t *samples, int count) noexcept nogil:
    """At the same rate, which is that of an echo through the event loop."""
    cdef int16_t[FRAME_MAX + 1] wide
    cdef int step, limit = frames.codec.rate // 50
    while count > 0:
        step = count if count < limit else limit
        echo_hear(&frames.echo, wide, resample_run(&frames.resampler, samples, step, wide), frames.rate)
        samples += step
        count -= step


cdef void _hand_up(Frames *frames, const int16_t *samples, int count, int64_t arrival, int flags,
                   bint loud) noexcept nogil:
    """Samples of the codec, the next ones in media time; the detector has heard them."""
    cdef int16_t[CODEC_SAMPLES] beeped
    cdef int i
    if frames.tape != NULL and frames.tape.order.voice:
        _tape(frames, &samples, beeped, count, arrival, (flags & ~LATE) != 0)
    if frames.ear.rate:
        _listen(frames, samples, count, arrival, flags)
    if frames.deaf:
        _pass(frames, count)
        return
    for i in range(frames.vad.events_count):
        if frames.vad.events[i].started:
            frames_tell(frames, SPEECH_STARTED, 0, frames.vad.events[i].media_time, frames.vad.events[i].arrival)
    if frames.echo.down != NULL:
        _echo(frames, samples, count)
    else:
        _hand_over(frames, samples, count, arrival, flags | (SPEECH if loud else 0))
    _pass(frames, count)
    for i in range(frames.vad.events_count):
        if not frames.vad.events[i].started:
            frames_tell(frames, SPEECH_ENDED, 0, frames.vad.events[i].media_time, frames.vad.events[i].arrival)


cdef void frames_real(Frames *frames, int16_t *samples, int count, int64_t arrival, bint late) noexcept nogil:
    """What a packet held; behind concealment its beginning is changed in place."""
    plc_hear(&frames.plc, samples, count)
    _hand_up(frames, samples, count, arrival, LATE if late else 0, _detect(frames, samples, count, arrival, True))


cdef void frames_made_up(Frames *frames, const int16_t *samples, int count, int64_t now) noexcept nogil:
    """What the codec made up for packets that did not come, in frames of 20 ms."""
    cdef int step, frame = frames.codec.rate // 50
    while count > 0:
        step = count if count < frame else frame
        frames.counters.concealed += 1
        _hand_up(frames, samples, step, now, CONCEALED, _detect(frames, samples, step, now, False))
        samples += step
        count -= step


cdef void frames_lost(Frames *frames, int count, const int16_t *behind, int size, int64_t now) noexcept nogil:
    """``count`` samples whose packets did not come, made up from the pitch on both sides: ``behind`` is heard next."""
    cdef int16_t[PLC_BRIDGE] between
    cdef int16_t[FRAME_MAX] made
    cdef int step, frame = frames.codec.rate // 50
    if plc_bridge(&frames.plc, between, count, behind, size):       # refused if there is nothing behind
        frames_made_up(frames, between, count, now)
        return
    while count > 0:
        step = count if count < frame else frame
        plc_make(&frames.plc, made, step)
        frames_made_up(frames, made, step, now)
        count -= step


cdef void frames_unsent(Frames *frames, int count, int64_t now) noexcept nogil:
    """``count`` samples that the sender left out: silence, or the noise that it has described (RFC 3389).

    The detector hears silence either way: noise that we make is nobody's speech.
    """
    cdef int16_t[FRAME_MAX] silence, made
    cdef int step, frame = frames.codec.rate // 50
    cdef bint loud
    memset(silence, 0, sizeof(silence))
    while count > 0:
        step = count if count < frame else frame
        loud = _detect(frames, silence, step, now, False)
        if frames.noise.known:
            noise_make(&frames.noise, made, step)
            _hand_up(frames, made, step, now, COMFORT, loud)
        else:
            _hand_up(frames, silence, step, now, UNSENT, loud)
        count -= step
