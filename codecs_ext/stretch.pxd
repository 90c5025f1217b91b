from libc.stdint cimport int16_t

cdef int stretch_shorten(int16_t *samples, int count, int most, int rate) noexcept nogil
cdef int stretch_lengthen(int16_t *samples, int count, int rate) noexcept nogil
