"""Could this design tell? Asked before a bet is registered, because afterwards it is an excuse."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from gearsy.base.errors import BadRecord, GearsyError
from gearsy.stats.betabinomial import BetaBinomial
from gearsy.stats.clusters import check_level
from gearsy.stats.scores import mixed


class Undetectable(GearsyError, ValueError):
    """No difference that a rate could show would be seen by this design."""


def power(  # noqa: PLR0913  the bets, the rule (log_e, epsilon) and chance (rng, draws) are three small things
    truth: Sequence[BetaBinomial],
    rival: Sequence[BetaBinomial],
    *,
    rng: np.random.Generator,
    log_e: float = math.log(20),
    epsilon: float = 1e-3,
    draws: int = 4000,
) -> float:
    """The chance that, if `truth` holds, its e-value over `rival` reaches exp(log_e) on all conditions together.

    `truth` and `rival` give one predicted count for each condition, in the same order, and conditions are drawn
    independently. The theory is mixed with ε of its rival, as when it is scored. Monte Carlo: the standard error is
    at most 1/(2·sqrt(draws)), .008 by default. Raises BadRecord if the two do not describe the same design.

    >>> truth, rival = BetaBinomial(n=100, a=30, b=20), BetaBinomial(n=100, a=20, b=30)
    >>> [round(power([truth] * n, [rival] * n, rng=np.random.default_rng(0)), 1) for n in (1, 4)]
    [0.4, 1.0]
    """
    if len(truth) != len(rival) or not truth:
        raise BadRecord(f"{len(truth)} predictions against {len(rival)}; give one of each for every condition.")
    if draws < 1:
        raise BadRecord(f"draws is {draws}; it must be 1 or more, and 4000 leave an error of .008.")
    won = np.zeros(draws)
    for mine, theirs in zip(truth, rival, strict=True):
        if mine.n != theirs.n:
            raise BadRecord(
                f"a condition has {mine.n} trials in one prediction and {theirs.n} in the other; "
                "push both through one design."
            )
        counts = np.arange(mine.n + 1)
        baseline = theirs.logpmf(counts)
        gain = mixed(mine.logpmf(counts), baseline, epsilon) - baseline
        won += gain[mine.draw(rng, draws)]
    return float(np.mean(won >= log_e))


def minimum_detectable_difference(  # noqa: PLR0913  the parameters of Miller's formula, all numbers
    m: int, r: int, icc: float, base: float, *, power: float = 0.8, level: float = 0.95
) -> float:
    """The smallest change of a rate from `base` that two conditions of m different prompts × r samples would show.

    Solves δ = (z_{α/2} + z_β)·sqrt((v(base) + v(base + δ))/m), with v(p) = p(1-p)(ρ + (1-ρ)/r) the variance of one
    prompt's mean, towards the side where there is more room. This is Miller 2024 (arXiv:2411.00640) for two groups of
    prompts that share nothing; asking both conditions the same prompts (`effects.paired_difference`) detects less.
    A normal approximation: with fewer than about 10 expected successes or failures a condition it is a rough guide.
    Raises Undetectable if even the largest possible change would be missed.

    >>> round(minimum_detectable_difference(50, 4, 0.3, 0.5), 3)
    0.186
    """
    check_level(level)
    _check_design(m, r, icc, base, power)
    h = (float(ndtri((1 + level) / 2)) + float(ndtri(power))) ** 2 * (icc + (1 - icc) / r) / m
    low = min(base, 1 - base)  # by symmetry the change goes up from here
    # (1 + h)δ² - h(1 - 2·low)δ - 2h·low(1 - low) = 0
    linear = h * (1 - 2 * low)
    change = (linear + math.sqrt(linear**2 + 8 * h * (1 + h) * low * (1 - low))) / (2 * (1 + h))
    if change > 1 - low:
        raise Undetectable(
            f"{m} prompts × {r} samples at icc {icc} would miss even a change of {1 - low:.2f} "
            f"from {base}; add prompts."
        )
    return change


def _check_design(m: int, r: int, icc: float, base: float, power: float) -> None:
    if m != int(m) or r != int(r) or m < 1 or r < 1:
        raise BadRecord(f"a design of {m} prompts × {r} samples is impossible; both must be whole numbers, 1 or more.")
    if not 0 <= icc <= 1:
        raise BadRecord(f"icc is {icc}; the correlation of one prompt's samples lies in [0, 1].")
    if not 0 <= base <= 1:
        raise BadRecord(f"base is {base}; a rate lies in [0, 1].")
    if not 0.5 <= power < 1:
        raise BadRecord(f"power is {power}; ask for at least 0.5 and less than 1, say 0.8.")
