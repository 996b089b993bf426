"""Settling the bets: bits over the strongest baseline, what each gear is worth, and the verdict (pure functions).

Formulae: log-score skill of pushed-forward predictions; its sum over conditions is at once bits saved (÷ ln 2) and
the log of an e-value, so a theory that gains ln(1/α) against a baseline has refuted it at level α (Ville).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gearsy.base.bets import Abstain, Cell, GearWorth, Prediction, Rate, Scorecard, Verdict
from gearsy.base.errors import BadRecord
from gearsy.stats.betabinomial import BetaBinomial, push_forward
from gearsy.stats.evalues import e_bh_from_logs
from gearsy.stats.scores import mixed
from gearsy.theories.baselines import Baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How bets are settled; part of what is registered.

    `icc` is the intra-prompt correlation that the push-forward assumes, `epsilon` the share of the baseline that is
    mixed into every theory, `alpha` the level of a refutation, `q` the false discovery rate of the closed round,
    `power` what the design must have for a draw to mean anything.
    """

    icc: float = 0.5
    epsilon: float = 1e-3
    alpha: float = 0.05
    q: float = 0.05
    power: float = 0.5

    def __post_init__(self) -> None:
        for name in ("icc", "epsilon", "alpha", "q", "power"):
            if not 0 <= getattr(self, name) < 1:
                raise BadRecord(f"Rules({name}={getattr(self, name)}): it must lie in [0, 1).")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """A theory as the ledger holds it: its bets, by condition key; `late` if answers existed when it registered."""

    name: str
    bets: dict[str, Prediction]
    late: bool = False


def scoreboard(
    cells: Sequence[Cell], entrants: Sequence[Entrant], ladder: Sequence[Baseline], rules: Rules, seed: int
) -> list[Scorecard]:
    """One card an entrant, best first and the late ones last, then one a baseline; `cells` in their registered order."""
    if not cells:
        raise BadRecord("there is no cell to settle a bet on; give at least one condition with its count.")
    rungs = {rung.name: _forecasts(rung, cells, rules) for rung in ladder}
    totals = {name: sum(_logs(forms, cells)) for name, forms in rungs.items()}
    strongest = max(totals, key=lambda name: totals[name])
    scored = [_score(entrant, cells, rungs, strongest, rules) for entrant in entrants]
    in_round = [i for i, entrant in enumerate(entrants) if not entrant.late]  # who saw the answers lowers nobody's bar
    log_es = [min(math.log(2) * bits for _, bits in scored[i].bits_over) for i in in_round]
    won = {in_round[j] for j in e_bh_from_logs(log_es, rules.q)} if in_round else set()
    cards = []
    for i, (row, entrant) in enumerate(zip(scored, entrants, strict=True)):
        power = design_power(entrant, cells, ladder, rules, n_entrants=max(1, len(in_round)), seed=seed)
        cards.append(_card(row, strongest, power, _verdict(row, entrant, rules, power, i in won)))
    late = {entrant.name for entrant in entrants if entrant.late}
    cards.sort(key=lambda card: (card.theory in late, -card.bits))
    return cards + [_baseline_card(name, rungs, cells, strongest) for name in sorted(rungs, key=lambda n: -totals[n])]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scored:
    theory: str
    bits_over: tuple[tuple[str, float], ...]
    by_condition: tuple[tuple[str, float], ...]
    crps: float
    gears: tuple[GearWorth, ...]
    abstained: int


def _form(latent: Rate, cell: Cell, rules: Rules) -> BetaBinomial:
    return push_forward(latent, cell.m, cell.r, rules.icc)


def _forecasts(rung: Baseline, cells: Sequence[Cell], rules: Rules) -> list[BetaBinomial]:
    return [_form(rung.next(cell.condition, cells[:i]), cell, rules) for i, cell in enumerate(cells)]


def _logs(forms: Sequence[BetaBinomial], cells: Sequence[Cell]) -> list[float]:
    return [float(form.logpmf(cell.successes)) for form, cell in zip(forms, cells, strict=True)]


def _gains(
    bets: Sequence[Rate | Abstain], cells: Sequence[Cell], baseline: Sequence[BetaBinomial], rules: Rules
) -> list[float]:
    """Nats gained over `baseline` in each condition; an abstention gains nothing and loses nothing."""
    gains = []
    for bet, cell, dull in zip(bets, cells, baseline, strict=True):
        if isinstance(bet, Abstain):
            gains.append(0.0)
            continue
        own, base = float(_form(bet, cell, rules).logpmf(cell.successes)), float(dull.logpmf(cell.successes))
        gains.append(float(mixed(own, base, rules.epsilon)) - base)
    return gains


