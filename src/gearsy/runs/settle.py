"""Score: the bets are settled on what was observed, and the answer sentence is made of the numbers."""

from collections.abc import Sequence
from dataclasses import replace

from gearsy.base.bets import Abstain, Cell, Scorecard, Verdict
from gearsy.base.results import Bet, GateResult, Row
from gearsy.designs.plan import Design
from gearsy.designs.study import Summary
from gearsy.runs.register import Registered
from gearsy.stats.betabinomial import push_forward
from gearsy.theories.baselines import LADDER
from gearsy.theories.scoring import Rules, scoreboard


def settle(
    registered: Registered, rules: Rules, cells: Sequence[Cell], override: Verdict | None, seed: int = 0
) -> list[Scorecard]:
    """The scoreboard; where the run cannot say anything (`override`), every theory's verdict says so."""
    cards = scoreboard(cells, registered.entrants, LADDER, rules, seed)
    if override is None:
        return cards
    return [card if card.baseline else replace(card, verdict=override) for card in cards]


def overriding(design: Design, failed: int, gates: Sequence[GateResult]) -> Verdict | None:
    """Why no theory can be judged by this run, if it is so: failed trials, or a gate that did not hold."""
    if failed:
        return Verdict(
            name="DEVIATED", because=f"{failed} of the trials that bets are settled on failed; run again to ask them."
        )
    for gate, result in zip(design.study.gates, gates, strict=True):
        if not any(gate.holds_for(condition) for condition in design.treated):
            why = f"nothing was asked that could show that {gate.name}; ask more conditions (loosen --only)."
            return Verdict(name="INADMISSIBLE", because=why)
        if not result.passed:
            why = f"{gate.otherwise}: {result.wanted} was wanted, {result.found} was found."
            return Verdict(name="INADMISSIBLE", because=why)
    return None


def verdict(cards: Sequence[Scorecard]) -> Verdict:
    """The outcome of the run: that of its best theory (late ones come last)."""
    return next(card for card in cards if not card.baseline).verdict


def answer(design: Design, rows: Sequence[Row], cards: Sequence[Scorecard], chance: float) -> str:
    """One sentence on what was found, and one on who predicted it; a run that cannot say anything says that first."""
    primary = design.study.measures[0].name
    found = {
        row.condition.key: Summary(
            condition=row.condition,
            value=row.estimate.value,
            low=row.estimate.low,
            high=row.estimate.high,
            chance=chance,
        )
        for row in rows
        if row.measure == primary and not row.condition.control and row.estimate is not None
    }
    observed = design.study.answers(found)
    theories = [card for card in cards if not card.baseline]
    outcome = verdict(cards)
    if outcome.name in ("INADMISSIBLE", "DEVIATED"):
        return f"{outcome.name}: {outcome.because} What was seen all the same: {observed}."
    told = "; ".join(f"{card.theory} is {card.verdict.name} ({card.bits:+.1f} bits)" for card in theories)
    return f"{observed[:1].upper()}{observed[1:]}; against the strongest baseline ({theories[0].against}), {told}."


def bets(registered: Registered, rules: Rules, cells: Sequence[Cell]) -> list[Bet]:
    """What each theory and baseline stated, with the 95 % interval of observed rates that it implies in this design."""
    stated = [(e.name, cell, e.bets[cell.condition.key].latent) for e in registered.entrants for cell in cells]
    stated += [
        (rung.name, cell, rung.next(cell.condition, cells[:i])) for rung in LADDER for i, cell in enumerate(cells)
    ]
    made = []
    for name, cell, latent in stated:
        if isinstance(latent, Abstain):
            made.append(Bet(theory=name, condition=cell.condition.key, latent=None, low=None, high=None))
            continue
        low, high = push_forward(latent, cell.m, cell.r, rules.icc).interval()
        made.append(Bet(theory=name, condition=cell.condition.key, latent=latent, low=low, high=high))
    return made
