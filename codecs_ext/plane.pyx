"""The Python face of one media thread: verbs go down as commands, events come up in batches.

Everything here runs on the event loop's thread, which is the one producer of commands and the one consumer of events.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from codecs_ext.atomics cimport lc_exchange, lc_load, lc_store
from codecs_ext.backdrop cimport BackdropOrder
from codecs_ext.bridge cimport BridgeOrder
from codecs_ext.codec cimport Kernel, codec_state, codec_state_new
from codecs_ext.control cimport control_init
from codecs_ext.dial cimport DIGITS_MAX, dial_order
from codecs_ext.downlink cimport GROUPS, TICK_MS, DownlinkOptions, downlink_init
from codecs_ext.echo cimport ECHO_BLOCKS
from codecs_ext.g711 cimport Law, g711_decode
from codecs_ext.jitter cimport Jitter, jitter_init
from codecs_ext.leg cimport Connection, Leg, LineOrder, bridge_drop, connection_drop, leg_address, line_order_drop
from codecs_ext.line cimport LINE_MOST, Line, LineOptions, line_bytes, line_init
from codecs_ext.linux cimport (
    PTHREAD_EXPLICIT_SCHED,
    SCHED_FIFO,
    SIG_SETMASK,
    SO_TIMESTAMPNS,
    SOL_SOCKET,
    pthread_attr_destroy,
    pthread_attr_init,
    pthread_attr_setinheritsched,
    pthread_attr_setschedparam,
    pthread_attr_setschedpolicy,
    pthread_attr_setstacksize,
    pthread_attr_t,
    pthread_create,
    pthread_join,
    pthread_setname_np,
    pthread_sigmask,
    pthread_t,
    read,
    sched_param,
    setsockopt,
    sigfillset,
    sigset_t,
    sockaddr_storage,
)
from codecs_ext.onset cimport OnsetOptions
from codecs_ext.patch cimport Patch, PatchOrder
from codecs_ext.pipe cimport PIPE_CARRY, Pipe, pipe_free, pipe_new
from codecs_ext.playout cimport POOL_SAMPLES, Block, block_new, block_return, blocks_free
from codecs_ext.reels cimport TapeEnd
from codecs_ext.resample cimport resample_rate_known, resample_source_known
from codecs_ext.ring cimport (
    ANSWERED,
    AUDIO,
    CLOSED,
    DIGIT,
    FIRST_PACKET,
    DO_BACKDROP,
    DO_BRIDGE,
    DO_CLOSE,
    DO_CONNECT,
    DO_DIAL,
    DO_ECHO,
    DO_FLUSH,
    DO_KEY,
    DO_LINE,
    DO_LISTEN,
    DO_TRIM,
    DO_MARK,
    DO_OPEN,
    DO_PATCH,
    DO_PATCH_GO,
    DO_PIPE,
    DO_PIPE_ACK,
    DO_PIPE_END,
    DO_PIPE_WRITE,
    DO_PLAY,
    DO_POOL,
    DO_SEND,
    DO_TAPE,
    DO_UNPATCH,
    FLUSHED,
    HANDSHAKE,
    KEPT,
    TRIMMED,
    MARK,
    PATCHED,
    PIPED,
    PIPE_ENDED,
    PLAYOUT_IDLE,
    PLAYOUT_STARTED,
    RTP_TIMEOUT,
    SOUND,
    SPEECH_ENDED,
    SPEECH_STARTED,
    SPOKE,
    UNPATCHED,
    Kind,
    Record,
    ring_commit,
    ring_free,
    ring_init,
    ring_peek,
    ring_release,
    ring_reserve,
    ring_tell,
)
from codecs_ext.rtcp cimport CNAME_BYTES
from codecs_ext.shard cimport DATAGRAM, DEVIATION_BINS, LATENESS_BINS, Shard, shard_close_leg, shard_free, shard_new, shard_run
from codecs_ext.source cimport LEARN_ANY, LEARN_NEVER, LEARN_PORT, SourceOptions
from codecs_ext.srtp cimport srtp_open
from codecs_ext.tape cimport TapeOrder
from codecs_ext.uplink cimport UplinkOptions, uplink_init
from codecs_ext.resample import SOURCES

__all__ = ["LEARN", "LEG_BYTES", "PatchEnd", "PlaneShard"]

LEG_BYTES = sizeof(Leg)
LEARN = {"never": LEARN_NEVER, "port": LEARN_PORT, "any": LEARN_ANY}

cdef enum:
    STACK = 256 * 1024
    PRIORITY = 10               # of SCHED_FIFO: above nothing in particular, below the kernel's own threads


cdef bint _spawn(pthread_t *thread, Shard *shard, bint realtime) noexcept nogil:
    """Starts the thread with every signal blocked: they are for the interpreter's main thread."""
    cdef pthread_attr_t attributes
    cdef sched_param priority
    cdef sigset_t all_signals, before
    cdef int failed
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, STACK)
    if realtime:
        priority.sched_priority = PRIORITY
        pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED)
        pthread_attr_setschedpolicy(&attributes, SCHED_FIFO)
        pthread_attr_setschedparam(&attributes, &priority)
    sigfillset(&all_signals)
    pthread_sigmask(SIG_SETMASK, &all_signals, &before)
    failed = pthread_create(thread, &attributes, shard_run, shard)
    pthread_sigmask(SIG_SETMASK, &before, NULL)
    if not failed:
        pthread_setname_np(thread[0], "media")
    pthread_attr_destroy(&attributes)
    return not failed


