"""Audio messages of the native plug protocol, as whole WebSocket frames (RFC 6455 5.2).

A frame of audio is built and parsed here in one pass over one buffer, because that is what happens fifty times a second
for each call. Everything else (handshake, text, ping, close, fragments, violations) belongs to ``websockets``:
``Reader`` hands those bytes through untouched, in order, so that there is one implementation of the difficult parts.

The audio header is 24 bytes, big-endian: stream u32, sequence u32, timestamp u64, request u32, flags u16, reserved u16.
"""

import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

HEADER_BYTES = 24
MAX_PAYLOAD = 65536

cdef enum:
    HEADER = 24
    ENTROPY = 4096
    OPCODE_CONTINUATION = 0
    OPCODE_BINARY = 2
    FIN_BINARY = 0x82
    MASK_BIT = 0x80


cdef inline void _put32(uint8_t* at, uint32_t value) noexcept nogil:
    at[0] = (value >> 24) & 0xFF
    at[1] = (value >> 16) & 0xFF
    at[2] = (value >> 8) & 0xFF
    at[3] = value & 0xFF


cdef inline uint32_t _get32(const uint8_t* at) noexcept nogil:
    return (<uint32_t>at[0] << 24) | (<uint32_t>at[1] << 16) | (<uint32_t>at[2] << 8) | at[3]


cdef inline void _mask(uint8_t* at, Py_ssize_t length, const uint8_t* key) noexcept nogil:
    """RFC 6455 5.3, eight bytes at a time; masking and unmasking are the same."""
    cdef uint64_t wide
    cdef uint64_t word
    cdef Py_ssize_t i = 0
    memcpy(&wide, key, 4)
    memcpy(<uint8_t*>&wide + 4, key, 4)
    while i + 8 <= length:
        memcpy(&word, at + i, 8)
        word ^= wide
        memcpy(at + i, &word, 8)
        i += 8
    while i < length:
        at[i] ^= key[i & 3]
        i += 1


cdef tuple _unpack(const uint8_t* at, Py_ssize_t length):
    return (
        _get32(at),
        _get32(at + 4),
        (<uint64_t>_get32(at + 8) << 32) | _get32(at + 12),
        _get32(at + 16),
        (<unsigned int>at[20] << 8) | at[21],
        PyBytes_FromStringAndSize(<const char*>at + HEADER, length - HEADER),
    )


def unpack(bytes message not None):
    """(stream, sequence, timestamp, request, flags, pcm) of an audio message without its WebSocket header.

    Raises ``ValueError`` if it is shorter than the audio header.
    """
    if PyBytes_GET_SIZE(message) < HEADER:
        raise ValueError(f"an audio message of {len(message)} bytes is shorter than its {HEADER} byte header")
    return _unpack(<const uint8_t*>PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message))


cdef class Writer:
    """Builds audio frames for one side of a connection. ``masked`` is true for a client (RFC 6455 5.1)."""

    def __init__(self, *, bint masked):
        self._masked = masked
        self._entropy = b""
        self._used = 0

    cdef uint32_t _next_key(self):
        # 5.3 wants each key from a strong source; one system call serves a thousand frames.
        if self._used + 4 > PyBytes_GET_SIZE(self._entropy):
            self._entropy = os.urandom(ENTROPY)
            self._used = 0
        cdef uint32_t key
        memcpy(&key, PyBytes_AS_STRING(self._entropy) + self._used, 4)
        self._used += 4
        return key

    cpdef bytes audio(
        self,
        unsigned long stream,
        unsigned long sequence,
        unsigned long long timestamp,
        unsigned long request,
        unsigned int flags,
        const uint8_t[::1] pcm,
    ):
        """One whole WebSocket frame, ready for ``transport.write``. ``pcm`` is copied; the buffer is free at return.

        Raises ``ValueError`` for more than ``MAX_PAYLOAD`` bytes of audio.
        """
        cdef Py_ssize_t audio_bytes = pcm.shape[0]
        cdef Py_ssize_t payload = HEADER + audio_bytes
        cdef Py_ssize_t head = 2
        if audio_bytes > 65536:
            raise ValueError(f"{audio_bytes} bytes of audio in one message; the limit is {MAX_PAYLOAD}")
        if payload > 65535:
            head = 10
        elif payload > 125:
            head = 4
        cdef Py_ssize_t body = head + (4 if self._masked else 0)
        cdef uint32_t key = 0
        if self._masked:
            key = self._next_key()
        cdef bytes frame = PyBytes_FromStringAndSize(NULL, body + payload)
        cdef uint8_t* at = <uint8_t*>PyBytes_AS_STRING(frame)
        at[0] = FIN_BINARY
        if head == 2:
            at[1] = <uint8_t>payload
        elif head == 4:
            at[1] = 126
            at[2] = (payload >> 8) & 0xFF
            at[3] = payload & 0xFF
        else:
            at[1] = 127
            _put32(at + 2, 0)
            _put32(at + 6, <uint32_t>payload)
        _put32(at + body, <uint32_t>stream)
        _put32(at + body + 4, <uint32_t>sequence)
        _put32(at + body + 8, <uint32_t>(timestamp >> 32))
        _put32(at + body + 12, <uint32_t>timestamp)
        _put32(at + body + 16, <uint32_t>request)
        at[body + 20] = (flags >> 8) & 0xFF
        at[body + 21] = flags & 0xFF
        at[body + 22] = 0
        at[body + 23] = 0
        if audio_bytes:
            memcpy(at + body + HEADER, &pcm[0], audio_bytes)
        if self._masked:
            at[1] |= MASK_BIT
            memcpy(at + head, &key, 4)
            _mask(at + body, payload, at + head)
        return frame


