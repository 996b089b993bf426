"""The scoreboard against an independent computation, by hand and by simulation."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from gearsy.base.bets import Abstain, Cell, Prediction, Rate, Scorecard
from gearsy.base.errors import BadRecord
from gearsy.base.records import Condition
from gearsy.theories import scoring
from gearsy.theories.baselines import LADDER, Ignorance, PooledMean
from gearsy.theories.scoring import Entrant, Rules, design_power, scoreboard
from gearsy.theories.theory import KNOWS_NOTHING

M, R = 20, 4
RULES = Rules(icc=0.3)


def conditions(n: int) -> list[Condition]:
    return [Condition(levels=(("c", f"{i}"),)) for i in range(n)]


def cells(counts: Sequence[int], m: int = M, r: int = R) -> list[Cell]:
    return [
        Cell(condition=condition, successes=int(k), m=m, r=r)
        for condition, k in zip(conditions(len(counts)), counts, strict=True)
    ]


def entrant(
    name: str,
    bets: Sequence[tuple[float, float] | None],
    gears: Callable[[int], tuple[tuple[str, Rate | Abstain], ...]] = lambda i: (),
    late: bool = False,
) -> Entrant:
    """An entrant that bets (mean, sd), or abstains where it has None."""
    made = {}
    for i, (condition, bet) in enumerate(zip(conditions(len(bets)), bets, strict=True)):
        latent = Abstain(why="silent") if bet is None else Rate(mean=bet[0], sd=bet[1])
        made[condition.key] = Prediction(theory=name, condition=condition.key, latent=latent, gearless=gears(i))
    return Entrant(name=name, bets=made, late=late)


def board(given: Sequence[Cell], *entrants: Entrant, rules: Rules = RULES) -> dict[str, Scorecard]:
    return {card.theory: card for card in scoreboard(given, entrants, LADDER, rules, seed=0)}


@pytest.fixture
def no_power(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the simulation of each entrant's power, where it is not what is tested: it takes most of the time."""
    monkeypatch.setattr(scoring, "design_power", lambda *given, **chosen: 1.0)


# STATISTICS §1, written down a second time


def form(mean: float, sd: float, m: int = M, r: int = R, icc: float = 0.3) -> object:
    n, v = m * r, mean * (1 - mean)
    e = v - sd**2
    variance = sd**2 + e * (icc + (1 - icc) / r) / m
    correlation = (variance * n / v - 1) / (n - 1)
    strength = 1 / correlation - 1
    return stats.betabinom(n, mean * strength, (1 - mean) * strength)


def gain(bet: tuple[float, float], k: int, dull: tuple[float, float], epsilon: float = 1e-3) -> float:
    own, base = form(*bet).pmf(k), form(*dull).pmf(k)
    return math.log(((1 - epsilon) * own + epsilon * base) / base)


def pooled(rates: Sequence[float]) -> tuple[float, float]:
    mean = (1.0 + sum(rates)) / (2 + len(rates))
    return mean, math.sqrt((2 / 12 + sum((rate - mean) ** 2 for rate in rates)) / (2 + len(rates)))


NOTHING = (KNOWS_NOTHING.mean, KNOWS_NOTHING.sd)
COUNTS = (70, 12, 75, 20)
BETS = ((0.9, 0.05), (0.15, 0.08), (0.8, 0.1), (0.5, 0.2))


@pytest.mark.usefixtures("no_power")
def test_bits_by_hand():
    card = board(cells(COUNTS), entrant("T", BETS))["T"]
    shares = [k / (M * R) for k in COUNTS]
    over = {
        "ignorance": [gain(bet, k, NOTHING) for bet, k in zip(BETS, COUNTS, strict=True)],
        "pooled mean": [gain(bet, k, pooled(shares[:i])) for i, (bet, k) in enumerate(zip(BETS, COUNTS, strict=True))],
    }
    totals = {
        "ignorance": sum(form(*NOTHING).logpmf(k) for k in COUNTS),
        "pooled mean": sum(form(*pooled(shares[:i])).logpmf(k) for i, k in enumerate(COUNTS)),
    }
    strongest = max(totals, key=totals.get)
    assert card.against == strongest
    assert dict(card.bits_over) == pytest.approx({name: sum(nats) / math.log(2) for name, nats in over.items()})
    assert card.bits == pytest.approx(sum(over[strongest]) / math.log(2))
    assert [bits for _, bits in card.bits_by_condition] == pytest.approx([g / math.log(2) for g in over[strongest]])
    assert math.exp(card.log_e) == pytest.approx(2**card.bits)
    assert sum(bits for _, bits in card.bits_by_condition) == pytest.approx(card.bits)


