"""The four marks that the figure is made of, and its inks; placed in pixels down, in the measure's unit across."""

from collections.abc import Sequence
from typing import Any

import altair as alt

FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif"
INK, GREY, LINE = "#1a1a1a", "#666666", "#e3e3e3"


def data(values: Sequence[dict[str, Any]]) -> alt.InlineData:
    """Rows for one mark; the format is stated so that no text is taken for an address."""
    return alt.InlineData(values=list(values))


def down(field: str = "y") -> alt.Y:
    """Pixels from the top."""
    return alt.Y(f"{field}:Q", scale=None, axis=None)


def across(field: str) -> alt.X:
    """A value on the x axis that another layer draws."""
    return alt.X(f"{field}:Q")


def rules(values: Sequence[dict[str, Any]], **style: Any) -> alt.Chart:  # noqa: ANN401 — Altair's own mark properties
    """A line from (x, y) to (x2, y2), or level or upright where one pair is missing."""
    return alt.Chart(data(values)).mark_rule(**style)


def points(values: Sequence[dict[str, Any]], **style: Any) -> alt.Chart:  # noqa: ANN401
    """A symbol at (x, y)."""
    return alt.Chart(data(values)).mark_point(**style)


def texts(values: Sequence[dict[str, Any]], **style: Any) -> alt.Chart:  # noqa: ANN401
    """Text at (x, y), left-aligned in ink unless said otherwise; `limit` cuts with an ellipsis."""
    chart = alt.Chart(data(values)).mark_text(**{"align": "left", "baseline": "middle", "color": INK, **style})
    return chart.encode(text=alt.Text("text:N"))
