"""Verdicts that a theory could otherwise talk itself into."""

from gearsy.base.bets import Cell, Rate
from gearsy.base.records import Condition
from gearsy.theories import Theory
from gearsy.theories.baselines import LADDER
from gearsy.theories.scoring import Entrant, Rules, scoreboard
from gearsy.theories.theory import predictions

CONDITIONS = [Condition(levels=(("i", str(i)),), facts=(("taught", float(i % 3 != 0)),)) for i in range(9)]


def right(condition, belief):
    return Rate(mean=0.95 if condition["taught"] else 0.1, sd=0.04)


def embroidered(condition, belief):
    return belief if condition["taught"] else Rate(mean=0.5, sd=0.15)


PLAIN = Theory(name="plain", claim="Taught is known.", gears=(right,))
FANCY = Theory(name="fancy", claim="Taught is known, and the rest half.", gears=(right, embroidered))


def entrant(theory: Theory, *, late: bool = False) -> Entrant:
    return Entrant(name=theory.name, bets={bet.condition: bet for bet in predictions(theory, CONDITIONS)}, late=late)


def cells() -> list[Cell]:
    return [Cell(condition=c, successes=19 if c["taught"] else 2, m=20, r=1) for c in CONDITIONS]


def test_a_theory_is_not_supported_for_what_its_idle_gear_has_not_earned():
    cards = {
        card.theory: card for card in scoreboard(cells(), [entrant(PLAIN), entrant(FANCY)], LADDER, Rules(), seed=0)
    }
    assert cards["plain"].verdict.name == "SUPPORTED"
    assert cards["fancy"].bits > 6  # more than the bar for two theories
    assert cards["fancy"].verdict.name == "INCONCLUSIVE"
    assert "its gear 'embroidered' does not pay for itself" in cards["fancy"].verdict.because


def test_a_late_theory_comes_last_and_takes_nothing_from_the_others():
    cards = scoreboard(cells(), [entrant(FANCY), entrant(PLAIN, late=True)], LADDER, Rules(), seed=0)
    assert [card.theory for card in cards[:2]] == ["fancy", "plain"]
    assert cards[1].bits > cards[0].bits
    assert cards[1].verdict.name == "INADMISSIBLE"