cdef list _kept(const uint8_t *at, uint32_t size):
    """``(pcm, media_time, arrival, flags)`` of each frame."""
    cdef const uint8_t *end = at + size
    cdef const Record *record
    cdef list frames = []
    while at < end:
        record = <const Record *>at
        if record.kind == AUDIO:
            frames.append((PyBytes_FromStringAndSize(<const char *>(record + 1), record.bytes), record.media_time,
                           record.stamp, record.flags))
        at += record.size
    return frames


cdef class PatchEnd:
    """The event loop's end of a patch. Every verb is harmless once it is over.

    ``listener.on_patched()`` says that nothing more is handed up, and asks for ``go``; ``on_spoke(arrival)``,
    ``on_answered(arrival)`` and ``on_kept(frames)`` tell what ``watch``, ``attend`` and ``keep`` ask for;
    ``on_unpatched(sequence, behind)`` is the last.
    """

    cdef Patch *patch               # the leg's; NULL once it is over
    cdef PlaneShard shard
    cdef int slot
    cdef object listener
    cdef tuple last

    cdef void over(self):
        self.last = self.counts()
        self.patch = NULL
        self.shard = None

    def go(self, sequence: int, behind: int, credit: int) -> bool:
        """Frames go straight from here on, with the number ``sequence`` first; False if the command ring is full."""
        if self.patch == NULL:
            return True
        lc_store(&self.patch.credit, credit)
        return ring_tell(&self.shard.shard.commands, DO_PATCH_GO, self.slot, sequence, behind, 0)

    def end(self) -> bool:
        """``on_unpatched`` follows, and frames after it are handed up again; False if the command ring is full."""
        return self.patch == NULL or self.shard._push(DO_UNPATCH, self.slot, 0)

    def credit(self, size: int) -> None:
        """So many bytes more may be sent."""
        if self.patch != NULL:
            lc_store(&self.patch.credit, self.patch.credit + <uint64_t><int64_t>size)

    def allow(self, size: int) -> None:
        """So many bytes more (or less) may be played."""
        if self.patch != NULL:
            lc_store(&self.patch.allowed, self.patch.allowed + <uint64_t><int64_t>size)

    def attend(self) -> None:
        """The next audio to be played begins an answer: it is told when it comes."""
        if self.patch != NULL:
            lc_store(&self.patch.attentive, 1)

    def attended(self) -> bool:
        """Whether that was still awaited; it is no more."""
        return self.patch != NULL and lc_exchange(&self.patch.attentive, 0) != 0

    def keep(self, on: bool) -> None:
        """Whether frames are handed up before they are forgotten, half a second after they were sent."""
        if self.patch != NULL:
            lc_store(&self.patch.keep, on)

    def watch(self, since: int) -> None:
        """Speech that arrives then or later is told, once; 0: never."""
        if self.patch != NULL:
            lc_store(&self.patch.watch, since)

    def counts(self) -> tuple[int, int, int]:
        """``(spent, left_out, taken)``: bytes sent, frames for which there was no credit, bytes played."""
        if self.patch == NULL:
            return self.last
        return lc_load(&self.patch.spent), lc_load(&self.patch.left_out), lc_load(&self.patch.taken)


cdef object _line_counts(const Leg *leg, int way):
    return leg.line_counts[way] if leg.lines[way] == NULL else (<const Line *>leg.lines[way].samples).counts


