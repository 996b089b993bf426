import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gearsy.base.errors import BadRecord, GearsyError
from gearsy.stats.clusters import TooFewClusters, group
from gearsy.stats.hierarchical import rate_bounds
from gearsy.stats.intervals import clustered_mean, clustered_rate, jeffreys, mean_interval, rate_interval, wilson

QUICK = settings(max_examples=40, deadline=None, database=None)


def says(text):
    return re.escape(text)


def test_jeffreys_is_the_equal_tails_of_its_posterior():
    estimate = jeffreys(3, 20, level=0.9)
    assert estimate.low == pytest.approx(stats.beta.ppf(0.05, 3.5, 17.5))
    assert estimate.high == pytest.approx(stats.beta.ppf(0.95, 3.5, 17.5))
    assert (estimate.value, estimate.n, estimate.method, estimate.level) == (0.15, 20, "Jeffreys", 0.9)


@pytest.mark.parametrize("interval", [jeffreys, wilson])
def test_nothing_of_n_is_not_plus_or_minus_nothing(interval):
    nothing, everything = interval(0, 30), interval(30, 30)
    assert (nothing.value, nothing.low) == (0, 0)
    assert (everything.value, everything.high) == (1, 1)
    assert 0.05 < nothing.high < 0.2
    assert everything.low == pytest.approx(1 - nothing.high)


@pytest.mark.parametrize(("successes", "n"), [(0, 7), (3, 7), (7, 7), (49, 50)])
def test_wilson_agrees_with_scipy(successes, n):
    theirs = stats.binomtest(successes, n).proportion_ci(method="wilson")
    ours = wilson(successes, n)
    assert ours.low == pytest.approx(theirs.low, abs=1e-12)
    assert ours.high == pytest.approx(theirs.high, abs=1e-12)


@pytest.mark.parametrize("interval", [jeffreys, wilson])
@pytest.mark.parametrize(("successes", "n"), [(-1, 3), (4, 3), (0, 0), (1.5, 3)])
def test_impossible_counts_are_refused(interval, successes, n):
    with pytest.raises(BadRecord, match=says(f"{successes} successes of {n} is impossible; give whole numbers")):
        interval(successes, n)


@pytest.mark.parametrize("level", [0, 1, 95, float("nan")])
@pytest.mark.parametrize("interval", [jeffreys, wilson])
def test_a_level_must_be_a_probability(interval, level):
    with pytest.raises(BadRecord, match=says(f"level is {level}; a confidence level lies strictly between 0 and 1")):
        interval(1, 3, level)


@pytest.mark.parametrize("interval", [clustered_mean, clustered_rate])
def test_a_level_is_checked_for_clusters_too(interval):
    with pytest.raises(BadRecord, match="level is 2"):
        interval([0, 1], ["a", "b"], 2)


def test_clustered_mean_with_one_value_a_cluster_is_the_t_interval():
    values = np.random.default_rng(0).normal(size=9)
    low, high = stats.t.interval(0.95, 8, values.mean(), stats.sem(values))
    estimate = clustered_mean(values, range(9))
    assert (estimate.low, estimate.high) == (pytest.approx(low), pytest.approx(high))
    assert (estimate.n, estimate.method) == (9, "clustered t over 9 clusters")


def test_clustered_mean_with_equal_clusters_is_the_t_interval_of_their_means():
    values = np.random.default_rng(1).normal(size=(6, 5))
    low, high = stats.t.interval(0.95, 5, values.mean(), stats.sem(values.mean(axis=1)))
    estimate = clustered_mean(values.ravel(), np.repeat(list("abcdef"), 5).tolist())
    assert (estimate.low, estimate.high) == (pytest.approx(low), pytest.approx(high))


def test_clustered_mean_with_unequal_clusters_by_hand():
    # mean 2; sums of deviations -1, +1; SE = sqrt(2/1 · (1 + 1)) / 3 = 2/3
    estimate = clustered_mean([1, 2, 3], ["a", "b", "b"])
    assert estimate.high - estimate.value == pytest.approx(stats.t.ppf(0.975, 1) * 2 / 3)


