"""Audio messages of the native plug protocol, as whole WebSocket frames (RFC 6455 5.2)."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    AUDIO_HEADER = 24           # of the native protocol, before the samples

cdef void frame_mask(uint8_t* at, Py_ssize_t length, const uint8_t* key) noexcept nogil
cdef Py_ssize_t frame_head(Py_ssize_t payload) noexcept nogil
cdef void frame_audio(uint8_t* at, Py_ssize_t head, uint32_t stream, uint32_t sequence, uint64_t timestamp,
                      uint32_t request, unsigned int flags, const uint8_t* pcm, Py_ssize_t size, const uint8_t* key) noexcept nogil


cdef class Writer:
    cdef bint _masked
    cdef bytes _entropy
    cdef Py_ssize_t _used

    cdef uint32_t _next_key(self)
    cdef Py_ssize_t _audio_size(self, Py_ssize_t size) except -1
    cdef void _put_audio(self, uint8_t* at, Py_ssize_t head, unsigned long stream, unsigned long sequence,
                         unsigned long long timestamp, unsigned long request, unsigned int flags, const uint8_t* pcm,
                         Py_ssize_t size)
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


cdef class Outbox:
    cdef Writer _writer
    cdef object _transport
    cdef object _schedule
    cdef object _flush
    cdef bytearray _frames
    cdef Py_ssize_t _limit
    cdef Py_ssize_t _size

    cpdef bint audio(
        self,
        unsigned long stream,
        unsigned long sequence,
        unsigned long long timestamp,
        unsigned long request,
        unsigned int flags,
        const uint8_t[::1] pcm,
    ) except -1
    cpdef object flush(self)
    cpdef object close(self)


cdef class Voice:
    cdef unsigned long _stream
    cdef unsigned long _sequence
    cdef unsigned int _told
    cdef unsigned int _gap
    cdef unsigned int _behind
    cdef int _per_tick
    cdef public long long credit

    cpdef bint send(self, Outbox outbox, const uint8_t[::1] pcm, unsigned long long media_time,
                    unsigned int flags) except -1


cdef class Reader:
    cdef bint _masked
    cdef bint _fragments
    cdef bint _plain
    cdef Py_ssize_t _max_payload
    cdef unsigned long long _passing
    cdef bytes _pending

    cpdef list feed(self, bytes data)
