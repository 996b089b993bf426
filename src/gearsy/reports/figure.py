"""The graph: for every condition what was observed, what each theory had bet, chance, and the controls.

Everything stands in pixels down the page (`layout`) and in the primary measure's unit across it. One Altair chart,
so it is also a Vega-Lite specification that a reader can keep; drawn by vl-convert, offline.
"""

import io
import textwrap
from pathlib import Path
from typing import Any, Literal

import altair as alt

from gearsy.base.results import RunResult
from gearsy.reports import legend, spelling
from gearsy.reports.layout import (
    NARROW,
    SHAPES,
    WIDE,
    Layout,
    Sizes,
    control_names,
    entrants,
    fitted,
    lay_out,
    measure_info,
    primary_rows,
)
from gearsy.reports.marks import FONT, GREY, INK, LINE, across, down, points, rules, texts
from gearsy.reports.paths import write_whole

Width = Literal["wide", "narrow"]
Figure = alt.HConcatChart | alt.VConcatChart


def draw(result: RunResult, *, width: Width = "wide", heading: bool = True) -> Figure:
    """The figure; `narrow` (about 360 px) has labels above the rows and the legend below.

    `heading=False` leaves out the title for a page that already has the question above the figure.
    """
    sizes = fitted(result, WIDE if width == "wide" else NARROW)
    layout = lay_out(result, sizes)
    plot = _plot(result, sizes, layout)
    key = legend.draw_legend(result, sizes)
    joined = alt.hconcat(plot, key, spacing=18) if width == "wide" else alt.vconcat(plot, key, spacing=10)
    if heading:
        joined = joined.properties(title=_title(result, width))
    return (
        joined.resolve_scale(x="independent", y="independent")
        .configure(font=FONT, background="white", padding=8, aria=False)
        .configure_view(stroke=None)
    )


def svg(chart: Figure) -> str:
    """The chart as an SVG element; every label in it is escaped text."""
    buffer = io.StringIO()
    chart.save(buffer, format="svg")
    return buffer.getvalue()


def write_png(chart: Figure, path: Path, scale: float = 2.0) -> None:
    """Draw the chart into `path`, whole or not at all."""
    buffer = io.BytesIO()
    chart.save(buffer, format="png", scale_factor=scale)
    write_whole(path, buffer.getvalue())


def _title(result: RunResult, width: Width) -> alt.TitleParams:
    wide = width == "wide"
    rows = primary_rows(result)
    prompts = sorted({row.n_prompts for row in rows})
    asked = " to ".join(dict.fromkeys(spelling.count(n) for n in (prompts[:1] + prompts[-1:])))
    parts = [result.systems[0][0], result.size, f"n = {asked} prompts a condition"]
    return alt.TitleParams(
        text=textwrap.wrap(result.asks, 88 if wide else 44) or [result.study],
        subtitle=textwrap.wrap(" · ".join(part for part in parts if part), 130 if wide else 56),
        anchor="start",
        dx=0 if wide else 7,
        fontSize=18 if wide else 14,
        subtitleFontSize=12 if wide else 11,
        color=INK,
        subtitleColor=GREY,
        subtitlePadding=5,
        offset=14,
    )


def _plot(result: RunResult, sizes: Sizes, layout: Layout) -> alt.LayerChart:
    layers = [
        *_frame(sizes, layout),
        *_uprights(result, layout),
        *_bets(result, sizes, layout),
        *_controls(result, layout),
        *_observed(result, sizes, layout),
    ]
    return alt.LayerChart(layer=layers, width=sizes.plot, height=layout.height)


def _unit(result: RunResult) -> float:
    return 100 if measure_info(result, result.primary).is_rate else 1


