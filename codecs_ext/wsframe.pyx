"""Audio messages as whole WebSocket frames (RFC 6455 5.2): the native plug protocol's, and those of model providers.

A frame of audio is built and parsed here in one pass over one buffer, because that is what happens fifty times a second
for each call. Everything else (handshake, text, ping, close, fragments, violations) belongs to ``websockets``:
``Reader`` hands those bytes through untouched, in order, so that there is one implementation of the difficult parts.

The native audio header is 24 bytes, big-endian: stream u32, sequence u32, timestamp u64, request u32, flags u16, reserved
u16. Providers want audio raw, behind a header of their own, or as base64 (RFC 4648) inside JSON: ``Writer.wrapped``.
"""

import os

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
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
    FIN_TEXT = 0x81
    FIN_BINARY = 0x82
    MASK_BIT = 0x80


cdef inline void _put32(uint8_t* at, uint32_t value) noexcept nogil:
    at[0] = (value >> 24) & 0xFF
    at[1] = (value >> 16) & 0xFF
    at[2] = (value >> 8) & 0xFF
    at[3] = value & 0xFF


cdef inline uint32_t _get32(const uint8_t* at) noexcept nogil:
    return (<uint32_t>at[0] << 24) | (<uint32_t>at[1] << 16) | (<uint32_t>at[2] << 8) | at[3]


cdef void frame_mask(uint8_t* at, Py_ssize_t length, const uint8_t* key) noexcept nogil:
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


cdef const char *_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


cdef inline void _put_base64(const uint8_t* source, Py_ssize_t size, uint8_t* at) noexcept nogil:
    """RFC 4648 section 4, padded."""
    cdef Py_ssize_t i = 0
    cdef uint32_t three
    while i + 3 <= size:
        three = (<uint32_t>source[i] << 16) | (<uint32_t>source[i + 1] << 8) | source[i + 2]
        at[0] = _BASE64[three >> 18]
        at[1] = _BASE64[(three >> 12) & 63]
        at[2] = _BASE64[(three >> 6) & 63]
        at[3] = _BASE64[three & 63]
        at += 4
        i += 3
    if i < size:
        three = <uint32_t>source[i] << 16
        if i + 1 < size:
            three |= <uint32_t>source[i + 1] << 8
        at[0] = _BASE64[three >> 18]
        at[1] = _BASE64[(three >> 12) & 63]
        at[2] = _BASE64[(three >> 6) & 63] if i + 1 < size else c"="
        at[3] = c"="


cdef Py_ssize_t frame_head(Py_ssize_t payload) noexcept nogil:
    """RFC 6455 5.2: the two bytes, and the longer forms of the length."""
    return 10 if payload > 65535 else 4 if payload > 125 else 2


cdef void frame_audio(uint8_t* at, Py_ssize_t head, uint32_t stream, uint32_t sequence, uint64_t timestamp,
                      uint32_t request, unsigned int flags, const uint8_t* pcm, Py_ssize_t size, const uint8_t* key) noexcept nogil:
    """A whole frame of audio whose head has ``head`` bytes; masked by the four bytes of ``key``, unless it is NULL."""
    cdef Py_ssize_t payload = HEADER + size
    cdef uint8_t* body = at + head + (0 if key == NULL else 4)
    _put_head(at, FIN_BINARY, head, payload)
    _put32(body, stream)
    _put32(body + 4, sequence)
    _put32(body + 8, <uint32_t>(timestamp >> 32))
    _put32(body + 12, <uint32_t>timestamp)
    _put32(body + 16, request)
    body[20] = (flags >> 8) & 0xFF
    body[21] = flags & 0xFF
    body[22] = 0
    body[23] = 0
    if size:
        memcpy(body + HEADER, pcm, size)
    if key != NULL:
        at[1] |= MASK_BIT
        memcpy(at + head, key, 4)
        frame_mask(body, payload, at + head)


