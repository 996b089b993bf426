"""The page holds every number, asks the network for nothing, and lets no text act."""

import html
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from gearsy.base.results import RunResult
from gearsy.reports import spelling
from gearsy.reports.page import render, write_report

CHROMIUM = Path("/usr/bin/chromium")
ARGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
EVIL = "</svg></pre><script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)>"


def words_of(page: str) -> str:
    """The text of a page, without its markup, with single spaces."""
    without = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", without)).split())


@pytest.fixture
def evil(result: RunResult) -> RunResult:
    """The same run, with markup wherever a study, a theory or a model can write."""
    first, *others = result.theories
    return replace(
        result,
        asks=f"Is this safe? {EVIL}",
        answer=EVIL,
        source=EVIL,
        study=f"study {EVIL}",
        limits=(EVIL,),
        theories=(replace(first, theory=EVIL, against=EVIL), *others),
        claims=((EVIL, EVIL),),
        controls=((f"untrained {EVIL}", EVIL),),
        systems=((EVIL, EVIL),),
        exchanges=tuple(replace(e, prompt=EVIL, reply=EVIL, target=EVIL, state=EVIL) for e in result.exchanges),
        trainings=tuple(replace(t, name=EVIL, artifact=EVIL) for t in result.trainings),
        settings=((EVIL, EVIL),),
        gates=tuple(replace(g, name=EVIL, found=EVIL) for g in result.gates),
        measures=tuple(replace(m, title=EVIL, unit=EVIL) for m in result.measures),
    )


def test_three_files_and_no_draft(result: RunResult, tmp_path: Path) -> None:
    paths = write_report(result, tmp_path / "new" / "folder")
    assert sorted(p.name for p in paths.html.parent.iterdir()) == ["figure.png", "report.html", "result.json"]
    assert paths.png.read_bytes()[:4] == b"\x89PNG"
    assert json.loads(paths.json.read_text(encoding="utf-8"))["study"] == "reversal-curse"
    assert paths.html.stat().st_size < 1_000_000


def test_every_number_is_on_the_page(result: RunResult) -> None:
    text = words_of(render(result))
    infos = {info.name: info for info in result.measures}
    wanted = [
        f"{spelling.value_of(row.estimate, infos[row.measure])} {spelling.interval_of(row.estimate, infos[row.measure])}"
        for row in result.rows
    ]
    for row in result.rows:
        is_rate = infos[row.measure].is_rate
        wanted += [spelling.percent(m, 1) if is_rate else spelling.fixed(m, 2) for _, m in row.by_seed]
        wanted += [str(n) for _, n in row.states]
    for card in result.theories:
        wanted += [spelling.bits(card.bits), spelling.points(card.crps), spelling.e_value(card.log_e)]
        wanted += [spelling.percent(card.power), card.verdict.because if not card.baseline else card.theory]
        wanted += [f"{gear.name} {spelling.bits(gear.bits_lost).removeprefix('+')}" for gear in card.gears]
        wanted += [spelling.bits(bits) for _, bits in card.bits_by_condition]
    for s in result.signatures:
        wanted += [spelling.fixed(s.true_nats, 2), spelling.fixed(s.random_nats, 2), spelling.p_value(s.ks_p_value)]
        wanted += [spelling.fixed(s.difference.value, 2), spelling.fixed(s.difference.low, 2)]
    wanted += [spelling.percent(bet.latent.mean) for bet in result.bets if bet.latent]
    wanted += [spelling.duration(seconds) for _, seconds in result.timing]
    wanted += [entry.digest for entry in result.registrations] + [entry.created_at for entry in result.registrations]
    wanted += [training.artifact for training in result.trainings] + [result.ledger_head, *result.limits]
    wanted += [gate.found for gate in result.gates] + [digest for _, digest in result.systems]
    missing = {words for words in wanted if " ".join(words.split()) not in text}
    assert not missing


def test_how_to_run_it_again(result: RunResult) -> None:
    text = words_of(render(replace(result, study="a b")))
    assert "gearsy run 'a b' --size quick" in text
    assert "What this does not show" in text
    assert "All 5 predictions were sealed before any answer existed." in text


def test_a_late_prediction_is_said(result: RunResult) -> None:
    late = tuple(replace(entry, before_answers=entry.entry > 2) for entry in result.registrations)
    assert "4 of 5 predictions were sealed before any answer existed." in words_of(
        render(replace(result, registrations=late))
    )


