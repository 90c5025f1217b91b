"""Whose packets are heard: symmetric RTP (RFC 4961) that cannot be talked into a stranger's stream.

SDP names an address. Behind a NAT packets come from another, which has to be learned from them, and who sprays ports with
plausible packets must neither be heard (RTP injection) nor be sent to (RTP bleed). So:

- The address of SDP needs no proof: its first packet settles the matter, and it takes the place of what was learned
  within ``settle_ns`` before.
- Anybody else has to show ``packets`` that follow each other in sequence, from one synchronisation source, with the
  payload type that was agreed on; a packet that SRTP has authenticated proves as much at once.
- Another port of SDP's host is better than another host, and the better source replaces the worse, never the other way.
- A settled source stays: it is open to others only by an offer (after ``settle_ns`` in which the old one says nothing) or
  after ``silence_ns`` without a packet.
- When SDP names a new place, what is still under way from the old one is heard, for ``settle_ns``, and not sent to.
"""

from libc.stdint cimport INT64_MAX, int64_t, uint16_t, uint32_t
from libc.string cimport memcmp, memset

from codecs_ext.linux cimport AF_INET, AF_INET6, htons, sockaddr_in, sockaddr_in6, sockaddr_storage, socklen_t

__all__ = ["Latch"]

cdef int64_t NEVER = INT64_MAX

cdef enum:
    ELSEWHERE = 1               # ranks
    HOST = 2
    AGREED = 3


cdef bint same_host(const sockaddr_storage *one, const sockaddr_storage *other) noexcept nogil:
    """The address alone; an IPv6 flow label or scope does not matter."""
    cdef const sockaddr_in6 *six_one = <const sockaddr_in6 *>one
    cdef const sockaddr_in6 *six_other = <const sockaddr_in6 *>other
    if one.ss_family != other.ss_family:
        return False
    if one.ss_family == AF_INET:
        return (<const sockaddr_in *>one).sin_addr.s_addr == (<const sockaddr_in *>other).sin_addr.s_addr
    return memcmp(&six_one.sin6_addr, &six_other.sin6_addr, sizeof(six_one.sin6_addr)) == 0


cdef bint same_address(const sockaddr_storage *one, const sockaddr_storage *other) noexcept nogil:
    """Address and port, which lies in the same place in both families."""
    return (<const sockaddr_in *>one).sin_port == (<const sockaddr_in *>other).sin_port and same_host(one, other)


cdef int _rank(const Source *state, const sockaddr_storage *source) noexcept nogil:
    if same_address(source, &state.agreed):
        return AGREED
    return HOST if same_host(source, &state.agreed) else ELSEWHERE


cdef void _forget_strangers(Source *state) noexcept nogil:
    cdef int i
    for i in range(STRANGERS):
        state.strangers[i].run = 0


cdef void _open(Source *state, int64_t strangers_at) noexcept nogil:
    state.settled = False
    state.rank = 0
    _forget_strangers(state)
    state.settle_at = NEVER
    state.strangers_at = strangers_at


cdef bint source_is_new(const Source *state, const sockaddr_storage *agreed) noexcept nogil:
    """SDP names another place than before."""
    return state.size == 0 or not same_address(&state.agreed, agreed)


cdef void source_agree(Source *state, const sockaddr_storage *agreed, socklen_t size, int64_t now) noexcept nogil:
    """An offer was answered, the first one or another: the source is open again."""
    cdef bint first = state.size == 0
    if source_is_new(state, agreed):
        if not first and state.rank:
            state.former = state.remote
            state.former_until = now + state.options.settle_ns
        state.agreed = state.remote = agreed[0]
        state.size = size
        _open(state, now)
    else:
        _open(state, now + state.options.settle_ns)


cdef Judgement source_judge(const Source *state, const sockaddr_storage *source, int64_t now) noexcept nogil:
    """What its packets are worth: to be heard, to be tried (``source_try``), or nothing."""
    cdef int rank
    if same_address(source, &state.remote):
        return KNOWN
    if state.settled:
        return REFUSED
    rank = _rank(state, source)
    if rank == AGREED:
        return KNOWN
    if now < state.former_until and same_address(source, &state.former):
        return KNOWN
    if state.options.learn == LEARN_NEVER or state.options.learn == LEARN_PORT and rank < HOST:
        return REFUSED
    return STRANGER if rank > state.rank and now >= state.strangers_at else REFUSED


