"""The plain tables of the page: every cell already spelled, so that the template only places it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gearsy.base.bets import Scorecard
from gearsy.base.records import Condition
from gearsy.base.results import MeasureInfo, Row, RunResult
from gearsy.reports import spelling
from gearsy.reports.layout import control_names, entrants, measure_info
from gearsy.reports.states import COUNTED, counted_states

Kind = Literal["text", "prose", "number", "again", "code", "good", "bad", "strong"]


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a cell, what stands smaller after it, and how it is set (`again`: as in the row above)."""

    text: str
    kind: Kind = "text"
    aside: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table; a row of one cell is a heading over the rows below it."""

    head: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]


def number(text: str, aside: str = "") -> Cell:
    """A right-aligned cell."""
    return Cell(text, "number", aside)


def heads(words: Sequence[str], numbers: Sequence[str] = ()) -> tuple[Cell, ...]:
    """The head of a table: columns of words, then columns of numbers."""
    return (*(Cell(word) for word in words), *(number(word) for word in numbers))


def levels_of(condition: Condition, before: Condition | None) -> tuple[Cell, ...]:
    """One cell a factor; greyed from the left as long as it repeats the row above."""
    cells, repeats = [], before is not None
    for i, (_, level) in enumerate(condition.levels):
        repeats = repeats and before is not None and before.levels[i : i + 1] == condition.levels[i : i + 1]
        cells.append(Cell(level, "again" if repeats else "text"))
    return tuple(cells)


def compared(result: RunResult, measures: Sequence[MeasureInfo], *, named: bool) -> Table:
    """Treatment and controls side by side, a row a condition; `named` puts each measure's name above its rows."""
    controls = ("", *control_names(result))
    found = {(row.measure, row.condition.levels, row.condition.control): row for row in result.rows}
    rows: list[tuple[Cell, ...]] = []
    for info in measures:
        if named:
            rows.append((Cell(info.name, "strong", _measure_note(info)),))
        before = None
        for levels in dict.fromkeys(row.condition.levels for row in result.rows if row.measure == info.name):
            where = Condition(levels=levels)
            cells = [_estimated(found.get((info.name, levels, control)), info) for control in controls]
            rows.append((*levels_of(where, before), *cells))
            before = where
    factors = [name for name, _ in result.factors]
    return Table(head=heads(factors, ["treatment", *controls[1:]]), rows=tuple(rows))


def _measure_note(info: MeasureInfo) -> str:
    chance = f"chance {spelling.chance_of(info)}" if info.chance is not None else ""
    return ", ".join(part for part in (info.title, info.unit, chance) if part)


def _estimated(row: Row | None, info: MeasureInfo) -> Cell:
    if row is None:
        return number("")
    return number(
        spelling.value_of(row.estimate, info), spelling.interval_of(row.estimate, info) or "\N{NO-BREAK SPACE}"
    )


def by_seed(result: RunResult) -> Table:
    """The mean in each trained model, of every measure and condition that has one."""
    seeds = sorted({seed for row in result.rows for seed, _ in row.by_seed})
    rows: list[tuple[Cell, ...]] = []
    for row in result.rows:
        if not row.by_seed:
            continue
        info, means = measure_info(result, row.measure), dict(row.by_seed)
        spelled = [
            number(spelling.NOTHING if seed not in means else _mean(means[seed], is_rate=info.is_rate))
            for seed in seeds
        ]
        rows.append((Cell(row.measure), Cell(row.condition.key), *spelled))
    return Table(head=heads(["measure", "condition"], [f"seed {seed}" for seed in seeds]), rows=tuple(rows))


def _mean(value: float, *, is_rate: bool) -> str:
    return spelling.percent(value, 1) if is_rate else spelling.fixed(value, 2)


def bets(result: RunResult) -> Table:
    """What each theory and baseline had stated for each condition, as mean and interval."""
    names = [entrant.name for entrant in entrants(result)]
    stated = {(bet.theory, bet.condition): bet for bet in result.bets}
    rows = []
    for key in dict.fromkeys(bet.condition for bet in result.bets):
        cells = [Cell(key)]
        for name in names:
            bet = stated.get((name, key))
            if bet is None or bet.latent is None:
                cells.append(number("abstains"))
                continue
            low, high = bet.low, bet.high
            aside = "" if low is None or high is None else spelling.bracket(100 * low, 100 * high)
            cells.append(number(spelling.percent(bet.latent.mean), aside))
        rows.append(tuple(cells))
    return Table(head=heads(["condition"], names), rows=tuple(rows))


