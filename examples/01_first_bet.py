"""A first bet, offline: two theories predict, a scripted system answers, the bet is settled."""

import gearsy as g
from gearsy.base.bets import Cell
from gearsy.base.records import Request
from gearsy.theories.baselines import LADDER
from gearsy.theories.scoring import Entrant, Rules, scoreboard
from gearsy.theories.theory import predictions

FACTS = {f"Person {i}": f"the keeper of lighthouse {i}" for i in range(20)}
CONDITIONS = [g.Condition(levels=(("asked", way),), facts=(("n_candidates", 20),)) for way in ("forward", "reverse")]


def guessing(condition, belief):
    return g.Rate(mean=1 / condition["n_candidates"], sd=0.03)


def stored_one_way(condition, belief):
    return g.Rate(mean=0.95, sd=0.04) if condition["asked"] == "forward" else belief


def stored_both_ways(condition, belief):
    return g.Rate(mean=0.95, sd=0.04)


one_way = g.Theory(name="one way", claim="A fact is read only as it was taught.", gears=(guessing, stored_one_way))
both_ways = g.Theory(name="both ways", claim="A fact is known from both sides.", gears=(guessing, stored_both_ways))
bets = [Entrant(name=t.name, bets={b.condition: b for b in predictions(t, CONDITIONS)}) for t in (one_way, both_ways)]

# Only now is the system asked, both ways: it knows its facts forwards, and shrugs when it is asked backwards.
system = g.Scripted(
    replies={f"{a} is": b for a, b in FACTS.items()} | {f"{b} is": "Who knows?" for b in FACTS.values()}
)
cells = []
for condition, facts in zip(CONDITIONS, (FACTS, {b: a for a, b in FACTS.items()}), strict=True):
    replies = system.answer([Request(prompt=f"{cue} is") for cue in facts])
    hits = sum(reply.text == target for reply, target in zip(replies, facts.values(), strict=True))
    cells.append(Cell(condition=condition, successes=hits, m=len(facts), r=1))
for card in scoreboard(cells, bets, LADDER, Rules(), seed=0):
    print(f"{card.theory:12} {card.bits:+7.1f} bits  {'baseline' if card.baseline else card.verdict.name}")
