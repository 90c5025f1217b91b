"""A telephone made with pjsua2, in a process of its own: the library has threads, and tells of its crashes by dying.

Reads one order a line (``call URI``, ``hold``, ``resume``, ``digits 12``, ``transfer URI``, ``hang-up``) until its
input ends, and writes a line of JSON for each thing that happens. Runs on both bindings that there are: that of its
makers, whose accessors are methods, and pjsua2-pybind11, whose are properties.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pjsua2 as pj

_UNHOLD = 1  # pjsua_call_flag


def tell(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def info_of(call: Any) -> Any:
    return call.getInfo() if hasattr(call, "getInfo") else call.info


class Call(pj.Call):  # type: ignore[misc]
    def onCallState(self, _told: Any) -> None:
        info = info_of(self)
        tell("state", state=info.stateText, status=int(info.lastStatusCode), reason=info.lastReason)

    def onCallMediaState(self, _told: Any) -> None:
        # 1: active, 2: held by us, 3: held by them (pjsua_call_media_status)
        tell("media", status=[int(one.status) for one in info_of(self).media])

    def onDtmfDigit(self, told: Any) -> None:
        tell("digit", digit=told.digit)


class Account(pj.Account):  # type: ignore[misc]
    def __init__(self, phone: Phone) -> None:
        super().__init__()
        self._phone = phone

    def onIncomingCall(self, told: Any) -> None:
        self._phone.call = Call(self, told.callId)
        tell("incoming")
        self._phone.call.answer(_how(200))


class Phone:
    def __init__(self) -> None:
        self.call: Any = None
        self._endpoint = pj.Endpoint()
        self._endpoint.libCreate()
        config = pj.EpConfig()
        config.logConfig.level = config.logConfig.consoleLevel = 0
        self._endpoint.libInit(config)
        devices = self._endpoint.audDevManager
        (devices() if callable(devices) else devices).setNullDev()
        transport = pj.TransportConfig()
        transport.boundAddress = "127.0.0.1"
        kind = pj.TransportType.UDP if hasattr(pj, "TransportType") else pj.PJSIP_TRANSPORT_UDP
        where = self._endpoint.transportCreate(kind, transport)
        self._endpoint.libStart()
        port = self._endpoint.transportGetInfo(where).localName.rpartition(":")[2]
        account = pj.AccountConfig()
        account.idUri = f"sip:pjsua2@127.0.0.1:{port}"
        self._account = Account(self)
        self._account.create(account)
        tell("ready", port=int(port))

    def obey(self, order: str, value: str) -> None:
        if order == "call":
            self.call = Call(self._account)
            self.call.makeCall(value, _how(0))
        elif order == "hold":
            self.call.setHold(_how(0))
        elif order == "resume":
            how = _how(0)
            how.opt.flag = _UNHOLD
            self.call.reinvite(how)
        elif order == "digits":
            self.call.dialDtmf(value)
        elif order == "transfer":
            self.call.xfer(value, _how(0))
        else:
            self.call.hangup(_how(0))

    def run(self) -> None:
        """Until the input ends."""
        for line in sys.stdin:
            order, _, value = line.strip().partition(" ")
            self.obey(order, value)


def _how(status: int) -> Any:
    how = pj.CallOpParam(True)
    if status:
        how.statusCode = pj.StatusCode(status) if hasattr(pj, "StatusCode") else status
    return how


if __name__ == "__main__":
    Phone().run()
    sys.stdout.flush()
    os._exit(0)  # how its objects are taken apart in the end is the library's affair
