"""What comes on a WebSocket that the media thread speaks: audio of patched streams goes to their legs, all else is handed up.

What is handed up are the bytes as they came, in order, with the frames cut out that were played here; so there is one
implementation of the difficult parts (RFC 6455, fragments, control frames, violations), and it is not this one.

Order between a stream's audio and its messages holds: once a message is on its way to the event loop, the stream's audio
goes the same way behind it, until the event loop has said that it is done with it. A flush that a message asks for meets
the audio before it and none behind it. Messages name their stream; one in which it is not found at a glance holds up all.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp, memcpy

from codecs_ext.atomics cimport lc_exchange, lc_load, lc_store
from codecs_ext.downlink cimport DownlinkOptions, downlink_close, downlink_init, downlink_play
from codecs_ext.events cimport events_list
from codecs_ext.leg cimport Leg
from codecs_ext.linux cimport EAGAIN, EINTR, MSG_DONTWAIT, errno, recv
from codecs_ext.patch cimport STRAIGHT, Patch, PatchOrder, patch_answering
from codecs_ext.pipe cimport PIPE_CARRY, PIPE_FRAME, Pipe, pipe_close, pipe_free, pipe_new
from codecs_ext.playout cimport POOL_SAMPLES, SLACK, Block, block_new, block_return, block_take, blocks_free, playout_take
from codecs_ext.ring cimport ANSWERED, PIPED, Record, Ring, ring_commit, ring_free, ring_init, ring_reserve, ring_tell
from codecs_ext.wsframe cimport AUDIO_HEADER

__all__ = ["Inlet"]

cdef uint64_t LONGEST = 1ULL << 47      # a frame of more would be an attack

cdef enum:
    FIN = 0x80
    TEXT = 0x81
    BINARY = 0x82
    MASKED = 0x80
    CONTROL = 8                 # opcodes from here on
    RUN = 16384                 # bytes handed up in one record
    LEFT = 4096                 # of the ring, that reading leaves to everything else


cdef void intake_init(Intake *intake, Ring *events, Leg **legs, int64_t *due, Block **pool) noexcept nogil:
    cdef int i
    intake.events = events
    intake.legs = legs
    intake.due = due
    intake.pool = pool
    for i in range(BUCKETS):
        intake.buckets[i] = -1


# --- whose audio it is ------------------------------------------------------------------------------------------------


cdef inline int32_t *_bucket(Intake *intake, const Pipe *pipe, uint32_t stream) noexcept nogil:
    return &intake.buckets[(stream + pipe.slot * <uint32_t>0x9E3779B1) % BUCKETS]


cdef void intake_join(Intake *intake, Leg *leg) noexcept nogil:
    cdef int32_t *bucket = _bucket(intake, leg.patch.pipe, leg.patch.order.stream)
    leg.patch.following = bucket[0]
    bucket[0] = <int32_t>leg.patch.slot


cdef void intake_leave(Intake *intake, Leg *leg) noexcept nogil:
    cdef int32_t *place = _bucket(intake, leg.patch.pipe, leg.patch.order.stream)
    while place[0] >= 0 and intake.legs[place[0]] != leg:
        place = <int32_t *>&intake.legs[place[0]].patch.following
    if place[0] >= 0:
        place[0] = leg.patch.following


cdef Leg *_leg_of(Intake *intake, const Pipe *pipe, uint32_t stream) noexcept nogil:
    """NULL if the stream is none of ours."""
    cdef int32_t slot = _bucket(intake, pipe, stream)[0]
    cdef Leg *leg
    while slot >= 0:
        leg = intake.legs[slot]
        if leg.patch.pipe == pipe and leg.patch.order.stream == stream:
            return leg
        slot = leg.patch.following
    return NULL


# --- up ---------------------------------------------------------------------------------------------------------------


cdef void _hand_up(Intake *intake, Pipe *pipe, const uint8_t *data, size_t size) noexcept nogil:
    """There is room: nothing was read that the ring could not take."""
    cdef Record *record
    cdef uint32_t step
    while size:
        step = RUN if size > RUN else <uint32_t>size
        record = ring_reserve(intake.events, PIPED, pipe.slot, step, 0)
        if record == NULL:              # cannot be; what follows would make no sense to the peer's messages
            pipe.fault = EAGAIN
            pipe_close(pipe)
            return
        memcpy(record + 1, data, step)
        ring_commit(intake.events)
        pipe.passed += step
        data += step
        size -= step


cdef inline uint32_t _get32(const uint8_t *at) noexcept nogil:
    return (<uint32_t>at[0] << 24) | (<uint32_t>at[1] << 16) | (<uint32_t>at[2] << 8) | at[3]


cdef inline size_t _skip(const uint8_t *text, size_t size, size_t here) noexcept nogil:
    """White space of JSON (RFC 8259 2)."""
    while here < size and (text[here] == c" " or text[here] == c"\t" or text[here] == c"\r" or text[here] == c"\n"):
        here += 1
    return here


cdef bint _named(const uint8_t *text, size_t size, size_t *at, uint64_t *stream) noexcept nogil:
    """The next ``"stream": number`` behind ``at``. Inside a string its quotes would be escaped, so it is a name."""
    cdef const uint8_t *found
    cdef size_t here = at[0]
    while here + 9 < size:
        found = <const uint8_t *>memchr(text + here, c'"', size - here - 9)
        if found == NULL:
            return False
        here = found - text + 1
        if memcmp(found, b'"stream"', 8) != 0:
            continue
        here = _skip(text, size, here + 7)
        if here >= size or text[here] != c":":
            continue
        here = _skip(text, size, here + 1)
        stream[0] = 0
        while here < size and c"0" <= text[here] <= c"9" and stream[0] <= 0xFFFFFFFFULL:
            stream[0] = stream[0] * 10 + (text[here] - c"0")
            here += 1
        at[0] = here
        return True
    return False


cdef void _hold_up(Intake *intake, Pipe *pipe, const uint8_t *text, size_t size, uint64_t end) noexcept nogil:
    """A message is handed up that ends at ``end``: no audio of its stream passes it."""
    cdef uint64_t stream = 0, other = 0
    cdef size_t at = 0
    cdef Leg *leg
    if not _named(text, size, &at, &stream) or _named(text, size, &at, &other):
        pipe.barrier = end
        return
    leg = _leg_of(intake, pipe, <uint32_t>stream)
    if leg != NULL:
        leg.patch.barrier = end


# --- straight ---------------------------------------------------------------------------------------------------------


cdef bint _queue(Intake *intake, Leg *leg, const uint8_t *pcm, int size, int64_t tick) noexcept nogil:
    """To the leg's playout. False, and nothing was queued, if there are too few blocks: a burst."""
    cdef Block *block = intake.pool[0]
    cdef int count
    for count in range((size + 2 * POOL_SAMPLES - 1) // (2 * POOL_SAMPLES)):
        if block == NULL:
            return False
        block = block.next
    while size:
        block = block_take(intake.pool)
        count = size // 2 if size < 2 * POOL_SAMPLES else POOL_SAMPLES
        block.rate = leg.patch.order.rate
        block.count = count
        block.number = 0
        memcpy(block.samples, pcm, 2 * count)
        downlink_play(&leg.down, block, tick)
        pcm += 2 * count
        size -= 2 * count
    intake.due[leg.patch.slot] = leg.down.due
    return True


cdef bint _play(Intake *intake, Pipe *pipe, const uint8_t *message, size_t size, uint64_t end, int64_t tick,
                int64_t now) noexcept nogil:
    """A whole audio message. False if it is for the event loop, which gets what follows of the stream as well."""
    cdef Leg *leg = _leg_of(intake, pipe, _get32(message))
    cdef Patch *patch
    cdef int pcm = <int>(size - AUDIO_HEADER)
    if leg == NULL:
        return False
    patch = &leg.patch
    if pcm:
        patch_answering(patch)
    if (patch.state != STRAIGHT or pipe.acked < patch.barrier or pipe.acked < pipe.barrier or pcm & 1
            or pcm > <int64_t>(lc_load(&patch.allowed) - patch.taken)
            or not _queue(intake, leg, message + AUDIO_HEADER, pcm, tick)):
        patch.barrier = end
        return False
    lc_store(&patch.taken, patch.taken + <uint64_t>pcm)
    if pcm and lc_load(&patch.attentive) and lc_exchange(&patch.attentive, 0):
        if not ring_tell(intake.events, ANSWERED, patch.slot, 0, 0, now):
            lc_store(&patch.attentive, 1)
    return True


cdef int _head(const uint8_t *at, size_t size, uint64_t *payload) noexcept nogil:
    """Bytes of the head, its mask included; 0 if more must come to tell."""
    cdef int head = 2
    if size < 2:
        return 0
    payload[0] = at[1] & 0x7F
    if payload[0] == 126:
        head = 4
        if size >= 4:
            payload[0] = (<uint64_t>at[2] << 8) | at[3]
    elif payload[0] == 127:
        head = 10
        if size >= 10:
            payload[0] = (<uint64_t>_get32(at + 2) << 32) | _get32(at + 6)
    if at[1] & MASKED:
        head += 4
    return head if size >= <size_t>head else 0


cdef void intake_parse(Intake *intake, Pipe *pipe, uint8_t *data, size_t size, int64_t tick, int64_t now) noexcept nogil:
    """Bytes in the order in which they came; what ends in the middle of a short frame is carried over."""
    cdef size_t here = 0, since = 0, whole
    cdef uint64_t payload = 0, end
    cdef int head, opcode
    cdef bint straight
    while here < size:
        if pipe.passing:
            whole = size - here
            if pipe.passing < whole:
                whole = <size_t>pipe.passing
            pipe.passing -= whole
            here += whole
            continue
        head = _head(data + here, size - here, &payload)
        if head == 0:
            break
        opcode = data[here] & 0x0F
        straight = (payload <= PIPE_FRAME and not pipe.fragments and not data[here + 1] & MASKED
                    and (data[here] == BINARY and payload >= AUDIO_HEADER or data[here] == TEXT))
        if straight and size - here - head < payload:
            break
        # A sum of lengths must not overflow; the first bytes of a hostile one make the event loop end it.
        end = pipe.passed + (here - since) + head + (payload if payload < LONGEST else LONGEST)
        if straight and data[here] == BINARY:
            if _play(intake, pipe, data + here + head, <size_t>payload, end, tick, now):
                _hand_up(intake, pipe, data + since, here - since)
                since = here + head + <size_t>payload
                here = since
                continue
        elif straight:
            _hold_up(intake, pipe, data + here + head, <size_t>payload, end)
        else:
            if opcode < CONTROL:
                pipe.fragments = not data[here] & FIN
                pipe.barrier = end
        pipe.passing = end - pipe.passed - (here - since)
    _hand_up(intake, pipe, data + since, here - since)
    pipe.carried = <int>(size - here)
    if not pipe.over and pipe.carried:
        memcpy(pipe.carry, data + here, pipe.carried)


cdef void intake_read(Intake *intake, Pipe *pipe, int64_t tick, int64_t now) noexcept nogil:
    """Reads while there is something to read, and the ring has room for all of it, should all of it be handed up. Half of
    the ring is the legs': a model that floods us fills its own socket, and costs no other call its audio."""
    cdef Ring *ring = intake.events
    cdef ssize_t got = PIECE
    cdef int carried, round
    cdef uint64_t room
    for round in range(PIECES):
        room = ring.capacity - (ring.head - lc_load(&ring.tail))
        if pipe.over or got < PIECE or room < ring.capacity // 2 or room < 4 * (PIPE_CARRY + PIECE) + LEFT:
            return
        carried = pipe.carried
        memcpy(intake.scratch, pipe.carry, carried)
        got = recv(pipe.fd, intake.scratch + carried, PIECE, MSG_DONTWAIT)
        if got > 0:
            lc_store(&pipe.received, pipe.received + got)
            intake_parse(intake, pipe, intake.scratch, carried + got, tick, now)
        elif got == 0 or errno != EAGAIN and errno != EINTR:
            pipe.fault = 0 if got == 0 else errno
            if got == 0 and carried:    # half a frame, of which websockets shall complain
                _hand_up(intake, pipe, pipe.carry, carried)
            pipe_close(pipe)


cdef class Inlet:
    """The reading side of one connection alone, its streams patched at 8 kHz to legs that play nothing by themselves."""

    cdef Intake *intake
    cdef Ring ring
    cdef Pipe *pipe
    cdef Pipe *touched
    cdef Leg **legs
    cdef int64_t *due
    cdef int count
    cdef Block *freed
    cdef Block *pool

    def __cinit__(self, streams: list[int], blocks: int) -> None:
        cdef DownlinkOptions options = DownlinkOptions(1 << 30, 0, 1.0, 0.0)
        cdef Block *block
        cdef int slot
        self.count = len(streams)
        self.freed = self.pool = NULL
        self.touched = NULL
        self.intake = <Intake *>calloc(1, sizeof(Intake))
        self.legs = <Leg **>calloc(self.count, sizeof(Leg *))
        self.due = <int64_t *>calloc(self.count, sizeof(int64_t))
        self.pipe = pipe_new(-1, 4096)
        if (self.intake == NULL or self.legs == NULL or self.due == NULL or self.pipe == NULL
                or not ring_init(&self.ring, 1 << 22)):
            raise MemoryError
        self.pipe.touched = &self.touched
        self.pipe.freed = &self.freed
        intake_init(self.intake, &self.ring, self.legs, self.due, &self.pool)
        for slot in range(self.count):
            self.legs[slot] = <Leg *>calloc(1, sizeof(Leg))
            if self.legs[slot] == NULL:
                raise MemoryError
            downlink_init(&self.legs[slot].down, &self.ring, slot, &self.legs[slot].counters, &self.freed, &options, 0,
                          1, 0, 0)
            self.legs[slot].patch.state = STRAIGHT
            self.legs[slot].patch.events = &self.ring
            self.legs[slot].patch.slot = slot
            self.legs[slot].patch.pipe = self.pipe
            self.legs[slot].patch.order = PatchOrder(streams[slot], 8000, 3, 4)
            intake_join(self.intake, self.legs[slot])
        for slot in range(blocks):
            block = block_new(0, POOL_SAMPLES, 0)
            if block == NULL:
                raise MemoryError
            block.pool = &self.pool
            block_return(&self.freed, block)

    def __dealloc__(self) -> None:
        cdef int slot
        for slot in range(self.count):
            if self.legs != NULL and self.legs[slot] != NULL:
                downlink_close(&self.legs[slot].down)
                free(self.legs[slot])
        if self.pipe != NULL:
            pipe_free(self.pipe)
        blocks_free(&self.freed)
        blocks_free(&self.pool)
        ring_free(&self.ring)
        free(self.intake)
        free(self.legs)
        free(self.due)

    def feed(self, data: bytes):
        """What the bytes bring up, as ``events_list`` has it; 64 KiB at most."""
        cdef const char *source = data
        if len(data) > PIECE:
            raise ValueError(f"{len(data)} bytes at once")
        memcpy(self.intake.scratch, self.pipe.carry, self.pipe.carried)
        memcpy(self.intake.scratch + self.pipe.carried, source, len(data))
        intake_parse(self.intake, self.pipe, self.intake.scratch, self.pipe.carried + len(data), 0, 0)
        return events_list(&self.ring)

    def ack(self, count: int) -> None:
        """So many of the bytes that came up have been dealt with."""
        self.pipe.acked = count

    def allow(self, index: int, size: int) -> None:
        """So many bytes more may be played."""
        self.legs[index].patch.allowed += <uint64_t><int64_t>size

    def attend(self, index: int) -> None:
        """The next audio begins an answer."""
        self.legs[index].patch.attentive = 1

    def played(self, index: int) -> bytes:
        """What was queued since for a leg."""
        cdef int16_t[POOL_SAMPLES + SLACK] samples
        cdef bytearray found = bytearray()
        cdef int made = playout_take(&self.legs[index].down.queue, samples, POOL_SAMPLES)
        while made:
            found += (<char *>samples)[:2 * made]
            made = playout_take(&self.legs[index].down.queue, samples, POOL_SAMPLES)
        return bytes(found)