cdef class PlaneShard:
    """One media thread and its legs, each known by its slot.

    Verbs return False if the command ring is full: nothing has happened then, and they may be tried again. ``on_error`` is
    given what an observer raises; ``on_closed`` the slot of a leg that is gone, its observer and its counters;
    ``on_handshake`` the slot, a datagram of DTLS, and whence it came, as ``send`` takes it.
    """

    cdef Shard *shard
    cdef Leg **legs                 # by slot; allocated and freed here
    cdef pthread_t thread
    cdef bint running
    cdef list observers             # by slot
    cdef list keys                  # by slot: suite and keys of both directions, as last handed down
    cdef list traces                # by slot: what its lines may be reading
    cdef list loops                 # by slot: what a leg may be reading
    cdef list patches               # by slot: a leg's PatchEnd, or None
    cdef int patched                # how many there are
    cdef Pipe **pipes               # by slot of their own; allocated and freed here
    cdef list pipe_owners
    cdef list free_pipes
    cdef list free_slots
    cdef set echoes                 # slots of legs that echo
    cdef int pooled                 # blocks that the thread has for them
    cdef object on_error
    cdef object on_closed
    cdef object on_handshake
    cdef UplinkOptions uplink
    cdef DownlinkOptions downlink
    cdef SourceOptions source
    cdef int64_t report_interval

    def __cinit__(self, capacity: int, on_error, on_closed, on_handshake, *, event_bytes: int, tape_bytes: int, window_ns: int,
                  window_least_ns: int, stall_ns: int, timeout_ns: int, hold_timeout_ns: int, max_gap: int,
                  playout_limit: int, fade_ms: int, gain: float, comfort_db: float, catch_up: bool, learn: str, learn_packets: int,
                  settle_ns: int, silence_ns: int, report_ns: int,
                  vad_threshold_db: float, vad_min_level_db: float, vad_attack: int, vad_release: int) -> None:
        self.shard = shard_new(capacity, event_bytes, 1 << 21, tape_bytes)
        self.legs = <Leg **>calloc(capacity, sizeof(Leg *))
        if self.shard == NULL or self.legs == NULL:
            raise MemoryError("no memory or no descriptors for a media thread")
        self.running = False
        self.observers = [None] * capacity
        self.keys = [((0, b""), (0, b""))] * capacity
        self.loops = [[] for _ in range(capacity)]
        self.traces = [[] for _ in range(capacity)]
        self.free_slots = list(range(capacity - 1, -1, -1))
        self.echoes = set()
        self.patches = [None] * capacity
        self.pipes = <Pipe **>calloc(capacity, sizeof(Pipe *))
        if self.pipes == NULL:
            raise MemoryError
        self.pipe_owners = [None] * capacity
        self.free_pipes = list(range(capacity - 1, -1, -1))
        self.on_error = on_error
        self.on_closed = on_closed
        self.on_handshake = on_handshake
        self.uplink = UplinkOptions(8000, window_ns, window_least_ns, stall_ns, timeout_ns, hold_timeout_ns, max_gap,
                                    vad_threshold_db, vad_min_level_db, vad_attack, vad_release)
        self.downlink = DownlinkOptions(playout_limit, fade_ms, gain, comfort_db, catch_up)
        self.source = SourceOptions(LEARN[learn], learn_packets, settle_ns, silence_ns)
        self.report_interval = report_ns

    def __dealloc__(self) -> None:
        if self.shard != NULL:
            self._end()
            shard_free(self.shard)
        free(self.legs)
        free(self.pipes)

    # --- life ---------------------------------------------------------------------------------------------------------

    @property
    def legs_open(self) -> int:
        """Legs that are open or closing."""
        return self.shard.capacity - len(self.free_slots)

    @property
    def stopped(self) -> bool:
        """The thread has seen ``request_stop`` and is past its last tick."""
        return lc_load(&self.shard.stopped) != 0

    def fileno(self) -> int:
        """The eventfd that becomes readable when ``drain`` has something to do."""
        return self.shard.wake_fd

    def tape_end(self) -> TapeEnd:
        """Where the copies are read that ``tape`` asks for."""
        cdef TapeEnd end = TapeEnd.__new__(TapeEnd)
        end.ring = &self.shard.tape
        end.owner = self
        return end

    def start(self, realtime: bool) -> bool:
        """Starts the thread. True if it runs as SCHED_FIFO, False if as an ordinary one."""
        if self.running or self.stopped:
            raise RuntimeError("a shard is started once")
        granted = realtime and _spawn(&self.thread, self.shard, True)
        if not granted and not _spawn(&self.thread, self.shard, False):
            raise MemoryError("no thread for the media plane")
        self.running = True
        return granted

    def request_stop(self) -> None:
        """The thread ends at its next tick; the eventfd tells when."""
        lc_store(&self.shard.stop, 1)

    def finish(self) -> None:
        """Waits for the thread (a tick at most), hands up what it left, then closes every leg that is still open."""
        cdef int slot
        cdef Leg *leg
        self._join()
        self.drain()
        self._undo_commands()
        for slot in range(self.shard.capacity):
            if self.legs[slot] != NULL:
                self.shard.legs[slot] = self.legs[slot]
                shard_close_leg(self.shard, slot)
                self.drain()
        for slot in range(self.shard.capacity):
            if self.pipes[slot] != NULL:
                self._forget_pipe(slot).ended(0)

    cdef void _join(self):
        if self.running:
            lc_store(&self.shard.stop, 1)
            with nogil:
                pthread_join(self.thread, NULL)
            self.running = False

    cdef void _undo_commands(self):
        """Commands that the thread did not see own their blocks."""
        cdef Record *record = ring_peek(&self.shard.commands)
        while record != NULL:
            if (record.kind == DO_PLAY or record.kind == DO_MARK or record.kind == DO_DIAL
                    or record.kind == DO_PIPE_WRITE):
                block_return(&self.shard.freed, <Block *>record.number)
            elif record.kind == DO_POOL:
                self._return_all(<Block *>record.number)
            elif record.kind == DO_CONNECT or record.kind == DO_KEY:
                connection_drop(<const Connection *>(record + 1), &self.shard.freed)
            elif record.kind == DO_BRIDGE:
                bridge_drop(<const BridgeOrder *>(record + 1), &self.shard.freed)
            elif record.kind == DO_LINE:
                line_order_drop(<const LineOrder *>(record + 1), &self.shard.freed)
            ring_release(&self.shard.commands, record)
            record = ring_peek(&self.shard.commands)

    cdef void _end(self):
        """Without telling anybody: the object goes away."""
        cdef int slot
        self._join()
        self._undo_commands()
        for slot in range(self.shard.capacity):
            if self.legs != NULL and self.legs[slot] != NULL:
                self.shard.legs[slot] = self.legs[slot]
                shard_close_leg(self.shard, slot)
                self._free_leg(slot)
            if self.pipes != NULL and self.pipes[slot] != NULL:
                pipe_free(self.pipes[slot])

    # --- legs ---------------------------------------------------------------------------------------------------------

    def open(self, fd: int, control_fd: int, observer, rate: int, ssrc: int, sequence: int, timestamp: int,
             cname: bytes, seed: int) -> int:
        """A leg on bound, non-blocking UDP sockets, which the plane owns from here on; returns its slot.

        ``control_fd`` is for RTCP, -1 if there is none; ``cname`` has 16 octets, ``seed`` 64 bits.
        Raises ``ValueError`` for an unknown rate, ``MemoryError`` without room; the socket is the caller's still then.
        """
        cdef UplinkOptions options = self.uplink
        cdef Leg *leg
        cdef int slot, on = 1
        if not resample_rate_known(rate):
            raise ValueError(f"{rate} Hz is no rate of the uplink")
        if len(cname) != CNAME_BYTES:
            raise ValueError(f"a canonical name has {CNAME_BYTES} octets")
        if not self.free_slots:
            raise MemoryError("all slots of the shard are taken")
        leg = <Leg *>calloc(1, sizeof(Leg))
        if leg == NULL:
            raise MemoryError
        slot = self.free_slots[-1]
        options.rate = rate
        leg.fd = fd
        leg.control_fd = control_fd
        leg.source.options = self.source
        uplink_init(&leg.up, &options, &self.shard.events, slot, &leg.counters)
        downlink_init(&leg.down, &self.shard.events, slot, &leg.counters, &self.shard.freed, &self.downlink,
                      slot % GROUPS, ssrc, sequence, timestamp)
        control_init(&leg.control, ssrc, cname, self.report_interval, seed)
        leg.tape.ring = &self.shard.tape
        leg.up.frames.tape = leg.down.tape = &leg.tape
        leg.up.frames.patch = &leg.patch
        leg.patch.events = &self.shard.events
        leg.patch.slot = slot
        if control_fd >= 0:
            setsockopt(control_fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on))
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on))
        if not ring_tell(&self.shard.commands, DO_OPEN, slot, <int64_t>leg, 0, 0):
            free(leg)
            raise MemoryError("the command ring is full")
        self.free_slots.pop()
        self.legs[slot] = leg
        self.observers[slot] = observer
        self.keys[slot] = ((0, b""), (0, b""))
        return slot

    def connect(self, slot: int, host: str, port: int, Kernel codec not None, payload_types: tuple[int, int],
                heard_payload_types: tuple[int, int], ptime_ms: int, send: bool, receive: bool, control_host: str,
                control_port: int, mux: bool, metrics: bool, keying: bool, profile: int, key_in: bytes, key_out: bytes) -> bool:
        """Where the leg's packets go and what they are: the payload types of audio and of telephone-event (-1: none) that
        we send, and those that we hear. RTCP goes to the control address, or with RTP if ``mux``; ``metrics`` adds
        VoIP metrics to it. ``profile`` and the keys are those of ``codecs_ext.srtp``; 0 is plain RTP. A direction whose
        key is the same as before goes on as it is. ``keying``: a handshake makes the keys (``key``), and without them
        nothing is heard or sent.

        Raises ``ValueError`` for what the plane cannot do: a host name, or a packet time outside 10 to 60.
        """
        cdef Connection connection
        cdef Record *record
        if ptime_ms not in (10, 20, 30, 40, 50, 60):
            raise ValueError(f"the plane sends packets of 10 to 60 ms, not of {ptime_ms} ms")
        memset(&connection, 0, sizeof(connection))
        connection.remote_size = leg_address(host.encode("ascii", "replace"), port, &connection.remote)
        connection.control_size = leg_address(control_host.encode("ascii", "replace"), control_port,
                                              &connection.control)
        if not connection.remote_size or not connection.control_size:
            raise ValueError(f"{host!r} or {control_host!r} is not an IP address")
        connection.mux = mux
        connection.metrics = metrics
        connection.codec = codec.table
        connection.payload_type, connection.event_payload_type = payload_types
        connection.heard_payload_type, connection.heard_event_payload_type = heard_payload_types
        connection.ptime_ms = ptime_ms
        connection.send = send
        connection.receive = receive
        connection.keying = keying
        keys = ((profile, key_in), (profile, key_out))
        before = self.keys[slot]
        connection.rekey_in = keys[0] != before[0]
        connection.rekey_out = keys[1] != before[1]
        if not self._open_sessions(slot, &connection, profile, key_in, key_out):
            connection_drop(&connection, &self.shard.freed)
            raise ValueError("no SRTP: libsrtp2 is not loaded, or the suite or its key does not fit")
        record = ring_reserve(&self.shard.commands, DO_CONNECT, slot, sizeof(connection), 0)
        if record == NULL:
            connection_drop(&connection, &self.shard.freed)
            return False
        connection.coding = codec_state_new(codec)
        if connection.coding == NULL and codec.table.state_bytes:
            connection_drop(&connection, &self.shard.freed)
            raise MemoryError               # what was reserved and not committed is reserved again by the next command
        self.keys[slot] = keys
        memcpy(record + 1, &connection, sizeof(connection))
        ring_commit(&self.shard.commands)
        return True

    def key(self, slot: int, profile: int, key_in: bytes, key_out: bytes) -> bool:
        """What a handshake has made. Raises ``ValueError`` as ``connect`` does."""
        cdef Connection connection
        cdef Record *record
        memset(&connection, 0, sizeof(connection))
        keys = ((profile, key_in), (profile, key_out))
        connection.rekey_in = keys[0] != self.keys[slot][0]
        connection.rekey_out = keys[1] != self.keys[slot][1]
        if not self._open_sessions(slot, &connection, profile, key_in, key_out):
            connection_drop(&connection, &self.shard.freed)
            raise ValueError("no SRTP: libsrtp2 is not loaded, or the suite or its key does not fit")
        record = ring_reserve(&self.shard.commands, DO_KEY, slot, sizeof(connection), 0)
        if record == NULL:
            connection_drop(&connection, &self.shard.freed)
            return False
        self.keys[slot] = keys
        memcpy(record + 1, &connection, sizeof(connection))
        ring_commit(&self.shard.commands)
        return True

    def send(self, slot: int, data: bytes, to: bytes) -> bool:
        """A datagram as it is: to where one came from (``on_handshake``), or, ``b""``, to where media go."""
        cdef const char *source = data
        cdef const char *address = to
        cdef Record *record
        if not 0 < len(data) <= DATAGRAM or len(to) not in (0, sizeof(sockaddr_storage)):
            raise ValueError(f"a datagram has 1 to {DATAGRAM} octets, and an address is one that was told")
        record = ring_reserve(&self.shard.commands, DO_SEND, slot, <uint32_t>(sizeof(sockaddr_storage) + len(data)), 0)
        if record == NULL:
            return False
        memset(record + 1, 0, sizeof(sockaddr_storage))
        memcpy(record + 1, address, len(to))
        memcpy(<char *>(record + 1) + sizeof(sockaddr_storage), source, len(data))
        ring_commit(&self.shard.commands)
        return True

    cdef bint _open_sessions(self, int slot, Connection *connection, int profile, bytes key_in, bytes key_out) except *:
        """True if there is a session for each direction that needs a new one."""
        if profile and (len(key_in) not in (28, 30) or len(key_out) != len(key_in)):
            return False
        if profile and connection.rekey_in:
            connection.inbound = srtp_open(profile, key_in, True, 0)
        if profile and connection.rekey_out:
            connection.outbound = srtp_open(profile, key_out, False, self.legs[slot].control.ssrc)
        return ((connection.inbound != NULL or not profile or not connection.rekey_in)
                and (connection.outbound != NULL or not profile or not connection.rekey_out))

    cdef bint _push(self, Kind kind, int slot, int64_t number):
        return ring_tell(&self.shard.commands, kind, slot, number, 0, 0)

    cdef bint _push_block(self, Kind kind, int slot, Block *block, int64_t at = 0):
        if not ring_tell(&self.shard.commands, kind, slot, <int64_t>block, 0, at):
            block_return(&self.shard.freed, block)
            return False
        return True

    def play(self, slot: int, const uint8_t[::1] audio not None, rate: int, law: int = -1, at: int = 0) -> bool:
        """Queues a copy of the audio: 16-bit little-endian samples, or G.711 (``law`` 0: mu, 1: A), whose bytes come out
        again as they went in. ``at``: not before this moment of the monotonic clock, if nothing is queued. Raises ``ValueError`` for half a sample, unknown rates."""
        cdef Block *block
        cdef Py_ssize_t size = audio.shape[0]
        if (law < 0 and size & 1) or not resample_source_known(rate):
            raise ValueError(f"{size} bytes at {rate} Hz: 16-bit samples at {SOURCES} Hz are played")
        blocks_free(&self.shard.freed)
        if size == 0:
            return True
        block = block_new(rate, <int>(size >> 1 if law < 0 else size), 0)
        if block == NULL:
            raise MemoryError
        if law < 0:
            memcpy(block.samples, &audio[0], size)
        else:
            g711_decode(<Law>law, &audio[0], block.samples, <int>size)
        return self._push_block(DO_PLAY, slot, block, at)

    def listen(self, slot: int, threshold: float, margin: float, block_us: int, confirm: int, release: int,
               audio: bool) -> bool:
        """Edges of sound are told from here on (``on_sound``); without ``audio`` nothing else of what is heard. Raises
        ``ValueError`` for blocks that cannot be judged."""
        cdef OnsetOptions options
        cdef Record *record
        if not 1000 <= block_us <= 20_000 or confirm < 1 or release < 1:
            raise ValueError(f"blocks of {block_us} us cannot be judged")
        record = ring_reserve(&self.shard.commands, DO_LISTEN, slot, sizeof(options), 0)
        if record == NULL:
            return False
        options = OnsetOptions(threshold, margin, block_us, confirm, release, audio)
        memcpy(record + 1, &options, sizeof(options))
        ring_commit(&self.shard.commands)
        return True

    def line(self, slot: int, sent, received, skew: float, sparing: bool) -> bool:
        """What becomes of the leg's datagrams from here on. ``sent`` and ``received`` are None, or the numbers of
        ``LineOptions``, a trace as int32, and how many datagrams may be under way. The leg's clock is slow by ``skew``;
        with ``sparing`` nothing is sent while nothing is said."""
        cdef LineOrder order
        cdef Record *record
        memset(&order, 0, sizeof(order))
        order.skew = skew
        order.sparing = sparing
        record = ring_reserve(&self.shard.commands, DO_LINE, slot, sizeof(order), 0)
        if record == NULL:
            return False
        try:
            order.lines[0] = self._line(slot, sent)
            order.lines[1] = self._line(slot, received)
        except (MemoryError, ValueError):
            line_order_drop(&order, &self.shard.freed)
            raise                           # what was reserved and not committed is reserved again by the next command
        memcpy(record + 1, &order, sizeof(order))
        ring_commit(&self.shard.commands)
        return True

    cdef Block *_line(self, int slot, terms) except? NULL:
        """A block that holds one direction; NULL if nothing happens to it."""
        cdef LineOptions options
        cdef const char *delays
        cdef Block *block
        if terms is None:
            return NULL
        *numbers, trace, capacity = terms
        if not 0 < capacity <= LINE_MOST or len(trace) % 4:
            raise ValueError(f"{capacity} datagrams under way, and a trace of {len(trace)} octets")
        memset(&options, 0, sizeof(options))
        (options.seed, options.to_bad, options.to_good, options.loss_good, options.loss_bad, options.reorder,
         options.duplicate, options.delay_ns, options.jitter_ns, options.reorder_ns) = numbers
        delays = trace
        options.trace = <const int32_t *>delays
        options.trace_count = <int>(len(trace) // 4)
        self.traces[slot].append(trace)     # read as long as the leg is there
        block = block_new(0, <int>(line_bytes(capacity) + 1) // 2, 0)
        if block == NULL:
            raise MemoryError
        line_init(<Line *>block.samples, &options, capacity)
        return block

    def mark(self, slot: int, number: int) -> bool:
        """A mark behind what is queued."""
        cdef Block *block = block_new(0, 0, number)
        if block == NULL:
            raise MemoryError
        return self._push_block(DO_MARK, slot, block)

    def flush(self, slot: int, number: int) -> bool:
        """Empties the queue."""
        return self._push(DO_FLUSH, slot, number)

    def trim(self, slot: int, number: int, position: int) -> bool:
        """Drops what is queued beyond ``position``, in 8 kHz samples played since the leg's start."""
        return ring_tell(&self.shard.commands, DO_TRIM, slot, number, position, 0)

    def echo(self, slot: int, on: bool) -> bool:
        """Plays what the leg hears, 20 ms behind, and hands it up no more; or the other way round."""
        if on and not self._fill_pool(len(self.echoes | {slot}) + self.patched):
            return False
        if not self._push(DO_ECHO, slot, on):
            return False
        if on:
            self.echoes.add(slot)
        else:
            self.echoes.discard(slot)
        return True

    def tape(self, slot: int, name: int, voice: bool, packets: bool, paused: bool, beep_ms: int,
             beep_both: bool) -> bool:
        """What of the leg is copied for the reader of the tape from now on, and under which name. While it is paused, no
        samples are. ``beep_ms``: the caller hears a beep so often, 0 is never; ``beep_both``: the agent as well."""
        cdef TapeOrder order
        cdef Record *record = ring_reserve(&self.shard.commands, DO_TAPE, slot, sizeof(order), 0)
        if record == NULL:
            return False
        order = TapeOrder(name, voice, packets, paused, beep_ms, beep_both)
        memcpy(record + 1, &order, sizeof(order))
        ring_commit(&self.shard.commands)
        return True

    def dial(self, slot: int, digits: bytes, tone_ms: int, gap_ms: int, number: int) -> bool:
        """Sends digits in the place of audio; a mark of ``number`` is told when they are out, unless it is negative.

        Raises ``ValueError`` for what are no digits, too many, or lengths that no telephone has.
        """
        cdef Block *order
        if not 0 < len(digits) <= DIGITS_MAX or not 40 <= tone_ms <= 8000 or not 40 <= gap_ms <= 8000:
            raise ValueError(f"1 to {DIGITS_MAX} digits of 40 to 8000 ms with as long gaps are sent")
        order = dial_order(digits, len(digits), tone_ms, gap_ms, number)
        if order == NULL:
            raise MemoryError
        if order.count == 0:
            block_return(&self.shard.freed, order)
            raise ValueError(f"{digits!r} are no digits: 0-9, *, # and A-D are")
        return self._push_block(DO_DIAL, slot, order)

    def backdrop(self, slot: int, pcm: bytes, rate: int, level: float, duck: float) -> bool:
        """Loops 16-bit little-endian samples under everything; ``b""`` ends it. They are not copied, but kept."""
        cdef const char *samples = pcm
        cdef BackdropOrder order
        cdef Record *record
        if len(pcm) & 1 or not resample_source_known(rate):
            raise ValueError(f"{len(pcm)} bytes at {rate} Hz: 16-bit samples at {SOURCES} Hz are played")
        record = ring_reserve(&self.shard.commands, DO_BACKDROP, slot, sizeof(order), 0)
        if record == NULL:
            return False
        order.loop = <const int16_t *>samples if pcm else NULL
        order.count = <int>(len(pcm) >> 1)
        order.rate = rate
        order.level = level
        order.duck = duck
        memcpy(record + 1, &order, sizeof(order))
        if lc_load(&self.shard.commands.tail) == self.shard.commands.head:
            self.loops[slot] = self.loops[slot][-1:]    # the thread knows no older one any more
        self.loops[slot].append(pcm)
        ring_commit(&self.shard.commands)
        return True

    def bridge(self, slot: int, other: int, Kernel codec, Kernel other_codec, relay: bool, listen: bool, most_ns: int,
               quantile: float) -> bool:
        """Two legs hear each other from here on; packets go on as they come if ``relay``, else through jitter buffers whose
        delay is ``most_ns`` at most. ``listen``: what is heard is handed up as well. ``other`` -1 parts the leg again.
        """
        cdef BridgeOrder order
        cdef Record *record = ring_reserve(&self.shard.commands, DO_BRIDGE, slot, sizeof(order), 0)
        if record == NULL:
            return False
        memset(&order, 0, sizeof(order))
        order.peer = <uint32_t><int>other
        order.relay = relay
        order.listen = listen
        if other >= 0 and not relay:
            try:
                order.jitter[0] = self._jitter(codec, &order.coding[0], most_ns, quantile)
                order.jitter[1] = self._jitter(other_codec, &order.coding[1], most_ns, quantile)
            except MemoryError:
                bridge_drop(&order, &self.shard.freed)
                raise                       # what was reserved and not committed is reserved again by the next command
        memcpy(record + 1, &order, sizeof(order))
        ring_commit(&self.shard.commands)
        return True

    cdef Block *_jitter(self, Kernel codec, Block **coding, int64_t most_ns, double quantile) except NULL:
        """A block that holds a jitter buffer for a codec, and its decoder."""
        cdef Block *block
        coding[0] = codec_state_new(codec)
        block = block_new(0, (sizeof(Jitter) + 1) // 2, 0)
        if block == NULL or (coding[0] == NULL and codec.table.state_bytes):
            if block != NULL:
                block_return(&self.shard.freed, block)
            raise MemoryError
        jitter_init(<Jitter *>block.samples, codec.table, codec_state(coding[0]), 0, most_ns, quantile)
        return block

    def close(self, slot: int) -> bool:
        """Ends the leg. ``on_closed`` follows as its last event."""
        return self._push(DO_CLOSE, slot, 0)

    # --- connections to models ----------------------------------------------------------------------------------------

    def pipe(self, fd: int, room: int, owner, pending: bytes, passing: int, fragments: bool) -> int:
        """The thread speaks a connected, non-blocking stream socket from here on, and owns it; returns its slot.

        ``pending``, ``passing`` and ``fragments`` are where a reader stands (``wsframe.Reader.backlog``); ``room`` bytes
        of frames may wait to be sent. ``owner.heard(data)`` gets what is not played, as it came, and asks for ``pipe_ack``
        when done; ``owner.ended(errno)`` is the last.
        Raises ``ValueError`` if too much is pending, ``MemoryError`` without room; the socket is the caller's still then.
        """
        cdef Pipe *pipe
        cdef const char *rest = pending
        if len(pending) > PIPE_CARRY:
            raise ValueError(f"{len(pending)} bytes of a frame have come already")
        if not self.free_pipes:
            raise MemoryError("all places for connections are taken")
        pipe = pipe_new(fd, room)
        if pipe == NULL:
            raise MemoryError
        pipe.slot = self.free_pipes[-1]
        memcpy(pipe.carry, rest, len(pending))
        pipe.carried = <int>len(pending)
        pipe.passing = passing
        pipe.fragments = fragments
        if not self._push(DO_PIPE, pipe.slot, <int64_t>pipe):
            pipe.fd = -1
            pipe_free(pipe)
            raise MemoryError("the command ring is full")
        self.free_pipes.pop()
        self.pipes[pipe.slot] = pipe
        self.pipe_owners[pipe.slot] = owner
        return pipe.slot

    def pipe_write(self, slot: int, const uint8_t[::1] data not None) -> bool:
        """Sends whole frames, behind what was written before; without any bytes, an end of file."""
        cdef Py_ssize_t size = data.shape[0]
        cdef Block *block = block_new(0, <int>((size + 1) >> 1), size)
        blocks_free(&self.shard.freed)
        if block == NULL:
            raise MemoryError
        if size:
            memcpy(block.samples, &data[0], size)
        return self._push_block(DO_PIPE_WRITE, slot, block)

    def pipe_ack(self, slot: int, count: int) -> bool:
        """The owner is done with the first ``count`` bytes that it heard, and with everything that they have led to."""
        return self._push(DO_PIPE_ACK, slot, count)

    def pipe_end(self, slot: int, abort: bool) -> bool:
        """Closes the socket, at once or when everything is sent; ``ended`` follows."""
        return self._push(DO_PIPE_END, slot, abort)

    def pipe_counts(self, slot: int) -> tuple[int, int, int]:
        """``(audio, sent, received)``: bytes of frames that the thread made, that the kernel took, and that came."""
        cdef Pipe *pipe = self.pipes[slot]
        return lc_load(&pipe.audio), lc_load(&pipe.sent), lc_load(&pipe.received)

    def is_patched(self, slot: int) -> bool:
        """Whether the leg has a patch, or still hears of the end of one."""
        return self.patches[slot] is not None

    def patch(self, slot: int, pipe: int, listener, stream: int, rate: int, told: int, gap: int, allowed: int):
        """Patches a leg to a stream of a pipe of this shard; a ``PatchEnd``, or None if the command ring is full.

        ``rate`` is that of the leg's uplink and of what is played, ``told`` the flags of frames that are passed on, ``gap``
        the one of a frame behind frames left out, and ``allowed`` how many bytes may be played as things stand.
        """
        cdef Leg *leg = self.legs[slot]
        cdef Record *record
        cdef PatchOrder order
        if rate != leg.up.options.rate or rate % 8000 or not resample_source_known(rate):
            raise ValueError(f"{rate} Hz is not the leg's")
        if self.patches[slot] is not None:
            raise ValueError("the leg is patched already")
        if leg.patch.kept.data == NULL and not ring_init(&leg.patch.kept, rate):
            raise MemoryError
        if not self._fill_pool(len(self.echoes) + self.patched + 1):
            return None
        record = ring_reserve(&self.shard.commands, DO_PATCH, slot, sizeof(order), 0)
        if record == NULL:
            return None
        order = PatchOrder(stream, rate, told, gap)
        record.number = pipe
        memcpy(record + 1, &order, sizeof(order))
        leg.patch.credit = leg.patch.spent = leg.patch.left_out = leg.patch.taken = 0
        leg.patch.attentive = leg.patch.keep = leg.patch.watch = 0
        leg.patch.allowed = allowed
        ring_commit(&self.shard.commands)
        cdef PatchEnd end = PatchEnd.__new__(PatchEnd)
        end.patch = &leg.patch
        end.shard = self
        end.slot = slot
        end.listener = listener
        self.patches[slot] = end
        self.patched += 1
        return end

    cdef bint _fill_pool(self, int legs) except -1:
        """Blocks for so many legs that queue audio on the thread. False if the command ring is full."""
        cdef Block *chain = NULL
        cdef Block *block
        cdef int missing = ECHO_BLOCKS * legs - self.pooled, count
        for count in range(missing):
            block = block_new(0, POOL_SAMPLES, 0)
            if block == NULL:
                self._return_all(chain)
                raise MemoryError
            block.pool = &self.shard.pool
            block.next = chain
            chain = block
        if chain != NULL and not self._push(DO_POOL, 0, <int64_t>chain):
            self._return_all(chain)
            return False
        if missing > 0:
            self.pooled += missing
        return True

    cdef void _return_all(self, Block *chain):
        """Blocks that the thread has not seen."""
        cdef Block *following
        while chain != NULL:
            following = chain.next
            chain.pool = NULL
            block_return(&self.shard.freed, chain)
            chain = following

    # --- events -------------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Hands up what has come since: call it when ``fileno`` is readable."""
        cdef uint64_t value, end
        cdef Record *record
        read(self.shard.wake_fd, &value, sizeof(value))
        lc_exchange(&self.shard.signalled, 0)
        blocks_free(&self.shard.freed)
        end = lc_load(&self.shard.events.head)      # what comes meanwhile has a wake-up of its own
        while self.shard.events.tail < end:
            record = ring_peek(&self.shard.events)
            if record == NULL:
                return
            try:
                self._tell(record)
            except Exception as error:  # an observer's fault must not cost the other legs their events
                self.on_error(error)
            finally:
                ring_release(&self.shard.events, record)

    cdef object _tell(self, const Record *record):
        observer = self.observers[record.slot]
        if record.kind == AUDIO:
            pcm = PyBytes_FromStringAndSize(<const char *>(record + 1), record.bytes)
            observer.on_audio(pcm, record.media_time, record.stamp, record.flags)
        elif record.kind == SOUND:
            observer.on_sound(record.flags != 0, record.stamp, record.number, record.media_time,
                              (<const int64_t *>(record + 1))[0])
        elif record.kind == FIRST_PACKET:
            observer.on_first_packet(record.stamp)
        elif record.kind == SPEECH_STARTED:
            observer.on_speech_started(record.media_time, record.stamp)
        elif record.kind == SPEECH_ENDED:
            observer.on_speech_ended(record.media_time, record.stamp)
        elif record.kind == DIGIT:
            observer.on_digit(chr(record.number), record.media_time, record.stamp)
        else:
            self._tell_playout(record, observer)

    cdef object _tell_playout(self, const Record *record, object observer):
        if record.kind == PLAYOUT_STARTED:
            observer.on_playout_started(record.stamp, record.media_time)
        elif record.kind == PLAYOUT_IDLE:
            observer.on_playout_idle(record.stamp, record.media_time)
        elif record.kind == MARK:
            observer.on_mark(record.number, record.stamp, record.media_time)
        elif record.kind == FLUSHED:
            observer.on_flushed(record.number, record.stamp, record.media_time)
        elif record.kind == TRIMMED:
            observer.on_trimmed(record.number, record.media_time)
        elif record.kind == RTP_TIMEOUT:
            observer.on_rtp_timeout(record.stamp)
        elif record.kind == HANDSHAKE:
            told = PyBytes_FromStringAndSize(<const char *>(record + 1), record.bytes)
            self.on_handshake(record.slot, told[sizeof(sockaddr_storage):], told[:sizeof(sockaddr_storage)])
        elif record.kind == CLOSED:
            counts = self.counts(record.slot)
            self._forget(record.slot)
            self.on_closed(record.slot, observer, counts)
        elif record.kind == PIPED:
            self.pipe_owners[record.slot].heard(PyBytes_FromStringAndSize(<const char *>(record + 1), record.bytes))
        elif record.kind == PIPE_ENDED:
            self._forget_pipe(record.slot).ended(record.number)
        elif self.patches[record.slot] is not None:
            self._tell_patch(record, self.patches[record.slot])

    cdef object _tell_patch(self, const Record *record, PatchEnd end):
        if record.kind == PATCHED:
            end.listener.on_patched()
        elif record.kind == SPOKE:
            end.listener.on_spoke(record.stamp)
        elif record.kind == ANSWERED:
            end.listener.on_answered(record.stamp)
        elif record.kind == KEPT:
            end.listener.on_kept(_kept(<const uint8_t *>(record + 1), record.bytes))
        elif record.kind == UNPATCHED:
            self._unpatch(record.slot, end)
            listener, end.listener = end.listener, None
            listener.on_unpatched(record.number, record.media_time)

    cdef void _unpatch(self, int slot, PatchEnd end):
        end.over()
        self.patches[slot] = None
        self.patched -= 1

    cdef object _forget_pipe(self, int slot):
        owner, self.pipe_owners[slot] = self.pipe_owners[slot], None
        pipe_free(self.pipes[slot])
        self.pipes[slot] = NULL
        self.free_pipes.append(slot)
        return owner

    cdef void _free_leg(self, int slot):
        ring_free(&self.legs[slot].patch.kept)
        free(self.legs[slot])
        self.legs[slot] = NULL

    cdef void _forget(self, int slot):
        if self.patches[slot] is not None:      # its command found the leg closed
            self._unpatch(slot, self.patches[slot])
        self._free_leg(slot)
        self.observers[slot] = None
        self.keys[slot] = ((0, b""), (0, b""))
        self.loops[slot] = []
        self.traces[slot] = []
        self.echoes.discard(slot)
        self.free_slots.append(slot)

    # --- figures ------------------------------------------------------------------------------------------------------

    def counts(self, slot: int):
        """The counters of a leg that is open and its RTCP's, by name; jitters in RTP clock units."""
        cdef Leg *leg = self.legs[slot]
        return {**leg.counters, **leg.control.counts, "packet_ms": leg.down.period * TICK_MS, "untaped": leg.tape.lost,
                "lines": (_line_counts(leg, 0), _line_counts(leg, 1))}

    def costs(self):
        """What the thread has cost so far, by name."""
        return self.shard.costs

    def lateness(self):
        """How late ticks began: below 125 us, 250 us, and so on, each step twice the one before; the last is all beyond."""
        return [self.shard.lateness[i] for i in range(LATENESS_BINS)]

    def drag(self, nanoseconds: int) -> None:
        """Makes every tick so much longer, for tests of overload."""
        self.shard.drag_ns = nanoseconds

    def deviations(self):
        """How late packets left, counted in steps of 10 us; the last step holds everything beyond."""
        return [self.shard.deviations[i] for i in range(DEVIATION_BINS)]