def _score(
    entrant: Entrant, cells: Sequence[Cell], rungs: dict[str, list[BetaBinomial]], strongest: str, rules: Rules
) -> _Scored:
    predictions = [entrant.bets[cell.condition.key] for cell in cells]
    bets = [prediction.latent for prediction in predictions]
    over = {name: _gains(bets, cells, forms, rules) for name, forms in rungs.items()}
    gears = []
    for gear, _ in predictions[0].gearless:
        idled = [dict(prediction.gearless)[gear] for prediction in predictions]
        lost = sum(over[strongest]) - sum(_gains(idled, cells, rungs[strongest], rules))
        gears.append(GearWorth(name=gear, bits_lost=lost / math.log(2)))
    crps = [
        (rungs[strongest][i] if isinstance(bet, Abstain) else _form(bet, cell, rules)).crps(cell.successes)
        for i, (bet, cell) in enumerate(zip(bets, cells, strict=True))
    ]
    return _Scored(
        theory=entrant.name,
        bits_over=tuple((name, sum(gains) / math.log(2)) for name, gains in over.items()),
        by_condition=tuple((c.condition.key, g / math.log(2)) for c, g in zip(cells, over[strongest], strict=True)),
        crps=float(np.mean(crps)),
        gears=tuple(gears),
        abstained=sum(isinstance(bet, Abstain) for bet in bets),
    )


def _verdict(row: _Scored, entrant: Entrant, rules: Rules, power: float, won: bool) -> Verdict:  # noqa: FBT001 - one of the facts it weighs
    bits = min(bits for _, bits in row.bits_over)
    if entrant.late:
        return Verdict(
            name="INADMISSIBLE", because="it was registered after the answers existed; it is scored only forward."
        )
    idle = [gear for gear in row.gears if gear.bits_lost < 0]
    if won and idle:
        worst = min(idle, key=lambda gear: gear.bits_lost)
        why = f"its gear {worst.name!r} does not pay for itself: without it the theory saves {-worst.bits_lost:.1f} bits more."
        return Verdict(name="INCONCLUSIVE", because=why)
    if won and bits * math.log(2) >= math.log(1 / rules.alpha):
        return Verdict(
            name="SUPPORTED", because=f"it saves {bits:.1f} bits over the strongest baseline (e-BH, q = {rules.q:g})."
        )
    # Any of several rungs may refute it, so each has to be surer by their number.
    if bits * math.log(2) <= -math.log(len(row.bits_over) / rules.alpha):
        return Verdict(name="REFUTED", because=f"a baseline saves {-bits:.1f} bits over it.")
    if power < rules.power:
        why = f"this design had only {power:.0%} power to support it if it were true."
        return Verdict(name="INADMISSIBLE", because=why)
    return Verdict(name="INCONCLUSIVE", because=f"{bits:+.1f} bits over the strongest baseline decide nothing.")


def _card(row: _Scored, strongest: str, power: float, verdict: Verdict) -> Scorecard:
    bits = dict(row.bits_over)[strongest]
    return Scorecard(
        theory=row.theory,
        bits=bits,
        crps=row.crps,
        log_e=bits * math.log(2),
        against=strongest,
        bits_over=row.bits_over,
        bits_by_condition=row.by_condition,
        gears=row.gears,
        abstained=row.abstained,
        power=power,
        verdict=verdict,
    )


def _baseline_card(name: str, rungs: dict[str, list[BetaBinomial]], cells: Sequence[Cell], strongest: str) -> Scorecard:
    logs = {rung: _logs(forms, cells) for rung, forms in rungs.items()}
    by_condition = [(a - b) / math.log(2) for a, b in zip(logs[name], logs[strongest], strict=True)]
    return Scorecard(
        theory=name,
        bits=sum(by_condition),
        crps=float(np.mean([form.crps(cell.successes) for form, cell in zip(rungs[name], cells, strict=True)])),
        log_e=sum(by_condition) * math.log(2),
        against=strongest,
        bits_over=tuple((rung, (sum(logs[name]) - sum(values)) / math.log(2)) for rung, values in logs.items()),
        bits_by_condition=tuple((c.condition.key, b) for c, b in zip(cells, by_condition, strict=True)),
        gears=(),
        abstained=0,
        power=0.0,
        verdict=Verdict(name="INCONCLUSIVE", because="a baseline is what theories are judged against."),
        baseline=True,
    )


def design_power(  # noqa: PLR0913 - the bet, the design's shape, the rules and chance
    entrant: Entrant,
    cells: Sequence[Cell],
    ladder: Sequence[Baseline],
    rules: Rules,
    *,
    n_entrants: int,
    seed: int,
    draws: int = 200,
) -> float:
    """Probability that `entrant`, were it true, would pass the e-value bar in a design with the shape of `cells`.

    By simulation: outcomes are drawn from its own pushed-forward bets, and must gain ln(M/q) nats over every rung.
    The outcomes in `cells` are not read.
    """
    rng = np.random.default_rng(seed)
    spoken = [(c, bet) for c in cells if not isinstance(bet := entrant.bets[c.condition.key].latent, Abstain)]
    if not spoken:
        return 0.0
    bets = [bet for _, bet in spoken]
    outcomes = np.stack([_form(bet, cell, rules).draw(rng, draws) for cell, bet in spoken], axis=1)
    needed = max(math.log(n_entrants / rules.q), math.log(1 / rules.alpha))
    reached = 0
    for outcome in outcomes:
        drawn = [replace(cell, successes=int(k)) for (cell, _), k in zip(spoken, outcome, strict=True)]
        reached += all(sum(_gains(bets, drawn, _forecasts(rung, drawn, rules), rules)) >= needed for rung in ladder)
    return reached / draws
