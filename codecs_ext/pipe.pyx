"""What leaves on a WebSocket that the media thread speaks: audio that it frames itself, and what the event loop writes.

The thread is the socket's only writer. The event loop hands whole frames down as blocks, so that frames of both never mix,
and what it wrote first is sent first: while a block waits for room, no audio passes it. A tick costs a connection one
``send``; what the kernel does not take is tried again at the next tick.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove

from codecs_ext.linux cimport (
    EAGAIN,
    EINTR,
    EPOLL_CTL_DEL,
    MAP_ANONYMOUS,
    MAP_FAILED,
    MAP_NORESERVE,
    MAP_PRIVATE,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    PROT_READ,
    PROT_WRITE,
    SHUT_WR,
    close,
    epoll_ctl,
    errno,
    getrandom,
    mmap,
    munmap,
    send,
    shutdown,
)
from codecs_ext.playout cimport Block, block_return
from codecs_ext.wsframe cimport AUDIO_HEADER, frame_audio, frame_head

__all__: list[str] = []


cdef Pipe *pipe_new(int fd, size_t room) noexcept nogil:
    """NULL without memory; ``fd`` is the caller's still then. Of ``room`` only what is used becomes memory."""
    cdef Pipe *pipe = <Pipe *>calloc(1, sizeof(Pipe))
    if pipe == NULL:
        return NULL
    pipe.out = <uint8_t *>mmap(NULL, room + PIPE_CARRY, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    if pipe.out == MAP_FAILED:
        free(pipe)
        return NULL
    pipe.fd = fd
    pipe.epoll = -1
    pipe.room = room
    pipe.carry = pipe.out + room
    return pipe


cdef void pipe_free(Pipe *pipe) noexcept nogil:
    """Once the thread knows it no more; closes what is open, and frees what was not sent."""
    cdef Block *block = pipe.waiting
    cdef Block *following
    while block != NULL:
        following = block.next
        free(block)
        block = following
    if pipe.fd >= 0:
        close(pipe.fd)
    munmap(pipe.out, pipe.room + PIPE_CARRY)
    free(pipe)


cdef void pipe_touch(Pipe *pipe) noexcept nogil:
    """To be looked at by the end of the tick."""
    if not pipe.dirty:
        pipe.dirty = True
        pipe.following = pipe.touched[0]
        pipe.touched[0] = pipe


cdef void pipe_close(Pipe *pipe) noexcept nogil:
    """Nothing is sent or read after it; what was not sent is given back."""
    cdef Block *block = pipe.waiting
    cdef Block *following
    pipe.over = True
    pipe_touch(pipe)
    if pipe.fd >= 0:
        # Closing alone does not take it out of the set: the transport that had it may still have its own descriptor.
        epoll_ctl(pipe.epoll, EPOLL_CTL_DEL, pipe.fd, NULL)
        close(pipe.fd)
        pipe.fd = -1
    while block != NULL:
        following = block.next
        block_return(pipe.freed, block)
        block = following
    pipe.waiting = pipe.waiting_end = NULL
    pipe.start = pipe.end = 0


cdef const uint8_t *_next_key(Keys *keys) noexcept nogil:
    """RFC 6455 5.3: from a strong source; one system call serves a thousand frames."""
    if keys.used == 0 or keys.used + 4 > KEYS:
        getrandom(keys.bytes, KEYS, 0)
        keys.used = 0
    keys.used += 4
    return keys.bytes + keys.used - 4


cdef bint _has_room(Pipe *pipe, size_t size) noexcept nogil:
    if pipe.room - pipe.end < size and pipe.start > pipe.room // 2:
        memmove(pipe.out, pipe.out + pipe.start, pipe.end - pipe.start)
        pipe.end -= pipe.start
        pipe.start = 0
    return pipe.room - pipe.end >= size


cdef bint pipe_audio(Pipe *pipe, uint32_t stream, uint32_t sequence, uint64_t timestamp, unsigned int flags,
                     const uint8_t *pcm, size_t size) noexcept nogil:
    """One audio message, masked, as a client sends it. False: the peer does not read fast enough, or nothing is sent."""
    cdef Py_ssize_t head = frame_head(AUDIO_HEADER + <Py_ssize_t>size)
    cdef size_t whole = head + 4 + AUDIO_HEADER + size
    if pipe.over or pipe.ending or pipe.shut or pipe.waiting != NULL or not _has_room(pipe, whole):
        return False
    frame_audio(pipe.out + pipe.end, head, stream, sequence, timestamp, 0, flags, pcm, <Py_ssize_t>size,
                _next_key(pipe.keys))
    pipe.end += whole
    pipe.audio += whole
    pipe_touch(pipe)
    return True


cdef void pipe_write(Pipe *pipe, Block *block) noexcept nogil:
    """Takes a block of ``number`` bytes over; one without any says that it was the last."""
    pipe_touch(pipe)
    if pipe.over or pipe.ending or pipe.shut:
        block_return(pipe.freed, block)
    elif block.number == 0:
        pipe.shut = True
        block_return(pipe.freed, block)
    elif pipe.waiting == NULL and _has_room(pipe, <size_t>block.number):
        memcpy(pipe.out + pipe.end, block.samples, <size_t>block.number)
        pipe.end += <size_t>block.number
        block_return(pipe.freed, block)
    elif pipe.waiting == NULL:
        pipe.waiting = pipe.waiting_end = block
    else:
        pipe.waiting_end.next = block
        pipe.waiting_end = block


cdef ssize_t _send(Pipe *pipe, const uint8_t *data, size_t size) noexcept nogil:
    """How much the kernel took: less than ``size`` if it is full; -1, and the pipe is over, if the connection is gone."""
    cdef ssize_t done = send(pipe.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
    if done < 0 and errno != EAGAIN and errno != EINTR:
        pipe.fault = errno
        pipe_close(pipe)
        return -1
    if done < 0:
        return 0
    pipe.sent += done
    return done


cdef bint _send_waiting(Pipe *pipe) noexcept nogil:
    """The first block that waits, from where it lies. True if all of it was sent."""
    cdef Block *block = pipe.waiting
    cdef size_t left = <size_t>(block.number - block.taken)
    cdef ssize_t done = _send(pipe, <uint8_t *>block.samples + block.taken, left)
    if done < 0:
        return False
    block.taken += <int>done
    if <size_t>done < left:
        return False
    pipe.waiting = block.next
    if pipe.waiting == NULL:
        pipe.waiting_end = NULL
    block_return(pipe.freed, block)
    return True


cdef void pipe_flush(Pipe *pipe) noexcept nogil:
    """Sends what there is, as far as the kernel takes it. An end that was asked for follows."""
    cdef ssize_t done
    if pipe.over:
        return
    if pipe.start < pipe.end:
        done = _send(pipe, pipe.out + pipe.start, pipe.end - pipe.start)
        if done < 0:
            return
        pipe.start += done
        if pipe.start < pipe.end:
            return
        pipe.start = pipe.end = 0
    while pipe.waiting != NULL:
        if not _send_waiting(pipe):
            return
    if pipe.shut and not pipe.ending:
        shutdown(pipe.fd, SHUT_WR)
    if pipe.ending:
        pipe_close(pipe)
