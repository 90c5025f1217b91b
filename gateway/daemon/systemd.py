"""Talking to the service manager: readiness, status, and a watchdog that the event loop itself must feed.

The protocol is one datagram of ``KEY=value`` lines to the socket in ``NOTIFY_SOCKET`` (sd_notify(3)); a library would
be longer than this. Without the variable every method does nothing.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from typing import Final

__all__ = ["Notifier"]

_USEC: Final = 1_000_000


class Notifier:
    """Sends states to the service manager. ``interval`` is the watchdog's period in seconds, None if it has none."""

    def __init__(self, address: str | None = None, interval: float | None = None) -> None:
        self.address = address
        self.interval = interval

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Notifier:
        """Reads ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC``; ``WATCHDOG_PID`` of another process disarms the watchdog."""
        usec = environ.get("WATCHDOG_USEC", "")
        mine = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        interval = int(usec) / _USEC if usec.isdecimal() and int(usec) > 0 and mine else None
        return cls(environ.get("NOTIFY_SOCKET") or None, interval)

    def ready(self, status: str) -> None:
        """The daemon takes calls."""
        self._send("READY=1", f"STATUS={status}")

    def stopping(self, status: str) -> None:
        """The daemon has begun to end."""
        self._send("STOPPING=1", f"STATUS={status}")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``."""
        self._send(f"STATUS={text}")

    async def watchdog(self, healthy: Callable[[], bool] = lambda: True) -> None:
        """Feeds the watchdog from the event loop until cancelled; ends at once if there is none.

        A loop that hangs cannot come here, and one that is alive but not ``healthy`` (a dead media thread) keeps
        silent: in both cases the service manager ends the process. Twice per period, as sd_watchdog_enabled(3) advises.
        """
        if self.interval is None or self.address is None:
            return
        while True:
            if healthy():
                self._send("WATCHDOG=1")
            await asyncio.sleep(self.interval / 2)

    def _send(self, *lines: str) -> None:
        if self.address is None:
            return
        # A leading @ stands for the null byte of the abstract namespace (unix(7)).
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        message = "\n".join(line.replace("\n", " ") for line in lines).encode()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(message, address)
        except OSError:
            # The manager is gone or does not read. Calls are worth more than a status line; if it is the watchdog that
            # is lost, the manager will notice.
            return
