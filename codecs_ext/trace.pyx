"""Datagrams of the tape as blocks of a pcapng file: IP and UDP headers are put before them again, and the time is the kernel's.

https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html; the interface is number 0, raw IP, in nanoseconds.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

from codecs_ext.leg cimport leg_address
from codecs_ext.linux cimport AF_INET6, htons, sockaddr_in, sockaddr_in6, sockaddr_storage
from codecs_ext.tape cimport PACKET_CONTROL, PACKET_OUT

__all__ = ["Trace"]

cdef enum:
    MOST = 1 << 24              # bytes that wait to be taken
    ROOM = 1 << 13
    BLOCK_HEAD = 28             # of an enhanced packet block
    BLOCK_TAIL = 16             # options and the length once more
    UDP = 17
    INBOUND = 1                 # epb_flags
    OUTBOUND = 2


cdef inline void _put32(uint8_t *at, uint32_t value) noexcept nogil:
    memcpy(at, &value, 4)


cdef inline void _put16(uint8_t *at, uint16_t value) noexcept nogil:
    """In network order."""
    at[0] = <uint8_t>(value >> 8)
    at[1] = <uint8_t>(value & 0xFF)


cdef uint32_t _sum(const uint8_t *data, int size, uint32_t total) noexcept nogil:
    cdef int i
    for i in range(size):
        total += <uint32_t>data[i] << (0 if i & 1 else 8)
    return total


cdef uint16_t _checksum(uint32_t total) noexcept nogil:
    """RFC 1071."""
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return <uint16_t>(~total & 0xFFFF)


cdef void _udp(uint8_t *at, const uint8_t *source, const uint8_t *target, int host, uint16_t source_port,
               uint16_t target_port, const uint8_t *data, int size) noexcept nogil:
    """Header and payload. The ports are in network order already."""
    cdef uint16_t checksum
    memcpy(at, &source_port, 2)
    memcpy(at + 2, &target_port, 2)
    _put16(at + 4, <uint16_t>(size + 8))
    _put16(at + 6, 0)
    memcpy(at + 8, data, size)
    checksum = _checksum(_sum(at, size + 8, _sum(target, host, _sum(source, host, UDP + <uint32_t>size + 8))))
    _put16(at + 6, checksum if checksum else 0xFFFF)        # RFC 768: zero means that there is none


cdef void _ip(uint8_t *at, bint six, const uint8_t *source, const uint8_t *target, int size) noexcept nogil:
    memset(at, 0, 40 if six else 20)
    if six:
        at[0] = 0x60
        _put16(at + 4, <uint16_t>(size + 8))
        at[6] = UDP
        at[7] = 64
        memcpy(at + 8, source, 16)
        memcpy(at + 24, target, 16)
        return
    at[0] = 0x45
    _put16(at + 2, <uint16_t>(size + 28))
    at[6] = 0x40
    at[8] = 64
    at[9] = UDP
    memcpy(at + 12, source, 4)
    memcpy(at + 16, target, 4)
    _put16(at + 10, _checksum(_sum(at, 20, 0)))


cdef bint _reserve(Dump *dump, int size) noexcept nogil:
    cdef int64_t room = dump.room
    cdef uint8_t *grown
    while room < dump.size + size:
        room += ROOM
    if room > MOST:
        return False
    if room > dump.room:
        grown = <uint8_t *>realloc(dump.data, room)
        if grown == NULL:
            return False
        dump.data = grown
        dump.room = room
    return True


cdef void _datagram(const Dump *dump, uint8_t *at, const uint8_t *data, int size, const uint8_t *remote,
                    int flags) noexcept nogil:
    cdef const sockaddr_in *four = <const sockaddr_in *>remote
    cdef const sockaddr_in6 *six = <const sockaddr_in6 *>remote
    cdef const uint8_t *far = <const uint8_t *>&six.sin6_addr if dump.six else <const uint8_t *>&four.sin_addr
    cdef uint16_t port = dump.control_port if flags & PACKET_CONTROL else dump.port
    cdef int head = 40 if dump.six else 20
    if flags & PACKET_OUT:
        _ip(at, dump.six, dump.host, far, size)
        _udp(at + head, dump.host, far, 16 if dump.six else 4, port, four.sin_port, data, size)
    else:
        _ip(at, dump.six, far, dump.host, size)
        _udp(at + head, far, dump.host, 16 if dump.six else 4, four.sin_port, port, data, size)


cdef void dump_packet(Dump *dump, const uint8_t *data, int size, const uint8_t *remote, int64_t time,
                      int flags) noexcept nogil:
    """``remote`` is a sockaddr_in or sockaddr_in6 of the family of ``dump``, ``time`` in nanoseconds since 1970."""
    cdef int captured = size + (48 if dump.six else 28)
    cdef int padded = (captured + 3) & ~3
    cdef int total = BLOCK_HEAD + padded + BLOCK_TAIL
    cdef uint8_t *at
    if not _reserve(dump, total):
        dump.lost += 1
        return
    at = dump.data + dump.size
    _put32(at, 6)
    _put32(at + 4, total)
    _put32(at + 8, 0)
    _put32(at + 12, <uint32_t>(<uint64_t>time >> 32))
    _put32(at + 16, <uint32_t>(<uint64_t>time))
    _put32(at + 20, captured)
    _put32(at + 24, captured)
    memset(at + BLOCK_HEAD + captured, 0, padded - captured)
    _datagram(dump, at + BLOCK_HEAD, data, size, remote, flags)
    at += BLOCK_HEAD + padded
    _put32(at, 2 | 4 << 16)
    _put32(at + 4, OUTBOUND if flags & PACKET_OUT else INBOUND)
    _put32(at + 8, 0)
    _put32(at + 12, total)
    dump.size += total


cdef class Trace:
    """The datagrams of one leg whose sockets are at ``host``. Raises ``ValueError`` if that is no address."""

    def __cinit__(self, host: str, port: int, control_port: int) -> None:
        cdef sockaddr_storage address
        memset(&self.dump, 0, sizeof(Dump))
        if not leg_address(host.encode("ascii", "replace"), port, &address):
            raise ValueError(f"{host!r} is not an IP address")
        self.dump.six = address.ss_family == AF_INET6
        self.dump.port = htons(port)
        self.dump.control_port = htons(control_port)
        if self.dump.six:
            memcpy(self.dump.host, &(<sockaddr_in6 *>&address).sin6_addr, 16)
        else:
            memcpy(self.dump.host, &(<sockaddr_in *>&address).sin_addr, 4)

    def __dealloc__(self) -> None:
        free(self.dump.data)

    @property
    def lost(self) -> int:
        """Packets that memory was lacking for."""
        return self.dump.lost

    def put(self, const uint8_t[::1] data not None, host: str, port: int, time: int, *, outbound: bool,
            control: bool = False) -> None:
        """One datagram, as the reader of the tape puts them in. Raises ``ValueError`` for a host of the other family."""
        cdef sockaddr_storage remote
        if not leg_address(host.encode("ascii", "replace"), port, &remote) or data.shape[0] == 0:
            raise ValueError(f"{host!r} is no address, or the datagram is empty")
        if (remote.ss_family == AF_INET6) != self.dump.six:
            raise ValueError(f"{host!r} is not of the family of the sockets")
        dump_packet(&self.dump, &data[0], <int>data.shape[0], <const uint8_t *>&remote, time,
                    (PACKET_OUT if outbound else 0) | (PACKET_CONTROL if control else 0))

    def take(self) -> bytes:
        """The blocks of all datagrams since the last time."""
        out = PyBytes_FromStringAndSize(<const char *>self.dump.data, self.dump.size)
        self.dump.size = 0
        return out
