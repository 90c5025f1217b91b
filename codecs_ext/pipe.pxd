from libc.stdint cimport uint8_t, uint32_t, uint64_t

from codecs_ext.playout cimport Block

cdef enum:
    PIPE_FRAME = 8192           # payload of the longest frame that is looked into; longer ones are handed up
    PIPE_HEAD = 14              # of the longest head of a frame
    PIPE_CARRY = PIPE_HEAD + PIPE_FRAME
    KEYS = 4096

cdef struct Keys:
    uint8_t bytes[KEYS]
    int used

cdef struct Pipe:
    int fd
    int epoll                   # the shard's for connections; -1: none yet
    uint32_t slot
    Keys *keys                  # the shard's
    Block **freed               # of the shard, for the event loop's thread
    Pipe **touched              # the shard's list of those with something to send, or to end
    Pipe *following
    bint dirty                  # in that list
    bint ending                 # ends once everything is sent
    bint shut                   # says that nothing more comes, once everything is sent
    bint over                   # nothing is read or sent any more
    int fault                   # errno of its end; 0: the peer's end of file, or ours
    # out
    uint8_t *out
    size_t room
    size_t start
    size_t end
    Block *waiting              # what the event loop wrote and had no room in ``out``; nothing passes it
    Block *waiting_end
    # in
    uint8_t *carry              # the beginning of a frame whose rest has not come
    int carried
    uint64_t passing            # bytes of a long frame that are handed up as they come
    bint fragments              # a fragmented message is open (RFC 6455 5.4)
    # order: counted in bytes handed up
    uint64_t passed
    uint64_t acked              # of them the event loop has done
    uint64_t barrier            # nothing goes straight before this was done
    # read by the event loop
    uint64_t audio              # bytes of frames that were made here
    uint64_t sent               # bytes that the kernel has taken
    uint64_t received

cdef Pipe *pipe_new(int fd, size_t room) noexcept nogil
cdef void pipe_free(Pipe *pipe) noexcept nogil
cdef bint pipe_audio(Pipe *pipe, uint32_t stream, uint32_t sequence, uint64_t timestamp, unsigned int flags,
                     const uint8_t *pcm, size_t size) noexcept nogil
cdef void pipe_write(Pipe *pipe, Block *block) noexcept nogil
cdef void pipe_flush(Pipe *pipe) noexcept nogil
cdef void pipe_touch(Pipe *pipe) noexcept nogil
cdef void pipe_close(Pipe *pipe) noexcept nogil