def verdicts(result: RunResult) -> Table:
    """Why each verdict was given, and the bits over each rung of the baseline ladder."""
    rungs = list(dict.fromkeys(name for card in result.theories for name, _ in card.bits_over))
    judged = [card for card in result.theories if not card.baseline]
    rows = [
        (Cell(card.theory, "strong"), Cell(card.verdict.because, "prose"), *_bits_of(dict(card.bits_over), rungs))
        for card in judged
    ]
    return Table(head=heads(["theory", "verdict because"], [f"bits over {rung}" for rung in rungs]), rows=tuple(rows))


def bits_by_condition(result: RunResult) -> Table:
    """Where each theory won and lost its bits."""
    cards: list[Scorecard] = list(result.theories)
    keys = list(dict.fromkeys(key for card in cards for key, _ in card.bits_by_condition))
    rows = [(Cell(key), *(_bits_of(dict(card.bits_by_condition), [key])[0] for card in cards)) for key in keys]
    return Table(head=heads(["condition"], [card.theory for card in cards]), rows=tuple(rows))


def _bits_of(known: dict[str, float], names: Sequence[str]) -> list[Cell]:
    return [number(spelling.bits(known[name]) if name in known else spelling.NOTHING) for name in names]


def signatures(result: RunResult) -> Table:
    """True against random target, in nats."""
    factors = [name for name, _ in result.factors]
    rows, before = [], None
    for signature in result.signatures:
        difference = signature.difference
        rows.append((
            *levels_of(signature.condition, before),
            number(spelling.fixed(signature.true_nats, 2)),
            number(spelling.fixed(signature.random_nats, 2)),
            number(
                spelling.fixed(difference.value, 2),
                f"[{spelling.fixed(difference.low, 2)}, {spelling.fixed(difference.high, 2)}]",
            ),
            number(spelling.p_value(signature.t_p_value)),
            number(spelling.p_value(signature.ks_p_value)),
        ))  # fmt: skip
        before = signature.condition
    numbers = ["true target, nats", "random target, nats", "difference, nats", "p (paired t)", "p (KS)"]
    return Table(head=heads(factors, numbers), rows=tuple(rows))


def gates(result: RunResult) -> Table:
    """What had to hold for the experiment to say anything, and whether it did."""
    rows = tuple(
        (
            Cell(gate.name, "strong"),
            Cell("passed", "good") if gate.passed else Cell("failed", "bad"),
            Cell(gate.wanted, "prose"),
            Cell(gate.found),
        )
        for gate in result.gates
    )
    return Table(head=heads(["gate", "", "wanted", "found"]), rows=rows)


def states(result: RunResult, *, in_full: bool) -> Table:
    """What was asked and how much of it was no answer: a row a measure, or in full a row a condition that has any."""
    shown = [name for name in COUNTED if name != "other" or any(counted_states(row)["other"] for row in result.rows)]
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in result.rows:
        groups.setdefault((row.measure, row.condition.key if in_full else ""), []).append(row)
    rows = []
    for (measure, key), some in groups.items():
        totals = {name: sum(counted_states(row)[name] for row in some) for name in shown}
        if in_full and not any(totals.values()):
            continue
        asked = sum(row.n_samples for row in some)
        prompts = sum(row.n_prompts for row in some)
        counts = [number(spelling.count(n)) for n in (prompts, asked, *totals.values())]
        rows.append((Cell(measure), *([Cell(key)] if in_full else []), *counts))
    words = ["measure", "condition"] if in_full else ["measure"]
    return Table(head=heads(words, ["prompts", "asked", *shown]), rows=tuple(rows))


def registrations(result: RunResult) -> Table:
    """The ledger's entries of this run, each with its full digest."""
    rows = tuple(
        (
            number(str(entry.entry)),
            Cell(entry.created_at),
            Cell(entry.kind),
            Cell(entry.subject),
            Cell("before any answer", "good") if entry.before_answers else Cell("after answers existed"),
            Cell(entry.digest, "code"),
        )
        for entry in result.registrations
    )
    return Table(head=(number("entry"), *heads(["sealed at", "kind", "subject", "when", "SHA-256"])), rows=rows)


def systems(result: RunResult) -> Table:
    """What was asked, by the digest of its weights."""
    rows = tuple((Cell(name, "strong"), Cell(digest, "code")) for name, digest in result.systems)
    return Table(head=heads(["system", "digest"]), rows=rows)


def settings(result: RunResult) -> Table:
    """The settings under which it ran."""
    return Table(
        head=heads(["setting", "value"]),
        rows=tuple((Cell(name), Cell(value, "prose")) for name, value in result.settings),
    )


def timing(result: RunResult) -> Table:
    """How long each stage took, and all of them."""
    rows = [(Cell(stage), number(spelling.duration(seconds))) for stage, seconds in result.timing]
    if len(rows) > 1:
        total = sum(seconds for _, seconds in result.timing)
        rows.append((Cell("all", "strong"), number(spelling.duration(total))))
    return Table(head=(Cell("stage"), number("time")), rows=tuple(rows))