cdef inline void _put_head(uint8_t* at, uint8_t first, Py_ssize_t head, Py_ssize_t payload) noexcept nogil:
    at[0] = first
    if head == 2:
        at[1] = <uint8_t>payload
    elif head == 4:
        at[1] = 126
        at[2] = (payload >> 8) & 0xFF
        at[3] = payload & 0xFF
    else:
        at[1] = 127
        _put32(at + 2, <uint32_t>(<uint64_t>payload >> 32))
        _put32(at + 6, <uint32_t>payload)


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

    cdef void _put_audio(self, uint8_t* at, Py_ssize_t head, unsigned long stream, unsigned long sequence,
                         unsigned long long timestamp, unsigned long request, unsigned int flags, const uint8_t* pcm,
                         Py_ssize_t size):
        """A whole frame whose head has ``head`` bytes."""
        cdef uint32_t key = self._next_key() if self._masked else 0
        frame_audio(at, head, <uint32_t>stream, <uint32_t>sequence, timestamp, <uint32_t>request, flags, pcm, size,
                    <const uint8_t*>&key if self._masked else NULL)

    cdef Py_ssize_t _audio_size(self, Py_ssize_t size) except -1:
        """Bytes of a frame with ``size`` bytes of audio."""
        if size > 65536:
            raise ValueError(f"{size} bytes of audio in one message; the limit is {MAX_PAYLOAD}")
        return frame_head(HEADER + size) + (4 if self._masked else 0) + HEADER + size

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
        cdef Py_ssize_t size = pcm.shape[0]
        cdef bytes frame = PyBytes_FromStringAndSize(NULL, self._audio_size(size))
        self._put_audio(<uint8_t*>PyBytes_AS_STRING(frame), frame_head(HEADER + size), stream, sequence, timestamp,
                        request, flags, &pcm[0] if size else NULL, size)
        return frame

    cpdef bytes wrapped(self, bytes before, const uint8_t[::1] audio, bytes after, bint base64):
        """A whole frame with the audio between two constant pieces: as base64 in a text message, or as it is in a binary
        one. Everything is copied. Raises ``ValueError`` for more than ``MAX_PAYLOAD`` bytes of audio."""
        cdef Py_ssize_t audio_bytes = audio.shape[0]
        cdef Py_ssize_t size = (audio_bytes + 2) // 3 * 4 if base64 else audio_bytes
        cdef Py_ssize_t start = PyBytes_GET_SIZE(before)
        cdef Py_ssize_t rest = PyBytes_GET_SIZE(after)
        cdef Py_ssize_t payload = start + size + rest
        cdef Py_ssize_t head = frame_head(payload)
        cdef Py_ssize_t body = head + (4 if self._masked else 0)
        cdef uint32_t key = 0
        if audio_bytes > 65536:
            raise ValueError(f"{audio_bytes} bytes of audio in one message; the limit is {MAX_PAYLOAD}")
        if self._masked:
            key = self._next_key()
        cdef bytes frame = PyBytes_FromStringAndSize(NULL, body + payload)
        cdef uint8_t* at = <uint8_t*>PyBytes_AS_STRING(frame)
        _put_head(at, FIN_TEXT if base64 else FIN_BINARY, head, payload)
        memcpy(at + body, PyBytes_AS_STRING(before), start)
        if audio_bytes and base64:
            _put_base64(&audio[0], audio_bytes, at + body + start)
        elif audio_bytes:
            memcpy(at + body + start, &audio[0], audio_bytes)
        memcpy(at + body + start + size, PyBytes_AS_STRING(after), rest)
        if self._masked:
            at[1] |= MASK_BIT
            memcpy(at + head, &key, 4)
            frame_mask(at + body, payload, at + head)
        return frame


