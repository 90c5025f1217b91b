from libc.stdint cimport int64_t

from codecs_ext.ring cimport Record, Ring
from codecs_ext.stereo cimport Track
from codecs_ext.trace cimport Dump

cdef class TapeEnd:
    cdef Ring *ring
    cdef object owner           # keeps the ring's memory

cdef class Reels:
    cdef Track **tracks         # by name; NULL: nobody wants them
    cdef Dump **dumps
    cdef list kept
    cdef int limit

    cdef void _sort(self, const Record *record, int64_t real) noexcept nogil
