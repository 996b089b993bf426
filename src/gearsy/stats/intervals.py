"""Numbers with honest intervals, in the unit of replication.

A rate never gets a normal-theory interval: at p = .02 and n = 30 that covers .46 where it promises .95, and 0 of n
gets "± 0". Samples of one prompt are not independent: 10 prompts × 10 samples at ICC .3, counted as 100, cover .65.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, ndtri, stdtrit

from gearsy.base.errors import BadRecord
from gearsy.base.records import Estimate
from gearsy.stats.clusters import TooFewClusters, check_level, group, plural
from gearsy.stats.hierarchical import rate_bounds

Interval = Callable[[ArrayLike, Iterable[Hashable], float], Estimate]


def jeffreys(successes: int, n: int, level: float = 0.95) -> Estimate:
    """A rate of n *independent* outcomes, between the equal tails of Beta(successes + 1/2, n - successes + 1/2).

    Brown, Cai & DasGupta 2001 (Statistical Science 16:101), section 3.1.3: the lower bound is 0 at no success, the
    upper bound 1 at no failure. Coverage is .95 on average over the rate, and dips to about .89 at single rates.

    >>> answer = jeffreys(0, 30)
    >>> answer.low, round(answer.high, 3)
    (0.0, 0.08)
    """
    _check_count(successes, n)
    check_level(level)
    a, b = successes + 0.5, n - successes + 0.5
    low = 0.0 if successes == 0 else float(betaincinv(a, b, (1 - level) / 2))
    high = 1.0 if successes == n else float(betaincinv(a, b, (1 + level) / 2))
    return Estimate(value=successes / n, low=low, high=high, n=n, method="Jeffreys", level=level)


def wilson(successes: int, n: int, level: float = 0.95) -> Estimate:
    """A rate of n *independent* outcomes, with the bounds that a score test would not reject.

    Wilson 1927; Brown, Cai & DasGupta 2001, equation 4.

    >>> answer = wilson(15, 30)
    >>> round(answer.low, 3), round(answer.high, 3)
    (0.332, 0.668)
    """
    _check_count(successes, n)
    check_level(level)
    z2 = float(ndtri((1 + level) / 2)) ** 2
    centre = (successes + z2 / 2) / (n + z2)
    half = math.sqrt(z2 * (successes * (n - successes) / n + z2 / 4)) / (n + z2)
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Estimate(value=successes / n, low=low, high=high, n=n, method="Wilson", level=level)


def clustered_mean(values: ArrayLike, clusters: Iterable[Hashable], level: float = 0.95) -> Estimate:
    """The mean of real-valued scores, with a standard error that sees only the C clusters (`n` is C).

    SE = sqrt(C / (C - 1) · Σ_c (Σ_{i in c} (x_i - mean))²) / n, with the t quantile of C - 1 degrees of freedom: CR1
    of Cameron & Miller 2015 (J. Human Resources 50:317), which is the clustered error of Miller 2024
    (arXiv:2411.00640) corrected for few clusters. It covers .95 where cluster means are near normal, and is too
    narrow where few skewed ones were drawn: 0/1 values at rate .1, ICC .3, cover .84 with 10 clusters × 10 and .93
    with 50 × 10, so use `clustered_rate` there. `values` and `clusters` have one entry a sample. Scores that do not
    vary have an interval of no width. Raises TooFewClusters for one cluster: its standard error is undefined, not 0.

    >>> answer = clustered_mean([1.0, 1.0, 3.0, 3.0], ["a", "a", "b", "b"])
    >>> answer.value, answer.n, round(answer.high - answer.value, 2)
    (2.0, 2, 12.71)
    """
    check_level(level)
    data = group(values, clusters)
    data.refuse_one_cluster()
    count, mean = data.n_clusters, float(data.values.mean())
    spread = float(np.sum(data.sums(data.values - mean) ** 2))
    half = float(stdtrit(count - 1, (1 + level) / 2)) * math.sqrt(count / (count - 1) * spread) / data.values.size
    method = f"clustered t over {count} clusters"
    return Estimate(value=mean, low=mean - half, high=mean + half, n=count, method=method, level=level)


def clustered_rate(values: ArrayLike, clusters: Iterable[Hashable], level: float = 0.95) -> Estimate:
    """A rate of 0/1 values in C clusters, honest from 2 clusters up (`n` is C, `value` the plain mean).

    A beta-binomial model with an unknown intra-cluster correlation; `gearsy.stats.hierarchical` has the formulae and
    the reasons. Measured coverage of a nominal .95, for rates {.05, .2, .5, .95} × clusters {12, 50} × {1, 4} samples
    × ICC {0, .3}: .946 to .993. It cannot know of clusters that are of another kind, few, and were not drawn: 12 ×
    50, where 7 % of clusters never succeed and the others do at .86, covers .63. With one sample a cluster it is
    Jeffreys with each bound leaning a quarter of a count outwards. `values` and `clusters` have one entry a sample.
    Raises TooFewClusters for one cluster.

    >>> answer = clustered_rate([1] * 16, ["a", "b", "c", "d"] * 4)
    >>> answer.value, round(answer.low, 2), answer.high
    (1.0, 0.58, 1.0)
    """
    check_level(level)
    data = group(values, clusters)
    wrong = data.values[(data.values != 0) & (data.values != 1)]
    if wrong.size:
        raise BadRecord(f"a value is {wrong[0]}; a rate wants 0 or 1. Use clustered_mean for real-valued scores.")
    data.refuse_one_cluster()
    successes = data.sums(data.values).astype(np.intp)
    low, high = rate_bounds(successes[None, :], data.sizes(), level)
    return Estimate(
        value=float(successes.sum() / data.values.size),
        low=float(low[0]),
        high=float(high[0]),
        n=data.n_clusters,
        method=f"hierarchical beta-binomial over {data.n_clusters} clusters",
        level=level,
    )


def rate_interval(values: ArrayLike, units: Mapping[str, Sequence[Hashable]], level: float = 0.95) -> Estimate:
    """A rate replicated over several crossed units: the widest of the one-way `clustered_rate` intervals.

    `units` gives, for each unit of replication, one label a value; units with one label are passed over. The widest
    is the conservative one among the one-way intervals, and a shortcut for multiway clustering, which adds their
    variances V₁ + V₂ - V₁₂ (Cameron, Gelbach & Miller 2011, J. Business & Economic Statistics 29:238). Where two
    units matter equally it is too narrow: .88 with 30 questions × 30 models, .93 with 12 × 12; with 3 to 5 models it
    covers .96 or more, by being wide. `method` names the unit that was widest.
    Raises TooFewClusters if no unit has two labels.

    >>> rate_interval([1, 0, 1, 1], {"question": [1, 2, 3, 4], "model": ["m", "m", "m", "m"]}).method
    'hierarchical beta-binomial over 4 questions'
    """
    return _widest(clustered_rate, values, units, level)


def mean_interval(values: ArrayLike, units: Mapping[str, Sequence[Hashable]], level: float = 0.95) -> Estimate:
    """A mean replicated over several crossed units: the widest of the one-way `clustered_mean` intervals.

    The same shortcut, with the same limits, as `rate_interval`.

    >>> mean_interval([0.1, 0.4, 0.3], {"question": ["a", "b", "c"]}).method
    'clustered t over 3 questions'
    """
    return _widest(clustered_mean, values, units, level)


def _widest(interval: Interval, values: ArrayLike, units: Mapping[str, Sequence[Hashable]], level: float) -> Estimate:
    if not units:
        raise BadRecord('no unit of replication was given; pass at least one, say {"question": [...]}.')
    found: list[Estimate] = []
    for unit, labels in units.items():
        if group(values, labels).n_clusters > 1:
            estimate = interval(values, labels, level)
            found.append(replace(estimate, method=estimate.method.replace("clusters", plural(unit))))
    if not found:
        raise TooFewClusters(
            f"every value comes from the same {' and the same '.join(units)}, so nothing was replicated; "
            f"ask at least 2 different {plural(next(iter(units)))}."
        )
    return max(found, key=lambda estimate: estimate.high - estimate.low)


def _check_count(successes: int, n: int) -> None:
    if n != int(n) or successes != int(successes) or n < 1 or not 0 <= successes <= n:
        raise BadRecord(f"{successes} successes of {n} is impossible; give whole numbers, 0 <= successes <= n, n >= 1.")
