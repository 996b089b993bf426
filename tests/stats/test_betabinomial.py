import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import roots_jacobi

from gearsy.base.bets import Rate
from gearsy.base.errors import BadRecord
from gearsy.stats.betabinomial import MAX_STRENGTH, MIN_STRENGTH, BetaBinomial, push_forward

QUICK = settings(max_examples=60, deadline=None, database=None)
SHAPES = [(1, 0.5, 0.5), (10, 3, 7), (200, 0.2, 0.1), (600, 40, 2), (25, 1e-3, 5)]


def exact_mixture(latent, m, r, icc):
    """Pmf of the count when theta ~ Beta(mean, sd) and each prompt's rate ~ Beta(theta, icc), by convolution."""
    strength = latent.mean * (1 - latent.mean) / latent.sd**2 - 1
    x, weight = roots_jacobi(120, (1 - latent.mean) * strength - 1, latent.mean * strength - 1)
    theta, size = (x[:, None] + 1) / 2, 2 * (m * r + 1)
    k = np.arange(r + 1)
    if icc:
        prompt = stats.betabinom.pmf(k, r, theta * (1 / icc - 1), (1 - theta) * (1 / icc - 1))
    else:
        prompt = stats.binom.pmf(k, r, theta)
    count = np.fft.irfft(np.fft.rfft(prompt, size, axis=1) ** m, size, axis=1)[:, : m * r + 1]
    pmf = np.maximum(weight @ count, 0)
    return pmf / pmf.sum()


def divergence_nats(pmf, logpmf):
    there = pmf > 1e-14  # below it the convolution is rounding error
    return float(np.sum(pmf[there] * (np.log(pmf[there]) - logpmf[there])))