def test_failed_gates_show(result: RunResult) -> None:
    gates = (replace(result.gates[0], passed=False),)
    assert "instrument failed" in words_of(render(replace(result, gates=gates)))


def test_nothing_points_outside(result: RunResult) -> None:
    page = re.sub(r'xmlns(:\w+)?="http://www.w3.org/[^"]*"', "", render(result))
    assert not re.search(r"https?://|//[a-z]", page)
    assert not re.search(r"@import|url\(|<script|<link(?! rel=\"icon\" href=\"data:,\")|<iframe|<object|<embed", page)
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == ["data:,"]


def test_text_is_inert(evil: RunResult) -> None:
    page = render(evil)
    assert "<script" not in page
    assert "<img" not in page
    assert not re.search(r"<[^>]*\son\w+=", page)


def test_holes(result_with_holes: RunResult, tmp_path: Path) -> None:
    write_report(result_with_holes, tmp_path)
    text = words_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "3.0e2171" in text
    assert "abstains" in text
    assert not re.search(r"\b(nan|inf|None)\b", text)


def test_half_a_surrogate_pair_is_written(result: RunResult, tmp_path: Path) -> None:
    odd = tuple(replace(exchange, reply="\ud83d") for exchange in result.exchanges)
    paths = write_report(replace(result, exchanges=odd), tmp_path)
    assert json.loads(paths.json.read_text(encoding="utf-8"))["exchanges"][0]["reply"] == "\ud83d"


def test_importing_loads_nothing_heavy() -> None:
    code = "import gearsy, gearsy.reports, sys; print({'altair', 'polars', 'vl_convert', 'jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing; install Chromium to look at the page as a reader would")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        yield chromium
        chromium.close()


@pytest.mark.browser
def test_no_text_acts_in_chromium(browser: Browser, evil: RunResult, tmp_path: Path) -> None:
    paths = write_report(evil, tmp_path)
    page = browser.new_page()
    dialogs: list[str] = []
    requests: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(paths.html.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.wait_for_timeout(200)
    assert dialogs == []
    assert page.evaluate("document.querySelectorAll('script, img, iframe, [onload], [onerror]').length") == 0
    assert [url for url in requests if not url.startswith("data:")] == [paths.html.as_uri()]
    assert "<script>alert(1)</script>" in page.inner_text("h1")
    page.close()


@pytest.mark.browser
def test_nothing_is_asked_of_the_network(browser: Browser, result: RunResult, tmp_path: Path) -> None:
    paths = write_report(result, tmp_path)
    context = browser.new_context(offline=True)
    page = context.new_page()
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(paths.html.as_uri())
    assert [url for url in requests if not url.startswith("data:")] == [paths.html.as_uri()]
    assert complaints == []
    context.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_the_body_never_scrolls_sideways(browser: Browser, result: RunResult, tmp_path: Path, width: int) -> None:
    paths = write_report(result, tmp_path)
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.goto(paths.html.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)") <= width
    shown = page.evaluate("['.wide', '.narrow'].filter(s => document.querySelector(s).offsetParent !== null)")
    assert shown == ([".wide"] if width > 840 else [".narrow"])
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_no_two_labels_of_the_figure_overlap(browser: Browser, result: RunResult, tmp_path: Path, width: int) -> None:
    paths = write_report(result, tmp_path)
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.goto(paths.html.as_uri())
    boxes = page.evaluate(
        """[...document.querySelectorAll('.card text')].filter(t => t.textContent && t.getBoundingClientRect().width)
           .map(t => [t.textContent, ...['left', 'top', 'right', 'bottom'].map(k => t.getBoundingClientRect()[k])])"""
    )
    card = page.locator(".card").bounding_box()
    assert card is not None
    assert len(boxes) > 30
    overlaps = [
        (a[0], b[0])
        for i, a in enumerate(boxes)
        for b in boxes[i + 1 :]
        if min(a[3], b[3]) - max(a[1], b[1]) > 1 and min(a[4], b[4]) - max(a[2], b[2]) > 2
    ]
    assert overlaps == []
    assert all(box[1] >= card["x"] and box[3] <= card["x"] + card["width"] for box in boxes)
    page.close()
