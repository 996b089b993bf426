import math
import re

import numpy as np
import pytest
from scipy.special import ndtri

from gearsy.base.bets import Rate
from gearsy.base.errors import BadRecord
from gearsy.stats.betabinomial import BetaBinomial, push_forward
from gearsy.stats.power import Undetectable, minimum_detectable_difference, power
from gearsy.stats.scores import mixed


def bets(mean, sd, conditions, m=12, r=4, icc=0.3):
    return [push_forward(Rate(mean=mean, sd=sd), m, r, icc)] * conditions


def test_power_of_one_condition_is_a_sum_over_its_counts():
    truth, rival, k = BetaBinomial(n=60, a=40, b=20), BetaBinomial(n=60, a=5, b=10), np.arange(61)
    gain = mixed(truth.logpmf(k), rival.logpmf(k), 0.01) - rival.logpmf(k)
    exact = truth.pmf()[gain >= math.log(5)].sum()
    found = power([truth], [rival], log_e=math.log(5), epsilon=0.01, rng=np.random.default_rng(0), draws=20_000)
    assert 0.1 < exact < 0.9
    assert found == pytest.approx(exact, abs=0.015)


def test_power_grows_with_conditions_and_with_disagreement():
    def found(conditions, mean):
        return power(bets(0.6, 0.05, conditions), bets(mean, 0.05, conditions), rng=np.random.default_rng(1))

    by_conditions = [found(n, 0.5) for n in (1, 5, 20)]
    by_distance = [found(5, mean) for mean in (0.6, 0.5, 0.4, 0.2)]
    assert by_conditions == sorted(by_conditions)
    assert by_conditions[-1] > by_conditions[0] + 0.3
    assert by_distance == sorted(by_distance)
    assert by_distance[0] == 0  # a theory cannot win against its own prediction
    assert by_distance[-1] > 0.99


def test_a_bad_registration_has_little_power_and_a_false_theory_almost_none():
    truth, rival = bets(0.5, 0.1, 5), bets(0.7, 0.1, 5)
    rng = np.random.default_rng(2)
    k = np.arange(49)
    gain = mixed(rival[0].logpmf(k), truth[0].logpmf(k)) - truth[0].logpmf(k)
    false_alarm = np.mean(gain[truth[0].draw(rng, (4000, 5))].sum(axis=1) >= math.log(20))
    assert false_alarm <= 0.05
    assert power(truth, rival, rng=rng) > 5 * false_alarm


def test_power_follows_its_generator():
    truth, rival = bets(0.6, 0.1, 4), bets(0.4, 0.1, 4)
    assert power(truth, rival, rng=np.random.default_rng(3)) == power(truth, rival, rng=np.random.default_rng(3))


def test_power_refuses_two_designs():
    rng, one = np.random.default_rng(0), BetaBinomial(n=10, a=1, b=1)
    with pytest.raises(BadRecord, match="2 predictions against 1; give one of each for every condition"):
        power([one, one], [one], rng=rng)
    with pytest.raises(BadRecord, match="0 predictions against 0"):
        power([], [], rng=rng)
    with pytest.raises(
        BadRecord, match="10 trials in one prediction and 20 in the other; push both through one design"
    ):
        power([one], [BetaBinomial(n=20, a=1, b=1)], rng=rng)
    with pytest.raises(BadRecord, match="draws is 0; it must be 1 or more"):
        power([one], [one], rng=rng, draws=0)
    with pytest.raises(BadRecord, match="epsilon is 0"):
        power([one], [one], rng=rng, epsilon=0)


@pytest.mark.parametrize(
    ("m", "r", "icc", "base"), [(50, 4, 0.3, 0.5), (200, 1, 0, 0.2), (30, 10, 0.6, 0.9), (80, 5, 0.1, 0)]
)
def test_the_detectable_difference_solves_millers_formula(m, r, icc, base):
    change = minimum_detectable_difference(m, r, icc, base)
    other = base + change if base <= 0.5 else base - change
    variance = sum(p * (1 - p) for p in (base, other)) * (icc + (1 - icc) / r)
    assert (ndtri(0.975) + ndtri(0.8)) ** 2 * variance / change**2 == pytest.approx(m)
    assert 0 <= other <= 1


def test_the_detectable_difference_is_detected_as_often_as_stated():
    rng, (m, r, icc, base) = np.random.default_rng(4), (60, 4, 0.3, 0.4)
    change = minimum_detectable_difference(m, r, icc, base)

    def prompt_means(p):
        return rng.binomial(r, rng.beta(p * (1 / icc - 1), (1 - p) * (1 / icc - 1), (4000, m))) / r

    one, two = prompt_means(base), prompt_means(base + change)
    z = (two.mean(1) - one.mean(1)) / np.sqrt((one.var(1, ddof=1) + two.var(1, ddof=1)) / m)
    assert np.mean(np.abs(z) >= ndtri(0.975)) == pytest.approx(0.8, abs=0.03)


def test_more_prompts_more_samples_and_less_to_ask_detect_less():
    start = minimum_detectable_difference(50, 4, 0.3, 0.5)
    assert minimum_detectable_difference(100, 4, 0.3, 0.5) < start
    assert minimum_detectable_difference(50, 8, 0.3, 0.5) < start
    assert minimum_detectable_difference(50, 4, 0.1, 0.5) < start
    assert minimum_detectable_difference(50, 4, 0.3, 0.5, power=0.5) < start
    assert minimum_detectable_difference(50, 4, 0.3, 0.5, level=0.8) < start
    assert minimum_detectable_difference(50, 4, 1.0, 0.5) == minimum_detectable_difference(50, 1, 0, 0.5)


def test_a_hopeless_design_says_so():
    wanted = "4 prompts × 1 samples at icc 0 would miss even a change of 0.50 from 0.5; add prompts."
    with pytest.raises(Undetectable, match=re.escape(wanted)):
        minimum_detectable_difference(4, 1, 0, 0.5)


@pytest.mark.parametrize(
    ("m", "r", "icc", "base", "options", "message"),
    [
        (0, 1, 0, 0.5, {}, "a design of 0 prompts × 1 samples is impossible"),
        (5, 1, 2, 0.5, {}, "icc is 2; the correlation of one prompt's samples lies in [0, 1]."),
        (5, 1, 0, 1.5, {}, "base is 1.5; a rate lies in [0, 1]."),
        (5, 1, 0, 0.5, {"power": 1}, "power is 1; ask for at least 0.5 and less than 1, say 0.8."),
        (5, 1, 0, 0.5, {"level": 0}, "level is 0; a confidence level"),
    ],
)
def test_nonsense_is_refused(m, r, icc, base, options, message):
    with pytest.raises(BadRecord, match=re.escape(message)):
        minimum_detectable_difference(m, r, icc, base, **options)
