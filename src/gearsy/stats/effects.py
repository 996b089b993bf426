"""Differences between two measurements of the same questions, and p-values that own up to how many were tried.

p-values need a number of samples fixed beforehand; where someone may stop early, use `gearsy.stats.evalues`.
"""

import warnings
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from gearsy.base.errors import BadRecord
from gearsy.base.records import Estimate
from gearsy.stats.clusters import group
from gearsy.stats.intervals import mean_interval

Array = NDArray[np.float64]

EXACT_KS_PAIRS = 1_000_000
"""Up to this many pairs of values the exact Kolmogorov–Smirnov distribution is computed, beyond it the limit."""


def paired_difference(
    a: ArrayLike, b: ArrayLike, units: Mapping[str, Sequence[Hashable]], level: float = 0.95
) -> Estimate:
    """The mean of a - b over pairs, with the widest of the clustered t intervals over `units` (see `mean_interval`).

    Pairing removes what the questions share: SE = sqrt(Var(a - b)/n) (Miller 2024, arXiv:2411.00640). `a`, `b` and
    the labels of each unit have one entry a pair, in the same order.

    >>> effect = paired_difference([0.9, 0.8, 0.7], [0.5, 0.6, 0.3], {"question": ["x", "y", "z"]})
    >>> round(effect.value, 3), effect.method
    (0.333, 'paired difference, clustered t over 3 questions')
    """
    estimate = mean_interval(_differences(a, b), units, level)
    return replace(estimate, method=f"paired difference, {estimate.method}")


def paired_t_p_value(a: ArrayLike, b: ArrayLike, clusters: Iterable[Hashable]) -> float:
    """Two-sided p-value of "the clusters' mean differences average 0": a t-test on one mean a - b per cluster.

    Where those means do not vary the t statistic is 0/0 or infinite. All zero: the p-value is 1. All equal but not
    zero: it is 2^(1-C), that of flipping the sign of each of the C clusters, since no finite sample supports p = 0.
    Raises TooFewClusters for one cluster.

    >>> paired_t_p_value([1, 0, 1], [1, 0, 1], ["x", "y", "z"])
    1.0
    >>> round(paired_t_p_value([3.0, 2.0, 4.0], [1.0, 1.0, 1.0], ["x", "y", "z"]), 4)
    0.0742
    """
    data = group(_differences(a, b), clusters)
    data.refuse_one_cluster()
    means = data.sums(data.values) / data.sizes()
    centre, spread = float(means.mean()), float(means.std(ddof=1))
    if spread <= 1e-12 * float(np.abs(means).max()):  # rounding of equal differences, not variation
        return 1.0 if centre == 0 else 2.0 ** (1 - data.n_clusters)
    t = centre / (spread / np.sqrt(data.n_clusters))
    return float(2 * stats.t.sf(abs(t), data.n_clusters - 1))


def ks_p_value(a: ArrayLike, b: ArrayLike) -> float:
    """Two-sided two-sample Kolmogorov–Smirnov p-value of "a and b are drawn from one distribution".

    It counts every value as independent, so give one value for each prompt, not one for each sample. Exact up to
    1,000 values a side (ties make it conservative), asymptotic beyond. Raises BadRecord for no values or NaN.

    >>> round(ks_p_value([1, 2, 3, 4], [5, 6, 7, 8]), 4)
    0.0286
    """
    first, second = _sample(a, "first"), _sample(b, "second")
    method = "exact" if first.size * second.size <= EXACT_KS_PAIRS else "asymp"
    with warnings.catch_warnings():  # where scipy's exact sum overflows it says so, and gives the asymptotic value
        warnings.simplefilter("ignore", RuntimeWarning)
        result = stats.ks_2samp(first, second, method=method)
    return float(result.pvalue)  # pyright: ignore[reportAttributeAccessIssue]  (scipy makes the class at run time)


def holm(p_values: ArrayLike) -> Array:
    """Adjusted p-values, in the given order, that control the chance of any false rejection (Holm 1979).

    Valid under every dependence. Reject where the adjusted value is at most α.

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p = _p_values(p_values)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1.0)
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> Array:
    """Adjusted p-values, in the given order, that control the false discovery rate (Benjamini & Hochberg 1995).

    Valid for independent or positively dependent p-values; for others use `evalues.e_bh`.

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    p = _p_values(p_values)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * p.size / np.arange(1, p.size + 1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted


def _differences(a: ArrayLike, b: ArrayLike) -> Array:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        raise BadRecord(f"{first.size} values are paired with {second.size}; give one b for each a, in the same order.")
    return first - second


def _sample(values: ArrayLike, which: str) -> Array:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or not sample.size or np.any(np.isnan(sample)):
        raise BadRecord(f"the {which} sample is empty, nested or holds NaN; give a flat list of numbers.")
    return sample


def _p_values(p_values: ArrayLike) -> Array:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not p.size:
        raise BadRecord(f"the p-values have shape {p.shape}; give a flat list of at least one.")
    if np.any(~((p >= 0) & (p <= 1))):
        raise BadRecord(f"a p-value is {p[~((p >= 0) & (p <= 1))][0]}; it must lie in [0, 1].")
    return p
