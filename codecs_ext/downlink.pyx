"""From queued audio to the packets of one leg, and when each is due.

A leg has a nominal grid: one packet per packet time, silence if nothing is queued. Queued audio does not wait for the next
place on the grid. It starts at the next tick, less than a packet time early, and goes on from there at its own pace with
contiguous timestamps; the first silence after it returns to the grid. So the answer begins within one tick, and a leg
with packets of 20 ms never runs ahead of its clock by more than three ticks, 15 ms.

Times are counted in ticks here; only ``downlink_sent`` sees the clock. A packet is made by ``downlink_packet``, sent by the
caller, and told by ``downlink_sent``.
"""

from cython cimport cdivision
from libc.stdint cimport INT64_MAX, int16_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memmove, memset

from codecs_ext.backdrop cimport backdrop_idle, backdrop_mix, backdrop_set
from codecs_ext.backlog cimport (
    backlog_begin,
    backlog_init,
    backlog_packet,
    backlog_taken,
    backlog_underrun,
    backlog_wanted,
)
from codecs_ext.bridge cimport bridge_pull
from codecs_ext.codec cimport CodecTable, Kernel, codec_state, codec_state_new
from codecs_ext.counters cimport Counters
from codecs_ext.dial cimport (
    EVENT_BYTES,
    GAP,
    NOTHING,
    Dialling,
    dial_clear,
    dial_event,
    dial_next,
    dial_order,
    dial_pause,
    dial_push,
    dial_tone,
)
from codecs_ext.events cimport events_list
from codecs_ext.noise cimport noise_level
from codecs_ext.playout cimport (
    Block,
    block_new,
    block_return,
    blocks_free,
    playout_clear,
    playout_init,
    playout_mark,
    playout_push,
    playout_restart,
    playout_set_rate,
    playout_take,
    playout_trim,
)
from codecs_ext.ring cimport (
    FLUSHED,
    MARK,
    PLAYOUT_IDLE,
    PLAYOUT_STARTED,
    TRIMMED,
    Kind,
    Ring,
    ring_free,
    ring_init,
    ring_tell,
)
from codecs_ext.rtp cimport RTP_HEADER, rtp_header
from codecs_ext.stretch cimport stretch_shorten
from codecs_ext.tape cimport tape_beep
from codecs_ext.g711 import PCMU

__all__ = ["Sender"]

cdef int64_t NEVER_DUE = INT64_MAX

cdef int64_t TICK_NS = TICK_MS * 1_000_000

cdef enum:
    BEHIND = 40                 # ticks (200 ms) that are caught up; a longer stop moves the grid
    UTTERANCE = 200             # ticks (1 s) within which more audio belongs to the same utterance


cdef void downlink_init(Downlink *down, Ring *ring, uint32_t slot, Counters *counters, Block **freed,
                        const DownlinkOptions *options, int group, uint32_t ssrc, uint16_t sequence, uint32_t timestamp) noexcept nogil:
    """Of memory that is zero: most of it holds samples, and is not touched before there are any."""
    down.ring = ring
    down.slot = slot
    down.counters = counters
    down.group = group
    down.ssrc = ssrc
    down.sequence = sequence
    down.timestamp = timestamp
    down.nominal = down.due = NEVER_DUE
    down.begins = True
    down.event_payload_type = -1
    down.fade_ms = options.fade_ms
    down.backdrop.gain = options.gain
    if options.comfort_db < 0:
        noise_level(&down.backdrop.comfort, options.comfort_db)
        down.backdrop.comfort.random = ssrc
    backlog_init(&down.backlog, options.catch_up)
    playout_init(&down.queue, options.limit, freed)


# --- the clock --------------------------------------------------------------------------------------------------------