def _x(result: RunResult) -> alt.X:
    info = measure_info(result, result.primary)
    named = f"{info.name}: {info.title}" if info.title and info.title != info.name else info.name
    return alt.X(
        "x:Q",
        scale=alt.Scale(domain=[0, 100], nice=False) if info.is_rate else alt.Scale(zero=False),
        axis=alt.Axis(
            title=textwrap.wrap(named, 58),
            values=[0, 20, 40, 60, 80, 100] if info.is_rate else alt.Undefined,
            labelExpr="datum.value + '%'" if info.is_rate else alt.Undefined,
            domain=False,
            ticks=False,
            grid=False,
            labelColor=GREY,
            labelFontSize=11,
            labelPadding=5,
            labelFlush=False,
            titleColor=INK,
            titleFontSize=11.5,
            titleFontWeight="normal",
            titlePadding=8,
        ),
    )


def _frame(sizes: Sizes, layout: Layout) -> list[alt.Chart]:
    """Hairlines between the rows, the headings of the groups, and the labels of the rows."""
    left, half = -sizes.label, sizes.gap / 2
    right = sizes.plot + sizes.value
    ruled = {y - half for _, y in layout.headings}
    lines = [{"y": row.top - half} for row in layout.rows[1:] if row.top - sizes.heading - half not in ruled]
    headed = [{"y": y - half, "middle": y + sizes.heading / 2 - 4, "text": text} for text, y in layout.headings]
    labels = [{"y": row.label_y, "text": row.label} for row in layout.rows]
    inset = 12 if layout.headings and sizes.label else 0
    return [
        rules(lines, color=LINE).encode(y=down(), x=alt.value(left + inset), x2=alt.value(right)),
        rules(headed[1:], color="#9a9a9a").encode(y=down(), x=alt.value(left), x2=alt.value(right)),
        texts(headed, fontSize=sizes.font, fontWeight="bold", limit=right + sizes.label)
        .encode(y=down("middle"), x=alt.value(left)),
        texts(labels, fontSize=sizes.font, lineBreak="\n", limit=(sizes.label - inset - 8) if inset or sizes.label else
              sizes.plot - 90)
        .encode(y=down(), x=alt.value(left + inset)),
    ]  # fmt: skip


def _uprights(result: RunResult, layout: Layout) -> list[alt.Chart]:
    """The grid and the dashed line of chance, in the rows only, so that neither crosses a label."""
    info = measure_info(result, result.primary)
    spans = [{"y": row.observed_y - 7, "y2": row.bottom + 1} for row in layout.rows]
    marked = [0, 20, 40, 60, 80, 100] if info.is_rate else []
    grid = [{**span, "x": x} for span in spans for x in marked]
    chance = [] if info.chance is None else [{**span, "x": _unit(result) * info.chance} for span in spans]
    return [
        rules(grid, color="#e9e9e9").encode(x=_x(result), y=down(), y2=alt.Y2("y2:Q")),
        rules(chance, color="#555", strokeDash=[4, 3]).encode(x=_x(result), y=down(), y2=alt.Y2("y2:Q")),
    ]


def _bets(result: RunResult, sizes: Sizes, layout: Layout) -> list[alt.Chart]:
    unit, drawn = _unit(result), {entrant.name: entrant for entrant in entrants(result)}
    stated = {(bet.theory, bet.condition): bet for bet in result.bets}
    bars: list[dict[str, Any]] = []
    silent: list[dict[str, Any]] = []
    for row in layout.rows:
        for name, y in row.lanes:
            bet, entrant = stated.get((name, row.row.condition.key)), drawn[name]
            if bet is None or bet.latent is None:
                silent.append({"y": y, "text": "abstains", "colour": entrant.colour})
                continue
            mean = bet.latent.mean
            low, high = bet.low if bet.low is not None else mean, bet.high if bet.high is not None else mean
            bars.append({
                "x": unit * low, "x2": unit * high, "mean": unit * mean, "y": y, "colour": entrant.colour,
                "thick": 2 if entrant.baseline else 5, "tick": 4 if entrant.baseline else 7,
            })  # fmt: skip
    colour = alt.Color("colour:N", scale=None)
    return [
        rules(bars, opacity=0.38).encode(
            x=_x(result), x2="x2:Q", y=down(), color=colour, strokeWidth=alt.StrokeWidth("thick:Q", scale=None)
        ),
        _ticks(bars).encode(x=across("mean"), y=down(), y2=alt.Y2("y2:Q"), color=colour),
        texts(silent, fontSize=8, fontStyle="italic").encode(
            x=alt.value(_clear(result, sizes, 40)), y=down(), color=colour
        ),
    ]


