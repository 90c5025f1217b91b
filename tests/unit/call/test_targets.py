"""Which target is tried first, and which is known to be down."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from gateway.call.health import Health
from gateway.call.targets import Targets
from gateway.call.trunk_options import HealthOptions, TargetOptions
from gateway.sip.auth import Credentials
from gateway.sip.events import Pinged
from gateway.sip.flow import Hop, Remote

A, B, C = "sip:a.example", "sip:b.example", "sip:c.example"


def targets(**health: object) -> Targets:
    options = [TargetOptions(uri=A, weight=3), TargetOptions(uri=B), TargetOptions(uri=C, priority=2)]
    return Targets(options, HealthOptions.model_validate(health), random.Random(1))


def uris(some: Targets) -> list[str]:
    return [target.uri for target in some.order()]


def test_calls_are_shared_by_weight_and_the_backup_comes_last() -> None:
    some = targets()
    orders = [uris(some) for _ in range(4000)]
    assert {order[2] for order in orders} == {C}
    assert Counter(order[0] for order in orders)[A] == pytest.approx(3000, rel=0.05)


def test_a_target_that_fails_often_enough_is_tried_last_until_it_answers_often_enough() -> None:
    some = targets(down_after=3, up_after=2)
    assert [some.report(A, good=False) for _ in range(4)] == [False, False, True, False]
    assert uris(some) == [B, C, A]
    assert [some.report(A, good=good) for good in (True, False, True, True)] == [False, False, False, True]
    assert uris(some)[2] == C


def test_failures_that_do_not_follow_each_other_are_forgiven() -> None:
    some = targets(down_after=2)
    for _ in range(5):
        assert not some.report(A, good=False)
        assert not some.report(A, good=True)


class Sip:
    """Answers as it is told to."""

    def __init__(self) -> None:
        self.answers: dict[str, int] = {A: 405, B: 503}
        self.pings: Counter[str] = Counter()
        self.health: Health | None = None

    async def locate(self, target: str) -> list[Hop]:
        return []

    def options_ping(
        self, target: str, *, remote: Remote = None, credentials: Credentials | None = None, advertise: str = ""
    ) -> None:
        self.pings[target] += 1
        if target in self.answers:
            assert self.health
            self.health.on_event(Pinged(target, self.answers[target]))


async def test_pings_tell_who_is_there() -> None:
    sip, some = Sip(), targets(interval="5ms", timeout="5ms", down_after=2)
    trunk = SimpleNamespace(targets=some, health=HealthOptions.model_validate({"interval": "5ms", "timeout": "5ms"}))
    trunk.credentials, trunk.advertise = None, ""
    sip.health = Health(sip, {"carrier": trunk})  # type: ignore[dict-item]
    with capture_logs() as logs:
        sip.health.start()
        async with asyncio.timeout(10):
            while some.up(B) or some.up(C):
                await asyncio.sleep(0)
            assert some.up(A)
            sip.answers[C] = 200
            while not some.up(C):
                await asyncio.sleep(0)
    await sip.health.close()
    told = [(line["event"], line["target"]) for line in logs]
    assert sorted(told[:2]) == [("trunk.target_down", B), ("trunk.target_down", C)]
    assert told[2:] == [("trunk.target_up", C)]
