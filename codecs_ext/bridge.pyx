"""The transcoding half of a bridge: one leg's packets wait in a jitter buffer until the other leg has a packet to fill."""

from libc.stdint cimport int16_t, int64_t

from codecs_ext.codec cimport CODEC_SAMPLES
from codecs_ext.jitter cimport Jitter, jitter_put, jitter_take
from codecs_ext.resample cimport resample_run, resample_wanted
from codecs_ext.rtp cimport RtpPacket

__all__: list[str] = []


cdef void bridge_put(Bridge *bridge, const RtpPacket *packet, int64_t arrival) noexcept nogil:
    """A packet of audio that was heard."""
    jitter_put(<Jitter *>bridge.jitter.samples, packet.sequence, packet.timestamp, packet.payload, packet.size, arrival)


cdef void bridge_pull(Bridge *bridge, int16_t *samples, int count) noexcept nogil:
    """``count`` samples at the other leg's rate, 60 ms at most."""
    cdef int16_t[CODEC_SAMPLES] heard
    cdef int16_t[CODEC_SAMPLES + 8] made
    cdef int wanted = count, done, i
    if bridge.resampler.bank != NULL:
        wanted = resample_wanted(&bridge.resampler, count)
    jitter_take(<Jitter *>bridge.jitter.samples, heard, wanted, bridge.now)
    done = resample_run(&bridge.resampler, heard, wanted, made)
    for i in range(count):
        samples[i] = made[i] if i < done else 0
