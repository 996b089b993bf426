"""The figure's legend: every mark as it is drawn, in the order of the lanes, with each theory's verdict."""

from typing import Any

import altair as alt

from gearsy.base.results import RunResult
from gearsy.reports import spelling
from gearsy.reports.layout import SHAPES, Entrant, Sizes, control_names, entrants, measure_info, primary_rows
from gearsy.reports.marks import GREY, INK, down, points, rules, texts

_LINE, _TWO_LINES, _AFTER_HEAD, _BEFORE_HEAD = 17, 31, 17, 8
_MARK, _TEXT = 26, 34


class _Column:
    """Collects the legend's marks from the top of one column down."""

    def __init__(self, x: float) -> None:
        self.x, self.y = x, 8.0
        self.words: list[dict[str, Any]] = []
        self.lines: list[dict[str, Any]] = []
        self.dots: list[dict[str, Any]] = []

    def head(self, text: str) -> None:
        self.y += _BEFORE_HEAD if self.words else 0
        self._say(text, x=self.x, weight="bold", colour=INK)
        self.y += _AFTER_HEAD

    def observed(self, text: str) -> None:
        self._rule(colour=INK, thick=3, opacity=1)
        self._dot("circle", filled=True, size=95)
        self._say(text)
        self.y += _LINE

    def control(self, text: str, shape: str) -> None:
        self._dot(shape, filled=False, size=38)
        self._say(text)
        self.y += _LINE

    def chance(self, text: str) -> None:
        self.lines.append({
            "x": self.x + _MARK / 2, "x2": self.x + _MARK / 2, "y": self.y - 7, "y2": self.y + 7,
            "colour": "#555", "thick": 1, "opacity": 1, "dash": "dashed",
        })  # fmt: skip
        self._say(text)
        self.y += _LINE

    def entrant(self, entrant: Entrant) -> None:
        grey = entrant.baseline
        self._rule(colour=entrant.colour, thick=2 if grey else 5, opacity=0.38)
        middle, half = self.x + _MARK / 2, 2 if grey else 4
        self.lines.append({
            "x": middle, "x2": middle, "y": self.y - half, "y2": self.y + half,
            "colour": entrant.colour, "thick": 2.2, "opacity": 1, "dash": "solid",
        })  # fmt: skip
        self._say(entrant.name, colour=GREY if grey else INK)
        if entrant.verdict:
            self.y += 13
            self._say(entrant.verdict.lower(), colour=GREY, small=True)
            self.y += _TWO_LINES - 13
        else:
            self.y += _LINE

    def _say(
        self, text: str, *, x: float | None = None, weight: str = "normal", colour: str = INK, small: bool = False
    ) -> None:
        at = self.x + _TEXT if x is None else x
        self.words.append({"x": at, "y": self.y, "text": text, "weight": weight, "colour": colour, "small": small})

    def _rule(self, *, colour: str, thick: float, opacity: float) -> None:
        self.lines.append({
            "x": self.x, "x2": self.x + _MARK, "y": self.y, "y2": self.y,
            "colour": colour, "thick": thick, "opacity": opacity, "dash": "solid",
        })  # fmt: skip

    def _dot(self, shape: str, *, filled: bool, size: int) -> None:
        self.dots.append({"x": self.x + _MARK / 2, "y": self.y, "shape": shape, "filled": filled, "size": size})


def draw_legend(result: RunResult, sizes: Sizes) -> alt.LayerChart:
    """One column beside a wide plot; two below a narrow one."""
    stacked = sizes.label > 0
    seen = _Column(0)
    bet = seen if stacked else _Column(sizes.legend + 4)
    _what_was_seen(seen, result)
    _what_was_bet(bet, result)
    columns = [seen] if stacked else [seen, bet]
    height = max(column.y for column in columns)
    limit = sizes.legend - _TEXT - 2
    width = sizes.legend if stacked else sizes.plot
    return alt.LayerChart(layer=_marks(columns, limit), width=width, height=height)


def _what_was_seen(column: _Column, result: RunResult) -> None:
    levels = [row.estimate.level for row in primary_rows(result) if row.estimate is not None]
    column.head("Observed")
    column.observed(f"treatment, {spelling.percent(levels[0])} interval" if levels else "treatment")
    for i, name in enumerate(control_names(result)):
        column.control(name, SHAPES[i % len(SHAPES)])
    info = measure_info(result, result.primary)
    if info.chance is not None:
        column.chance(f"chance, {spelling.chance_of(info)}")


def _what_was_bet(column: _Column, result: RunResult) -> None:
    drawn = entrants(result)
    for title, wanted in (("Predicted by theory", False), ("Predicted by baseline", True)):
        some = [entrant for entrant in drawn if entrant.baseline is wanted]
        if some:
            column.head(title)
        for entrant in some:
            column.entrant(entrant)


def _marks(columns: list[_Column], limit: float) -> list[alt.Chart]:
    words = [word for column in columns for word in column.words]
    lines = [line for column in columns for line in column.lines]
    dots = [dot for column in columns for dot in column.dots]
    x, colour = alt.X("x:Q", scale=None, axis=None), alt.Color("colour:N", scale=None)
    place = {"x": x, "y": down()}
    drawn: list[alt.Chart] = []
    for dashed in (False, True):
        some = [line for line in lines if (line["dash"] == "dashed") is dashed]
        drawn.append(
            rules(some, strokeDash=[4, 3] if dashed else [1, 0]).encode(
                **place,
                x2=alt.X2("x2:Q"),
                y2=alt.Y2("y2:Q"),
                color=colour,
                strokeWidth=alt.StrokeWidth("thick:Q", scale=None),
                opacity=alt.Opacity("opacity:Q", scale=None),
            )
        )
    for filled in (True, False):
        some = [dot for dot in dots if dot["filled"] is filled]
        style = {"color": INK, "opacity": 1} if filled else {"stroke": "#444", "strokeWidth": 1.2}
        drawn.append(
            points(some, filled=filled, size=95 if filled else 38, **style).encode(
                **place, shape=alt.Shape("shape:N", scale=None)
            )
        )
    for weight, small in (("bold", False), ("normal", False), ("normal", True)):
        some = [word for word in words if word["weight"] == weight and word["small"] is small]
        size = 10 if small else 11.5
        drawn.append(texts(some, fontWeight=weight, fontSize=size, limit=limit).encode(**place, color=colour))
    return drawn
