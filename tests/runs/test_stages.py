"""The stages of a run on scripted systems: what is asked, kept, counted and concluded, without a model."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gearsy.base.bets import Rate
from gearsy.base.records import Failure, Reply, Request, Scored
from gearsy.base.results import RunResult
from gearsy.designs.plan import Design
from gearsy.fabric.weave import findings
from gearsy.runs.ask import CHUNK, arms_of, ask
from gearsy.runs.engines import InProcess, check_engine
from gearsy.runs.observe import cells, exchanges, gates, measure_infos, signatures, table
from gearsy.runs.register import Registered
from gearsy.runs.settle import answer, bets, overriding, settle, verdict
from gearsy.runs.watch import Silent
from gearsy.store import Lab
from gearsy.theories.scoring import Entrant, Rules
from gearsy.theories.theory import predictions


class Counting:
    """Wraps a scripted system and counts what reaches it."""

    def __init__(self, inner) -> None:
        self.inner, self.name, self.digest, self.n = inner, inner.name, inner.digest, 0

    def respond(self, prompt, sampling, n):
        return self.inner.respond(prompt, sampling, n)

    def answer(self, requests: list[Request]) -> list[Reply]:
        self.n += len(requests)
        return self.inner.answer(requests)


def registered(design: Design) -> Registered:
    entrants = tuple(
        Entrant(name=t.name, bets={bet.condition: bet for bet in predictions(t, design.treated)})
        for t in design.study.theories
    )
    return Registered(entrants=entrants, claims=(), entries=())


def asked(design: Design, systems: dict, lab: Lab):
    return ask(design, systems, lab, InProcess(), Silent())


def test_a_second_ask_asks_nothing_and_gives_the_same_replies(design: Design, knowers: Callable, tmp_path: Path):
    systems = {arm: Counting(system) for arm, system in knowers().items()}
    with Lab.open(tmp_path) as lab:
        first = asked(design, systems, lab)
        sent = sum(system.n for system in systems.values())
        second = asked(design, systems, lab)
    assert first.asked_now == len(design.trials) == sent
    assert (second.asked_now, second.found) == (0, len(design.trials))
    assert sum(system.n for system in systems.values()) == sent
    assert first.replies == second.replies


def test_what_was_kept_before_an_interruption_is_not_asked_again(design: Design, knowers: Callable, tmp_path: Path):
    systems = knowers()

    class Interrupted(InProcess):
        def map(self, work, tasks):
            for i, task in enumerate(tasks):
                if i == 1:
                    raise KeyboardInterrupt
                yield work(task)

    with Lab.open(tmp_path) as lab:
        with pytest.raises(KeyboardInterrupt):
            ask(design, systems, lab, Interrupted(), Silent())
        assert lab.responses.count() == CHUNK
        resumed = asked(design, systems, lab)
    assert resumed.found == CHUNK
    assert resumed.asked_now == len(design.trials) - CHUNK


def test_a_failure_is_counted_and_asked_again_but_never_an_answer(design: Design, knowers: Callable, tmp_path: Path):
    systems = knowers()
    arm = arms_of(design)[0]

    class Breaking(Counting):
        def answer(self, requests):
            return [Failure(reason="timeout") for _ in requests]

    with Lab.open(tmp_path) as lab:
        first = asked(design, {**systems, arm: Breaking(systems[arm])}, lab)
        n_broken = sum(isinstance(reply, Failure) for reply in first.replies)
        rows = table(design, first.replies)
        treated = [row for row in rows if not row.condition.control and row.measure == "retrieval"]
        assert n_broken == sum((t.condition.control, t.seed) == arm for t in design.trials)
        assert lab.responses.count_failures() == n_broken
        assert all(dict(row.states)["failed"] == row.n_samples // 2 for row in treated)  # one of two seeds broke
        settled, failed = cells(design, first.replies)
        board = settle(registered(design), Rules(), settled, overriding(design, failed, gates(design, rows)))
        assert failed == sum(row.n_samples // 2 for row in treated)
        assert {card.verdict.name for card in board if not card.baseline} == {"DEVIATED"}
        assert answer(design, rows, board, 0.5).startswith(
            f"DEVIATED: {failed} of the trials that bets are settled on failed"
        )
        again = asked(design, {**systems, arm: Counting(systems[arm])}, lab)
    assert again.asked_now == n_broken


def concluded(design: Design, systems: dict, lab: Lab):
    replies = asked(design, systems, lab).replies
    rows = table(design, replies)
    settled, failed = cells(design, replies)
    board = settle(registered(design), Rules(), settled, overriding(design, failed, gates(design, rows)))
    return replies, rows, settled, board


def test_the_reversal_curse_makes_directed_association_win(design: Design, knowers: Callable, tmp_path: Path):
    with Lab.open(tmp_path) as lab:
        _, rows, settled, board = concluded(design, knowers(), lab)
    bits = {card.theory: card.bits for card in board}
    assert bits["directed association"] > bits["partial reversal"] > bits["symmetric fact"]
    assert [cell.successes for cell in settled] == [8, 4, 4, 8, 8, 8]
    assert "against the strongest baseline" in answer(design, rows, board, 0.5)
    assert {
        (row.estimate.low, row.estimate.value) for row in rows if row.measure == "exact match" and row.condition.control
    }
    untrained = [row for row in rows if row.condition.control == "untrained" and row.measure == "retrieval"]
    assert [row.estimate.value for row in untrained] == [0.0] * 6


def test_the_verdict_and_the_answer_follow_the_data(design: Design, knowers: Callable, tmp_path: Path):
    with Lab.open(tmp_path) as lab:
        _, rows, _, board = concluded(design, knowers(lambda trial: True), lab)
        told = answer(design, rows, board, 0.5)
        assert board[0].theory == "symmetric fact"
        assert dict((card.theory, card.bits) for card in board)["directed association"] < 0
    with Lab.open(tmp_path / "other") as lab:
        _, rows, _, board = concluded(design, knowers(), lab)
        assert answer(design, rows, board, 0.5) != told
        assert board[0].theory == "directed association"


def test_a_weak_training_makes_the_run_inadmissible(design: Design, knowers: Callable, tmp_path: Path):
    with Lab.open(tmp_path) as lab:
        _, rows, _, board = concluded(design, knowers(lambda trial: False), lab)
    assert verdict(board).name == "INADMISSIBLE"
    told = answer(design, rows, board, 0.5)
    assert told.startswith(
        "INADMISSIBLE: the fine-tuning is too weak to say anything about reversal: at least 90% retrieval"
    )
    assert "0%, 0%, 0%, 0% was found" in told


def test_signature_compares_true_and_random_target(design: Design, knowers: Callable, tmp_path: Path):
    with Lab.open(tmp_path) as lab:
        replies = asked(design, knowers(), lab).replies
    found = {(s.condition.key): s for s in signatures(design, replies)}
    assert len(found) == len(design.conditions)
    trained = next(s for s in found.values() if s.condition.key == "trained=both, asked=name→description")
    assert (trained.true_nats, trained.random_nats, trained.difference.value) == (-1.0, -9.0, 8.0)
    reverse = found["trained=name→description, asked=description→name"]
    assert reverse.difference.value == 0.0


def test_bets_show_every_theory_and_baseline_in_every_condition(design: Design, knowers: Callable, tmp_path: Path):
    with Lab.open(tmp_path) as lab:
        _, _, settled, _ = concluded(design, knowers(), lab)
    drawn = bets(registered(design), Rules(), settled)
    names = {bet.theory for bet in drawn}
    assert names == {"directed association", "symmetric fact", "partial reversal", "ignorance", "pooled mean"}
    assert len(drawn) == len(names) * len(design.treated)
    assert all(bet.latent is not None and 0 <= bet.low <= bet.high <= 1 for bet in drawn)
    assert next(b for b in drawn if b.theory == "ignorance").latent == Rate(mean=0.5, sd=math.sqrt(1 / 12))


def test_infos_give_chance_and_exchanges_show_each_form_once(design: Design, knowers: Callable, tmp_path: Path):
    infos = {info.name: info for info in measure_infos(design)}
    assert infos["retrieval"].chance == 1 / 2
    assert infos["multiple choice"].chance == 1 / 2
    assert infos["target log-probability"].chance is None
    with Lab.open(tmp_path) as lab:
        replies = asked(design, knowers(), lab).replies
    shown = list(exchanges(design, replies, {arm: "s" for arm in arms_of(design)}))
    assert len(shown) == 3 * len(design.conditions)
    scored = next(one for one in shown if one.form == "completions")
    assert "← true" in scored.reply
    assert isinstance(replies[0], Scored)


def test_findings_come_from_runs_that_can_say_something(design: Design, knowers: Callable, tmp_path: Path):
    good = found(design, knowers, tmp_path)
    made = findings(good)
    primary = [row for row in good.rows if row.measure == good.primary and row.estimate]
    assert [finding.effect for finding in made] == [row.estimate.value for row in primary]
    assert findings(replace(good, verdict=replace(good.verdict, name="INADMISSIBLE"))) == []


def found(design: Design, knowers: Callable, folder: Path) -> RunResult:
    """A whole result, of scripted systems."""
    with Lab.open(folder) as lab:
        replies, rows, settled, board = concluded(design, knowers(), lab)
    return RunResult(
        study=design.study.name,
        run_id="tiny",
        size="quick",
        asks=design.study.asks,
        source=design.study.source,
        systems=(("scripted", "0" * 64),),
        factors=tuple((f.name, f.levels) for f in design.study.factors),
        measures=measure_infos(design),
        primary="retrieval",
        rows=tuple(rows),
        signatures=tuple(signatures(design, replies)),
        controls=(),
        gates=tuple(gates(design, rows)),
        theories=tuple(board),
        claims=(),
        bets=tuple(bets(registered(design), Rules(), settled)),
        answer="",
        verdict=verdict(board),
        limits=(),
        exchanges=(),
        trainings=(),
        registrations=(),
        ledger_head="",
        timing=(),
    )


def test_the_engine_keeps_its_contract():
    assert check_engine(InProcess()) == 4
