"""Gears, idling and abstaining; and how a bet that cannot be scored is told."""

import json
import subprocess
import sys

import pytest

from gearsy.base.bets import Abstain, Cell, Rate
from gearsy.base.errors import BadPrediction, BadRecord, ContractBroken, UnknownName
from gearsy.base.records import Condition
from gearsy.theories import Theory
from gearsy.theories.baselines import LADDER, Ignorance, PooledMean
from gearsy.theories.contracts import check_theory
from gearsy.theories.theory import KNOWS_NOTHING, predictions

HERE = Condition(levels=(("trained", "both"), ("asked", "forward")), facts=(("n_candidates", 4),))
THERE = Condition(levels=(("trained", "one"), ("asked", "forward")), facts=(("n_candidates", 4),))


def guessing(condition: Condition, belief: Rate) -> Rate:
    return Rate(mean=1 / float(condition["n_candidates"]), sd=0.05)


def learning(condition: Condition, belief: Rate) -> Rate:
    return Rate(mean=belief.mean + 0.4, sd=belief.sd) if condition["trained"] == "both" else belief


def silence(condition: Condition, belief: Rate) -> Rate | Abstain:
    return belief if condition["trained"] == "both" else Abstain(why="says nothing of one direction")


def theory(*gears: object) -> Theory:
    return Theory(name="T", claim="It is so.", gears=gears)


# Gears


def test_gears_pass_a_belief_on_in_their_order():
    assert theory(guessing, learning).predict(HERE) == Rate(mean=0.65, sd=0.05)
    assert theory(guessing, learning).predict(THERE) == Rate(mean=0.25, sd=0.05)
    assert theory(learning, guessing).predict(HERE) == Rate(mean=0.25, sd=0.05)


def test_the_first_gear_is_given_ignorance():
    seen = []

    def watching(condition: Condition, belief: Rate) -> Rate:
        seen.append(belief)
        return belief

    assert theory(watching).predict(HERE) == KNOWS_NOTHING == seen[0]


def test_an_idled_gear_is_skipped():
    whole = theory(guessing, learning)
    assert whole.gear_names == ("guessing", "learning")
    assert whole.idle("learning").predict(HERE) == Rate(mean=0.25, sd=0.05)
    assert whole.idle("guessing").idle("learning").predict(HERE) == KNOWS_NOTHING
    assert whole.predict(HERE) == Rate(mean=0.65, sd=0.05)
    with pytest.raises(
        UnknownName, match=r"^no gear of 'T' named 'learnin'. Did you mean 'learning'\? Known: guessing"
    ):
        whole.idle("learnin")


def test_an_abstention_ends_the_pipeline():
    assert theory(silence, guessing).predict(THERE) == Abstain(why="says nothing of one direction")
    assert theory(silence, guessing).predict(HERE) == Rate(mean=0.25, sd=0.05)
    assert theory(silence, guessing).idle("silence").predict(THERE) == Rate(mean=0.25, sd=0.05)


def test_a_theory_wants_gears_of_different_names():
    with pytest.raises(
        BadRecord, match=r"^theory 'T' has no gears; give at least one function of \(condition, belief\).$"
    ):
        theory()
    with pytest.raises(BadRecord, match=r"^theory 'T' has two gears of one name: \('guessing', 'guessing'\).$"):
        theory(guessing, guessing)


def test_the_source_changes_with_claim_name_gears_and_idling():
    whole = theory(guessing, learning)
    others = (
        theory(learning, guessing),
        theory(guessing),
        Theory(name="T", claim="It is not so.", gears=(guessing, learning)),
        Theory(name="U", claim="It is so.", gears=(guessing, learning)),
        whole.idle("learning"),
    )
    assert len({whole.source, *(other.source for other in others)}) == 6
    assert whole.source == theory(guessing, learning).source


