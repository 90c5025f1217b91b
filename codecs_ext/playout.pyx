"""The queue of audio that waits to be sent: blocks as they came, at their own rates, with marks between them.

A block is allocated and filled by the event loop's thread, owned by the plane while it plays, and goes back through a
stack that the plane only pushes to and the event loop takes as a whole, so that the plane neither allocates nor frees.
Samples become those of the codec only when they are taken: a flush costs nothing that was not played.
"""

from cython cimport cdivision
from libc.stdint cimport int16_t, int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove

from codecs_ext.atomics cimport lc_exchange_pointer, lc_load_pointer, lc_swap_pointer
from codecs_ext.resample cimport resample_init, resample_run, resample_wanted

__all__ = ["Queue"]


cdef Block *block_new(int rate, int count, int64_t number) noexcept nogil:
    """A block with room for ``count`` samples, or NULL. Never called on the plane's thread."""
    cdef Block *block = <Block *>malloc(sizeof(Block) + count * sizeof(int16_t))
    if block != NULL:
        block.next = NULL
        block.pool = NULL
        block.rate = rate
        block.number = number
        block.count = count
        block.taken = 0
    return block


cdef Block *block_take(Block **pool) noexcept nogil:
    """The thread whose pool it is: a block whose samples are anything, or NULL."""
    cdef Block *block = pool[0]
    if block != NULL:
        pool[0] = block.next
        block.next = NULL
        block.taken = 0
    return block


cdef void block_return(Block **freed, Block *block) noexcept nogil:
    """Any thread: puts a block on the stack of those to be freed. One of a pool goes back there, on the pool's thread."""
    cdef Block *top
    if block.pool != NULL:
        block.next = block.pool[0]
        block.pool[0] = block
        return
    top = <Block *>lc_load_pointer(freed)
    block.next = top
    while not lc_swap_pointer(freed, &top, block):
        block.next = top


cdef void blocks_free(Block **freed) noexcept nogil:
    """The event loop's thread: frees what the plane has given back."""
    cdef Block *block = <Block *>lc_exchange_pointer(freed, NULL)
    cdef Block *following
    while block != NULL:
        following = block.next
        free(block)
        block = following


cdef void playout_init(Playout *queue, int64_t limit, Block **freed) noexcept nogil:
    queue.first = queue.last = NULL
    queue.queued = 0
    queue.limit = limit
    queue.rate = queue.carried = 0
    queue.out_rate = 8000
    queue.freed = freed


cdef inline int64_t _length(const Block *block) noexcept nogil:
    """Of what is left of it, in 8 kHz samples."""
    return 0 if block.rate == 0 else <int64_t>(block.count - block.taken) * 8000 // block.rate


cdef bint playout_push(Playout *queue, Block *block) noexcept nogil:
    """False, and the block is given back, if the queue would grow beyond its limit."""
    if queue.queued + _length(block) > queue.limit:
        block_return(queue.freed, block)
        return False
    queue.queued += _length(block)
    if queue.last == NULL:
        queue.first = block
    else:
        queue.last.next = block
    queue.last = block
    return True


cdef void _drop_first(Playout *queue) noexcept nogil:
    cdef Block *block = queue.first
    queue.first = block.next
    if queue.first == NULL:
        queue.last = NULL
        queue.queued = 0
    block_return(queue.freed, block)


cdef int _take_carried(Playout *queue, int16_t *samples, int count) noexcept nogil:
    cdef int made = queue.carried if queue.carried < count else count
    memcpy(samples, queue.carry, made * sizeof(int16_t))
    queue.carried -= made
    memmove(queue.carry, queue.carry + made, queue.carried * sizeof(int16_t))
    return made


@cdivision(True)
cdef int _take_from(Playout *queue, Block *block, int16_t *samples, int count) noexcept nogil:
    cdef int wanted, made
    if block.rate != queue.rate:
        queue.rate = block.rate
        resample_init(&queue.resampler, block.rate, queue.out_rate)
    if count == 0:
        return 0
    wanted = resample_wanted(&queue.resampler, count)
    if wanted > block.count - block.taken:
        wanted = block.count - block.taken
    made = resample_run(&queue.resampler, block.samples + block.taken, wanted, samples)
    block.taken += wanted
    if made > count:                # upwards the last sample taken in may give more
        queue.carried = made - count
        memcpy(queue.carry, samples + count, queue.carried * sizeof(int16_t))
        made = count
    queue.queued -= <int64_t>made * 8000 / queue.out_rate
    return made