def test_copies_of_a_value_do_not_narrow_the_interval():
    once = clustered_mean([0.1, 0.5, 0.9], ["a", "b", "c"])
    often = clustered_mean(np.repeat([0.1, 0.5, 0.9], 100), np.repeat(["a", "b", "c"], 100).tolist())
    assert often.high - often.low == pytest.approx(once.high - once.low)


@pytest.mark.parametrize("interval", [clustered_mean, clustered_rate])
def test_one_cluster_is_refused_and_never_zero(interval):
    wanted = says(
        "all 3 values come from 1 cluster, so how clusters differ is unknown; ask at least 2 (better 50) different"
    )
    with pytest.raises(TooFewClusters, match=wanted) as caught:
        interval([1, 0, 1], ["a", "a", "a"])
    assert isinstance(caught.value, GearsyError)


@pytest.mark.parametrize(
    ("values", "clusters", "message"),
    [
        ([], [], "the values have shape (0,); give a flat list of at least one."),
        ([[0.0, 1.0]], ["a", "b"], "the values have shape (1, 2); give a flat list"),
        ([0.0, float("nan")], ["a", "b"], "value 1 is nan; give finite numbers and count failures separately."),
        ([0.0, 1.0], ["a"], "2 values with 1 cluster labels; give one label for each value."),
    ],
)
@pytest.mark.parametrize("interval", [clustered_mean, clustered_rate])
def test_bad_values_are_refused(interval, values, clusters, message):
    with pytest.raises(BadRecord, match=says(message)):
        interval(values, clusters)


def test_a_rate_of_real_scores_is_refused():
    with pytest.raises(BadRecord, match=says("a value is 0.5; a rate wants 0 or 1. Use clustered_mean")):
        clustered_rate([0, 0.5], ["a", "b"])


@pytest.mark.parametrize("k", [1, 5, 11])
def test_clustered_rate_with_one_sample_a_cluster_is_jeffreys_leaning_a_quarter_outwards(k):
    estimate = clustered_rate([1] * k + [0] * (12 - k), range(12))
    assert estimate.low == pytest.approx(stats.beta.ppf(0.025, k + 0.25, 12.75 - k), abs=1e-9)
    assert estimate.high == pytest.approx(stats.beta.ppf(0.975, k + 0.75, 12.25 - k), abs=1e-9)
    close = jeffreys(k, 12)
    assert estimate.low <= close.low
    assert estimate.high >= close.high
    assert estimate.high - estimate.low < 1.15 * (close.high - close.low)


def test_all_or_nothing_has_an_exact_end_and_an_honest_other():
    labels = list("abcd") * 4
    ones, zeros = clustered_rate([1] * 16, labels), clustered_rate([0] * 16, labels)
    assert (ones.value, ones.high, zeros.value, zeros.low) == (1, 1, 0, 0)
    # between 4 answers and 16 independent ones
    assert jeffreys(4, 4).low < ones.low < jeffreys(16, 16).low - 0.15
    assert zeros.high == pytest.approx(1 - ones.low, abs=1e-9)