def always(mean: float) -> object:
    def sure(condition: Condition, belief: Rate) -> Rate:
        return Rate(mean=mean, sd=0.05)

    return sure


def test_the_source_changes_with_what_a_gear_closes_over():
    assert theory(always(0.2)).source != theory(always(0.9)).source


def test_a_theory_written_at_a_prompt_has_a_source():
    sources = set()
    for body in ("Rate(mean=0.5, sd=0.1)", "Rate(mean=0.6, sd=0.1)", "belief"):
        names: dict[str, object] = {"Rate": Rate}
        exec(f"def typed(condition, belief):\n    return {body}", names)  # noqa: S102 - as a prompt does
        sources.add(theory(names["typed"]).source)
    assert {len(source) for source in sources} == {64}
    assert len(sources) == 3


def test_the_source_is_the_same_in_every_process():
    code = "from gearsy.studies.reversal_curse import STUDY; print([t.source for t in STUDY.theories])"
    told = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
    assert len(set(json.loads(told.pop().replace("'", '"')))) == 3


# Predictions


def test_predictions_hold_the_bets_whole_and_idled():
    here, there = predictions(theory(guessing, silence), [HERE, THERE])
    assert (here.theory, here.condition) == ("T", "trained=both, asked=forward")
    assert here.latent == Rate(mean=0.25, sd=0.05)
    assert dict(here.gearless) == {"guessing": KNOWS_NOTHING, "silence": Rate(mean=0.25, sd=0.05)}
    assert isinstance(there.latent, Abstain)
    assert dict(there.gearless)["silence"] == Rate(mean=0.25, sd=0.05)


def point(condition: Condition, belief: Rate) -> Rate:
    return Rate(mean=0.5, sd=0.0)


def undefined(condition: Condition, belief: Rate) -> Rate:
    return Rate(mean=float("nan"), sd=0.1)


def outside(condition: Condition, belief: Rate) -> Rate:
    return Rate(mean=1.2, sd=0.1)


def too_wide(condition: Condition, belief: Rate) -> Rate:
    return Rate(mean=0.5, sd=0.5)


def breaking(condition: Condition, belief: Rate) -> Rate:
    raise ZeroDivisionError("division by zero")


def number(condition: Condition, belief: Rate) -> float:
    return 0.7


def nothing(condition: Condition, belief: Rate) -> None:
    return None


def misspelling(condition: Condition, belief: Rate) -> Rate:
    return belief if condition["train"] == "both" else belief