@pytest.mark.usefixtures("no_power")
def test_crps_by_hand():
    card = board(cells(COUNTS), entrant("T", BETS))["T"]
    counts = np.arange(M * R + 1)
    wanted = [
        np.sum((form(*bet).cdf(counts) - (counts >= k)) ** 2) / (M * R) for bet, k in zip(BETS, COUNTS, strict=True)
    ]
    assert card.crps == pytest.approx(np.mean(wanted))


def test_a_theory_that_gives_the_outcome_no_chance_loses_no_more_than_epsilon_says():
    card = board(cells([80] * 3), entrant("T", [(0.01, 0.001)] * 3))["T"]
    assert card.bits == pytest.approx(3 * math.log2(1e-3), abs=0.01)
    assert card.verdict.name == "REFUTED"
    assert card.verdict.because == f"a baseline saves {-card.bits:.1f} bits over it."


def test_baselines_are_judged_by_the_strongest():
    given = cells([40, 40, 40, 40, 40])
    cards = board(given, entrant("T", [NOTHING] * 5))
    dull = [card for card in cards.values() if card.baseline]
    assert [card.theory for card in dull] == ["pooled mean", "ignorance"]
    assert (dull[0].bits, dull[0].against) == (0, "pooled mean")
    assert dull[1].bits == pytest.approx(-dict(dull[0].bits_over)["ignorance"])
    assert dull[1].bits < 0
    # whoever states what ignorance states gets ignorance's score
    assert cards["T"].bits == pytest.approx(dull[1].bits, abs=0.01)


def test_a_baseline_knows_only_what_was_settled_before():
    seen: list[int] = []

    class Watching:
        name = "watching"

        def next(self, condition: Condition, settled: Sequence[Cell]) -> Rate:
            seen.append(len(settled))
            assert condition.key not in {cell.condition.key for cell in settled}
            return KNOWS_NOTHING

    scoreboard(cells(COUNTS), [], [Watching()], RULES, seed=0)
    assert seen == [0, 1, 2, 3]


@pytest.mark.usefixtures("no_power")
def test_cards_come_best_first_then_the_baselines():
    given = cells([72, 72, 72])
    cards = scoreboard(
        given,
        [entrant("bad", [(0.1, 0.05)] * 3), entrant("good", [(0.9, 0.05)] * 3), entrant("fair", [(0.8, 0.1)] * 3)],
        LADDER,
        RULES,
        seed=0,
    )
    assert [card.theory for card in cards[:3]] == ["good", "fair", "bad"]
    assert [card.baseline for card in cards] == [False] * 3 + [True] * 2


def test_an_abstention_gains_and_loses_nothing():
    given = cells(COUNTS)
    spoken, silent = entrant("T", BETS), entrant("T", (*BETS[:3], None))
    whole, part = board(given, spoken)["T"], board(given, silent)["T"]
    assert (whole.abstained, part.abstained) == (0, 1)
    assert part.bits_by_condition[:3] == whole.bits_by_condition[:3]
    assert part.bits_by_condition[3][1] == 0
    mute = board(given, entrant("T", [None] * 4))["T"]
    assert (mute.bits, mute.abstained, mute.power) == (0, 4, 0)
    assert mute.verdict.name == "INADMISSIBLE"
    assert mute.verdict.because == "this design had only 0% power to support it if it were true."