@pytest.mark.parametrize(("n", "a", "b"), SHAPES)
def test_agrees_with_scipy(n, a, b):
    ours, theirs, k = BetaBinomial(n=n, a=a, b=b), stats.betabinom(n, a, b), np.arange(n + 1)
    np.testing.assert_allclose(ours.logpmf(k), theirs.logpmf(k), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(ours.pmf(), theirs.pmf(k), rtol=1e-8)
    np.testing.assert_allclose(ours.cdf(), theirs.cdf(k), rtol=1e-7, atol=1e-12)
    assert ours.cdf()[-1] == 1
    assert ours.mean == pytest.approx(theirs.mean() / n)


def test_logpmf_keeps_the_shape_of_its_counts():
    count = BetaBinomial(n=5, a=2, b=3)
    assert count.logpmf([[0, 1], [2, 5]]).shape == (2, 2)
    assert float(count.logpmf(2)) == pytest.approx(stats.betabinom.logpmf(2, 5, 2, 3))
    assert count.crps([[0, 1], [2, 5]]).shape == (2, 2)


@pytest.mark.parametrize("k", [-1, 6, 2.5, float("nan")])
def test_an_impossible_count_is_refused(k):
    for score in (BetaBinomial(n=5, a=2, b=3).logpmf, BetaBinomial(n=5, a=2, b=3).crps):
        with pytest.raises(
            BadRecord, match=re.escape(f"a count is {float(k)}") if k != k else "it must be a whole number"
        ):
            score(k)


@pytest.mark.parametrize(
    ("n", "a", "b"),
    [(0, 1, 1), (2.5, 1, 1), (3, 0, 1), (3, 1, -2), (3, math.nan, 1), (3, math.inf, 1), (3, 1e308, 1e308)],
)
def test_a_wrong_record_is_refused(n, a, b):
    with pytest.raises(BadRecord, match="a count needs a whole number of trials|both must be above 0 and finite"):
        BetaBinomial(n=n, a=a, b=b)


@pytest.mark.parametrize(("n", "a", "b"), SHAPES)
def test_crps_is_its_definition(n, a, b):
    count = BetaBinomial(n=n, a=a, b=b)
    cdf = stats.betabinom(n, a, b).cdf(np.arange(n + 1))
    for y in {0, n // 3, n}:
        direct = np.sum((cdf - (np.arange(n + 1) >= y)) ** 2) / n
        assert float(count.crps(y)) == pytest.approx(direct, rel=1e-7)


def test_crps_of_certainty_is_the_distance():
    sure = BetaBinomial(n=100, a=0.3e15, b=0.7e15)
    doubtful = BetaBinomial(n=100, a=3, b=7)
    assert float(sure.crps(90)) == pytest.approx(0.6, abs=0.03)
    assert float(sure.crps(30)) < float(doubtful.crps(30))


@pytest.mark.parametrize("score", ["log", "crps"])
def test_both_scores_are_proper(score):
    truth = BetaBinomial(n=40, a=6, b=4)
    k = np.arange(41)

    def loss(report):
        return float(truth.pmf() @ (-report.logpmf(k) if score == "log" else report.crps(k)))

    honest = loss(truth)
    others = [BetaBinomial(n=40, a=6 * f, b=4 * f) for f in (0.3, 0.8, 1.25, 4)]
    others += [BetaBinomial(n=40, a=a, b=10 - a) for a in (4, 5.5, 6.5, 8)]
    assert all(loss(other) > honest for other in others)


@pytest.mark.parametrize(("n", "a", "b"), SHAPES)
def test_interval_is_the_narrowest_with_both_tails(n, a, b):
    low, high = BetaBinomial(n=n, a=a, b=b).interval(0.9)
    theirs = stats.betabinom(n, a, b)
    assert (low * n, high * n) == (pytest.approx(theirs.ppf(0.05)), pytest.approx(theirs.ppf(0.95)))


def test_interval_checks_its_level():
    with pytest.raises(BadRecord, match="level is 1.5; a confidence level lies strictly between 0 and 1"):
        BetaBinomial(n=3, a=1, b=1).interval(1.5)


def test_draws_have_the_distribution_and_follow_the_generator():
    count = BetaBinomial(n=6, a=0.7, b=1.9)
    drawn = count.draw(np.random.default_rng(0), (100, 200))
    assert drawn.shape == (100, 200)
    seen = np.bincount(drawn.ravel(), minlength=7)
    assert stats.chisquare(seen, 20_000 * count.pmf()).pvalue > 0.001
    np.testing.assert_array_equal(drawn, count.draw(np.random.default_rng(0), (100, 200)))


@pytest.mark.parametrize(
    ("mean", "sd", "m", "r", "icc"),
    [(0.5, 0.1, 12, 4, 0.3), (0.95, 0.05, 50, 10, 0.1), (0.1, 0.2, 2, 1, 0), (0.3, 0.01, 1, 8, 0.6)],
)
def test_push_forward_is_the_stated_formula(mean, sd, m, r, icc):
    n, variance = m * r, mean * (1 - mean)
    e = variance - sd**2
    v = sd**2 + e * (icc + (1 - icc) / r) / m
    rho = (v * n / variance - 1) / (n - 1)
    strength = 1 / rho - 1
    count = push_forward(Rate(mean=mean, sd=sd), m, r, icc)
    assert count.n == n
    assert count.a == pytest.approx(mean * strength)
    assert count.b == pytest.approx((1 - mean) * strength)
    assert stats.betabinom(n, count.a, count.b).var() == pytest.approx(v * n**2)


@pytest.mark.parametrize("mean", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("sd", [0.05, 0.15])
@pytest.mark.parametrize(
    ("m", "r", "icc", "most"), [(12, 4, 0.3, 0.022), (50, 10, 0.3, 0.022), (10, 10, 0.3, 0.022), (10, 10, 0.6, 0.085)]
)
def test_it_is_close_to_the_exact_mixture(mean, sd, m, r, icc, most):
    latent = Rate(mean=mean, sd=sd)
    exact, count = exact_mixture(latent, m, r, icc), push_forward(latent, m, r, icc)
    k = np.arange(count.n + 1)
    assert -1e-9 <= divergence_nats(exact, count.logpmf(k)) <= most
    assert exact @ k == pytest.approx(mean * count.n)
    assert exact @ k**2 == pytest.approx(count.pmf() @ k**2)


def test_the_exact_mixture_is_what_a_simulation_draws():
    latent, rng = Rate(mean=0.8, sd=0.1), np.random.default_rng(7)
    theta = rng.beta(0.8 * 15, 0.2 * 15, (20_000, 1))
    counts = rng.binomial(4, rng.beta(theta * 7 / 3, (1 - theta) * 7 / 3, (20_000, 6))).sum(axis=1)
    expected = 20_000 * exact_mixture(latent, 6, 4, 0.3)
    often = expected > 5
    assert (
        stats.chisquare(
            np.append(
                np.bincount(counts, minlength=25)[often], counts.size - np.bincount(counts, minlength=25)[often].sum()
            ),
            np.append(expected[often], 20_000 - expected[often].sum()),
        ).pvalue
        > 0.001
    )


def test_ignoring_the_clustering_costs_more_than_a_nat():
    latent = Rate(mean=0.5, sd=0.03)
    exact, k = exact_mixture(latent, 10, 10, 0.6), np.arange(101)
    minded = divergence_nats(exact, push_forward(latent, 10, 10, 0.6).logpmf(k))
    ignored = divergence_nats(exact, push_forward(latent, 10, 10, 0).logpmf(k))
    assert minded < 0.01
    assert ignored == pytest.approx(1.26, abs=0.01)


@pytest.mark.parametrize(("n", "by_density"), [(10, 6.6), (100, 16.3)])
def test_the_count_recovers_concentration_20_and_the_density_does_not(n, by_density):
    truth, mean = BetaBinomial(n=n, a=14, b=6).pmf(), 0.7
    k, tried = np.arange(n + 1), np.arange(2, 40, 0.1)
    rates = np.clip(k / n, 0.5 / n, 1 - 0.5 / n)
    by_count = [
        truth @ push_forward(Rate(mean=mean, sd=math.sqrt(mean * (1 - mean) / (c + 1))), n, 1, 0).logpmf(k)
        for c in tried
    ]
    density = [truth @ stats.beta.logpdf(rates, mean * c, (1 - mean) * c) for c in tried]
    assert tried[np.argmax(by_count)] == pytest.approx(20, abs=0.05)
    assert tried[np.argmax(density)] == pytest.approx(by_density, abs=0.15)


def test_one_trial_is_a_coin_with_the_mean():
    coin = push_forward(Rate(mean=0.3, sd=0.2), 1, 1, 0.5)
    np.testing.assert_allclose(coin.pmf(), [0.7, 0.3])


def test_a_sure_theory_of_independent_samples_is_binomial():
    for sd in (1e-7, 1e-200):
        count = push_forward(Rate(mean=0.37, sd=sd), 500, 2, 0)
        np.testing.assert_allclose(
            count.logpmf(np.arange(1001)), stats.binom.logpmf(np.arange(1001), 1000, 0.37), rtol=1e-7
        )
    assert count.a + count.b == pytest.approx(MAX_STRENGTH)


def test_one_prompt_whose_samples_are_one_answer_is_all_or_nothing():
    count = push_forward(Rate(mean=0.6, sd=0.1), 1, 8, 1.0)
    assert count.a + count.b == pytest.approx(MIN_STRENGTH)
    np.testing.assert_allclose(count.pmf()[[0, -1]], [0.4, 0.6], rtol=1e-6)
    assert np.all(np.isfinite(count.logpmf(np.arange(9))))


@QUICK
@given(st.floats(1e-9, 1 - 1e-9), st.floats(1e-12, 0.999999), st.integers(1, 60), st.integers(1, 20), st.floats(0, 1))
def test_every_rate_can_be_pushed_forward(mean, share, m, r, icc):
    count = push_forward(Rate(mean=mean, sd=share * math.sqrt(mean * (1 - mean))), m, r, icc)
    logpmf = count.logpmf(np.arange(count.n + 1))
    assert np.all(np.isfinite(logpmf))
    assert np.exp(logpmf).sum() == pytest.approx(1, abs=1e-6)
    assert count.mean == pytest.approx(mean)
    low, high = count.interval()
    assert 0 <= low <= high <= 1
    assert 0 <= float(count.crps(count.n)) <= 1


@pytest.mark.parametrize(("m", "r"), [(0, 1), (1, 0), (2.5, 1)])
def test_an_impossible_design_is_refused(m, r):
    with pytest.raises(BadRecord, match=re.escape(f"a design of {m} prompts × {r} samples is impossible")):
        push_forward(Rate(mean=0.5, sd=0.1), m, r, 0)


@pytest.mark.parametrize("icc", [-0.1, 1.1, float("nan")])
def test_an_impossible_correlation_is_refused(icc):
    with pytest.raises(
        BadRecord, match=re.escape(f"icc is {icc}; the correlation of one prompt's samples lies in [0, 1]")
    ):
        push_forward(Rate(mean=0.5, sd=0.1), 3, 2, icc)
