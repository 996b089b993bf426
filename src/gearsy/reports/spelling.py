"""How numbers are written for a reader: one rule for each kind, the same in the page, the figure and the terminal.

A number that does not exist is written `NOTHING`, never 0. Digits follow the width of the interval, so that no
table claims more than its data say.
"""

import math

from gearsy.base.records import Estimate
from gearsy.base.results import MeasureInfo

NOTHING = "–"
MINUS = "\N{MINUS SIGN}"


def fixed(value: float, digits: int) -> str:
    """`value` with that many decimals, a true minus sign, and no negative zero.

    >>> fixed(-0.04, 1), fixed(-2.25, 1)
    ('0.0', '−2.2')
    """
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", MINUS)


def digits_for(width: float) -> int:
    """Decimals that an interval of this width (in the unit in which it is printed) can carry.

    >>> digits_for(12.0), digits_for(2.0), digits_for(0.2)
    (0, 1, 2)
    """
    if width >= 5:
        return 0
    return 1 if width >= 0.5 else 2


def percent(rate: float, digits: int | None = None) -> str:
    """A rate as a percentage; without `digits`, whole percents except close to 0 and 100.

    >>> percent(0.9583), percent(1 / 12), percent(0.004), percent(1.0)
    ('96%', '8.3%', '0.4%', '100%')
    """
    points = 100 * rate
    if digits is None:
        whole = math.isclose(points, round(points), abs_tol=1e-9)
        digits = 0 if whole or 10 <= points <= 99 else 1
    return f"{fixed(points, digits)}%"


def value_of(estimate: Estimate | None, measure: MeasureInfo) -> str:
    """The estimate alone, in its measure's unit.

    >>> info = MeasureInfo(name="m", title="m", is_rate=True, chance=None, unit="")
    >>> value_of(Estimate(value=0.5, low=0.4, high=0.6, n=9, method="wilson"), info)
    '50%'
    """
    if estimate is None:
        return NOTHING
    if measure.is_rate:
        return percent(estimate.value, digits_for(100 * (estimate.high - estimate.low)))
    return fixed(estimate.value, 2)


def interval_of(estimate: Estimate | None, measure: MeasureInfo) -> str:
    """The interval in brackets, without its unit.

    >>> info = MeasureInfo(name="m", title="m", is_rate=True, chance=None, unit="")
    >>> interval_of(Estimate(value=0.5, low=0.4, high=0.6, n=9, method="wilson"), info)
    '[40, 60]'
    """
    if estimate is None:
        return ""
    if measure.is_rate:
        return bracket(100 * estimate.low, 100 * estimate.high)
    return f"[{fixed(estimate.low, 2)}, {fixed(estimate.high, 2)}]"


def bracket(low: float, high: float) -> str:
    """`[low, high]` with the digits that its width can carry."""
    digits = digits_for(high - low)
    return f"[{fixed(low, digits)}, {fixed(high, digits)}]"


def chance_of(measure: MeasureInfo) -> str:
    """What guessing would reach, in the measure's unit."""
    if measure.chance is None:
        return NOTHING
    return percent(measure.chance) if measure.is_rate else fixed(measure.chance, 2)


def bits(value: float) -> str:
    """Bits with their sign: whole from 100 on, else one decimal.

    >>> bits(312.44), bits(-4.02), bits(0.0), bits(-math.inf)
    ('+312', '−4.0', '0.0', '−∞')
    """
    if math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "+∞" if value > 0 else f"{MINUS}∞"
    text = fixed(value, 0 if abs(value) >= 100 else 1)
    return f"+{text}" if value > 0 and float(text) > 0 else text


def points(rate: float) -> str:
    """A difference of rates in percentage points, as the CRPS is shown: `4.2`."""
    return fixed(100 * rate, 1) if math.isfinite(rate) else NOTHING


def e_value(log_e: float) -> str:
    """An e-value from its natural logarithm; it may lie far outside what a float can hold.

    >>> e_value(12.676), e_value(-9.0), e_value(2000.0), e_value(1.5)
    ('3.2e5', '<0.001', '3.9e868', '4.5')
    """
    if math.isnan(log_e):
        return NOTHING
    if math.isinf(log_e):
        return ">1e308" if log_e > 0 else "<0.001"
    tens = log_e / math.log(10)
    if tens < -3:
        return "<0.001"
    if tens < 3:
        value = 10**tens
        return f"{value:.0f}" if value >= 100 else f"{value:.2g}"
    whole = math.floor(tens)
    mantissa = f"{10 ** (tens - whole):.1f}"
    return f"1.0e{whole + 1}" if mantissa == "10.0" else f"{mantissa}e{whole}"


def p_value(value: float) -> str:
    """A p-value to two digits, and never 0.

    >>> p_value(3e-9), p_value(0.0421), p_value(0.6)
    ('<0.001', '0.042', '0.60')
    """
    if not math.isfinite(value):
        return NOTHING
    if value < 0.001:
        return "<0.001"
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def duration(seconds: float) -> str:
    """Seconds as a person would say them.

    >>> duration(0.412), duration(61.4), duration(7384)
    ('0.4 s', '1 min 01 s', '2 h 03 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count(n: int) -> str:
    """A whole number with narrow no-break spaces between its thousands.

    >>> count(1234567).split()
    ['1', '234', '567']
    """
    return f"{n:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
