"""Measure: replies become scores, and scores the table of conditions; failures and refusals are counted beside them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gearsy.base.bets import Cell
from gearsy.base.records import Condition, Failure, Reply, Response, Score, Scored, Trial
from gearsy.base.results import Exchange, GateResult, MeasureInfo, Row, Signature
from gearsy.designs.plan import Design
from gearsy.designs.study import StudyMeasure
from gearsy.stats.effects import ks_p_value, paired_difference, paired_t_p_value
from gearsy.stats.intervals import mean_interval, rate_interval

Units = dict[str, list[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One trial, its reply, and what one measure made of it."""

    trial: Trial
    reply: Reply
    score: Score | Failure


def observations(design: Design, replies: Sequence[Reply], measure: StudyMeasure) -> list[Observation]:
    """Every trial whose form the measure rates, rated."""
    return [
        Observation(trial=trial, reply=reply, score=measure.rate(trial, reply))
        for trial, reply in zip(design.trials, replies, strict=True)
        if trial.form == measure.form
    ]


def table(design: Design, replies: Sequence[Reply]) -> list[Row]:
    """One row a measure and condition, in the design's order."""
    rows = []
    for measure in design.study.measures:
        seen = observations(design, replies, measure)
        for condition in design.conditions:
            rows.append(_row(condition, measure, [one for one in seen if one.trial.condition == condition]))
    return rows


def _row(condition: Condition, measure: StudyMeasure, seen: Sequence[Observation]) -> Row:
    rated = [(one.trial, one.score) for one in seen if isinstance(one.score, Score)]
    units: Units = {"question": [t.question for t, _ in rated], "trained model": [t.seed for t, _ in rated]}
    replicated = any(len(set(clusters)) > 1 for clusters in units.values())
    interval = rate_interval if measure.is_rate else mean_interval
    states = Counter("failed" if isinstance(one.score, Failure) else one.score.state for one in seen)
    by_seed = {
        seed: float(np.mean([score.value for trial, score in rated if trial.seed == seed]))
        for seed in sorted({trial.seed for trial, _ in rated})
    }
    return Row(
        condition=condition,
        measure=measure.name,
        n_prompts=len({one.trial.question for one in seen}),
        n_samples=len(seen),
        estimate=interval([score.value for _, score in rated], units) if replicated else None,
        states=tuple(sorted(states.items())),
        by_seed=tuple(by_seed.items()),
    )


def cells(design: Design, replies: Sequence[Reply]) -> tuple[list[Cell], int]:
    """What the bets are settled on, in registered order (a failed trial is a miss); and how many of those failed."""
    primary = design.study.measures[0]
    seen = observations(design, replies, primary)
    made, failed = [], 0
    for condition in design.treated:
        mine = [one for one in seen if one.trial.condition == condition]
        failed += sum(isinstance(one.score, Failure) for one in mine)
        hits = sum(one.score.value == 1 for one in mine if isinstance(one.score, Score))
        m = len({one.trial.question for one in mine})
        made.append(Cell(condition=condition, successes=hits, m=m, r=len(mine) // m))
    return made, failed


def signatures(design: Design, replies: Sequence[Reply]) -> list[Signature]:
    """True against random target: the paper's test, in every condition.

    The random target of a trial is the candidate after the true one in the question's shuffled order.
    """
    made = []
    for condition in design.conditions:
        pairs = [
            (trial, reply)
            for trial, reply in zip(design.trials, replies, strict=True)
            if trial.condition == condition and trial.form == "completions" and isinstance(reply, Scored)
        ]
        questions: list[object] = [trial.question for trial, _ in pairs]
        if len(set(questions)) < 2:
            continue
        at = [trial.options.index(trial.target) for trial, _ in pairs]
        true = [reply.logprobs[i] for i, (_, reply) in zip(at, pairs, strict=True)]
        other = [reply.logprobs[(i + 1) % len(reply.logprobs)] for i, (_, reply) in zip(at, pairs, strict=True)]
        units: Units = {"question": questions, "trained model": [trial.seed for trial, _ in pairs]}
        made.append(
            Signature(
                condition=condition,
                true_nats=float(np.mean(true)),
                random_nats=float(np.mean(other)),
                difference=paired_difference(true, other, units),
                t_p_value=paired_t_p_value(true, other, questions),
                ks_p_value=ks_p_value(_by_question(questions, true), _by_question(questions, other)),
            )
        )
    return made


def _by_question(questions: Sequence[object], values: Sequence[float]) -> list[float]:
    """The mean of each question: the unit that counts as independent."""
    grouped: dict[object, list[float]] = {}
    for question, value in zip(questions, values, strict=True):
        grouped.setdefault(question, []).append(value)
    return [float(np.mean(those)) for those in grouped.values()]


def gates(design: Design, rows: Sequence[Row]) -> list[GateResult]:
    """Each gate of the study, held against the primary estimates of the treatment, condition by condition."""
    primary = design.study.measures[0].name
    made = []
    for gate in design.study.gates:
        held = [
            row
            for row in rows
            if row.measure == primary and not row.condition.control and gate.holds_for(row.condition)
        ]
        reached = [row.estimate is not None and row.estimate.value >= gate.at_least for row in held]
        found = (
            ", ".join(f"{row.estimate.value:.0%}" if row.estimate else "none" for row in held) or "no such condition"
        )
        made.append(
            GateResult(
                name=gate.name,
                wanted=f"at least {gate.at_least:.0%} {primary} in each of {len(held)} conditions",
                found=found,
                passed=bool(held) and all(reached),
            )
        )
    return made


def measure_infos(design: Design) -> tuple[MeasureInfo, ...]:
    """How each measure is to be read, with its chance level in this design."""
    infos = []
    for measure in design.study.measures:
        trial = next(trial for trial in design.trials if trial.form == measure.form)
        infos.append(
            MeasureInfo(
                name=measure.name,
                title=measure.title,
                is_rate=measure.is_rate,
                chance=measure.chance(trial),
                unit=measure.unit,
            )
        )
    return tuple(infos)


def exchanges(design: Design, replies: Sequence[Reply], names: dict[tuple[str, int], str]) -> Iterator[Exchange]:
    """The first exchange of each condition and form: enough to see what was really asked and answered."""
    shown: set[tuple[str, str]] = set()
    for trial, reply in zip(design.trials, replies, strict=True):
        key = (trial.condition.key, trial.form)
        if key in shown:
            continue
        shown.add(key)
        prompt = trial.request.prompt
        text = prompt if isinstance(prompt, str) else "\n".join(f"{turn.role}: {turn.text}" for turn in prompt)
        yield Exchange(
            condition=trial.condition.key,
            system=names[trial.condition.control, trial.seed],
            form=trial.form,
            prompt=text,
            target=trial.target,
            reply=_told(trial, reply),
            state=reply.state if isinstance(reply, Response) else "failed" if isinstance(reply, Failure) else "ok",
        )


def _told(trial: Trial, reply: Reply) -> str:
    if isinstance(reply, Response):
        return reply.text
    if isinstance(reply, Failure):
        return f"{reply.reason}: {reply.detail}"
    ranked = sorted(zip(trial.options, reply.logprobs, strict=True), key=lambda pair: -pair[1])
    return "\n".join(
        f"{value:8.3f} nats  {option}{'  ← true' if option == trial.target else ''}" for option, value in ranked
    )