cdef class Reader:
    """Takes the bytes of a connection after its handshake and separates audio from the rest.

    ``masked`` says whether the peer masks (it is the client). ``max_payload`` is the largest audio in one message.
    """

    def __init__(self, *, bint masked, Py_ssize_t max_payload=65536):
        self._masked = masked
        self._fragments = False
        self._max_payload = max_payload
        self._passing = 0
        self._pending = b""

    cpdef list feed(self, bytes data):
        """What the bytes complete, in order: a tuple as ``unpack`` returns it for each frame of audio, and ``bytes`` to
        hand to ``websockets`` for everything else. Never raises for anything a peer sent.
        """
        cdef list found = []
        if self._pending:
            data = self._pending + data
            self._pending = b""
        cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(data)
        cdef Py_ssize_t end = PyBytes_GET_SIZE(data)
        cdef Py_ssize_t here = 0
        cdef Py_ssize_t since = 0  # start of bytes not ours, not yet handed over
        cdef Py_ssize_t head, body
        cdef uint64_t payload
        cdef uint8_t opcode
        cdef bytes plain
        while here < end:
            if self._passing:
                if self._passing > <uint64_t>(end - here):
                    self._passing -= end - here
                    here = end
                    break
                here += <Py_ssize_t>self._passing
                self._passing = 0
                continue
            head = 2
            if end - here < head:
                break
            payload = at[here + 1] & 0x7F
            if payload == 126:
                head = 4
            elif payload == 127:
                head = 10
            if end - here < head:
                break
            if head == 4:
                payload = (<uint64_t>at[here + 2] << 8) | at[here + 3]
            elif head == 10:
                payload = (<uint64_t>_get32(at + here + 2) << 32) | _get32(at + here + 6)
            body = head + (4 if at[here + 1] & MASK_BIT else 0)
            opcode = at[here] & 0x0F
            if (
                at[here] == FIN_BINARY
                and not self._fragments
                and bool(at[here + 1] & MASK_BIT) == self._masked
                and HEADER <= payload <= <uint64_t>(HEADER + self._max_payload)
            ):
                if <uint64_t>(end - here - body) < payload or end - here < body:
                    break
                if since < here:
                    found.append(data[since:here])
                if self._masked:
                    plain = PyBytes_FromStringAndSize(<const char*>at + here + body, <Py_ssize_t>payload)
                    _mask(<uint8_t*>PyBytes_AS_STRING(plain), <Py_ssize_t>payload, at + here + head)
                    found.append(_unpack(<const uint8_t*>PyBytes_AS_STRING(plain), <Py_ssize_t>payload))
                else:
                    found.append(_unpack(at + here + body, <Py_ssize_t>payload))
                here += body + <Py_ssize_t>payload
                since = here
                continue
            # A text, control or odd frame. Whether a fragmented message is open decides what a later frame means (5.4).
            if opcode <= OPCODE_BINARY:
                self._fragments = not at[here] & 0x80
            # At most 2**64 + 14 would not fit; such a length is hostile, and its first bytes make websockets say so.
            if payload > 0x7FFFFFFFFFFFFFFF:
                payload = 0x7FFFFFFFFFFFFFFF
            self._passing = payload + <uint64_t>body
        if since < here:
            found.append(data[since:here])
        if here < end:
            self._pending = data[here:]
        return found
