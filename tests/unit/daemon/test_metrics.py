"""Figures are what the records say, and the dashboard asks for figures that exist."""

from __future__ import annotations

import json
import random
import re
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from gateway.call.targets import Targets
from gateway.call.trunk_options import HealthOptions, TargetOptions
from gateway.daemon.metrics import Metrics
from gateway.daemon.providers import ProviderFigures
from gateway.daemon.telemetry import Telemetry
from gateway.daemon.trunks import TrunkFigures
from gateway.errors import ProviderError, ResourceError
from gateway.media.contract import LegStats
from gateway.media.costs import PlaneCosts
from gateway.providers.router.options import UpstreamOptions
from gateway.providers.router.upstream import Upstream
from gateway.records.writer import Records
from gateway.units import MS, Nanos

KINDS = ("busy", "transient", "permanent")
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
COSTS = PlaneCosts(ticks=1000, late_ticks=2, busy_s=0.5, deviations=(90, 0, 0, 0, 9, *([0] * 94), 1))
CALL = {"call_id": "a", "trunk": "carrier", "plug": "pizza"}
TURN = {
    "event": "turn", **CALL, "gap_ms": 750.0, "ours_ms": 6.0, "interrupted": False, "cost": 0.25,
    "stages_ms": {"hangover": 400.0, "tts": 50.0}, "models": {"tts": "espeak 1.52"},
}  # fmt: skip


@pytest.fixture
def metrics() -> Metrics:
    """After a call with two turns, an interruption and a good line, and one that was refused."""
    records = Records()
    metrics = Metrics(lambda: COSTS, lambda: 3)
    records.listen(metrics.hear)
    records.add({"event": "call.started", **CALL})
    records.add(TURN)
    records.add({**TURN, "gap_ms": None, "false_barge_in": True, "ours_ms": None, "stages_ms": {}})
    records.add({"event": "barge_in", "call_id": "a", "stop_ms": 117.0})
    records.add({"event": "recording", "call_id": "a"})
    records.add({"event": "call.started", **CALL, "call_id": "b"})
    media = asdict(LegStats(packets_received=500, packets_lost=7, jitter_ms=4.0, mos=4.3))
    records.add({"event": "call.ended", **CALL, "by": "remote", "talk_s": 10.0, "media": media})
    records.add({"event": "call.refused", "call_id": "c", "status": 503})
    return metrics


def providers() -> ProviderFigures:
    """One that serves, one whose breaker has opened."""
    options = UpstreamOptions.model_validate({"breaker": {"failures": 2}})
    good, bad = (Upstream(cast("Any", SimpleNamespace(name=name)), options) for name in ("good", "bad"))
    for ms in (80, 90, 700, 20_000):
        good.health("llm").first.add(ms * MS, Nanos(0))
        good.health("llm").succeeded(Nanos(0))
    good.health("llm").connect.add(30 * MS, Nanos(0))
    bad.health("stt").on_open = lambda health: None
    for transient in (True, True, False):
        bad.health("stt").failed(ProviderError("bad", "gone", transient=transient), Nanos(0))
    bad.health("stt").failed(ProviderError("bad", "429", transient=True, busy=True), Nanos(0))
    return ProviderFigures({"good": good, "bad": bad})


def trunks() -> TrunkFigures:
    """One that is registered, one that is not, one with a target that answers and one that does not; others are not
    asked."""
    asked = HealthOptions.model_validate({"interval": "10s", "down_after": 1})
    targets = Targets([TargetOptions(uri="sip:a.test"), TargetOptions(uri="sip:b.test")], asked, random.Random(1))
    targets.report("sip:b.test", good=False)
    watched = {
        "carrier": SimpleNamespace(targets=targets, health=asked),
        "other": SimpleNamespace(targets=targets, health=HealthOptions()),
    }
    sip = SimpleNamespace(bans=["192.0.2.1"], ban_counts={"scanner": 3, "refusals": 0})
    registrations = SimpleNamespace(registered={"carrier": True, "branch": False})
    return TrunkFigures(cast("Any", sip), registrations, cast("Any", watched))


