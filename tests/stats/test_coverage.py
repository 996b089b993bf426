"""Nominal 95 % intervals for rates cover what they say, for the designs of the target and for shapes not beta.

Small designs are enumerated exactly: coverage is a sum over every possible histogram of cluster counts. Larger ones
are simulated, each distinct data set once.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln

from gearsy.stats import hierarchical
from gearsy.stats.hierarchical import rate_bounds
from gearsy.stats.intervals import clustered_mean, clustered_rate, jeffreys, rate_interval, wilson

RATES = (0.05, 0.2, 0.5, 0.95)


def histograms(clusters, kinds):
    """Every way to put `clusters` clusters into `kinds` kinds, shape (ways, kinds)."""
    bars = np.array(
        [[*np.unravel_index(i, (clusters + 1,) * (kinds - 1))] for i in range((clusters + 1) ** (kinds - 1))]
    )
    bars = bars[bars.sum(axis=1) <= clusters]
    return np.column_stack([bars, clusters - bars.sum(axis=1)])


def bounds_of(rows, clusters, r):
    parts = [rate_bounds(part, np.full(clusters, r), 0.95) for part in np.array_split(rows, math.ceil(len(rows) / 200))]
    return np.concatenate([low for low, _ in parts]), np.concatenate([high for _, high in parts])


class Enumerated:
    """All data sets of a design with their intervals; coverage of any rate and ICC is then exact."""

    def __init__(self, clusters, r):
        self.r, self.hist = r, histograms(clusters, r + 1)
        rows = np.stack([np.repeat(np.arange(r + 1), row) for row in self.hist])
        self.low, self.high = bounds_of(rows, clusters, r)
        self.ways = gammaln(clusters + 1) - gammaln(self.hist + 1).sum(axis=1)

    def coverage(self, p, icc):
        k = np.arange(self.r + 1)
        if icc == 0 or self.r == 1:
            chance = stats.binom.logpmf(k, self.r, p)
        else:
            chance = stats.betabinom.logpmf(k, self.r, p * (1 / icc - 1), (1 - p) * (1 / icc - 1))
        weight = np.exp(self.ways + self.hist @ chance)
        assert weight.sum() == pytest.approx(1)
        return float(weight[(self.low <= p) & (p <= self.high)].sum())


def simulated_coverage(cluster_rates, r, p, rng):
    rows = np.sort(rng.binomial(r, cluster_rates), axis=1)
    rows, times = np.unique(rows, axis=0, return_counts=True)
    low, high = bounds_of(rows, rows.shape[1], r)
    return float(times[(low <= p) & (p <= high)].sum() / times.sum())


@pytest.fixture(scope="module")
def twelve_by_four():
    return Enumerated(12, 4)


@pytest.mark.parametrize("icc", [0, 0.3])
@pytest.mark.parametrize("p", RATES)
def test_twelve_clusters_of_four_cover(twelve_by_four, p, icc):
    assert 0.93 <= twelve_by_four.coverage(p, icc) <= 0.995


@pytest.mark.parametrize("clusters", [12, 50])
def test_clusters_of_one_cover(clusters):
    design = Enumerated(clusters, 1)
    for p in RATES:
        assert 0.93 <= design.coverage(p, 0) <= 0.995


@pytest.mark.parametrize("icc", [0, 0.3])
@pytest.mark.parametrize("p", RATES)
def test_fifty_clusters_of_four_cover(p, icc):
    rng = np.random.default_rng([4, round(100 * p), round(10 * icc)])
    strength = 1 / icc - 1 if icc else None
    rates = rng.beta(p * strength, (1 - p) * strength, (1500, 50)) if strength else np.full((1500, 50), p)
    assert 0.93 <= simulated_coverage(rates, 4, p, rng) <= 0.995


def test_no_rate_is_left_far_below_the_nominal_level(twelve_by_four):
    for icc, least in ((0, 0.98), (0.3, 0.955), (0.6, 0.94)):
        assert min(twelve_by_four.coverage(p, icc) for p in np.linspace(0.01, 0.99, 99)) >= least


def test_few_clusters_stay_honest():
    design = Enumerated(4, 4)
    assert min(design.coverage(p, icc) for p in RATES for icc in (0, 0.3)) >= 0.95


@pytest.mark.parametrize(("r", "least"), [(10, 0.92), (50, 0.94)])
def test_a_spike_and_a_bulk_are_covered_though_they_are_not_beta(r, least):
    # the beta-binomial's own likelihood covers .85 and .65 here
    rng = np.random.default_rng(r)
    known = rng.random((1000, 50)) < 0.3
    rates = np.where(known, rng.random((1000, 50)) < 0.2, 0.2)
    assert simulated_coverage(rates, r, 0.2, rng) >= least


def test_a_prior_that_favours_small_correlations_covers_less(twelve_by_four, monkeypatch):
    rho, prior = hierarchical._rho_grid()
    monkeypatch.setattr(hierarchical, "_rho_grid", lambda: (rho, prior * 3 * (1 - rho) ** 2))
    rival = Enumerated(12, 4)
    rates = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
    assert min(rival.coverage(p, 0.6) for p in rates) == pytest.approx(0.918, abs=0.002)
    assert min(twelve_by_four.coverage(p, 0.6) for p in rates) == pytest.approx(0.942, abs=0.002)


def independent_coverage(interval, n, p):
    found = [interval(k, n) for k in range(n + 1)]
    return sum(stats.binom.pmf(k, n, p) for k, e in enumerate(found) if e.low <= p <= e.high)


def test_jeffreys_and_wilson_cover_rare_events():
    # STATISTICS.md, section 2: .98 and .98 at n = 30, p = .02; .99 and .91 at n = 100, p = .005
    assert independent_coverage(jeffreys, 30, 0.02) == pytest.approx(0.98, abs=0.005)
    assert independent_coverage(wilson, 30, 0.02) == pytest.approx(0.98, abs=0.005)
    assert independent_coverage(jeffreys, 100, 0.005) == pytest.approx(0.99, abs=0.005)
    assert independent_coverage(wilson, 100, 0.005) == pytest.approx(0.91, abs=0.005)


def test_jeffreys_dips_where_the_docstring_says():
    assert independent_coverage(jeffreys, 12, 0.2) == pytest.approx(0.912, abs=0.001)
    assert independent_coverage(jeffreys, 50, 0.05) == pytest.approx(0.885, abs=0.001)


def test_clustered_t_is_too_narrow_with_ten_skewed_clusters():
    rng = np.random.default_rng(1)

    def coverage(clusters):
        labels = np.repeat(np.arange(clusters), 10).tolist()
        counts = rng.binomial(10, rng.beta(0.1 * 7 / 3, 0.9 * 7 / 3, (800, clusters)))
        covered = 0
        for row in counts:
            values = (np.arange(10) < row[:, None]).ravel()
            estimate = clustered_mean(values, labels)
            covered += estimate.low <= 0.1 <= estimate.high
        return covered / len(counts)

    few, many = coverage(10), coverage(50)
    assert few == pytest.approx(0.85, abs=0.04)
    assert many == pytest.approx(0.93, abs=0.03)


def test_the_widest_unit_covers_with_few_models_and_one_unit_alone_does_not():
    rng = np.random.default_rng(2)
    questions, models = np.repeat(np.arange(20), 5).tolist(), np.tile(np.arange(5), 20).tolist()
    truth = 0.5  # by symmetry of the logits
    both = alone = 0
    for _ in range(120):
        logit = rng.standard_normal((20, 1)) + rng.standard_normal((1, 5))
        values = (rng.random((20, 5)) < 1 / (1 + np.exp(-logit))).ravel()
        widest = rate_interval(values, {"question": questions, "model": models})
        single = clustered_rate(values, questions)
        both += widest.low <= truth <= widest.high
        alone += single.low <= truth <= single.high
    assert both / 120 >= 0.93
    assert alone / 120 < 0.85


def test_histograms_are_all_there():
    assert len(histograms(12, 5)) == math.comb(16, 4)
    assert all(a.sum() == b.sum() == 12 for a, b in pairwise(histograms(12, 5)))
