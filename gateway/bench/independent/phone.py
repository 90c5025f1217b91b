"""One call through pjsua2, in a process of its own: ``python phone.py URI FOLDER``.

Orders are lines of its input (``say FILE``, ``hang-up``; the end of the input hangs up as well), and what happens is a
line of JSON each. The folder gets two recordings that began at the same moment of pjsua2's conference bridge:
``said.wav``, what went into the call, and ``heard.wav``, what came out of it. Both begin with the click of
``clap.wav``, which says where their common beginning lies.

Imports nothing of Linecard: the library (GPL) meets us in pipes and files alone. Its bindings differ in whether they
have players and recorders, so the functions beneath, which both bring along, make them.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import sys
import time
import wave
from pathlib import Path
from typing import Any, Final

import pjsua2

pj: Any = pjsua2  # two bindings, and types of one

_RATE: Final = 8000
_NO_LOOP: Final = 1
"""PJMEDIA_FILE_NO_LOOP."""
_POLL: Final = 0.01
_SOUND: Final = 12
"""Of pjsua2's logarithmic level (0 to 255), about -48 dBFS: only *when* the caller reacts hangs on it."""
_RELEASE: Final = 0.2
"""Seconds of quiet that end a piece of sound."""


class _Text(ctypes.Structure):
    """pj_str_t."""

    _fields_ = (("ptr", ctypes.c_char_p), ("slen", ctypes.c_ssize_t))


def _tell(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, "at": time.monotonic_ns(), **fields}), flush=True)


def _library() -> ctypes.CDLL:
    """That with the binding in it: a symbol is looked for in what it depends on, too."""
    module = sys.modules.get("_pjsua2", pjsua2)
    return ctypes.CDLL(str(module.__file__))


class Bridge:
    """The conference bridge: players, recorders, and who hears whom."""

    def __init__(self) -> None:
        self._library = _library()

    def _made(self, function: str, *arguments: object) -> tuple[int, int]:
        number = ctypes.c_int(-1)
        status = getattr(self._library, f"pjsua_{function}_create")(*arguments, ctypes.byref(number))
        if status:
            raise RuntimeError(f"pjsua_{function}_create: status {status}")
        return number.value, int(getattr(self._library, f"pjsua_{function}_get_conf_port")(number))

    def player(self, file: Path) -> int:
        """Slot of one that plays the file once, and stays to the end of the process."""
        _, slot = self._made("player", ctypes.byref(_text(file)), _NO_LOOP)
        return slot

    def recorder(self, file: Path) -> tuple[int, int]:
        """Handle and slot."""
        return self._made("recorder", ctypes.byref(_text(file)), 0, None, ctypes.c_ssize_t(-1), 0)

    def connect(self, source: int, sink: int) -> None:
        self._library.pjsua_conf_connect(source, sink)

    def end_recorder(self, recorder: int) -> None:
        """Its file is whole then."""
        self._library.pjsua_recorder_destroy(recorder)

    def level(self, slot: int) -> int:
        """Of what comes from there."""
        sent, received = ctypes.c_uint(), ctypes.c_uint()
        self._library.pjsua_conf_get_signal_level(slot, ctypes.byref(sent), ctypes.byref(received))
        return received.value


def _text(file: Path) -> _Text:
    name = os.fsencode(file)
    return _Text(name, len(name))


class Call(pj.Call):  # type: ignore[misc]
    """``slot`` and ``over`` are set by the library's threads, and read by ours."""

    def __init__(self, account: Any) -> None:
        super().__init__(account)
        self.slot: int | None = None
        self.over = False

    def onCallState(self, _told: Any) -> None:
        info = self.getInfo() if hasattr(self, "getInfo") else self.info
        state = str(info.stateText)
        self.over = state.startswith("DISC")
        _tell("state", state=state, status=int(info.lastStatusCode), reason=info.lastReason, call_id=info.callIdString)

    def onCallMediaState(self, _told: Any) -> None:
        info = self.getInfo() if hasattr(self, "getInfo") else self.info
        slots = [int(media.audioConfSlot) for media in info.media if int(media.audioConfSlot) >= 0]
        self.slot = slots[0] if slots else None


