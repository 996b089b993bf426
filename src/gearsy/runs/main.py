"""The main path. Each stage reads what the one before it kept, so each can be resumed, and redone with other measures."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gearsy.base.protocols import Engine, System
from gearsy.base.records import Corpus
from gearsy.base.results import RunResult, Training
from gearsy.fabric.weave import findings
from gearsy.runs.ask import Arm, Asked, arms_of, ask, known
from gearsy.runs.engines import InProcess
from gearsy.runs.observe import cells, exchanges, gates, measure_infos, signatures, table
from gearsy.runs.prepare import Prepared, RunOptions, prepare
from gearsy.runs.register import Registered, note, register
from gearsy.runs.settle import answer, bets, overriding, settle, verdict
from gearsy.runs.watch import Silent, Watch
from gearsy.store import Lab
from gearsy.studies import find_study
from gearsy.systems.models import Models

if TYPE_CHECKING:
    from gearsy.systems.local import LocalSystem

__all__ = ["RunOptions", "run"]


@dataclass(slots=True)
class Clock:
    """Seconds spent in each stage."""

    seconds: dict[str, float] = field(default_factory=dict)
    _begun: float = field(default_factory=time.monotonic)

    def done(self, stage: str) -> None:
        """Close the present stage under this name."""
        now = time.monotonic()
        self.seconds[stage], self._begun = round(now - self._begun, 2), now


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """M, the system of each arm, and how the trained ones came to be."""

    base: "LocalSystem"
    systems: Mapping[Arm, "LocalSystem"]
    trainings: tuple[Training, ...]


def run(
    options: RunOptions, lab: Lab, models: Models, watch: Watch | None = None, engine: Engine | None = None
) -> RunResult:
    """Plan → register → tune → ask → measure → score → weave; resumes what an earlier call left in `lab`."""
    watch, engine, clock = watch or Silent(), engine or InProcess(), Clock()
    watch.stage("plan", 0)
    prepared = prepare(find_study(options.study), options, lab, models)
    lab.runs.start(
        prepared.run_id,
        design=prepared.digest,
        study=prepared.design.study.name,
        size=prepared.design.size_name,
        spec={"system": options.system, "run_id": prepared.run_id},
    )
    watch.say(
        f"{prepared.run_id}: {len(prepared.design.trials)} trials, {prepared.start.describe()}, threads {prepared.threads}"
    )
    clock.done("plan")

    watch.stage("register", 0)
    foreknown = _foreknown(prepared, lab)
    registered = register(prepared, lab, foreknown)
    watch.say(f"sealed the bets of {len(registered.entrants)} theories; ledger head {lab.ledger.head()[:16]}…")
    clock.done("register")

    note("tuning", prepared, lab)
    tuned = tune(prepared, lab, engine, watch)
    clock.done("tune")

    note("asking", prepared, lab)
    asked = ask(prepared.design, tuned.systems, lab, engine, watch)
    clock.done("ask")

    watch.stage("measure and score", 0)
    result = conclude(prepared, registered, tuned, asked, lab, clock)
    lab.findings.keep(result.run_id, findings(result))
    lab.runs.finish(result.run_id, result)
    return result


def tune(prepared: Prepared, lab: Lab, engine: Engine, watch: Watch) -> Tuned:
    """M′ of every arm and seed that wants one: trained now, resumed from a checkpoint, or found."""
    from gearsy.tuning.learner import LocalLearner  # torch: only now
    from gearsy.tuning.train import n_steps

    design, recipe = prepared.design, prepared.design.size.recipe
    corpora = design.material.corpora
    arms = arms_of(design)
    jobs = [(arm, corpora[name]) for arm in arms if (name := _corpus(prepared, arm))]
    background, scratch = design.material.background, design.study.scratch_recipe
    total = sum(n_steps(len(corpus.documents), recipe) for _, corpus in jobs)
    if prepared.from_scratch and background and scratch:
        total += n_steps(len(background.documents), scratch)
    watch.stage("tune", total)
    steps = _Steps(watch)
    waiting = lambda: watch.say("another process is making this model; waiting for it")  # noqa: E731
    base = prepared.start
    if prepared.from_scratch and background and scratch:
        first = LocalLearner(base=base, artifacts=lab.artifacts, step_done=steps, waiting=waiting)
        base = replace(first.tune(background, scratch, 0), name=prepared.start.name)
        steps.finish(n_steps(len(background.documents), scratch))
    learner = LocalLearner(base=base, artifacts=lab.artifacts, step_done=steps, waiting=waiting)

    def make(job: tuple[Arm, Corpus]) -> "LocalSystem":
        (_, seed), corpus = job
        steps.label = f"{corpus.name}, seed {seed}"
        made = learner.tune(corpus, recipe, seed)
        steps.finish(n_steps(len(corpus.documents), recipe))
        return made

    made = dict(zip([arm for arm, _ in jobs], engine.map(make, jobs), strict=True))
    systems = {arm: made.get(arm, base) for arm in arms}
    trainings = tuple(learner.training(corpus, recipe, seed) for (_, seed), corpus in jobs)
    return Tuned(base=base, systems=systems, trainings=trainings)


def conclude(
    prepared: Prepared, registered: Registered, tuned: Tuned, asked: Asked, lab: Lab, clock: Clock
) -> RunResult:
    """Measure → score: everything that the report needs, computed from what was kept."""
    design, study, replies = prepared.design, prepared.design.study, asked.replies
    rows = table(design, replies)
    settled, failed = cells(design, replies)
    passed = gates(design, rows)
    cards = settle(registered, prepared.rules, settled, overriding(design, failed, passed))
    infos = measure_infos(design)
    names = {arm: system.name for arm, system in tuned.systems.items()}
    clock.done("measure and score")
    return RunResult(
        study=study.name,
        run_id=prepared.run_id,
        size=design.size_name,
        asks=study.asks,
        source=study.source,
        systems=tuple(dict.fromkeys((_public(s.name), s.digest) for s in (tuned.base, *tuned.systems.values()))),
        factors=tuple((factor.name, factor.levels) for factor in study.factors),
        measures=infos,
        primary=study.measures[0].name,
        rows=tuple(rows),
        signatures=tuple(signatures(design, replies)),
        controls=tuple((control.name, control.claim) for control in study.controls),
        gates=tuple(passed),
        theories=tuple(cards),
        claims=registered.claims,
        bets=tuple(bets(registered, prepared.rules, settled)),
        answer=answer(design, rows, cards, infos[0].chance or 0.0),
        verdict=verdict(cards),
        limits=study.limits,
        exchanges=tuple(exchanges(design, replies, {arm: _public(name) for arm, name in names.items()})),
        trainings=tuned.trainings,
        registrations=registered.entries,
        ledger_head=lab.ledger.head(),
        timing=tuple(clock.seconds.items()),
        settings=_settings(prepared, asked),
    )


def _settings(prepared: Prepared, asked: Asked) -> tuple[tuple[str, str], ...]:
    size, recipe = prepared.design.size, prepared.design.size.recipe
    shown = f"{recipe.method}, loss on the {recipe.loss_on}, rate {recipe.rate:g}, {recipe.epochs} epochs, batch {recipe.batch}"
    return (
        ("command", prepared.options.command),
        ("system", _public(prepared.options.system)),
        ("computed in", prepared.start.describe()),
        ("threads", prepared.threads),
        ("training", shown + (f", rank {recipe.rank}" if recipe.method == "lora" else "")),
        ("trained models", str(size.seeds)),
        ("paraphrases", f"{size.paraphrases} held out, {size.control_paraphrases} in controls"),
        ("dials", ", ".join(f"{name} {value}" for name, value in size.dials.items())),
        ("asked now", str(asked.asked_now)),
        ("found in the lab", str(asked.found)),
    )


def _public(name: str) -> str:
    """A system's name without the folders that lead to it: a report may travel."""
    head, plus, tail = name.partition(" + ")
    return head.rstrip("/").split("/")[-1] + plus + tail if not head.startswith("hf:") else name


