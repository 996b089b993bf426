"""From a study and a size to the trials: factors crossed, orders counterbalanced, everything drawn from one seed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass, replace

import numpy as np

from gearsy.base.digests import digest, plain
from gearsy.base.errors import BadMaterials, UnknownName, unknown
from gearsy.base.records import Condition, Factor, Form, Question, Request, Sampling, Trial
from gearsy.designs.study import Control, Material, Size, Study

LETTERS = "ABCD"
OPEN_STOPS = (".", "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The plan of a run: conditions in registered order (treatment first), their trials, and what they rest on."""

    study: Study
    size_name: str
    size: Size
    material: Material
    conditions: tuple[Condition, ...]
    trials: tuple[Trial, ...]
    trials_digest: str
    shape: tuple[int, int]
    """m questions × r samples (paraphrases × trained models) of the treatment in every condition."""

    @property
    def treated(self) -> tuple[Condition, ...]:
        """The conditions that theories bet on."""
        return tuple(condition for condition in self.conditions if not condition.control)

    @property
    def arms(self) -> tuple[Control, ...]:
        """The treatment and the controls that have trials."""
        return (self.study.treatment, *self.study.controls)

    def digest(self, target: str, rules: object) -> str:
        """SHA-256 of all that decides what is asked of whom and how bets are settled; `target` is the digest of M."""
        return digest(
            "design",
            {
                "study": self.study.name,
                "asks": self.study.asks,
                "target": target,
                "rules": plain(rules),
                "size": {"seeds": self.size.seeds, "recipe": self.size.recipe, "dials": dict(self.size.dials)},
                "trials": self.trials_digest,
                "corpora": {name: corpus.digest for name, corpus in self.material.corpora.items()},
                "background": self.material.background.digest if self.material.background else "",
                "scratch": self.study.scratch_recipe if self.material.background else None,
                "measures": [
                    plain(measure) if is_dataclass(measure) else measure.name for measure in self.study.measures
                ],
                "gates": [[gate.name, gate.at_least] for gate in self.study.gates],
                "arms": [[arm.name, arm.corpus, arm.in_context] for arm in self.arms],
            },
        )


def trials_digest(trials: Sequence[Trial]) -> str:
    """SHA-256 over the digests of all trials, in order."""
    whole = hashlib.sha256()
    for trial in trials:
        whole.update(bytes.fromhex(digest("trial", trial)))
    return whole.hexdigest()


def choose_levels(factors: Sequence[Factor], only: Sequence[str]) -> dict[str, set[str]]:
    """What `FACTOR=LEVEL` choices leave: the allowed levels of each factor."""
    allowed = {factor.name: set(factor.levels) for factor in factors}
    chosen: dict[str, set[str]] = {}
    for choice in only:
        name, sign, level = choice.partition("=")
        if not sign:
            raise UnknownName(
                f"{choice!r} is no choice of a level; write FACTOR=LEVEL, such as {_an_example(factors)}."
            )
        if name not in allowed:
            raise unknown("factor", name, allowed)
        if level not in allowed[name]:
            raise unknown(f"level of {name}", level, allowed[name])
        chosen.setdefault(name, set()).add(level)
    return allowed | chosen


def _an_example(factors: Sequence[Factor]) -> str:
    return f"{factors[0].name}={factors[0].levels[0]}"


