"""A network that loses, repeats and reorders, in virtual time: seconds of protocol in microseconds of test."""

from __future__ import annotations

import random
from collections.abc import Callable
from heapq import heappop, heappush

from gateway.machine import earliest
from gateway.sip.endpoint import Endpoint
from gateway.sip.events import Ended, Event
from gateway.sip.flow import Address, Datagram, Flow
from gateway.sip.options import EndpointOptions
from gateway.units import MS, SECOND, Nanos


class Host:
    """An endpoint with the events that it told; ``react`` may call verbs."""

    careful = False
    """Nothing that it sends is lost: it stands for somebody who would repeat it."""

    def __init__(self, address: Address, seed: int, options: EndpointOptions | None = None) -> None:
        self.address = address
        self.endpoint = Endpoint(options or EndpointOptions(), random.Random(seed), address)
        self.told: list[Event] = []
        self.react: Callable[[Event, Nanos], None] = lambda event, now: None

    def events(self, kind: type) -> list[Event]:
        return [event for event in self.told if isinstance(event, kind)]

    def drain(self, now: Nanos) -> list[Datagram]:
        out = list(self.endpoint.outgoing())
        while events := self.endpoint.events():
            for event in events:
                self.told.append(event)
                self.react(event, now)
            out += self.endpoint.outgoing()
        return out + list(self.endpoint.outgoing())


class Network:
    """Hosts on one clock. ``loss`` and ``duplication`` are probabilities, ``delay`` a range in milliseconds."""

    def __init__(
        self, seed: int, *hosts: Host, loss: float = 0, duplication: float = 0, delay: tuple[int, int] = (1, 20)
    ) -> None:
        self.hosts = {host.address: host for host in hosts}
        self.random = random.Random(seed)
        self.loss, self.duplication, self.delay = loss, duplication, delay
        self.now = Nanos(0)
        self.wire: list[bytes] = []
        self._in_flight: list[tuple[int, int, Datagram]] = []
        self._order = 0

    def flush(self, host: Host) -> None:
        """Puts on the wire what the host has to send; call it after using a verb."""
        for datagram in host.drain(self.now):
            self.wire.append(datagram.data)
            copies = 2 if self.random.random() < self.duplication else 1
            for _ in range(copies):
                if host.careful or self.random.random() >= self.loss:
                    self._order += 1
                    arrival = self.now + self.random.randint(*self.delay) * MS
                    heappush(self._in_flight, (arrival, self._order, datagram))

    def next(self) -> Nanos | None:
        arrival = Nanos(self._in_flight[0][0]) if self._in_flight else None
        return earliest(arrival, *(host.endpoint.next_timer() for host in self.hosts.values()))

    def step(self) -> None:
        """Goes to the next moment at which something happens, and lets it happen."""
        moment = self.next()
        assert moment is not None
        self.now = max(self.now, moment)
        if self._in_flight and self._in_flight[0][0] <= self.now:
            datagram = heappop(self._in_flight)[2]
            host = self.hosts.get(datagram.flow.remote)
            if host is not None:
                host.endpoint.receive(datagram.data, Flow("udp", host.address, datagram.flow.local), self.now)
                self.flush(host)
        for host in self.hosts.values():
            timer = host.endpoint.next_timer()
            if timer is not None and timer <= self.now:
                host.endpoint.handle_timer(self.now)
                self.flush(host)

    def run(self, seconds: float, steps: int = 100_000) -> None:
        """Runs for that long in virtual time; ``steps`` bounds a machine that never comes to rest."""
        end = Nanos(self.now + round(seconds * SECOND))
        while (moment := self.next()) is not None and moment <= end:
            self.step()
            steps -= 1
            assert steps > 0, "the machines never come to rest"
        self.now = end

    def assert_silent(self) -> None:
        """Nothing is left: no call, no dialog, no transaction, no timer; and each call ended once."""
        for host in self.hosts.values():
            assert host.endpoint.calls == 0
            assert host.endpoint.transactions == 0
            assert host.endpoint.next_timer() is None
            assert host.careful or not host.endpoint._context.dialogs
            ended = [event.call for event in host.events(Ended)]
            assert len(ended) == len(set(ended))
