from collections.abc import Callable
from typing import Any, final

from typing_extensions import Buffer

from codecs_ext.codec import Kernel
from codecs_ext.reels import TapeEnd

__all__ = ["LEARN", "LEG_BYTES", "PlaneShard"]

LEARN: dict[str, int]
LEG_BYTES: int

@final
class PlaneShard:
    def __init__(
        self,
        capacity: int,
        on_error: Callable[[Exception], None],
        on_closed: Callable[[int, Any, dict[str, Any]], None],
        on_handshake: Callable[[int, bytes, bytes], None],
        *,
        event_bytes: int,
        tape_bytes: int,
        window_ns: int,
        window_least_ns: int,
        stall_ns: int,
        timeout_ns: int,
        hold_timeout_ns: int,
        max_gap: int,
        playout_limit: int,
        fade_ms: int,
        gain: float,
        comfort_db: float,
        catch_up: bool,
        learn: str,
        learn_packets: int,
        settle_ns: int,
        silence_ns: int,
        report_ns: int,
        vad_threshold_db: float,
        vad_min_level_db: float,
        vad_attack: int,
        vad_release: int,
    ) -> None: ...
    @property
    def legs_open(self) -> int: ...
    @property
    def stopped(self) -> bool: ...
    def fileno(self) -> int: ...
    def tape_end(self) -> TapeEnd: ...
    def start(self, realtime: bool) -> bool: ...
    def request_stop(self) -> None: ...
    def finish(self) -> None: ...
    def open(
        self,
        fd: int,
        control_fd: int,
        observer: Any,
        rate: int,
        ssrc: int,
        sequence: int,
        timestamp: int,
        cname: bytes,
        seed: int,
    ) -> int: ...
    def connect(
        self,
        slot: int,
        host: str,
        port: int,
        codec: Kernel,
        payload_types: tuple[int, int],
        heard_payload_types: tuple[int, int],
        ptime_ms: int,
        send: bool,
        receive: bool,
        control_host: str,
        control_port: int,
        mux: bool,
        metrics: bool,
        keying: bool,
        profile: int,
        key_in: bytes,
        key_out: bytes,
    ) -> bool: ...
    def key(self, slot: int, profile: int, key_in: bytes, key_out: bytes) -> bool: ...
    def send(self, slot: int, data: bytes, to: bytes) -> bool: ...
    def play(self, slot: int, audio: Buffer, rate: int, law: int = -1, at: int = 0) -> bool: ...
    def listen(
        self, slot: int, threshold: float, margin: float, block_us: int, confirm: int, release: int, audio: bool
    ) -> bool: ...
    def mark(self, slot: int, number: int) -> bool: ...
    def flush(self, slot: int, number: int) -> bool: ...
    def trim(self, slot: int, number: int, position: int) -> bool: ...
    def echo(self, slot: int, on: bool) -> bool: ...
    def tape(
        self, slot: int, name: int, voice: bool, packets: bool, paused: bool, beep_ms: int, beep_both: bool
    ) -> bool: ...
    def dial(self, slot: int, digits: bytes, tone_ms: int, gap_ms: int, number: int) -> bool: ...
    def backdrop(self, slot: int, pcm: bytes, rate: int, level: float, duck: float) -> bool: ...
    def bridge(
        self,
        slot: int,
        other: int,
        codec: Kernel,
        other_codec: Kernel,
        relay: bool,
        listen: bool,
        most_ns: int,
        quantile: float,
    ) -> bool: ...
    def close(self, slot: int) -> bool: ...
    def drain(self) -> None: ...
    def counts(self, slot: int) -> dict[str, Any]: ...
    def costs(self) -> dict[str, int]: ...
    def lateness(self) -> list[int]: ...
    def drag(self, nanoseconds: int) -> None: ...
    def deviations(self) -> list[int]: ...
