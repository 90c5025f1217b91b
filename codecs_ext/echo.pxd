"""A leg that plays what it hears, without the event loop."""

from libc.stdint cimport int16_t, int64_t

from codecs_ext.downlink cimport Downlink
from codecs_ext.playout cimport Block

cdef enum:
    ECHO_BLOCKS = 4             # that the pool has for each leg that echoes or is patched to a model

cdef struct Echo:
    Downlink *down              # NULL: what is heard goes to the event loop
    Block **pool                # the shard's
    const int64_t *tick         # the shard's
    bint primed                 # something was heard since it began

cdef void echo_hear(Echo *echo, const int16_t *samples, int count, int rate) noexcept nogil