def plan(study: Study, size_name: str, size: Size, material: Material, only: Sequence[str] = ()) -> Design:
    """Cross `material`'s questions with arms, paraphrases, forms and seeds; conditions come in the factors' order."""
    allowed = choose_levels(study.factors, only)
    asked = [(levels, q) for levels, q in material.questions if all(level in allowed[name] for name, level in levels)]
    ordered = sorted({levels for levels, _ in asked}, key=lambda levels: _place(study.factors, levels))
    if not ordered:
        raise BadMaterials(f"no question is left of {len(material.questions)}; loosen --only.")
    forms: tuple[Form, ...] = tuple(dict.fromkeys(measure.form for measure in study.measures))
    conditions, trials = [], []
    for arm in (study.treatment, *study.controls):
        seeds = range(size.seeds) if arm.corpus else range(1)
        n_paraphrases = size.control_paraphrases if arm.name else size.paraphrases
        for levels in ordered:
            questions = [q for those, q in asked if those == levels]
            pooled = _pool(questions, n_paraphrases)
            facts = (*material.facts, ("n_prompts", len(pooled)), ("n_samples_a_prompt", len(pooled[0]) * len(seeds)))
            condition = Condition(levels=levels, facts=facts, control=arm.name)
            conditions.append(condition)
            for seed in seeds:
                trials += _trials(condition, pooled, forms, arm, seed)
    first = conditions[0]
    shape = (int(first["n_prompts"]), int(first["n_samples_a_prompt"]))
    return Design(
        study=study,
        size_name=size_name,
        size=size,
        material=material,
        conditions=tuple(conditions),
        trials=tuple(trials),
        trials_digest=trials_digest(trials),
        shape=shape,
    )


def _place(factors: Sequence[Factor], levels: tuple[tuple[str, str], ...]) -> tuple[int, ...]:
    return tuple(factor.levels.index(dict(levels)[factor.name]) for factor in factors)


def _pool(questions: Sequence[Question], n_paraphrases: int) -> list[list[tuple[Question, str]]]:
    """The prompts to ask, by question id: as many of each, `n_paraphrases` or the fewest that any of them has.

    Several questions of one id are wordings of one unit whose right answers are worded differently.
    """
    prompts: dict[str, list[tuple[Question, str]]] = {}
    for question in questions:
        prompts.setdefault(question.id, []).extend((question, prompt) for prompt in question.paraphrases)
    n = min(n_paraphrases, *(len(those) for those in prompts.values()))
    return [those[:n] for those in prompts.values()]


def _trials(
    condition: Condition,
    pooled: Sequence[Sequence[tuple[Question, str]]],
    forms: Sequence[Form],
    arm: Control,
    seed: int,
) -> list[Trial]:
    made = []
    for place, prompts in enumerate(pooled):
        for p, (question, prompt) in enumerate(prompts):
            given = f"{question.context}\n{prompt}" if arm.in_context else prompt
            for form in forms:
                request, options = _put(form, given, question, place + p)
                trial = Trial(
                    question=question.id,
                    paraphrase=p,
                    condition=condition,
                    form=form,
                    request=request,
                    target=question.target,
                    options=options,
                    seed=seed,
                )
                made.append(trial)
    return made


def _put(form: Form, prompt: str, question: Question, turn: int) -> tuple[Request, tuple[str, ...]]:
    """The request that puts `question` in this form; `turn` moves the right option through the letters."""
    if len(question.choices) < 2:
        raise BadMaterials(
            f"question {question.id!r} has {len(question.choices)} choices; give 2 or more to tell it from."
        )
    if form == "completions":
        return Request(prompt=prompt, completions=tuple(f" {choice}" for choice in question.choices)), question.choices
    if form == "open":
        longest = max(len(choice.split()) for choice in question.choices)
        sampling = Sampling(temperature=0, max_tokens=3 * longest + 4, stop=OPEN_STOPS)
        return Request(prompt=prompt, sampling=sampling), question.choices
    wrong = np.random.default_rng(_number(question.id)).permutation(
        [c for c in question.choices if c != question.target]
    )
    shown = [str(choice) for choice in wrong[: len(LETTERS) - 1]]
    shown.insert(turn % (len(shown) + 1), question.target)
    letters = LETTERS[: len(shown)]
    lines = "\n".join(f"{letter}. {option}" for letter, option in zip(letters, shown, strict=True))
    text = f"Complete the sentence with the right option.\n{prompt} ...\n{lines}\nThe right option is"
    return Request(prompt=text, completions=tuple(f" {letter}" for letter in letters)), tuple(shown)


def _number(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:15], 16)


def with_seeds(size: Size, seeds: int | None, recipe_changes: dict[str, object]) -> Size:
    """`size` with what the command line overrides."""
    recipe = replace(size.recipe, **recipe_changes) if recipe_changes else size.recipe
    return replace(size, recipe=recipe, seeds=seeds if seeds is not None else size.seeds)