def _corpus(prepared: Prepared, arm: Arm) -> str:
    study = prepared.design.study
    control = next((c for c in study.controls if c.name == arm[0]), study.treatment)
    return control.corpus or ""


def _foreknown(prepared: Prepared, lab: Lab) -> int:
    """Answers of the treatment that the lab holds before registration: of models that were made for another design."""
    from gearsy.tuning.learner import LocalLearner  # torch: only now

    base, background, scratch = (
        prepared.start,
        prepared.design.material.background,
        prepared.design.study.scratch_recipe,
    )
    if prepared.from_scratch and background and scratch:
        first = LocalLearner(base=base, artifacts=lab.artifacts)
        if lab.artifacts.find(first.artifact(background, scratch, 0)) is None:
            return 0  # M itself has not been made, so nothing can have been asked of M′
        base = first.tune(background, scratch, 0)
    learner = LocalLearner(base=base, artifacts=lab.artifacts)
    recipe, corpora = prepared.design.size.recipe, prepared.design.material.corpora
    systems: dict[Arm, System] = {}
    for arm in arms_of(prepared.design):
        name = _corpus(prepared, arm)
        if not arm[0] and name and lab.artifacts.find(learner.artifact(corpora[name], recipe, arm[1])):
            systems[arm] = learner.tune(corpora[name], recipe, arm[1])
    return known(prepared.design, systems, lab)


@dataclass(slots=True)
class _Steps:
    """Turns the trainer's reports into progress over all jobs; a model that was found counts as done."""

    watch: Watch
    label: str = "background"
    _told: int = 0

    def __call__(self, done: int, total: int, loss: float) -> None:
        self.watch.advance(done - self._told, f"{self.label}: step {done} of {total}, loss {loss:.3f} nats")
        self._told = done

    def finish(self, total: int) -> None:
        """The job is done, whatever of it was reported."""
        self.watch.advance(total - self._told, self.label)
        self._told = 0