@pytest.mark.parametrize(
    ("gear", "told"),
    [
        (point, "Rate(mean=0.5, sd=0.0): a point is refused; say how sure the theory is with sd > 0."),
        (undefined, "Rate(mean=nan): a rate lies in [0, 1]."),
        (outside, "Rate(mean=1.2): a rate lies in [0, 1]."),
        (too_wide, "Rate(mean=0.5, sd=0.5): no rate has that mean and spread; sd must be below 0.5."),
        (breaking, "raised ZeroDivisionError: division by zero"),
        (number, "predicted 0.7; wanted is a rate with its uncertainty, Rate(mean=…, sd=…), or Abstain(why=…)."),
        (nothing, "predicted None; wanted is a rate with its uncertainty, Rate(mean=…, sd=…), or Abstain(why=…)."),
        (
            misspelling,
            "no factor named 'train'. Did you mean 'trained'? Known: asked, n_candidates, trained.",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bet_that_cannot_be_scored_names_theory_and_condition(gear: object, told: str):
    with pytest.raises(BadPrediction) as caught:
        predictions(theory(gear), [HERE])
    assert str(caught.value) == f"theory 'T', on trained=both, asked=forward: {told}"


def passing_on(condition: Condition, belief: Rate) -> Rate:
    return Rate(mean=belief.mean + 0.6, sd=0.05)


def test_a_bet_that_breaks_when_a_gear_is_idled_names_the_gear():
    with pytest.raises(BadPrediction) as caught:
        predictions(theory(guessing, passing_on), [HERE])
    told = (
        "theory 'T' with gear 'guessing' idled, on trained=both, asked=forward: Rate(mean=1.1): a rate lies in [0, 1]."
    )
    assert str(caught.value) == told


# The contract


def test_the_contract_counts_what_it_checked():
    assert check_theory(theory(guessing, learning), [HERE, THERE]) == 3 + 2 * 3 * 2
    assert check_theory(theory(silence), [THERE]) == 3 + 1 * 2 * 2


class Planted:
    """A theory that keeps the contract, to be spoilt."""

    name, claim, gear_names, source = "planted", "It is so.", (), "0" * 64

    def predict(self, condition: Condition) -> object:
        return Rate(mean=0.5, sd=0.1)

    def idle(self, gear: str) -> "Planted":
        return self


class Claimless(Planted):
    claim = "  "


class Sourceless(Planted):
    source = "abc"


class Betless(Planted):
    def predict(self, condition: Condition) -> object:
        return 0.5


class Wavering(Planted):
    asked = 0

    def predict(self, condition: Condition) -> object:
        self.asked += 1
        return Rate(mean=0.1 + 0.01 * self.asked, sd=0.05)


class Unlike:
    name = "unlike"


def test_the_contract_accepts_what_it_should():
    assert check_theory(Planted(), [HERE]) == 5


@pytest.mark.parametrize(
    ("planted", "clause"),
    [
        (Unlike(), "lacks name, claim, gear_names, source, predict or idle."),
        (Claimless(), "planted: claims nothing; `claim` wants one sentence."),
        (Sourceless(), "planted: source is 'abc', not a SHA-256."),
        (Betless(), r"planted, on trained=both, asked=forward: predicted 0.5, not a Rate or Abstain."),
        (Wavering(), "planted, on trained=both, asked=forward: bets differently when asked twice."),
    ],
)
def test_the_contract_bites(planted: object, clause: str):
    with pytest.raises(ContractBroken, match=clause):
        check_theory(planted, [HERE])


def test_the_contract_wants_a_condition():
    with pytest.raises(
        ContractBroken, match="^no condition was given; a contract that checks nothing is no contract.$"
    ):
        check_theory(Planted(), [])


# Baselines


def cell(successes: int, m: int = 10, r: int = 1) -> Cell:
    return Cell(condition=HERE, successes=successes, m=m, r=r)


def test_ignorance_never_learns():
    assert Ignorance().next(HERE, [cell(10)] * 9) == KNOWS_NOTHING == Ignorance().next(THERE, [])


def test_the_pooled_mean_by_hand():
    assert PooledMean().next(HERE, []) == KNOWS_NOTHING
    rate = PooledMean().next(HERE, [cell(8), cell(6)])
    mean = (2 * 0.5 + 0.8 + 0.6) / 4
    variance = (2 / 12 + (0.8 - mean) ** 2 + (0.6 - mean) ** 2) / 4
    assert (rate.mean, rate.sd) == pytest.approx((mean, variance**0.5))


@pytest.mark.parametrize("rung", LADDER, ids=lambda rung: rung.name)
@pytest.mark.parametrize("successes", [0, 5, 10])
def test_baselines_state_a_rate_after_any_history(rung: object, successes: int):
    for n in (0, 1, 3, 200):
        rate = rung.next(HERE, [cell(successes)] * n)
        assert 0 < rate.mean < 1
        assert rate.sd > 0


def test_the_pooled_mean_nears_what_it_has_seen():
    rates = [PooledMean().next(HERE, [cell(9)] * n) for n in (1, 5, 50, 500)]
    assert [rate.mean for rate in rates] == sorted(rate.mean for rate in rates)
    assert rates[-1].mean == pytest.approx(0.9, abs=0.01)
    assert [rate.sd for rate in rates] == sorted((rate.sd for rate in rates), reverse=True)