cdef Stranger *_trial(Source *state, const sockaddr_storage *source) noexcept nogil:
    """The stranger's own, or that of whom has shown least: a flood of others must not push out one who goes on."""
    cdef Stranger *least = &state.strangers[0]
    cdef int i
    for i in range(STRANGERS):
        if state.strangers[i].run and same_address(source, &state.strangers[i].address):
            return &state.strangers[i]
        if state.strangers[i].run < least.run:
            least = &state.strangers[i]
    least.run = 0
    least.address = source[0]
    return least


cdef bint source_try(Source *state, const sockaddr_storage *source, uint32_t ssrc, uint16_t sequence, bint proven,
                     int64_t now) noexcept nogil:
    """A stranger's packet that fits the stream; ``proven``: it was authenticated. True if this one was enough."""
    cdef Stranger *stranger = _trial(state, source)
    if stranger.run and (ssrc != stranger.ssrc or sequence != <uint16_t>(stranger.sequence + 1)):
        stranger.run = 0
    stranger.run += 1
    stranger.ssrc = ssrc
    stranger.sequence = sequence
    if stranger.run < state.options.packets and not proven:
        return False
    state.remote = source[0]
    state.rank = _rank(state, source)
    state.settle_at = now + state.options.settle_ns
    _forget_strangers(state)
    return True


cdef bint source_heard(Source *state, const sockaddr_storage *source, int64_t now) noexcept nogil:
    """A packet that fits came from a source that is known. True if the source is settled by it."""
    if state.settled:
        state.heard_at = now
        return False
    if same_address(source, &state.agreed):
        state.remote = source[0]
        state.rank = AGREED
        state.settle_at = now
    elif not same_address(source, &state.remote):
        return False                    # the former one
    elif state.rank == 0:               # it was settled before an offer that named nothing new
        state.rank = _rank(state, source)
        state.settle_at = now
    state.heard_at = now
    state.settled = now >= state.settle_at
    return state.settled


cdef int64_t source_wake(const Source *state) noexcept nogil:
    """When ``source_timer`` wants to be called next."""
    return state.heard_at + state.options.silence_ns if state.settled and state.options.silence_ns else NEVER


cdef bint source_timer(Source *state, int64_t now) noexcept nogil:
    """True if the source has been silent for so long that it is open to others again."""
    if now < source_wake(state):
        return False
    _open(state, now)
    return True


cdef void _address(object address, sockaddr_storage *out):
    """``(last octet of 10.0.0.x, port)``."""
    cdef sockaddr_in *four = <sockaddr_in *>out
    memset(out, 0, sizeof(sockaddr_storage))
    four.sin_family = <uint16_t>AF_INET
    four.sin_addr.s_addr = <uint32_t>address[0] << 24 | 10
    four.sin_port = htons(<uint16_t>address[1])


cdef class Latch:
    """The source of one leg alone. An address is the last octet of a host and a port; times in nanoseconds."""

    cdef Source state

    def __cinit__(self, *, learn: str = "any", packets: int = 3, settle_ns: int = 1_000_000_000,
                  silence_ns: int = 0) -> None:
        memset(&self.state, 0, sizeof(Source))
        self.state.options = SourceOptions({"never": LEARN_NEVER, "port": LEARN_PORT, "any": LEARN_ANY}[learn], packets,
                                           settle_ns, silence_ns)

    def agree(self, address: tuple[int, int], now: int) -> None:
        """SDP names the address."""
        cdef sockaddr_storage agreed
        _address(address, &agreed)
        source_agree(&self.state, &agreed, sizeof(sockaddr_in), now)

    def packet(self, address: tuple[int, int], sequence: int, now: int, ssrc: int = 1, proven: bool = False) -> bool:
        """A packet that fits the stream. True if it is heard."""
        cdef sockaddr_storage source
        cdef Judgement judgement
        _address(address, &source)
        judgement = source_judge(&self.state, &source, now)
        if judgement == REFUSED:
            return False
        if judgement == STRANGER and not source_try(&self.state, &source, <uint32_t>ssrc, <uint16_t>(sequence & 0xFFFF),
                                                    proven, now):
            return False
        source_heard(&self.state, &source, now)
        return True

    def tick(self, now: int) -> None:
        """Time goes on."""
        source_timer(&self.state, now)

    @property
    def settled(self) -> bool:
        """Nobody else is looked at."""
        return self.state.settled

    @property
    def remote(self) -> tuple[int, int]:
        """Where we send to."""
        cdef const sockaddr_in *four = <const sockaddr_in *>&self.state.remote
        return four.sin_addr.s_addr >> 24, htons(four.sin_port)