def test_a_gear_that_helps_is_worth_bits_and_one_that_harms_costs_them():
    good, idle = Rate(mean=0.9, sd=0.05), Rate(mean=0.5, sd=0.2)
    helps = entrant("helps", [(0.9, 0.05)] * 3, lambda i: (("g", idle),))
    harms = entrant("harms", [(0.5, 0.2)] * 3, lambda i: (("g", good),))
    none = entrant("none", [(0.9, 0.05)] * 3, lambda i: (("g", good),))
    mutes = entrant("mutes", [(0.9, 0.05)] * 3, lambda i: (("g", Abstain(why="")),))
    cards = board(cells([72, 70, 75]), helps, harms, none, mutes)
    worth = {name: cards[name].gears[0].bits_lost for name in ("helps", "harms", "none", "mutes")}
    assert worth["helps"] > 1
    assert worth["harms"] == pytest.approx(-worth["helps"])
    assert worth["none"] == 0
    assert worth["mutes"] == pytest.approx(cards["mutes"].bits)


# Verdicts


def test_verdicts_follow_the_data():
    """The same bets on other outcomes get other verdicts: no verdict is a matter of who asks."""
    bets = [(0.9, 0.04)] * 3 + [(0.1, 0.04)] * 3
    truth = board(cells([72, 71, 73, 8, 9, 7]), entrant("T", bets))["T"]
    assert truth.verdict.name == "SUPPORTED"
    assert truth.verdict.because == f"it saves {truth.bits:.1f} bits over the strongest baseline (e-BH, q = 0.05)."
    assert board(cells([8, 9, 7, 72, 71, 73]), entrant("T", bets))["T"].verdict.name == "REFUTED"


def test_a_draw_is_inadmissible_where_the_design_was_too_small():
    bets = [(0.7, 0.05)] * 6
    small = board(cells([3, 4, 2, 3, 3, 4], m=4, r=1), entrant("T", bets))["T"]
    assert small.verdict.name == "INADMISSIBLE"
    assert small.verdict.because == f"this design had only {small.power:.0%} power to support it if it were true."
    whole = replace(RULES, power=0.0)
    undecided = board(cells([3, 4, 2, 3, 3, 4], m=4, r=1), entrant("T", [(0.7, 0.05)] * 6), rules=whole)["T"]
    assert undecided.verdict.name == "INCONCLUSIVE"
    assert undecided.verdict.because == f"{undecided.bits:+.1f} bits over the strongest baseline decide nothing."


@pytest.mark.usefixtures("no_power")
def test_one_changed_condition_changes_the_verdict():
    bets = [(0.9, 0.04)] * 2 + [(0.1, 0.04)] * 2
    cards = [board(cells([72, k, 8, 8]), entrant("T", bets))["T"] for k in range(0, 73, 6)]
    assert [card.bits for card in cards[3:]] == sorted(card.bits for card in cards[3:])
    assert (cards[0].verdict.name, cards[-1].verdict.name) == ("INCONCLUSIVE", "SUPPORTED")
    both = board(cells([6, 0, 8, 8]), entrant("T", bets))["T"]
    assert both.verdict.name == "REFUTED"


def test_a_late_entrant_is_inadmissible_whatever_it_says():
    card = board(cells([72, 8, 72]), entrant("T", [(0.9, 0.04), (0.1, 0.04), (0.9, 0.04)], late=True))["T"]
    assert card.bits > 5
    assert card.verdict.name == "INADMISSIBLE"
    assert card.verdict.because == "it was registered after the answers existed; it is scored only forward."


@pytest.mark.usefixtures("no_power")
def test_late_entrants_do_not_help_others_over_the_bar():
    given = cells([66, 14, 66, 14])
    modest = entrant("modest", [(0.7, 0.16), (0.3, 0.16)] * 2)
    round_of = [modest, *(entrant(f"junk {i}", [(0.5, 0.25)] * 4) for i in range(4))]
    alone = board(given, *round_of)["modest"]
    assert 20 < math.exp(alone.log_e) < 100
    assert alone.verdict.name != "SUPPORTED"  # e-BH wants 5/0.05 = 100 of one winner among five
    seers = [entrant(f"seer {i}", [(66 / 80, 0.01), (14 / 80, 0.01)] * 2, late=True) for i in range(20)]
    assert board(given, *round_of, *seers)["modest"].verdict.name == alone.verdict.name