cdef int playout_take(Playout *queue, int16_t *samples, int count) noexcept nogil:
    """Up to ``count`` samples at the rate set, up to the next mark; returns how many. There is room for ``SLACK`` more."""
    cdef int made = _take_carried(queue, samples, count)
    cdef Block *block = queue.first
    while made < count and block != NULL and block.rate != 0:
        made += _take_from(queue, block, samples + made, count - made)
        if block.taken < block.count:
            break
        _drop_first(queue)
        block = queue.first
    return made


cdef Block *playout_mark(Playout *queue) noexcept nogil:
    """Takes a mark off the head of the queue; NULL if there is none. The caller gives it back."""
    cdef Block *block = queue.first
    if block == NULL or block.rate != 0:
        return NULL
    queue.first = block.next
    if queue.first == NULL:
        queue.last = NULL
        queue.queued = 0
    block.next = NULL
    return block


cdef void playout_restart(Playout *queue) noexcept nogil:
    """New audio after silence: nothing of the filter's memory may sound in it."""
    queue.rate = queue.carried = 0


cdef void playout_set_rate(Playout *queue, int rate) noexcept nogil:
    """The rate of what is taken from here on; what is queued stays."""
    if rate != queue.out_rate:
        queue.out_rate = rate
        queue.rate = queue.carried = 0


cdef int64_t playout_trim(Playout *queue, int64_t keep) noexcept nogil:
    """Drops what lies more than ``keep`` 8 kHz samples ahead, marks too; returns how many are left."""
    cdef Block *block = queue.first
    cdef int64_t kept = 0
    while block != NULL and kept + _length(block) < keep:
        kept += _length(block)
        block = block.next
    if block == NULL:
        return kept
    if block.rate != 0 and kept + _length(block) > keep:
        block.count = block.taken + <int>((keep - kept if keep > kept else 0) * block.rate // 8000)
    kept += _length(block)
    queue.queued = kept
    while block.next != NULL:
        queue.last = block.next
        block.next = queue.last.next
        block_return(queue.freed, queue.last)
    queue.last = block
    return kept


cdef void playout_clear(Playout *queue) noexcept nogil:
    """Drops audio and marks."""
    while queue.first != NULL:
        _drop_first(queue)
    queue.queued = 0
    queue.rate = queue.carried = 0


cdef class Queue:
    """The queue alone, with a limit in 8 kHz samples."""

    cdef Playout queue
    cdef Block *freed

    def __cinit__(self, limit: int) -> None:
        self.freed = NULL
        playout_init(&self.queue, limit, &self.freed)

    def __dealloc__(self) -> None:
        playout_clear(&self.queue)
        blocks_free(&self.freed)

    @property
    def queued(self) -> int:
        """8 kHz samples that wait, about."""
        return self.queue.queued

    def push(self, pcm: bytes, rate: int) -> bool:
        """False if it does not fit."""
        cdef const char *source = pcm
        cdef Block *block = block_new(rate, len(pcm) // 2, 0)
        if block == NULL:
            raise MemoryError
        memcpy(block.samples, source, len(pcm))
        return playout_push(&self.queue, block)

    def mark(self, number: int) -> None:
        """A mark behind what is queued."""
        cdef Block *block = block_new(0, 0, number)
        if block == NULL:
            raise MemoryError
        playout_push(&self.queue, block)

    def take(self, count: int):
        """``(pcm, marks)``: up to ``count`` samples, and the numbers of the marks reached."""
        cdef bytearray pcm = bytearray(2 * (count + SLACK))
        cdef char *target = pcm
        cdef Block *mark
        cdef int made = 0, step = -1
        marks = []
        while True:
            step = playout_take(&self.queue, <int16_t *>target + made, count - made)
            made += step
            mark = playout_mark(&self.queue)
            if mark == NULL:
                break
            marks.append(mark.number)
            block_return(&self.freed, mark)
        blocks_free(&self.freed)
        return bytes(pcm[:2 * made]), marks

    def clear(self) -> None:
        """Drops everything."""
        playout_clear(&self.queue)
        blocks_free(&self.freed)