def _clear(result: RunResult, sizes: Sizes, text_width: float) -> float:
    """Where words can start in a lane without being crossed by the line of chance."""
    info = measure_info(result, result.primary)
    line = sizes.plot * info.chance if info.chance is not None and info.is_rate else 0.0
    return line + 4 if line < text_width else 3


def _ticks(bars: list[dict[str, Any]]) -> alt.Chart:
    stood = [{**bar, "y": bar["y"] - bar["tick"] / 2, "y2": bar["y"] + bar["tick"] / 2} for bar in bars]
    return rules(stood, strokeWidth=2.2)


def _controls(result: RunResult, layout: Layout) -> list[alt.Chart]:
    """Hollow markers in a lane of their own, each control a little lower than the one before, so that none hides."""
    names, unit = control_names(result), _unit(result)
    found = {(row.condition.control, row.condition.levels): row for row in result.rows if row.measure == result.primary}
    markers: list[dict[str, Any]] = []
    for placed in layout.rows:
        for i, name in enumerate(names):
            row = found.get((name, placed.row.condition.levels))
            if row is not None and row.estimate is not None:
                nudge = (i - (len(names) - 1) / 2) * min(2.5, 6 / len(names))
                shape = SHAPES[i % len(SHAPES)]
                markers.append({"x": unit * row.estimate.value, "y": placed.controls_y + nudge, "shape": shape})
    return [
        points(markers, filled=False, size=38, stroke="#444", strokeWidth=1.2).encode(
            x=_x(result), y=down(), shape=alt.Shape("shape:N", scale=None)
        )
    ]


def _observed(result: RunResult, sizes: Sizes, layout: Layout) -> list[alt.Chart]:
    info, unit = measure_info(result, result.primary), _unit(result)
    seen: list[dict[str, Any]] = []
    words: list[dict[str, Any]] = []
    missing: list[dict[str, Any]] = []
    for placed in layout.rows:
        estimate = placed.row.estimate
        if estimate is None:
            missing.append({"y": placed.observed_y, "text": "nothing could be rated"})
            continue
        seen.append({
            "y": placed.observed_y, "x": unit * estimate.low, "x2": unit * estimate.high, "value": unit * estimate.value,
        })  # fmt: skip
        value, interval = spelling.value_of(estimate, info), spelling.interval_of(estimate, info)
        words.append({"y": placed.label_y, "value": value, "interval": interval})
    beside = sizes.value > 0
    x_value, x_interval = (sizes.plot + 44, sizes.plot + 50) if beside else (sizes.plot - 47, sizes.plot)
    return [
        rules(seen, strokeWidth=3, color=INK).encode(x=_x(result), x2="x2:Q", y=down()),
        points(seen, filled=True, size=95, color=INK, opacity=1).encode(x=across("value"), y=down()),
        texts(words, align="right", fontWeight="bold", fontSize=sizes.font)
        .encode(x=alt.value(x_value), y=down(), text="value:N"),
        texts(words, align="left" if beside else "right", fontSize=sizes.font - 1, color=GREY)
        .encode(x=alt.value(x_interval), y=down(), text="interval:N"),
        texts(missing, fontStyle="italic", fontSize=sizes.font - 1, color=GREY)
        .encode(x=alt.value(_clear(result, sizes, 130)), y=down()),
    ]  # fmt: skip