@pytest.mark.usefixtures("no_power")
def test_a_winner_among_several_needs_more():
    given = cells([66, 14, 66, 14])
    modest = entrant("modest", [(0.7, 0.16), (0.3, 0.16)] * 2)
    assert board(given, modest)["modest"].verdict.name == "SUPPORTED"
    junk = [entrant(f"junk {i}", [(0.5, 0.25)] * 4) for i in range(4)]
    assert board(given, modest, *junk)["modest"].verdict.name != "SUPPORTED"


@pytest.mark.parametrize("name", ["icc", "epsilon", "alpha", "q", "power"])
def test_rules_refuse_what_is_no_share(name: str):
    for value in (-0.1, 1.0, float("nan")):
        with pytest.raises(BadRecord, match=rf"^Rules\({name}={value}\): it must lie in \[0, 1\).$"):
            Rules(**{name: value})


# By simulation


def outcomes(rates: Sequence[tuple[float, float]], n: int, seed: int) -> np.ndarray:
    """Counts [n, conditions], from a latent Beta rate with the given mean and sd, prompts of one ICC, samples."""
    rng = np.random.default_rng(seed)
    mean, sd = np.array(rates).T
    strength = mean * (1 - mean) / sd**2 - 1
    latent = rng.beta(mean * strength, (1 - mean) * strength, (n, len(rates)))
    within = 1 / RULES.icc - 1
    a, b = np.maximum(latent * within, 1e-9), np.maximum((1 - latent) * within, 1e-9)
    prompts = rng.beta(a[..., None], b[..., None], (n, len(rates), M))
    return rng.binomial(R, prompts).sum(-1)


def e_values(counts: np.ndarray, bets: Sequence[tuple[float, float]]) -> np.ndarray:
    """e-value [rounds] against ignorance, from tables of each condition's gains."""
    k = np.arange(M * R + 1)
    total = np.zeros(len(counts))
    for i, bet in enumerate(bets):
        own, base = form(*bet).pmf(k), form(*NOTHING).pmf(k)
        total += np.log((0.999 * own + 0.001 * base) / base)[counts[:, i]]
    return np.exp(total)


@pytest.mark.usefixtures("no_power")
@pytest.mark.parametrize("bet", [(0.6, 0.2), (0.8, 0.1), (0.3, 0.25), (0.95, 0.04)])
def test_a_wrong_theory_seldom_beats_a_true_baseline(bet: tuple[float, float]):
    """Ville: if ignorance is true, a theory reaches e = 20 against it in at most 1 of 20 rounds."""
    n = 2000
    rng = np.random.default_rng(1)
    counts = form(*NOTHING).rvs((n, 6), random_state=rng)
    e = e_values(counts, [bet] * 6)
    assert np.mean(e >= 20) <= 0.05
    # and the scoreboard computes the same e-value
    for j in range(0, 60, 6):
        card = board(cells(counts[j]), entrant("T", [bet] * 6))["T"]
        assert 2 ** dict(card.bits_over)["ignorance"] == pytest.approx(e[j])
        assert math.exp(card.log_e) == pytest.approx(2**card.bits)


def test_ignorance_s_own_form_is_nearly_that_of_uniform_rates():
    """The beta-binomial has the mixture's variance; its type-I error holds for data from the process itself too."""
    counts = outcomes([NOTHING] * 6, 2000, seed=2)
    assert np.mean(e_values(counts, [(0.8, 0.1)] * 6) >= 20) <= 0.05
    assert np.var(counts) == pytest.approx(form(*NOTHING).var(), rel=0.05)


@pytest.mark.usefixtures("no_power")
def test_the_true_theory_wins():
    truth = [(0.9, 0.05), (0.15, 0.05), (0.6, 0.05), (0.3, 0.05), (0.8, 0.05), (0.1, 0.05)]
    blurred = [(0.5 * mean + 0.3, 0.1) for mean, _ in truth]
    turned = [(1 - mean, 0.05) for mean, _ in truth]
    entrants = [entrant("turned", turned), entrant("truth", truth), entrant("blurred", blurred)]
    wins = supported = 0
    for counts in outcomes(truth, 40, seed=3):
        best, *_ = scoreboard(cells(counts), entrants, LADDER, RULES, seed=0)
        wins += best.theory == "truth"
        supported += best.theory == "truth" and best.verdict.name == "SUPPORTED"
    assert wins >= 36
    assert supported >= 36


