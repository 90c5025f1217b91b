"""The report in the browser that most people have: light and dark, on a telephone, without a network, and audible."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.bench.report.compare import compare
from gateway.bench.report.comparison import render_comparison
from gateway.bench.report.page import render_run, write_page
from tests.chromium import Page, browser
from tests.unit.bench.report.sample import sample_run
from tests.unit.bench.report.test_page import hostile_run

pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="module")]

_WIDER = """[...document.querySelectorAll("body *")]
  .filter((one) => !one.closest(".wide"))
  .filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
  .map((one) => one.outerHTML.slice(0, 160))"""
_SCROLLS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
_PLAY = """(async () => {
  const player = document.querySelector(".player"), audio = player.querySelector("audio");
  const failed = new Promise((_, fail) => { audio.onerror = () => fail(audio.error.message); });
  const ended = new Promise((done) => { audio.onended = done; });
  const moved = new Promise((done) => { audio.ontimeupdate = () => { if (audio.currentTime > 0.1) done(); }; });
  player.querySelector(".play").click();
  await Promise.race([moved, failed]);
  const head = player.querySelector(".head"), on = player.querySelector(".play").classList.contains("on");
  const state = {length: audio.duration, told: Number(player.dataset.length), on, head: !head.hidden};
  audio.playbackRate = 8;
  await Promise.race([ended, failed]);
  return state;
})()"""
_LOUD = """(async () => {
  const audio = document.querySelector(".player audio");
  const bytes = Uint8Array.from(atob(audio.src.split(",")[1]), (c) => c.charCodeAt(0));
  const sound = await new OfflineAudioContext(2, 48000, 48000).decodeAudioData(bytes.buffer);
  return [0, 1].map((side) => sound.getChannelData(side).reduce((most, x) => Math.max(most, Math.abs(x)), 0));
})()"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page() -> AsyncIterator[Page]:
    async with browser() as page:
        yield page


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("run")
    path = directory / "run.html"
    write_page(render_run(sample_run(calls=40, recordings=directory), directory), path)
    return path


def _asked(page: Page) -> list[str]:
    return [url for url in page.requests if not url.startswith(("file:", "data:"))]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1200])
async def test_it_fits_every_screen_in_light_and_dark(page: Page, report: Path, width: int, dark: bool) -> None:
    await page.show(report, width=width, dark=dark)
    assert await page.run(_WIDER) == []
    assert await page.run(_SCROLLS) <= 0
    ground, ink = [await page.run(f"getComputedStyle(document.body).{name}") for name in ("backgroundColor", "color")]
    bright = [sum(int(part) for part in colour[4:-1].split(",")) for colour in (ground, ink)]
    assert (bright[0] < bright[1]) == dark
    assert abs(bright[0] - bright[1]) > 500
    assert page.problems == []
    assert _asked(page) == []


async def test_a_turn_can_be_heard(page: Page, report: Path) -> None:
    await page.show(report)
    assert all(level > 0.05 for level in await page.run(_LOUD))
    state = await page.run(_PLAY)
    assert state["length"] == pytest.approx(state["told"], abs=0.1)
    assert state["on"]
    assert state["head"]
    assert page.problems == []


async def test_a_pointer_finds_a_turn_and_a_click_goes_to_its_card(page: Page, report: Path) -> None:
    await page.show(report, height=2000)
    spot = await page.run("""(() => {
      const data = [...document.querySelectorAll(".chart script")].find((one) => one.textContent.includes("turn-"));
      const chart = data.closest(".chart");
      const cards = new Set([...document.querySelectorAll(".card")].map((card) => card.id));
      const point = JSON.parse(data.textContent).find((one) => cards.has(one[3]));
      chart.scrollIntoView({block: "center", behavior: "instant"});
      const room = chart.querySelector(".plot").getBoundingClientRect();
      return {x: room.left + point[0] / 1000 * room.width, y: room.top + (1 - point[1] / 1000) * room.height};
    })()""")
    await page.do("Input.dispatchMouseEvent", type="mouseMoved", x=spot["x"], y=spot["y"])
    assert await page.run("document.getElementById('tip').hidden") is False
    for kind in ("mousePressed", "mouseReleased"):
        await page.do("Input.dispatchMouseEvent", type=kind, x=spot["x"], y=spot["y"], button="left", clickCount=1)
    assert await page.run("document.activeElement.className") == "card found"


async def test_curves_can_be_switched_with_the_keyboard(page: Page, report: Path) -> None:
    await page.show(report)
    await page.run("document.querySelector('.key.greeting[data-live]').focus()")
    for kind in ("keyDown", "keyUp"):
        await page.do("Input.dispatchKeyEvent", type=kind, key=" ", code="Space", windowsVirtualKeyCode=32, text=" ")
    assert await page.run("document.activeElement.getAttribute('aria-pressed')") == "false"
    assert await page.run("document.querySelector('path.greeting').classList.contains('off')")


async def test_every_drawing_and_control_has_a_name(page: Page, report: Path) -> None:
    await page.show(report)
    nameless = await page.run("""[...document.querySelectorAll("svg:not([aria-hidden]), button, input")]
      .filter((one) => !one.getAttribute("aria-label") && !one.textContent.trim())
      .map((one) => one.outerHTML.slice(0, 80))""")
    assert nameless == []
    assert await page.run("document.querySelectorAll('table').length") > 4


async def test_it_prints_with_everything_open(page: Page, report: Path) -> None:
    await page.show(report)
    printed = await page.do("Page.printToPDF", printBackground=True)
    assert len(printed["data"]) > 20_000
    assert page.problems == []


async def test_markup_from_the_wire_stays_text(page: Page, tmp_path: Path) -> None:
    run = hostile_run(sample_run(calls=20, recordings=tmp_path))
    for name, text in (
        ("run.html", render_run(run, tmp_path)),
        ("compare.html", render_comparison(compare(run, hostile_run(sample_run(calls=20, seed=2))))),
    ):
        write_page(text, tmp_path / name)
        await page.show(tmp_path / name, width=390)
        assert await page.run("document.title") != "owned"
        assert await page.run("document.images.length") == 0
        assert await page.run(_WIDER) == []
        assert await page.run(_SCROLLS) <= 0
        assert page.problems == []
        assert _asked(page) == []
