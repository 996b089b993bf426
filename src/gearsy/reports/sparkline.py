"""A training's loss as a line the height of a word."""

import math
from collections.abc import Sequence

_WIDTH, _HEIGHT, _PAD = 132, 30, 3


def sparkline(losses: Sequence[tuple[int, float]]) -> str:
    """An SVG element of numbers only, so nothing in it needs escaping; empty where there is no curve.

    >>> sparkline([(1, 3.2), (2, 1.1)])[:42]
    '<svg class="spark" width="132" height="30"'
    >>> sparkline([])
    ''
    """
    curve = [(step, loss) for step, loss in losses if math.isfinite(loss)]
    if len(curve) < 2:
        return ""
    steps, values = [step for step, _ in curve], [loss for _, loss in curve]
    floor = min(0.0, *values)
    across = (_WIDTH - 2 * _PAD) / ((max(steps) - min(steps)) or 1)
    down = (_HEIGHT - 2 * _PAD) / ((max(values) - floor) or 1)
    line = " ".join(
        f"{_PAD + (step - min(steps)) * across:.1f},{_HEIGHT - _PAD - (loss - floor) * down:.1f}"
        for step, loss in curve
    )
    end_x, end_y = line.rsplit(" ", 1)[-1].split(",")
    return (
        f'<svg class="spark" width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true">'
        f'<polyline points="{line}" fill="none" stroke="currentColor" stroke-width="1.4"/>'
        f'<circle cx="{end_x}" cy="{end_y}" r="2.2" fill="currentColor"/></svg>'
    )
