"""The records that the plane sends up, as tuples: for tests and benchmarks of its parts."""

from libc.stdint cimport uint8_t

from codecs_ext.ring cimport Record, Ring, ring_peek, ring_release

__all__ = ["NAMES"]

NAMES = ("", "audio", "speech_started", "speech_ended", "digit", "playout_started", "playout_idle", "mark", "flushed",
         "trimmed", "rtp_timeout", "closed", "handshake", "sound", "first_packet", "piped", "pipe_ended", "patched",
         "unpatched", "kept", "spoke", "answered")


cdef list events_list(Ring *ring):
    """Empties the ring: ``(name, number, media_time, stamp, flags, pcm)`` of each record."""
    cdef Record *record = ring_peek(ring)
    cdef list out = []
    while record != NULL:
        out.append((NAMES[record.kind], record.number, record.media_time, record.stamp, record.flags,
                    (<const char *>(record + 1))[:record.bytes]))
        ring_release(ring, record)
        record = ring_peek(ring)
    return out
