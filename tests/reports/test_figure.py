"""The figure draws every run that can be written down, and says nothing that is not in it."""

import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gearsy.base.bets import Rate
from gearsy.base.records import Condition, Estimate
from gearsy.base.results import Bet, RunResult
from gearsy.reports import figure
from gearsy.reports.figure import draw
from gearsy.reports.layout import COLOURS, NARROW, WIDE, Sizes, entrants, fitted, lay_out


def drawn(result: RunResult, width: figure.Width = "wide") -> str:
    return figure.svg(draw(result, width=width))


def crossed(result: RunResult, factors: Sequence[tuple[str, tuple[str, ...]]], n_theories: int) -> RunResult:
    """The same run over other factors and with other theories, each abstaining now and then."""
    levels: list[tuple[tuple[str, str], ...]] = [()]
    for name, values in factors:
        levels = [(*some, (name, value)) for some in levels for value in values]
    conditions = [Condition(levels=some) for some in levels]
    names = [f"theory {i}" for i in range(n_theories)]
    return replace(
        result,
        factors=tuple(factors),
        rows=tuple(replace(result.rows[0], condition=where) for where in conditions),
        theories=tuple(replace(result.theories[0], theory=name) for name in names),
        bets=tuple(
            Bet(theory=name, condition=where.key, latent=Rate(mean=0.5, sd=0.1), low=0.3, high=0.7)
            if (i + j) % 5
            else Bet(theory=name, condition=where.key, latent=None, low=None, high=None)
            for j, name in enumerate(names)
            for i, where in enumerate(conditions)
        ),
    )


def pixels(png: bytes) -> tuple[int, int, bytes]:
    """Width, height, and the filtered scan lines."""
    width, height = struct.unpack(">II", png[16:24])
    at, packed = 8, b""
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += length + 12
    return width, height, zlib.decompress(packed)


@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_everything_is_named(result: RunResult, width: figure.Width) -> None:
    text = " ".join(re.findall(r"<(?:text|tspan)[^>]*>([^<]*)", drawn(result, width)))
    for row in result.rows:
        for name, level in row.condition.levels:
            assert f"{name}: {level}" in text
    for name in ("untrained", "in context", "shuffled pairs", *(card.theory for card in result.theories)):
        assert name in text
    for words in ("94%", "[87, 98]", "chance, 8.3%", "supported", "refuted", "95% interval", "n = 72 prompts"):
        assert words in text


def test_bars_stand_where_the_numbers_are(result: RunResult) -> None:
    spec = draw(result).to_dict()
    values = [row for rows in spec["datasets"].values() for row in rows] if "datasets" in spec else []
    layers = spec["hconcat"][0]["layer"]
    values += [row for layer in layers for row in layer.get("data", {}).get("values", [])]
    observed = [row["value"] for row in values if isinstance(row.get("value"), float)]
    assert observed == pytest.approx([94.4, 12.5, 15.3, 91.7, 97.2, 95.8])
    means = {(round(row["mean"], 6), row["colour"]) for row in values if "mean" in row}
    assert (45.0, COLOURS[1]) in means
    assert (93.0, COLOURS[2]) in means
    assert (9.0, COLOURS[0]) in means


@pytest.mark.parametrize("width", ["wide", "narrow"])
@pytest.mark.parametrize(
    ("factors", "n_theories"),
    [
        ((("trained", ("one way", "both")),), 0),
        ((("trained", ("one way", "both")),), 8),
        ((("trained", ("a", "b")), ("asked", ("c", "d")), ("model", ("e", "f"))), 3),
        ((), 1),
    ],
)
def test_other_designs(
    result: RunResult, width: figure.Width, factors: tuple[tuple[str, tuple[str, ...]], ...], n_theories: int
) -> None:
    run = crossed(result, factors, n_theories)
    text = drawn(run, width)
    assert all(f"theory {i}" in text for i in range(n_theories))
    assert ("abstains" in text) is (n_theories > 0)


def test_what_is_missing_is_said(result_with_holes: RunResult) -> None:
    text = drawn(result_with_holes)
    assert "nothing could be rated" in text
    assert "abstains" in text
    assert "NaN" not in text


def test_a_measure_that_is_no_rate(result: RunResult) -> None:
    assert "target log-probability" in drawn(replace(result, primary="target log-probability"))


def test_a_run_without_rows_still_draws(result: RunResult) -> None:
    assert "<svg" in drawn(replace(result, rows=(), bets=(), theories=(), controls=()))


def test_labels_are_inert(result: RunResult) -> None:
    evil = '</svg><script>alert(1)</script><img src=x onerror="alert(2)">'
    cards = tuple(replace(card, theory=evil) for card in result.theories[:1])
    text = drawn(replace(result, asks=evil, theories=cards, bets=(), controls=((evil, ""),)))
    assert text.count("</svg>") == 1
    assert "<script" not in text
    assert "<img" not in text


def test_long_names_are_cut_not_clipped(result: RunResult) -> None:
    long = "a level " * 30
    where = Condition(levels=(("trained", "both"), ("asked", long)))
    sizes = fitted(replace(result, rows=(replace(result.rows[0], condition=where),)), WIDE)
    assert sizes.label + sizes.plot == WIDE.label + WIDE.plot
    assert "…" in drawn(replace(result, rows=(replace(result.rows[0], condition=where),)))


@pytest.mark.parametrize("sizes", [WIDE, NARROW])
def test_no_two_lanes_meet(result: RunResult, sizes: Sizes) -> None:
    layout = lay_out(result, fitted(result, sizes))
    ys = [y for row in layout.rows for y in (row.observed_y, row.controls_y, *(y for _, y in row.lanes))]
    assert ys == sorted(ys)
    assert min(b - a for a, b in zip(ys, ys[1:], strict=False)) >= sizes.baseline
    assert all(before.bottom < after.top for before, after in zip(layout.rows, layout.rows[1:], strict=False))


def test_each_theory_has_its_colour_and_baselines_are_grey(result: RunResult) -> None:
    theories = [entrant for entrant in entrants(result) if not entrant.baseline]
    greys = [entrant.colour for entrant in entrants(result) if entrant.baseline]
    assert len({entrant.colour for entrant in theories}) == 3
    assert all(colour[1:3] == colour[3:5] == colour[5:7] for colour in greys)


def test_png(result: RunResult, tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    figure.write_png(draw(result), path, 2)
    width, height, lines = pixels(path.read_bytes())
    assert 1900 < width < 2400
    assert 1000 < height < 1400
    assert sum(byte != 0 for byte in lines) > 20_000
    assert list(tmp_path.iterdir()) == [path]


def test_narrow_fits_a_phone(result: RunResult) -> None:
    found = re.search(r'<svg[^>]* width="(\d+)"', drawn(result, "narrow"))
    assert found is not None
    assert int(found[1]) <= 362


def test_the_interval_is_the_interval(result: RunResult) -> None:
    wide = Estimate(value=0.5, low=0.0, high=1.0, n=1, method="none", level=0.9)
    text = drawn(replace(result, rows=(replace(result.rows[0], estimate=wide),)))
    assert "[0, 100]" in text
    assert "90% interval" in text
