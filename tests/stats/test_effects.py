import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gearsy.base.errors import BadRecord
from gearsy.stats.clusters import TooFewClusters
from gearsy.stats.effects import benjamini_hochberg, holm, ks_p_value, paired_difference, paired_t_p_value

QUICK = settings(max_examples=100, deadline=None, database=None)
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=10)


def test_paired_difference_is_the_interval_of_the_differences():
    rng = np.random.default_rng(0)
    shared = rng.normal(scale=5, size=30)
    a, b = shared + rng.normal(0.5, 0.3, 30), shared + rng.normal(0, 0.3, 30)
    effect = paired_difference(a, b, {"question": range(30)}, level=0.9)
    low, high = stats.t.interval(0.9, 29, np.mean(a - b), stats.sem(a - b))
    assert (effect.low, effect.high) == (pytest.approx(low), pytest.approx(high))
    assert effect.method == "paired difference, clustered t over 30 questions"
    assert effect.high - effect.low < 0.3  # the questions' own spread of 5 is gone


def test_paired_difference_takes_the_widest_unit():
    a, b = np.tile([1.0, 2.0, 6.0], 10), np.zeros(30)
    units = {"question": np.repeat(np.arange(10), 3).tolist(), "model": list("xyz") * 10}
    effect = paired_difference(a, b, units)
    assert (effect.n, effect.method) == (3, "paired difference, clustered t over 3 models")


def test_unequal_lengths_are_not_pairs():
    for compare in (
        lambda: paired_difference([1, 2], [1], {"q": [1, 2]}),
        lambda: paired_t_p_value([1, 2], [1], [1, 2]),
    ):
        with pytest.raises(BadRecord, match="2 values are paired with 1; give one b for each a, in the same order"):
            compare()


def test_one_cluster_has_no_test():
    with pytest.raises(TooFewClusters, match="all 2 values come from 1 cluster, so how clusters differ is unknown"):
        paired_t_p_value([1, 2], [0, 0], ["q", "q"])


def test_paired_t_is_scipy_on_the_cluster_means():
    rng = np.random.default_rng(1)
    a, b, clusters = rng.normal(0.3, 1, 40), rng.normal(0, 1, 40), np.repeat(np.arange(8), 5)
    means = (a - b).reshape(8, 5).mean(axis=1)
    assert paired_t_p_value(a, b, clusters.tolist()) == pytest.approx(stats.ttest_1samp(means, 0).pvalue)


def test_differences_that_do_not_vary():
    assert paired_t_p_value([0.3, 0.7], [0.3, 0.7], ["x", "y"]) == 1.0
    assert paired_t_p_value([1, 1, 1, 1], [0, 0, 0, 0], list("wxyz")) == 2**-3
    # .1 + .2 and .3 differ in the last digit: that is rounding, not evidence
    assert paired_t_p_value([0.1 + 0.2, 0.3, 0.3], [0.0, 0.0, 0.0], list("xyz")) == 2**-2
    assert paired_t_p_value([1, -1, 0, 0], [0, 0, 0, 0], ["x", "x", "y", "y"]) == 1.0


def test_paired_t_holds_its_level_where_samples_share_a_prompt():
    rng = np.random.default_rng(2)
    clusters = np.repeat(np.arange(12), 5)
    p_values = []
    for _ in range(800):
        a = np.repeat(rng.normal(size=12), 5) + 0.3 * rng.normal(size=60)
        p_values.append(paired_t_p_value(a, np.zeros(60), clusters.tolist()))
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize(("n", "m", "shift"), [(8, 12, 1.0), (500, 400, 0.1), (1200, 900, 0.1), (3000, 4, 0.0)])
def test_ks_agrees_with_scipy(n, m, shift):
    rng = np.random.default_rng(n)
    a, b = rng.normal(size=n), rng.normal(shift, 1, m)
    method = "exact" if n * m <= 1_000_000 else "asymp"
    assert ks_p_value(a, b) == stats.ks_2samp(a, b, method=method).pvalue


def test_ks_of_the_same_and_of_disjoint_samples():
    assert ks_p_value([0] * 20, [0] * 20) == 1.0
    assert ks_p_value(range(10), range(10, 20)) == pytest.approx(2 / 184_756)  # 2 of C(20, 10) orders
    assert ks_p_value([1], [2]) == 1.0


@pytest.mark.parametrize("bad", [[], [[1.0]], [1.0, float("nan")]])
def test_ks_refuses_what_is_not_a_sample(bad):
    with pytest.raises(BadRecord, match="the first sample is empty, nested or holds NaN; give a flat list of numbers"):
        ks_p_value(bad, [1.0])
    with pytest.raises(BadRecord, match="the second sample is empty"):
        ks_p_value([1.0], bad)


@QUICK
@given(P_VALUES)
def test_benjamini_hochberg_is_scipys(p_values):
    np.testing.assert_allclose(benjamini_hochberg(p_values), stats.false_discovery_control(p_values), rtol=1e-12)


@QUICK
@given(P_VALUES, st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_rejects_what_stepping_down_rejects(p_values, alpha):
    rejected: set[int] = set()
    for step, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[i] * (len(p_values) - step) > alpha:
            break
        rejected.add(i)
    adjusted = holm(p_values)
    assert set(np.flatnonzero(adjusted <= alpha)) == rejected
    assert np.all(adjusted >= benjamini_hochberg(p_values) - 1e-12)
    assert np.all((adjusted >= np.array(p_values)) & (adjusted <= 1))


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_adjusting_needs_p_values(adjust):
    with pytest.raises(BadRecord, match=r"a p-value is 1.2; it must lie in \[0, 1\]"):
        adjust([0.1, 1.2])
    with pytest.raises(BadRecord, match=r"a p-value is nan; it must lie in \[0, 1\]"):
        adjust([float("nan")])
    with pytest.raises(BadRecord, match=r"the p-values have shape \(0,\); give a flat list of at least one"):
        adjust([])