class Phone:
    """The library, an account, and one call. ``run`` it once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._endpoint = pj.Endpoint()
        self._endpoint.libCreate()
        config = pj.EpConfig()
        config.logConfig.level = config.logConfig.consoleLevel = 0
        config.medConfig.clockRate = _RATE
        config.medConfig.noVad = True
        config.medConfig.ecTailLen = 0
        self._endpoint.libInit(config)
        devices = self._endpoint.audDevManager
        (devices() if callable(devices) else devices).setNullDev()
        kind = pj.TransportType.UDP if hasattr(pj, "TransportType") else pj.PJSIP_TRANSPORT_UDP
        where = self._endpoint.transportCreate(kind, pj.TransportConfig())
        self._endpoint.libStart()
        account = pj.AccountConfig()
        account.idUri = f"sip:caller@{self._endpoint.transportGetInfo(where).localName}"
        self._account = pj.Account()
        self._account.create(account)
        self._bridge = Bridge()
        self._said, self._said_slot = self._bridge.recorder(folder / "said.wav")
        self._heard, self._heard_slot = self._bridge.recorder(folder / "heard.wav")
        self._call: Call | None = None  # kept: the library does not like to lose one that is over
        self._joined: int | None = None
        self._loud_at: float | None = None
        """When sound was last seen, or None while it is quiet."""

    def run(self, uri: str) -> None:
        """Until the call is over, or the input ends."""
        self._clap()
        call = self._call = Call(self._account)
        _tell("invited")
        call.makeCall(uri, pj.CallOpParam(True))
        rest, asked = b"", False
        while not call.over:
            if asked:
                time.sleep(_POLL)
            elif select.select([sys.stdin], [], [], _POLL)[0]:
                *orders, rest = (rest + (os.read(sys.stdin.fileno(), 65536) or b"hang-up\n")).split(b"\n")
                for order in orders:
                    asked = self._obey(call, order.decode()) or asked
            self._listen(call)
        self._bridge.end_recorder(self._said)
        self._bridge.end_recorder(self._heard)
        _tell("over")

    def _clap(self) -> None:
        clap = self._folder / "clap.wav"
        with wave.open(str(clap), "wb") as file:
            file.setparams((1, 2, _RATE, 0, "NONE", "not compressed"))
            file.writeframes(b"\x00\x40" * 160 + bytes(2 * _RATE))
        slot = self._bridge.player(clap)
        _tell("clap")
        self._bridge.connect(slot, self._said_slot)
        self._bridge.connect(slot, self._heard_slot)
        time.sleep(0.2)

    def _obey(self, call: Call, order: str) -> bool:
        """True once the call is to end."""
        verb, _, file = order.partition(" ")
        if verb == "hang-up":
            call.hangup(pj.CallOpParam(True))
            return True
        slot = self._bridge.player(Path(file))
        self._bridge.connect(slot, self._said_slot)
        if call.slot is not None:
            self._bridge.connect(slot, call.slot)
        _tell("says")
        return False

    def _listen(self, call: Call) -> None:
        if call.slot is not None and call.slot != self._joined:
            self._joined = call.slot
            self._bridge.connect(call.slot, self._heard_slot)
        if self._joined is None:
            return
        now = time.monotonic()
        if self._bridge.level(self._joined) >= _SOUND:
            if self._loud_at is None:
                _tell("sound", started=True)
            self._loud_at = now
        elif self._loud_at is not None and now - self._loud_at >= _RELEASE:
            _tell("sound", started=False, since=round(self._loud_at * 1e9))
            self._loud_at = None


if __name__ == "__main__":
    Phone(Path(sys.argv[2])).run(sys.argv[1])
    sys.stdout.flush()
    os._exit(0)  # how its objects are taken apart in the end is the library's affair
