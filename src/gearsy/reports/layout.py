"""Where everything in the figure stands, in pixels from the top: rows of lanes, grouped by the first factor.

A row is one condition. Its first lane has what was observed, the next the controls, then one lane a theory and
one a baseline, always in the order of the scoreboard, so that the legend reads in the order of the lanes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice

from gearsy.base.results import MeasureInfo, Row, RunResult

# Okabe & Ito's palette without its yellow, which white paper swallows, and with two of Paul Tol's after it
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#882255", "#808000")
GREYS = ("#8c8c8c", "#a3a3a3", "#b8b8b8")
SHAPES = ("diamond", "square", "triangle-up", "circle", "triangle-down", "cross", "triangle-right", "triangle-left")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """A theory or a baseline as it is drawn."""

    name: str
    colour: str
    verdict: str
    baseline: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The measures of one variant of the figure, in pixels."""

    plot: int
    label: int
    value: int
    legend: int
    font: int
    observed: int
    control: int
    theory: int
    baseline: int
    gap: int
    heading: int


WIDE = Sizes(
    plot=560, label=150, value=100, legend=200, font=12,
    observed=12, control=10, theory=7, baseline=4, gap=11, heading=22,
)  # fmt: skip
NARROW = Sizes(
    plot=318, label=0, value=0, legend=157, font=11,
    observed=13, control=12, theory=8, baseline=5, gap=12, heading=25,
)  # fmt: skip
_WIDEST_LABEL, _CHARACTER = 210, 6.7  # pixels; the second for a character of 12 px Helvetica, bold


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One row: its label (wide: one line a factor) and the middle of each of its lanes."""

    row: Row
    label: str
    top: float
    label_y: float
    observed_y: float
    controls_y: float
    lanes: tuple[tuple[str, float], ...]
    bottom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """All rows; the headings of their groups, as (text, y of the line above it); and the height of the whole."""

    rows: tuple[Placed, ...]
    headings: tuple[tuple[str, float], ...]
    height: float


def entrants(result: RunResult) -> tuple[Entrant, ...]:
    """Theories in the scoreboard's order, then the baselines; one that only has bets comes after the theories."""
    cards = {card.theory: card for card in result.theories}
    names = list(dict.fromkeys([*cards, *(bet.theory for bet in result.bets)]))
    theories = [name for name in names if not (name in cards and cards[name].baseline)]
    baselines = [name for name in names if name not in theories]
    return (
        *_coloured(theories, COLOURS, {name: cards[name].verdict.name for name in theories if name in cards}),
        *_coloured(baselines, GREYS, None),
    )


def _coloured(names: Sequence[str], colours: Sequence[str], verdicts: dict[str, str] | None) -> list[Entrant]:
    return [
        Entrant(
            name=name,
            colour=colour,
            verdict=(verdicts or {}).get(name, ""),
            baseline=verdicts is None,
        )
        for name, colour in zip(names, islice(cycle(colours), len(names)), strict=True)
    ]


def control_names(result: RunResult) -> tuple[str, ...]:
    """The controls in the order in which the study lists them; one that has rows only comes last."""
    found = (row.condition.control for row in result.rows if row.condition.control)
    return tuple(dict.fromkeys([*(name for name, _ in result.controls), *found]))


def primary_rows(result: RunResult, control: str = "") -> tuple[Row, ...]:
    """The rows of the primary measure in the treatment, or in one control."""
    return tuple(row for row in result.rows if row.measure == result.primary and row.condition.control == control)


def measure_info(result: RunResult, name: str) -> MeasureInfo:
    """How the measure is to be read; a measure that the run does not describe is taken for a plain number."""
    for info in result.measures:
        if info.name == name:
            return info
    return MeasureInfo(name=name, title=name, is_rate=False, chance=None, unit="")


def levels_in_words(levels: Sequence[tuple[str, str]], between: str = ", ") -> str:
    """`asked: forward, model: small`, each level on one line whatever its text."""
    return between.join(" ".join(f"{name}: {level}".split()) for name, level in levels)


def fitted(result: RunResult, sizes: Sizes) -> Sizes:
    """The same sizes with as much room for the labels as they need, taken from the plot."""
    if not sizes.label:
        return sizes
    grouped = len(result.factors) > 1
    beside = [level for row in primary_rows(result) for level in row.condition.levels[1 if grouped else 0 :]]
    longest = max((len(levels_in_words([level])) for level in beside), default=len(result.study))
    needed = _CHARACTER * longest + (12 if grouped else 0)
    label = min(_WIDEST_LABEL, max(90, math.ceil(needed) + 10))
    return replace(sizes, label=label, plot=sizes.plot + sizes.label - label)


def lay_out(result: RunResult, sizes: Sizes) -> Layout:
    """Place every treatment condition of the primary measure, in the order of the run."""
    grouped = len(result.factors) > 1
    label_above = sizes.label == 0
    headings: list[tuple[str, float]] = []
    placed: list[Placed] = []
    y = 0.0 if grouped else 4.0
    last_group: tuple[tuple[str, str], ...] | None = None
    for row in _in_groups(primary_rows(result)):
        group, rest = row.condition.levels[:1], row.condition.levels[1:]
        if grouped and group != last_group:
            headings.append((levels_in_words(group), y))
            y += sizes.heading
            last_group = group
        words = levels_in_words(rest if grouped else row.condition.levels, ", " if label_above else "\n")
        placed.append(_place(result, sizes, row=row, label=words or result.study, top=y))
        y = placed[-1].bottom + sizes.gap
    return Layout(rows=tuple(placed), headings=tuple(headings), height=max(y - sizes.gap + 2, 40))


def _in_groups(rows: Sequence[Row]) -> list[Row]:
    """The same rows with equal first levels next to one another, otherwise in their own order."""
    firsts = list(dict.fromkeys(row.condition.levels[:1] for row in rows))
    return sorted(rows, key=lambda row: firsts.index(row.condition.levels[:1]))


def _place(result: RunResult, sizes: Sizes, *, row: Row, label: str, top: float) -> Placed:
    label_above = sizes.label == 0
    y = top + (sizes.font + 5 if label_above else 0)
    observed_y = y + sizes.observed / 2
    y += sizes.observed
    controls = control_names(result)
    controls_y = y + sizes.control / 2
    y += sizes.control if controls else 0
    lanes = []
    for entrant in entrants(result):
        pitch = sizes.baseline if entrant.baseline else sizes.theory
        lanes.append((entrant.name, y + pitch / 2))
        y += pitch
    return Placed(
        row=row,
        label=label,
        top=top,
        label_y=top + sizes.font / 2 if label_above else observed_y,
        observed_y=observed_y,
        controls_y=controls_y,
        lanes=tuple(lanes),
        bottom=y if label_above else max(y, top + (sizes.font + 3) * (label.count("\n") + 1)),
    )
