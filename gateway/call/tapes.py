"""Recording and capture of one call: when they begin, how they pause, and what the call record says of them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import structlog

from gateway.call.wiretap import Wiretap
from gateway.errors import ResourceError
from gateway.media.contract import Leg
from gateway.media.recording.options import CaptureOptions, RecordingOptions, fill_in
from gateway.media.recording.recorder import LegTape
from gateway.sip.flow import Flow
from gateway.units import Nanos

__all__ = ["CallTapes", "TapeFactory"]

_NARROW: int = 8000
_WIDE: int = 16000


class TapeFactory(Protocol):
    """What recordings need of the media plane."""

    def tape(self, leg: Leg) -> LegTape: ...


class CallTapes:
    """``recording`` and ``capture`` are what the route asks for; ``names`` fills in their files' templates."""

    def __init__(
        self,
        media: TapeFactory,
        wiretap: Wiretap,
        names: dict[str, str],
        *,
        recording: RecordingOptions | None,
        capture: CaptureOptions | None,
    ) -> None:
        self._media = media
        self._wiretap = wiretap
        self._call_id = ""
        self._names = names
        self._began = datetime.now(UTC)
        self._recording = recording
        self._capture = capture
        self._leg: Leg | None = None
        self._tape: LegTape | None = None
        self._connected = False
        self._captured = False

    def named(self, call_id: str) -> None:
        """What files and captures go by. A call that we place gets it late, and another one from its next target."""
        self._wiretap.detach(self._call_id)
        self._call_id = call_id
        if self._captured:
            self._wiretap.attach(call_id, self._on_message)
        else:
            self._begin()

    def opened(self, leg: Leg) -> None:
        """The call has a leg: its packets can be captured."""
        self._leg = leg
        self._begin()

    def _begin(self) -> None:
        if self._leg is None or not self._call_id or self._capture is None:
            return
        if self._capture.wants(self._names["caller"], self._names["called"]):
            self.capture(self._capture)

    def connected(self) -> None:
        """Media flows, or flows otherwise than before."""
        self._connected = True
        if self._recording is not None:
            self.record(self._recording)

    def record(self, options: RecordingOptions) -> None:
        """Records from now on; while it is recorded already, nothing changes. Waits for media if there are none yet."""
        self._recording = options
        tape = self._own_tape() if self._connected else None
        if tape is not None:
            rate = {"8000": _NARROW, "16000": _WIDE}.get(options.rate)
            codec = 0 if self._leg is None else self._leg.rate
            tape.record(self._file(options.file, ".wav" if options.format == "wav" else ".opus"), options,
                        rate or (_NARROW if codec <= _NARROW else _WIDE))  # fmt: skip

    def capture(self, options: CaptureOptions) -> None:
        """Captures from now on; while it is captured already, nothing changes."""
        tape = self._own_tape()
        if tape is not None:
            comment = f"Call-ID {self._call_id}; SRTP is left encrypted"
            tape.capture(self._file(options.file, ".pcapng"), options, comment)
            self._wiretap.attach(self._call_id, self._on_message)
            self._captured = True

    def pause(self, paused: bool) -> None:
        """Withholds the samples from the recording, or does not any more."""
        if self._tape is not None and self._recording is not None and self._tape.paused != paused:
            self._tape.pause(paused)
            structlog.get_logger().info("recording.paused" if paused else "recording.resumed", call_id=self._call_id)

    def on_digit(self, digit: str) -> bool:
        """True if the key was ours: it pauses or resumes."""
        if self._tape is None or self._recording is None or digit != self._recording.pause_digit:
            return False
        self.pause(not self._tape.paused)
        return True

    async def close(self, *, failed: bool) -> dict[str, object]:
        """The leg is closed. What the call record says: ``recording`` and ``capture``, if there were any."""
        self._wiretap.detach(self._call_id)
        tape, self._tape, self._leg = self._tape, None, None
        if tape is None:
            return {}
        recording, capture = await tape.finish(failed=failed)
        said = {"recording": recording, "capture": capture}
        return {name: asdict(report) for name, report in said.items() if report and (report.file or report.failed)}

    def _own_tape(self) -> LegTape | None:
        if self._tape is None and self._leg is not None:
            try:
                self._tape = self._media.tape(self._leg)
            except ResourceError as error:
                structlog.get_logger().error("recording.failed", call_id=self._call_id, reason=str(error))
        return self._tape

    def _file(self, template: str, suffix: str) -> Path:
        return fill_in(template, suffix, self._began, call_id=self._call_id, **self._names)

    def _on_message(self, now: Nanos, flow: Flow, data: bytes, outbound: bool) -> None:
        if self._tape is not None:
            self._tape.message(now, flow.transport, flow.local, flow.remote, data, outbound=outbound)
