from libc.stdint cimport int64_t, uint16_t, uint32_t

from codecs_ext.linux cimport sockaddr_storage, socklen_t

cdef enum:
    STRANGERS = 4               # under trial at a time

cdef enum Learn:
    LEARN_NEVER                 # only the address that SDP names
    LEARN_PORT                  # another port of its host
    LEARN_ANY                   # another host, too

cdef enum Judgement:
    KNOWN                       # the source that is heard
    STRANGER                    # may become it, if its packets fit
    REFUSED

cdef struct SourceOptions:
    int learn
    int packets                 # in sequence, that a stranger has to show
    int64_t settle_ns           # that a better source may still replace a learned one
    int64_t silence_ns          # of the source, after which another may replace it; 0: never

cdef struct Stranger:
    sockaddr_storage address
    uint32_t ssrc
    uint16_t sequence           # of its last packet
    int run                     # packets in sequence; 0: nobody

cdef struct Source:
    SourceOptions options
    sockaddr_storage agreed     # that offer and answer named
    sockaddr_storage remote     # where we send to; packets from there are heard
    sockaddr_storage former     # what was heard before SDP named another place: its packets may be under way
    socklen_t size              # of each; 0: nothing was agreed on yet
    int64_t former_until
    int rank                    # of ``remote`` as a source; 0: not heard since it was last open
    bint settled                # nobody else is looked at
    int64_t settle_at           # a learned source
    int64_t strangers_at        # from when on they are tried
    int64_t heard_at            # the last packet of ``remote``
    Stranger strangers[STRANGERS]

cdef bint same_host(const sockaddr_storage *one, const sockaddr_storage *other) noexcept nogil
cdef bint same_address(const sockaddr_storage *one, const sockaddr_storage *other) noexcept nogil
cdef void source_agree(Source *state, const sockaddr_storage *agreed, socklen_t size, int64_t now) noexcept nogil
cdef bint source_is_new(const Source *state, const sockaddr_storage *agreed) noexcept nogil
cdef Judgement source_judge(const Source *state, const sockaddr_storage *source, int64_t now) noexcept nogil
cdef bint source_try(Source *state, const sockaddr_storage *source, uint32_t ssrc, uint16_t sequence, bint proven,
                     int64_t now) noexcept nogil
cdef bint source_heard(Source *state, const sockaddr_storage *source, int64_t now) noexcept nogil
cdef int64_t source_wake(const Source *state) noexcept nogil
cdef bint source_timer(Source *state, int64_t now) noexcept nogil
