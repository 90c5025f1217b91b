"""Audio messages of the native plug protocol, as whole WebSocket frames (RFC 6455 5.2)."""

from libc.stdint cimport uint8_t, uint32_t


cdef class Writer:
    cdef bint _masked
    cdef bytes _entropy
    cdef Py_ssize_t _used

    cdef uint32_t _next_key(self)
    cpdef bytes audio(
        self,
        unsigned long stream,
        unsigned long sequence,
        unsigned long long timestamp,
        unsigned long request,
        unsigned int flags,
        const uint8_t[::1] pcm,
    )
    cpdef bytes wrapped(self, bytes before, const uint8_t[::1] audio, bytes after, bint base64)


cdef class Reader:
    cdef bint _masked
    cdef bint _fragments
    cdef bint _plain
    cdef Py_ssize_t _max_payload
    cdef unsigned long long _passing
    cdef bytes _pending

    cpdef list feed(self, bytes data)