cdef void _regrid(Downlink *down, int64_t tick) noexcept nogil:
    """The next place of the leg's group at or after ``tick``; the timestamps jump over what was left out."""
    cdef int64_t place = tick + ((down.group - tick) & (GROUPS - 1))
    if down.nominal != NEVER_DUE and place > down.nominal:
        down.timestamp += <uint32_t>((place - down.nominal) // down.period * down.step)
    down.nominal = place


cdef void _start(Downlink *down, int64_t tick) noexcept nogil:
    """Queued audio is there and the leg was silent."""
    down.state = PLAYING
    down.begins = True
    down.fading = False
    down.waited = tick > down.nominal   # a tail waited already, and was flushed: not another tick
    playout_restart(&down.queue)
    down.due = down.nominal - (down.period - 1)
    if down.due < tick:
        down.due = tick


@cdivision(True)
cdef void _played(Downlink *down, int count) noexcept nogil:
    cdef int64_t scaled = <int64_t>count * 8000 + down.rest
    down.position += scaled / down.codec.rate
    down.rest = <int>(scaled % down.codec.rate)


cdef void _change_codec(Downlink *down, const CodecTable *codec) noexcept nogil:
    """The packet under way is lost if its samples are of another rate; it counts as played."""
    if down.codec != NULL and down.codec.rate != codec.rate:
        _played(down, down.real)
        down.real = down.rest = 0
        down.waited = False
    down.codec = codec
    playout_set_rate(&down.queue, codec.rate)


cdef void downlink_connect(Downlink *down, const CodecTable *codec, void *coding, uint8_t payload_type, int event_payload_type,
                           int ptime_ms, bint send, int64_t tick) noexcept nogil:
    """Starts to send, changes what differs, or stops; queued audio stays queued meanwhile."""
    if codec != down.codec:
        _change_codec(down, codec)
    down.coding = coding
    down.payload_type = payload_type
    down.event_payload_type = event_payload_type
    down.fading = False
    down.samples = codec.rate // 1000 * ptime_ms
    down.step = codec.clock // 1000 * ptime_ms
    down.period = ptime_ms // TICK_MS
    if send and not down.enabled:
        _regrid(down, tick)
        down.due = down.nominal
        down.state = SILENT
        if not down.appointment and (down.real or down.queue.first != NULL):
            _start(down, tick)
    elif not send:
        down.due = NEVER_DUE
    down.enabled = send


# --- verbs ------------------------------------------------------------------------------------------------------------


cdef void _tell(Downlink *down, int kind, int64_t number) noexcept nogil:
    if not ring_tell(down.ring, <Kind>kind, down.slot, number, down.position, down.last_audio):
        down.counters.overflows += 1


cdef void _count_utterance(Downlink *down, int64_t tick, bint goes_on) noexcept nogil:
    """Queued audio begins: another utterance, or one that has run dry."""
    if goes_on:
        backlog_underrun(&down.backlog, tick, tick - down.idle_since)
        down.counters.underruns += 1
        down.counters.interrupted += not down.interrupted
    else:
        backlog_begin(&down.backlog)
        down.counters.utterances += 1
    down.interrupted = goes_on


cdef void downlink_play(Downlink *down, Block *block, int64_t tick) noexcept nogil:
    """Takes the block over."""
    cdef bint empty = down.queue.first == NULL and down.real == 0
    if not playout_push(&down.queue, block):
        down.counters.overflows += 1
        return
    if empty and (down.state == SILENT or not down.unfinished):     # while a packet plays, the next may come just in time
        _count_utterance(down, tick, down.unfinished and tick - down.idle_since < UTTERANCE)
    down.unfinished = True
    if empty and block.number > tick * TICK_NS:
        down.appointment = block.number
    if down.state == SILENT and down.enabled:
        if not down.appointment:
            _start(down, tick)
        elif down.appointment < down.nominal * TICK_NS:     # before the next place on the grid
            _start(down, down.appointment // TICK_NS)
            _wait_in_packet(down)


@cdivision(True)
cdef void _wait_in_packet(Downlink *down) noexcept nogil:
    """The packet that is due begins with silence up to the moment that was asked for."""
    cdef int64_t ahead = down.appointment - down.due * TICK_NS
    down.appointment = 0
    if ahead > 0:
        down.lead = down.real = <int>(ahead * down.codec.rate / 1_000_000_000)
        memset(down.packet, 0, down.real * sizeof(int16_t))


cdef void _keep_appointment(Downlink *down) noexcept nogil:
    """If the packet that is due covers the moment, audio begins in it; the grid is kept."""
    if down.appointment >= (down.due + down.period) * TICK_NS:
        return
    down.state = PLAYING
    down.begins = True
    down.waited = False
    playout_restart(&down.queue)
    _wait_in_packet(down)


cdef void downlink_mark(Downlink *down, Block *block) noexcept nogil:
    """Takes the block over. With nothing before it the mark is told at once."""
    down.unfinished = False
    if down.queue.first == NULL and down.real == 0:
        _tell(down, MARK, block.number)
        block_return(down.queue.freed, block)
    else:
        playout_push(&down.queue, block)


cdef void _drop_marks(Downlink *down, bint tell) noexcept nogil:
    cdef Block *mark = down.marks
    cdef Block *following
    while mark != NULL:
        following = mark.next
        if tell:
            _tell(down, MARK, mark.number)
        block_return(down.queue.freed, mark)
        mark = following
    down.marks = down.marks_end = NULL


cdef void downlink_dial(Downlink *down, Block *order) noexcept nogil:
    """Takes an order of digits over. They replace audio from the next packet on; what is queued waits meanwhile."""
    dial_push(&down.dial, order)


cdef void _fade(Downlink *down) noexcept nogil:
    """Makes of what would come next a last packet that fades out: cut off, it would click. It does not count as played."""
    cdef int count = down.codec.rate // 1000 * down.fade_ms, i
    _gather(down)
    if count > down.real:
        count = down.real
    for i in range(count):
        down.packet[i] = <int16_t>(down.packet[i] * (count - i) // (count + 1))
    memset(down.packet + count, 0, (down.samples - count) * sizeof(int16_t))
    down.fading = count > 0


cdef void downlink_flush(Downlink *down, int64_t number) noexcept nogil:
    """Nothing that was queued will be sent any more: what follows is its fade, and silence, on the grid."""
    if down.state == PLAYING and down.enabled and down.fade_ms and not down.begins:
        _fade(down)
    playout_clear(&down.queue)
    _drop_marks(down, False)
    down.real = 0
    down.appointment = 0
    down.unfinished = False
    if down.state == PLAYING:
        down.state = SILENT
        if down.enabled and not down.fading:
            down.due = down.nominal
    _tell(down, FLUSHED, number)


@cdivision(True)
cdef void downlink_trim(Downlink *down, int64_t number, int64_t position) noexcept nogil:
    """The tail of what is queued will not be sent: playout ends at ``position``, or where it is if that has passed."""
    cdef int64_t ahead = down.position
    if down.codec != NULL:
        ahead += <int64_t>down.real * 8000 / down.codec.rate
    ahead += playout_trim(&down.queue, position - ahead)
    if not ring_tell(down.ring, TRIMMED, down.slot, number, ahead, down.last_audio):
        down.counters.overflows += 1


cdef void downlink_close(Downlink *down) noexcept nogil:
    """Gives all blocks back."""
    playout_clear(&down.queue)
    dial_clear(&down.dial, down.queue.freed)
    _drop_marks(down, False)
    down.due = NEVER_DUE
    down.enabled = False


# --- packets ----------------------------------------------------------------------------------------------------------


cdef void _collect_marks(Downlink *down) noexcept nogil:
    """Marks at the head of the queue belong to the packet under way, or to the one before if that is still empty."""
    cdef Block *mark
    if down.real > down.samples:            # they lie beyond this packet
        return
    mark = playout_mark(&down.queue)
    while mark != NULL:
        if down.real == 0:
            _tell(down, MARK, mark.number)
            block_return(down.queue.freed, mark)
        else:
            if down.marks_end == NULL:
                down.marks = mark
            else:
                down.marks_end.next = mark
            down.marks_end = mark
        mark = playout_mark(&down.queue)


cdef void _gather(Downlink *down) noexcept nogil:
    """Takes from the queue what the packet under way still lacks."""
    cdef int made
    _collect_marks(down)
    while down.queue.first != NULL and down.real < down.samples:
        made = playout_take(&down.queue, down.packet + down.real, down.samples - down.real)
        down.real += made
        _collect_marks(down)
        if made == 0 and down.queue.first != NULL and down.queue.first.rate != 0:
            return


cdef void _catch_up(Downlink *down, int64_t tick) noexcept nogil:
    """Leaves a period of the full packet out, if too much is queued, and fills the packet from what follows."""
    cdef int most = backlog_wanted(&down.backlog, down.codec.rate), room = down.codec.rate // 1000 * 15, gone
    if most == 0 or down.real > down.samples:
        return
    if most > room:
        most = room
    down.real += playout_take(&down.queue, down.packet + down.real, room)
    gone = 0
    if down.real == down.samples + room:        # else a mark or the end is near, and the packet stays as it is
        gone = stretch_shorten(down.packet, down.real, most, down.codec.rate)
    down.real -= gone
    _played(down, gone)
    down.counters.left_out += gone // (down.codec.rate // 8000)
    backlog_taken(&down.backlog, tick, gone, down.codec.rate)


cdef void _go_idle(Downlink *down, int64_t tick) noexcept nogil:
    down.state = SILENT
    down.idle_since = tick
    down.due = down.nominal
    _tell(down, PLAYOUT_IDLE, 0)


cdef bint _prepare_audio(Downlink *down, int64_t tick) noexcept nogil:
    """True if the packet under way is to be sent now."""
    _gather(down)
    if down.real >= down.samples:
        _catch_up(down, tick)
        return True
    if down.real == 0:
        _go_idle(down, tick)
        return False
    if not down.waited and down.unfinished:     # more may come within the tick: the producer cuts where it likes
        down.waited = True
        down.due += 1
        return False
    memset(down.packet + down.real, 0, (down.samples - down.real) * sizeof(int16_t))
    down.padded = True
    return True


cdef inline bint _beeps(const Downlink *down) noexcept nogil:
    return down.tape != NULL and down.tape.order.voice and down.tape.order.beep_ms > 0


cdef bint _mix(Downlink *down, const int16_t *samples, bint audio) noexcept nogil:
    """Into ``line``: the samples, or silence (NULL), and what sounds beside them. True if that is more than silence."""
    cdef bint idle = backdrop_idle(&down.backdrop, audio), beeped = False
    if samples == NULL:
        memset(down.line, 0, down.samples * sizeof(int16_t))
    else:
        memcpy(down.line, samples, down.samples * sizeof(int16_t))
    if not idle:
        backdrop_mix(&down.backdrop, down.line, down.samples, down.codec.rate, audio)
    if _beeps(down):
        beeped = tape_beep(down.tape, False, down.line, down.samples, down.codec.rate, down.codec.clock, down.timestamp)
    return samples != NULL or not idle or beeped


cdef int _encode(Downlink *down, const int16_t *samples, bint audio, uint8_t *payload) noexcept nogil:
    """One packet of samples, or of silence (NULL), with what sounds beside it; returns its bytes."""
    cdef bint beside = _beeps(down) or not backdrop_idle(&down.backdrop, audio)
    down.said = samples
    if beside and _mix(down, samples, audio):
        down.said = down.line
    if down.said == NULL and down.codec.silence >= 0:
        memset(payload, down.codec.silence, down.samples)
        return down.samples
    if down.said == NULL:
        memset(down.line, 0, down.samples * sizeof(int16_t))
        return down.codec.encode(down.coding, down.line, down.samples, payload)
    return down.codec.encode(down.coding, down.said, down.samples, payload)


cdef int _audio_packet(Downlink *down, const int16_t *samples, bint audio, bint marker, uint8_t *datagram) noexcept nogil:
    rtp_header(datagram, down.payload_type, marker, down.sequence, down.timestamp, down.ssrc)
    return RTP_HEADER + _encode(down, samples, audio, datagram + RTP_HEADER)


cdef int _digit_packet(Downlink *down, uint8_t *datagram) noexcept nogil:
    """What the digits under way say: an event, a tone, or the silence between two."""
    cdef bint marker = down.dial.marker
    down.said = NULL                # an event has no samples: silence in a recording
    if down.dial.state == GAP:
        dial_pause(&down.dial, down.step)
        return _audio_packet(down, NULL, False, False, datagram)
    down.dial.marker = False
    if down.event_payload_type < 0:
        dial_tone(&down.dial, down.step, down.line, down.samples, down.codec.rate)
        down.said = down.line
        rtp_header(datagram, down.payload_type, marker, down.sequence, down.timestamp, down.ssrc)
        return RTP_HEADER + down.codec.encode(down.coding, down.line, down.samples, datagram + RTP_HEADER)
    down.said = NULL
    dial_event(&down.dial, down.step, datagram + RTP_HEADER)
    rtp_header(datagram, <uint8_t>down.event_payload_type, marker, down.sequence, down.dial.timestamp, down.ssrc)
    return RTP_HEADER + EVENT_BYTES


cdef bint _dials(Downlink *down) noexcept nogil:
    """Whether the packet that is due belongs to digits; tells of an order that has ended."""
    cdef Block *done
    cdef Dialling state
    if down.dial.first == NULL:
        return False
    state = dial_next(&down.dial, down.timestamp, down.codec.clock, &done)
    if done != NULL:
        if done.number >= 0 and not ring_tell(down.ring, MARK, down.slot, done.number, down.position, down.last_left):
            down.counters.overflows += 1
        block_return(down.queue.freed, done)
    return state != NOTHING


cdef void _pass_by(Downlink *down) noexcept nogil:
    """The clock goes on without a packet of ours."""
    down.timestamp += <uint32_t>down.step
    down.nominal += down.period
    if down.skew != 0:
        _drift(down)
    down.due = down.nominal


cdef inline void _join(Downlink *down) noexcept nogil:
    """A packet of ours leaves: what is relayed is joined behind it."""
    if down.feed != NULL:
        down.feed.have_source = False


cdef int downlink_packet(Downlink *down, int64_t tick, uint8_t *datagram) noexcept nogil:
    """The packet that is due at ``tick``, and its length; 0 if there is none after all.

    Whatever it answers, ``due`` has moved on or stands at a later tick; after a packet, ``downlink_sent`` is called.
    """
    cdef bint audio = False
    if tick - down.due > BEHIND:
        _regrid(down, tick)
        down.due = tick if down.state == PLAYING else down.nominal
        if down.due > tick:
            return 0
    down.apart = True
    if down.fading:
        down.fading = False
        _join(down)
        return _audio_packet(down, down.packet, True, False, datagram)
    if _dials(down):
        _join(down)
        return _digit_packet(down, datagram)
    down.apart = False
    if down.appointment:
        _keep_appointment(down)
    if down.state == PLAYING:
        audio = _prepare_audio(down, tick)
        if not audio and down.due > tick:
            return 0
    if not audio and down.feed != NULL and down.feed.relay:
        _pass_by(down)                  # the other leg's packets are sent when they come
        return 0
    if not audio and down.feed != NULL:
        bridge_pull(down.feed, down.packet, down.samples)
        return _audio_packet(down, down.packet, True, False, datagram)
    if not audio and down.sparing and backdrop_idle(&down.backdrop, False):
        _pass_by(down)
        return 0
    _join(down)
    return _audio_packet(down, down.packet if audio else NULL, audio, audio and down.begins, datagram)


cdef void _drift(Downlink *down) noexcept nogil:
    """A slow clock's packets come later and later, a fast one's earlier: by whole ticks, when they are due."""
    cdef int64_t ticks
    down.drift += down.skew * <double>(down.period * TICK_NS)
    ticks = <int64_t>(down.drift / TICK_NS)
    down.drift -= <double>(ticks * TICK_NS)
    down.nominal += ticks
    down.due += ticks


cdef void _step(Downlink *down) noexcept nogil:
    """The clock after a packet. Audio keeps its pace, but a tail that has waited does not shift the grid."""
    down.sequence += 1
    down.timestamp += <uint32_t>down.step
    down.nominal += down.period
    down.due += down.period
    if down.skew != 0:
        _drift(down)
    if down.state == SILENT or down.due > down.nominal:
        down.due = down.nominal


cdef void _packet_played(Downlink *down, int64_t tick) noexcept nogil:
    """What lies beyond the packet is the beginning of the next."""
    cdef int count = down.real if down.real < down.samples else down.samples
    down.real -= count
    if down.real:
        memmove(down.packet, down.packet + count, down.real * sizeof(int16_t))
    _played(down, count)
    backlog_packet(&down.backlog, tick, down.queue.queued + down.real // (down.codec.rate // 8000),
                   down.period * (8 * TICK_MS))


cdef void downlink_sent(Downlink *down, int64_t sent) noexcept nogil:
    """The packet has left at ``sent``: tells what it began, reached and ended."""
    cdef int64_t tick = down.due
    down.last_left = sent
    _step(down)
    if down.apart or down.real == 0 or down.state == SILENT:
        return
    down.last_audio = sent
    if down.begins:
        down.begins = False
        down.last_audio += <int64_t>down.lead * 1_000_000_000 // down.codec.rate
        _played(down, down.lead)
        _tell(down, PLAYOUT_STARTED, 0)
        down.last_audio = sent
        down.real -= down.lead
        down.lead = 0
    _packet_played(down, tick)
    down.waited = False
    _drop_marks(down, True)
    if down.padded:
        down.padded = False
        _go_idle(down, tick)


cdef class Sender:
    """The downlink of one leg alone, with ticks and time handed in.

    ``take`` returns what was told since: ``(name, number, position, stamp, flags, b"")``.
    """

    cdef Downlink down
    cdef Ring ring
    cdef Counters counters
    cdef Block *freed
    cdef Kernel codec
    cdef Block *coding
    cdef uint8_t payload_type
    cdef int event_payload_type
    cdef int ptime_ms
    cdef bytes loop

    def __cinit__(self, Kernel codec not None = PCMU, *, group: int = 0, payload_type: int = 0, ptime_ms: int = 20,
                  event_payload_type: int = 101, fade_ms: int = 0, gain: float = 1.0, comfort_db: float = 0.0, catch_up: bool = True,
                  limit: int = 960_000, ssrc: int = 1, sequence: int = 0, timestamp: int = 0) -> None:
        memset(&self.counters, 0, sizeof(Counters))
        self.freed = NULL
        if not ring_init(&self.ring, 1 << 20):
            raise MemoryError
        cdef DownlinkOptions options = DownlinkOptions(limit, fade_ms, gain, comfort_db, catch_up)
        self.loop = b""
        self.event_payload_type = event_payload_type
        downlink_init(&self.down, &self.ring, 0, &self.counters, &self.freed, &options, group, ssrc, sequence, timestamp)
        self.codec = codec
        self.coding = codec_state_new(codec)
        self.payload_type = payload_type
        self.ptime_ms = ptime_ms

    def __dealloc__(self) -> None:
        downlink_close(&self.down)
        blocks_free(&self.freed)
        ring_free(&self.ring)
        free(self.coding)

    @property
    def counts(self) -> dict[str, float]:
        """All counters by name."""
        return self.counters

    def connect(self, tick: int, send: bool = True) -> None:
        """Starts or stops sending at ``tick``."""
        downlink_connect(&self.down, self.codec.table, codec_state(self.coding), self.payload_type,
                         self.event_payload_type, self.ptime_ms, send, tick)

    def play(self, pcm: bytes, rate: int, tick: int, at: int = 0) -> None:
        """Queues audio; the plane would handle it at ``tick``, before that tick's packets. ``at``: nanoseconds from the
        first tick."""
        cdef const char *source = pcm
        cdef Block *block = block_new(rate, len(pcm) // 2, at)
        if block == NULL:
            raise MemoryError
        memcpy(block.samples, source, len(pcm))
        downlink_play(&self.down, block, tick)

    def clock(self, skew: float, sparing: bool) -> None:
        """It is slow by ``skew``; with ``sparing`` silence is not sent."""
        self.down.skew = skew
        self.down.sparing = sparing

    def mark(self, number: int) -> None:
        """A mark behind what is queued."""
        cdef Block *block = block_new(0, 0, number)
        if block == NULL:
            raise MemoryError
        downlink_mark(&self.down, block)

    def flush(self, number: int) -> None:
        """Empties the queue."""
        downlink_flush(&self.down, number)

    def trim(self, number: int, position: int) -> None:
        """Drops what is queued beyond ``position``."""
        downlink_trim(&self.down, number, position)

    def dial(self, digits: bytes, tone_ms: int = 100, gap_ms: int = 100, number: int = -1) -> None:
        """Sends digits; ``number`` is told when they are out."""
        cdef Block *order = dial_order(digits, len(digits), tone_ms, gap_ms, number)
        if order == NULL:
            raise MemoryError
        downlink_dial(&self.down, order)

    def backdrop(self, pcm: bytes, rate: int, level: float, duck: float) -> None:
        """A loop under everything, with factors for its level and what it is multiplied by under queued audio."""
        cdef const char *source = pcm
        self.loop = pcm
        backdrop_set(&self.down.backdrop, <const int16_t *>source if pcm else NULL, <int>(len(pcm) // 2), rate, level,
                     duck)

    def tick(self, tick: int, sent: int):
        """The datagram that leaves at ``tick``, or None."""
        cdef uint8_t[PACKET_BYTES] datagram
        cdef int size
        if self.down.due > tick:
            return None
        size = downlink_packet(&self.down, tick, datagram)
        if size == 0:
            return None
        downlink_sent(&self.down, sent)
        return (<char *>datagram)[:size]

    def take(self):
        """What was told."""
        blocks_free(&self.freed)
        return events_list(&self.ring)