cdef class Outbox:
    """Audio frames on their way to one connection, gathered until the event loop comes round: however many calls share
    the connection, a tick of the media thread costs it one write.

    ``schedule`` is asked to call ``flush`` soon; whoever writes anything else to the transport calls it before.
    """

    def __init__(self, Writer writer not None, transport, schedule, Py_ssize_t limit):
        self._writer = writer
        self._transport = transport
        self._schedule = schedule
        self._limit = limit
        self._frames = bytearray()
        self._size = 0
        self._flush = self.flush

    cpdef bint audio(
        self,
        unsigned long stream,
        unsigned long sequence,
        unsigned long long timestamp,
        unsigned long request,
        unsigned int flags,
        const uint8_t[::1] pcm,
    ) except -1:
        """False: more than ``limit`` bytes wait already, because the peer does not read fast enough.

        Raises ``ValueError`` for more than ``MAX_PAYLOAD`` bytes of audio.
        """
        cdef Py_ssize_t size = pcm.shape[0]
        cdef Py_ssize_t more = self._writer._audio_size(size)
        if self._size == 0:
            if self._transport.get_write_buffer_size() > self._limit:
                return False
            self._schedule(self._flush)
        elif self._size > self._limit:
            return False
        if self._size + more > PyByteArray_GET_SIZE(self._frames):
            PyByteArray_Resize(self._frames, 2 * (self._size + more))
        self._writer._put_audio(<uint8_t*>PyByteArray_AS_STRING(self._frames) + self._size, frame_head(HEADER + size),
                                stream, sequence, timestamp, request, flags, &pcm[0] if size else NULL, size)
        self._size += more
        return True

    cpdef object flush(self):
        """Writes what was gathered."""
        cdef Py_ssize_t size = self._size
        if size:
            self._size = 0
            self._transport.write(PyBytes_FromStringAndSize(PyByteArray_AS_STRING(self._frames), size))

    cpdef object close(self):
        """The connection is gone, and what was gathered with it."""
        self._size = 0


cdef class Voice:
    """The audio of one stream on its way to a peer that speaks the native protocol: header, order and credit.

    ``told`` are the flags that are passed on, ``gap`` the one that a frame gets behind frames left out. A frame that the
    credit does not cover is left out: late audio is worth nothing to a model that listens live.
    """

    def __init__(self, unsigned long stream, int rate, unsigned int told, unsigned int gap):
        self._stream = stream
        self._sequence = 0
        self._per_tick = rate // 8000
        self._told = told
        self._gap = gap
        self._behind = 0
        self.credit = 0

    cpdef bint send(self, Outbox outbox, const uint8_t[::1] pcm, unsigned long long media_time,
                    unsigned int flags) except -1:
        """False if the frame was left out."""
        cdef Py_ssize_t size = pcm.shape[0]
        if (size > self.credit or outbox is None
                or not outbox.audio(self._stream, self._sequence, media_time * self._per_tick, 0,
                                    flags & self._told | self._behind, pcm)):
            self._behind = self._gap
            return False
        self.credit -= size
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        self._behind = 0
        return True

    def hand_over(self):
        """``(sequence, behind)`` for another who speaks on from here."""
        return self._sequence, self._behind

    def take_back(self, unsigned long sequence, unsigned int behind, long long credit):
        """Speaks on where another has ended."""
        self._sequence = sequence
        self._behind = behind
        self.credit = credit


cdef class Reader:
    """Takes the bytes of a connection after its handshake and separates audio from the rest.

    ``masked`` says whether the peer masks (it is the client). ``max_payload`` is the largest audio in one message.
    ``plain`` takes every whole text or binary message out, whatever is in it: ``(opcode, payload)``.
    """

    def __init__(self, *, bint masked, Py_ssize_t max_payload=65536, bint plain=False):
        self._masked = masked
        self._plain = plain
        self._fragments = False
        self._max_payload = max_payload
        self._passing = 0
        self._pending = b""

    def backlog(self):
        """``(pending, passing, fragments)``, for another who reads on from here: the beginning of a frame, so many bytes
        that belong to none of ours, and whether a fragmented message is open."""
        return self._pending, self._passing, self._fragments

    cpdef list feed(self, bytes data):
        """What the bytes complete, in order: a tuple for each frame of audio (as ``unpack`` returns it; plain: for each
        message), and ``bytes`` to hand to ``websockets`` for everything else. Never raises for anything a peer sent.
        """
        cdef Py_ssize_t least = 0 if self._plain else HEADER
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
                (at[here] == FIN_BINARY or (self._plain and at[here] == FIN_TEXT))
                and not self._fragments
                and bool(at[here + 1] & MASK_BIT) == self._masked
                and <uint64_t>least <= payload <= <uint64_t>(least + self._max_payload)
            ):
                if <uint64_t>(end - here - body) < payload or end - here < body:
                    break
                if since < here:
                    found.append(data[since:here])
                if self._masked or self._plain:
                    plain = PyBytes_FromStringAndSize(<const char*>at + here + body, <Py_ssize_t>payload)
                    if self._masked:
                        frame_mask(<uint8_t*>PyBytes_AS_STRING(plain), <Py_ssize_t>payload, at + here + head)
                    if self._plain:
                        found.append((<int>opcode, plain))
                    else:
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
