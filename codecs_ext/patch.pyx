"""A leg and a stream of a model's connection, patched together: frames pass between them without the event loop.

The event loop says when. So that nothing overtakes what it still holds, a patch begins in two steps: from ``patch_hold`` on
frames wait here, the event loop sends those it had been given and answers, and ``patch_go`` sends what waited. It ends in
one: what follows ``UNPATCHED`` in the ring is the event loop's again.

The frames sent last stay here (half a second), because the next model has to hear them if this one fails. While the event
loop says that the caller waits for an answer (``keep``), they are handed up before they are forgotten.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from codecs_ext.atomics cimport lc_load, lc_store
from codecs_ext.pipe cimport Pipe, pipe_audio
from codecs_ext.ring cimport (
    AUDIO,
    KEPT,
    PATCHED,
    SPOKE,
    UNPATCHED,
    Record,
    Ring,
    ring_commit,
    ring_peek,
    ring_release,
    ring_reserve,
    ring_tell,
)

__all__: list[str] = []


cdef void patch_hold(Patch *patch, Pipe *pipe, const PatchOrder *order) noexcept nogil:
    """``PATCHED`` is the last that the event loop hears before it may say go."""
    cdef Record *record = ring_peek(&patch.kept)
    while record != NULL:
        ring_release(&patch.kept, record)
        record = ring_peek(&patch.kept)
    patch.pipe = pipe
    patch.order = order[0]
    patch.behind = 0
    patch.state = HOLDING
    if not ring_tell(patch.events, PATCHED, patch.slot, 0, 0, 0):
        patch.state = PARTING


cdef void _send(Patch *patch, const Record *record) noexcept nogil:
    """What the credit does not cover is left out: late audio is worth nothing to a model that listens live."""
    if (<int64_t>record.bytes > <int64_t>(lc_load(&patch.credit) - patch.spent)
            or not pipe_audio(patch.pipe, patch.order.stream, patch.sequence,
                              <uint64_t>record.media_time * (patch.order.rate // 8000),
                              (record.flags & patch.order.told) | patch.behind, <const uint8_t *>(record + 1),
                              record.bytes)):
        patch.behind = patch.order.gap
        lc_store(&patch.left_out, patch.left_out + 1)
        return
    lc_store(&patch.spent, patch.spent + record.bytes)
    patch.sequence += 1
    patch.behind = 0


cdef void patch_go(Patch *patch, uint32_t sequence, unsigned int behind) noexcept nogil:
    """From here on frames are sent as they come, those that waited first."""
    cdef uint64_t tail = patch.kept.tail
    cdef const Record *record
    if patch.state != HOLDING:
        return
    patch.state = STRAIGHT
    patch.sequence = sequence
    patch.behind |= behind
    patch.barrier = patch.pipe.passed
    while tail != patch.kept.head:
        record = <const Record *>(patch.kept.data + (tail & (patch.kept.capacity - 1)))
        if record.kind == AUDIO:
            _send(patch, record)
        tail += record.size


cdef bint _hand_up(Patch *patch) noexcept nogil:
    """What is kept, in one record. False if there is no room for it: a quarter of the ring is left to what cannot wait."""
    cdef uint32_t size = <uint32_t>(patch.kept.head - patch.kept.tail)
    cdef Record *up
    cdef Record *record = ring_peek(&patch.kept)
    cdef uint8_t *at
    if record == NULL:
        return True
    up = ring_reserve(patch.events, KEPT, patch.slot, size, patch.events.capacity // 4)
    if up == NULL:
        return False
    at = <uint8_t *>(up + 1)
    while record != NULL:
        memcpy(at, record, record.size)
        at += record.size
        ring_release(&patch.kept, record)
        record = ring_peek(&patch.kept)
    up.bytes = <uint32_t>(at - <uint8_t *>(up + 1))
    ring_commit(patch.events)
    return True


cdef void patch_answering(Patch *patch) noexcept nogil:
    """An answer begins to come: what it is about, all of it, comes up before."""
    if lc_load(&patch.attentive) and lc_load(&patch.keep):
        _hand_up(patch)


cdef bint patch_part(Patch *patch) noexcept nogil:
    """Hands up what is kept, then tells. False: the ring is full, and it must be tried again."""
    patch.state = PARTING
    if not _hand_up(patch) or not ring_tell(patch.events, UNPATCHED, patch.slot, patch.sequence, patch.behind, 0):
        return False
    patch.state = APART
    patch.pipe = NULL
    return True


cdef Record *patch_reserve(Patch *patch, uint32_t size) noexcept nogil:
    """Room for a frame, in the place of the oldest if there is no other; NULL if it is longer than what is kept."""
    cdef Record *record = ring_reserve(&patch.kept, AUDIO, patch.slot, size, 0)
    cdef Record *oldest
    while record == NULL:
        oldest = ring_peek(&patch.kept)
        if oldest == NULL:
            return NULL
        if patch.state != STRAIGHT:             # the event loop has not run for half a second
            patch.behind = patch.order.gap
            lc_store(&patch.left_out, patch.left_out + 1)
            ring_release(&patch.kept, oldest)
        elif not lc_load(&patch.keep) or not _hand_up(patch):
            ring_release(&patch.kept, oldest)
        record = ring_reserve(&patch.kept, AUDIO, patch.slot, size, 0)
    return record


cdef void patch_commit(Patch *patch, const Record *record, bint speech) noexcept nogil:
    """The frame is complete."""
    cdef uint64_t watch = lc_load(&patch.watch)
    ring_commit(&patch.kept)
    if patch.state == STRAIGHT:
        _send(patch, record)
    if speech and watch and <uint64_t>record.stamp >= watch:
        if ring_tell(patch.events, SPOKE, patch.slot, 0, record.media_time, record.stamp):
            lc_store(&patch.watch, 0)