@pytest.mark.usefixtures("no_power")
def test_of_a_hundred_junk_theories_hardly_any_is_supported():
    rng = np.random.default_rng(4)
    rounds_with_one = 0
    n_rounds, n_theories = 200, 100
    counts = form(*NOTHING).rvs((n_rounds, 6), random_state=rng)
    theories = [list(zip(rng.uniform(0.2, 0.8, 6), rng.uniform(0.1, 0.25, 6), strict=True)) for _ in range(n_theories)]
    e = np.stack([e_values(counts, bets) for bets in theories], axis=1)
    best_of_all = np.mean(e.max(axis=1) >= 20)
    for row in e:
        falling = np.sort(row)[::-1]
        rounds_with_one += bool(np.any(falling >= n_theories / (np.arange(1, n_theories + 1) * 0.05)))
    assert best_of_all > 0.05  # the best of a hundred deceives
    assert rounds_with_one / n_rounds <= 0.05  # the closed round does not
    worst = int(np.argmax(e.max(axis=1)))
    cards = board(cells(counts[worst]), *(entrant(f"junk {i}", bets) for i, bets in enumerate(theories)))
    judged = [card for card in cards.values() if not card.baseline]
    assert len(judged) == n_theories
    assert max(2 ** dict(card.bits_over)["ignorance"] for card in judged) == pytest.approx(e[worst].max())
    assert sum(card.verdict.name == "SUPPORTED" for card in judged) <= sum(e[worst] >= 20)


# Power


def test_power_is_the_share_of_designs_that_would_support():
    truth = [(0.7, 0.05), (0.35, 0.05), (0.6, 0.05), (0.3, 0.05)]
    bet, given = entrant("T", truth), cells([0] * 4)
    for n_entrants in (1, 10):
        told = design_power(bet, given, LADDER, RULES, n_entrants=n_entrants, seed=1, draws=600)
        drawn = np.stack(
            [form(*one).rvs(400, random_state=np.random.default_rng(50 + i)) for i, one in enumerate(truth)], axis=1
        )
        reached = []
        for counts in drawn:
            shares = counts / (M * R)
            against = [
                sum(gain_of(bet_, int(k), NOTHING) for bet_, k in zip(truth, counts, strict=True)),
                sum(gain_of(b, int(k), pooled(shares[:i])) for i, (b, k) in enumerate(zip(truth, counts, strict=True))),
            ]
            reached.append(min(against) >= math.log(n_entrants / 0.05))
        assert 0.02 < told < 0.98
        assert told == pytest.approx(np.mean(reached), abs=0.08)


def gain_of(bet: tuple[float, float], k: int, dull: tuple[float, float]) -> float:
    """`gain` with the pmf computed by our own table, which is quicker than scipy's."""
    return math.log((0.999 * pmf(*bet)[k] + 0.001 * pmf(*dull)[k]) / pmf(*dull)[k])


_TABLES: dict[tuple[float, float], np.ndarray] = {}


def pmf(mean: float, sd: float) -> np.ndarray:
    if (mean, sd) not in _TABLES:
        _TABLES[mean, sd] = form(mean, sd).pmf(np.arange(M * R + 1))
    return _TABLES[mean, sd]


def test_power_does_not_read_the_outcomes_and_repeats():
    bet = entrant("T", [(0.7, 0.05)] * 3)
    told = {
        design_power(bet, cells(counts), LADDER, RULES, n_entrants=1, seed=5, draws=50)
        for counts in ([0, 0, 0], [80, 80, 80], [1, 50, 70])
    }
    assert len(told) == 1


def test_more_prompts_give_more_power_and_more_rivals_less():
    bet = entrant("T", [(0.75, 0.05), (0.25, 0.05)])

    def told(m: int, n_entrants: int) -> float:
        given = cells([0, 0], m=m)
        return design_power(bet, given, [Ignorance(), PooledMean()], RULES, n_entrants=n_entrants, seed=0, draws=150)

    assert told(5, 1) <= told(20, 1) <= told(80, 1)
    assert told(80, 1) > told(5, 1)
    assert told(40, 1) >= told(40, 50)
