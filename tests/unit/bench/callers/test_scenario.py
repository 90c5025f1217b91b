from __future__ import annotations

from pathlib import Path

import pytest

from gateway.bench.callers.scenario import load_scenario, shipped
from gateway.bench.callers.steps import HangUp, Interrupt, Listen, Say, Silence, Think
from gateway.errors import ConfigError
from gateway.models import dialogue
from gateway.units import MS


def write(tmp_path: Path, text: str) -> str:
    file = tmp_path / "scenario.yaml"
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_scenario_loads(name: str) -> None:
    assert load_scenario(name).turns > 0


def test_pizza_asks_for_three_things_agrees_and_interrupts_once() -> None:
    plot = load_scenario("pizza")
    assert sum(isinstance(step, Say) for step in plot.steps) == 4
    assert (plot.interruptions, plot.turns) == (1, 5)


@pytest.mark.parametrize("name", ["pizza", "soft-speaker", "noisy-street", "bad-wifi"])
def test_the_embedded_dialogue_knows_what_callers_say_who_order_in_order(name: str) -> None:
    """Its grammar is all that the embedded recogniser can hear."""
    known = dialogue.load(None)
    for text in load_scenario(name).texts():
        intent, _ = known.understand(text.lower())
        assert intent not in {"fallback", "spotted"}, text


def test_each_step_has_its_short_form(tmp_path: Path) -> None:
    text = """
name: all
steps:
  - listen
  - listen: {quiet: 1s}
  - think: 300ms
  - say: hello
  - interrupt: {after: 700ms, say: stop}
  - silence: 2s
  - hang_up
"""
    first, second, think, say, interrupt, silence, last = load_scenario(write(tmp_path, text)).steps
    assert first == Listen(quiet="700ms")
    assert second == Listen(quiet="1s")
    assert (think, say) == (Think(time="300ms"), Say(say="hello"))
    assert interrupt == Interrupt(after="0.7s", say="stop")
    assert interrupt.after == 700 * MS
    assert (silence, last) == (Silence(time="2s"), HangUp())


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("shout: hello", "'shout' is no step"),
        ("say:", "give either a text (say) or a recording (wav)"),
        ("think: 300", "is not a duration"),
        ("interrupt: {say: stop}", "Field required"),
        ("listen: {quite: 1s}", "Extra inputs are not permitted"),
        ("[1, 2]", "is no step"),
        ("digits: 12x", "should match pattern"),
        ("behind: brown", "behind.noise: Input should be"),
        ("say: {wav: missing.wav}", "there is no such file"),
        ("think: {from: 2s, to: 1s}", "from is longer than to"),
        ("think: {from: 2s}", "write a length"),
    ],
)
def test_a_mistake_is_reported_with_its_line(tmp_path: Path, step: str, message: str) -> None:
    path = write(tmp_path, f"name: wrong\nsteps:\n  - listen\n  - {step}\n  - hang_up\n")
    with pytest.raises(ConfigError) as failure:
        load_scenario(path)
    assert any(problem.startswith(f"{path}:4: ") and message in problem for problem in failure.value.problems)


def test_nothing_follows_hang_up(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing can follow hang_up"):
        load_scenario(write(tmp_path, "name: x\nsteps: [hang_up, listen]\n"))


@pytest.mark.parametrize("text", ["", "steps: [", "- just\n- a list"])
def test_what_is_no_scenario_is_refused_in_one_line_each(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        load_scenario(write(tmp_path, text))


def test_a_name_that_is_neither_file_nor_shipped(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"shipped scenarios: .*pizza"):
        load_scenario(str(tmp_path / "nothing.yaml"))
