"""Ports for servers that tests start. Each worker has a range of its own, below those that the kernel gives out: what
one test has found free, another one does not take before it is used."""

from __future__ import annotations

import os
import random
import socket

_FIRST, _WIDTH = 10_000, 1_000
_NAME = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
_WORKER = int(_NAME.removeprefix("gw")) % 10
_chance = random.Random()


def free_port() -> int:
    """Where nobody listens at the moment, over UDP or TCP, and nobody will for whom the kernel chooses."""
    for _ in range(1000):
        port = _FIRST + _WORKER * _WIDTH + _chance.randrange(_WIDTH)
        try:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return port
    raise RuntimeError("no port is free")
