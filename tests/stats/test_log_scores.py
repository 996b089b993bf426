import math

import numpy as np
import pytest

from gearsy.base.bets import Rate
from gearsy.base.errors import BadRecord
from gearsy.stats.betabinomial import push_forward
from gearsy.stats.scores import bits, log_e_value, mixed


def test_mixed_is_the_log_of_the_mixture_elementwise():
    p, b = np.array([[0.9, 0.2], [0.0, 1e-12]]), np.array([0.5, 0.25])
    with np.errstate(divide="ignore"):
        found = mixed(np.log(p), np.log(b), 0.01)
    np.testing.assert_allclose(found, np.log(0.99 * p + 0.01 * b))


def test_a_theory_that_called_it_impossible_loses_log_epsilon_and_no_more():
    assert float(mixed(-np.inf, -5.0) + 5.0) == pytest.approx(math.log(1e-3))
    assert float(mixed(-1e5, -9e4) + 9e4) == pytest.approx(math.log(1e-3))
    assert float(mixed(-2.0, -2.0)) == pytest.approx(-2.0)


@pytest.mark.parametrize("epsilon", [0, 1, -0.1, float("nan")])
def test_epsilon_is_a_share(epsilon):
    with pytest.raises(BadRecord, match=f"epsilon is {epsilon}; the baseline's share"):
        mixed(-1.0, -1.0, epsilon)


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(BadRecord, match=r"a theory's log-probability is NaN or \+inf; give log p in nats"):
        mixed([-1.0, float("nan")], -1.0)
    with pytest.raises(BadRecord, match="a baseline's log-probability is not finite; a baseline must give"):
        mixed(-1.0, [-1.0, -np.inf])


def test_bits_are_nats_over_ln_2():
    np.testing.assert_allclose(bits([0.0, math.log(2), -math.log(8)]), [0, 1, -3])


def test_log_e_value_sums_the_conditions_of_each_row():
    d = np.array([[1.0, 2.0, -0.5], [0.0, -1.0, 0.25]])
    np.testing.assert_allclose(log_e_value(d), [2.5, -0.75])
    assert float(log_e_value(d[0])) == 2.5
    assert float(log_e_value([])) == 0  # a theory that abstained everywhere has bet nothing


def test_log_e_value_refuses_what_was_not_mixed():
    with pytest.raises(BadRecord, match="a log-score difference is not finite; mix the theory with its baseline first"):
        log_e_value([0.0, -np.inf])
    with pytest.raises(BadRecord, match="differences is the single number 2.0; give one value for each condition"):
        log_e_value(2.0)


def test_the_e_value_of_a_true_baseline_is_at_most_one_on_average():
    rng = np.random.default_rng(0)
    theory, baseline = (
        push_forward(Rate(mean=0.6, sd=0.1), 12, 4, 0.3),
        push_forward(Rate(mean=0.5, sd=0.2), 12, 4, 0.3),
    )
    k = np.arange(49)
    gain = mixed(theory.logpmf(k), baseline.logpmf(k)) - baseline.logpmf(k)
    assert baseline.pmf() @ np.exp(gain) == pytest.approx(1)
    totals = log_e_value(gain[baseline.draw(rng, (4000, 10))])
    assert np.mean(totals >= math.log(20)) <= 0.05


def test_a_theory_off_by_5_points_is_told_from_one_off_by_10():
    # STATISTICS.md, section 1: ahead in .92 with 5 conditions of 100; e >= 20 in .46 (5), .80 (10), .98 (20)
    rng, rounds = np.random.default_rng(1), 400
    truth = rng.uniform(0.1, 0.9, (rounds, 20))
    counts = rng.binomial(100, truth)

    def logp(error):
        means = np.clip(truth + error * rng.standard_normal(truth.shape), 0.03, 0.97)
        bets = [Rate(mean=float(mean), sd=error) for mean in means.ravel()]
        return np.array([push_forward(bet, 100, 1, 0).logpmf(k) for bet, k in zip(bets, counts.ravel(), strict=True)])

    near, far = logp(0.05).reshape(truth.shape), logp(0.10).reshape(truth.shape)
    d = mixed(near, far) - far
    assert np.mean(log_e_value(d[:, :5]) > 0) == pytest.approx(0.92, abs=0.05)
    reached = [float(np.mean(log_e_value(d[:, :n]) >= math.log(20))) for n in (5, 10, 20)]
    assert reached == pytest.approx([0.46, 0.80, 0.98], abs=0.07)