def samples(metrics: Metrics) -> dict[str, float]:
    text, _ = metrics.exposition(OPEN_METRICS)
    return {
        sample.name + "".join(f",{label}={value}" for label, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_turns_are_counted_and_timed(metrics: Metrics) -> None:
    found = samples(metrics)
    assert found["linecard_turns_total,outcome=answered,plug=pizza,trunk=carrier"] == 1
    assert found["linecard_turns_total,outcome=unanswered,plug=pizza,trunk=carrier"] == 1
    assert found["linecard_turn_gap_seconds_bucket,le=0.7,plug=pizza,trunk=carrier"] == 0
    assert found["linecard_turn_gap_seconds_bucket,le=0.8,plug=pizza,trunk=carrier"] == 1
    assert found["linecard_turn_stage_seconds_sum,model=espeak 1.52,plug=pizza,stage=tts"] == pytest.approx(0.05)
    assert found["linecard_turn_stage_seconds_sum,model=,plug=pizza,stage=hangover"] == pytest.approx(0.4)
    assert found["linecard_barge_in_stop_seconds_bucket,le=0.12,plug=pizza"] == 1
    assert found["linecard_cost_total,plug=pizza"] == 0.5
    assert found["linecard_barge_in_false_total,plug=pizza,trunk=carrier"] == 1


def test_a_turn_of_a_traced_call_points_at_its_trace() -> None:
    records, metrics = Records(), Metrics(lambda: COSTS, lambda: 0)
    records.listen(metrics.hear)
    records.add({"event": "call.started", **CALL, "traceparent": f"00-{5:032x}-{7:016x}-01"})
    records.add(TURN)
    text, _ = metrics.exposition(OPEN_METRICS)
    (bucket,) = [line for line in text.decode().splitlines() if "turn_gap_seconds_bucket" in line and " # " in line]
    assert f'# {{trace_id="{5:032x}"}} 0.75' in bucket


def test_calls_are_counted(metrics: Metrics) -> None:
    found = samples(metrics)
    assert found["linecard_calls"] == 1
    assert found["linecard_calls_ended_total,by=remote,plug=pizza,trunk=carrier"] == 1
    assert found["linecard_calls_refused_total,status=503"] == 1
    assert found["linecard_rtp_packets_total,trunk=carrier,what=lost"] == 7
    assert found["linecard_events_total,event=recording"] == 1
    assert found["linecard_records_lost_total"] == 3


def test_providers_are_told(metrics: Metrics) -> None:
    metrics.add(providers())
    found = samples(metrics)
    of = "provider=good,role=llm"
    assert [found[f"linecard_provider_first_seconds_bucket,le={le},{of}"] for le in ("0.075", "0.1", "+Inf")] == [
        0,
        2,
        4,
    ]
    assert found[f"linecard_provider_first_seconds_sum,{of}"] == pytest.approx(20.87)
    assert found[f"linecard_provider_connect_seconds_count,{of}"] == 1
    assert found[f"linecard_provider_served_total,{of}"] == 4
    errors = {kind: found[f"linecard_provider_errors_total,kind={kind},provider=bad,role=stt"] for kind in KINDS}
    assert errors == {"transient": 2, "permanent": 1, "busy": 1}
    assert found["linecard_provider_breaker,provider=bad,role=stt,state=open"] == 1
    assert found["linecard_provider_breaker,provider=bad,role=stt,state=closed"] == 0
    assert found["linecard_provider_breaker,provider=good,role=llm,state=closed"] == 1


def test_trunks_and_bans_are_told(metrics: Metrics) -> None:
    metrics.add(trunks())
    found = samples(metrics)
    assert found["linecard_banned"] == 1
    assert found["linecard_bans_total,cause=scanner"] == 3
    assert found["linecard_trunk_registered,trunk=carrier"] == 1
    assert found["linecard_trunk_registered,trunk=branch"] == 0
    assert {name: value for name, value in found.items() if name.startswith("linecard_trunk_target_up")} == {
        "linecard_trunk_target_up,target=sip:a.test,trunk=carrier": 1,
        "linecard_trunk_target_up,target=sip:b.test,trunk=carrier": 0,
    }


def test_the_planes_lateness_is_a_histogram(metrics: Metrics) -> None:
    found = samples(metrics)
    assert found["linecard_plane_lateness_seconds_bucket,le=1e-05"] == 90
    assert found["linecard_plane_lateness_seconds_bucket,le=5e-05"] == 99
    assert found["linecard_plane_lateness_seconds_bucket,le=+Inf"] == 100


def test_a_record_that_cannot_be_counted_costs_nothing(metrics: Metrics) -> None:
    records = Records()
    records.listen(metrics.hear)
    records.add({"event": "call.ended"})


def test_the_dashboard_asks_for_what_is_there(metrics: Metrics) -> None:
    metrics.add(trunks())
    metrics.add(providers())
    dashboard: dict[str, Any] = json.loads(Path("grafana/linecard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    asked = {name for expression in expressions for name in re.findall(r"linecard_\w+", expression)}
    assert len(asked) > 15
    assert asked <= {sample.partition(",")[0] for sample in samples(metrics)}


async def test_a_scrape_and_a_question_of_health(metrics: Metrics) -> None:
    healthy = True
    telemetry = Telemetry(metrics, lambda: healthy)
    await telemetry.start("127.0.0.1", 0)
    host, port = telemetry.address
    try:
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://{host}:{port}/metrics") as response:
                assert response.headers["Content-Type"].startswith("text/plain; version=")
                assert "linecard_turn_gap_seconds_bucket" in await response.text()
            async with session.get(f"http://{host}:{port}/health") as response:
                assert (response.status, await response.json()) == (200, {"healthy": True})
            healthy = False
            async with session.get(f"http://{host}:{port}/health") as response:
                assert response.status == 503
        with pytest.raises(ResourceError, match=r"telemetry\.listen: .*choose another"):
            await Telemetry(metrics, lambda: True).start(host, port)
    finally:
        await telemetry.close()