def test_the_interval_lies_between_clusters_and_samples_as_the_units():
    rng = np.random.default_rng(3)
    alike = np.repeat(rng.random(40) < 0.4, 8)
    labels = np.repeat(np.arange(40), 8).tolist()
    width = {
        name: clustered_rate(values, labels) for name, values in (("alike", alike), ("mixed", rng.permutation(alike)))
    }
    spread = {name: e.high - e.low for name, e in width.items()}
    k = int(alike.sum())
    samples, prompts = jeffreys(k, 320), jeffreys(k // 8, 40)
    assert spread["mixed"] == pytest.approx(samples.high - samples.low, rel=0.2)
    assert spread["alike"] == pytest.approx(prompts.high - prompts.low, rel=0.1)
    assert width["mixed"].value == width["alike"].value


def test_rows_of_rate_bounds_are_independent_of_each_other():
    rows = np.array([[0, 0, 0], [1, 2, 4], [4, 4, 4]])
    low, high = rate_bounds(rows, np.array([4, 4, 4]), 0.95)
    for i, row in enumerate(rows):
        alone = rate_bounds(row[None], np.array([4, 4, 4]), 0.95)
        assert (low[i], high[i]) == (pytest.approx(alone[0][0]), pytest.approx(alone[1][0]))


@QUICK
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=12).flatmap(
        lambda sizes: st.tuples(st.just(sizes), st.tuples(*[st.integers(0, n) for n in sizes]))
    ),
    st.sampled_from([0.5, 0.8, 0.95, 0.99]),
)
def test_clustered_rate_holds_its_mean_and_mirrors(drawn, level):
    sizes, successes = drawn
    values = np.concatenate([np.arange(n) < k for n, k in zip(sizes, successes, strict=True)])
    labels = np.repeat(np.arange(len(sizes)), sizes).tolist()
    estimate, mirror = clustered_rate(values, labels, level), clustered_rate(~values, labels, level)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.value == values.mean()
    assert estimate.low == pytest.approx(1 - mirror.high, abs=1e-9)
    assert estimate.high == pytest.approx(1 - mirror.low, abs=1e-9)
    assert (estimate.low == 0) == (not values.any())
    assert (estimate.high == 1) == bool(values.all())
    wider = clustered_rate(values, labels, 0.999)
    assert wider.low <= estimate.low
    assert estimate.high <= wider.high


def test_huge_and_lopsided_clusters_are_evaluated():
    values = np.random.default_rng(5).random(60_000) < 0.3
    two = clustered_rate(values, ([0] * 59_999) + [1])
    assert 0 <= two.low < 0.3 < two.high <= 1
    many = clustered_rate(values, np.repeat(np.arange(6000), 10).tolist())
    iid = jeffreys(int(values.sum()), values.size)
    assert many.high - many.low == pytest.approx(iid.high - iid.low, rel=0.05)


def test_fifty_clusters_of_twelve_take_milliseconds():
    values = np.random.default_rng(6).random(600) < 0.5
    labels = np.repeat(np.arange(50), 12).tolist()
    took_s = []
    for _ in range(5):
        start = time.perf_counter()
        clustered_rate(values, labels)
        took_s.append(time.perf_counter() - start)
    assert min(took_s) < 0.020


def crossed():
    """20 questions × 4 models: models differ, questions do not."""
    values = np.tile([1, 1, 1, 0], 20)
    return values, {"question": np.repeat(np.arange(20), 4).tolist(), "model": list("abcd") * 20}


@pytest.mark.parametrize(
    ("interval", "one_way", "how"),
    [(rate_interval, clustered_rate, "hierarchical beta-binomial"), (mean_interval, clustered_mean, "clustered t")],
)
def test_the_widest_unit_is_returned_and_named(interval, one_way, how):
    values, units = crossed()
    widest, by_model = interval(values, units, 0.9), one_way(values, units["model"], 0.9)
    assert (widest.low, widest.high, widest.n, widest.level) == (by_model.low, by_model.high, 4, 0.9)
    assert widest.method == f"{how} over 4 models"
    assert interval(values, {"question": units["question"]}).method == f"{how} over 20 questions"


def test_a_unit_with_one_label_is_passed_over():
    values, units = crossed()
    units["seed"] = [7] * 80
    assert rate_interval(values, units).n == 4
    assert rate_interval(values, {"seed": [7] * 80, "family": units["model"]}).method.endswith("over 4 families")


@pytest.mark.parametrize("interval", [rate_interval, mean_interval])
def test_nothing_replicated_is_refused(interval):
    wanted = says(
        "every value comes from the same question and the same model, so nothing was replicated; "
        "ask at least 2 different questions."
    )
    with pytest.raises(TooFewClusters, match=wanted):
        interval([1, 0], {"question": ["q", "q"], "model": ["m", "m"]})
    with pytest.raises(BadRecord, match="no unit of replication was given; pass at least one, say"):
        interval([1, 0], {})
    with pytest.raises(BadRecord, match="2 values with 1 cluster labels"):
        interval([1, 0], {"question": ["q"]})


def test_labels_may_be_anything_hashable():
    data = group([1, 2, 3], [("a", 1), ("a", 1), None])
    assert data.sums(data.values).tolist() == [3, 3]
    assert data.sizes().tolist() == [2, 1]
