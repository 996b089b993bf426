"""What a study file states: the question, what is varied, what is asked, what must hold, and who bets on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from gearsy.base.errors import BadRecord, unknown
from gearsy.base.protocols import Measure, Theory
from gearsy.base.records import Condition, Corpus, Factor, Question, Recipe, Trial

Levels = tuple[tuple[str, str], ...]


@runtime_checkable
class StudyMeasure(Measure, Protocol):
    """A measure that a report can explain."""

    @property
    def title(self) -> str: ...

    @property
    def is_rate(self) -> bool: ...

    @property
    def unit(self) -> str: ...

    def chance(self, trial: Trial) -> float | None:
        """What a guesser would score on `trial`; None where guessing means nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a run is: trained models (`seeds`), paraphrases asked of each question, recipe, and the study's own dials."""

    seeds: int
    paraphrases: int
    control_paraphrases: int
    recipe: Recipe
    dials: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("seeds", "paraphrases", "control_paraphrases"):
            if getattr(self, name) < 1:
                raise BadRecord(f"a size has {name}={getattr(self, name)}; it must be 1 or more.")

    def __getitem__(self, dial: str) -> int:
        if dial not in self.dials:
            raise unknown("dial of this size", dial, self.dials)
        return self.dials[dial]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a study asks and teaches: each question with the condition it belongs to, and the corpora by name.

    `background` is what a system that starts from nothing has to learn first; `facts` are fixed numbers of the design
    that conditions offer to theories.
    """

    questions: tuple[tuple[Levels, Question], ...]
    corpora: Mapping[str, Corpus]
    facts: tuple[tuple[str, float], ...] = ()
    background: Corpus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The same questions asked of something else. `corpus` names what M is trained on first; None is M as it is.

    With `in_context`, the question's context stands before the prompt. The treatment itself has no name.
    """

    name: str
    claim: str
    corpus: str | None = None
    in_context: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A check that the experiment could say anything: the primary measure must reach `at_least` where `holds_for` says."""

    name: str
    holds_for: Callable[[Condition], bool]
    at_least: float
    otherwise: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One question, whole. The first measure is the primary one, on which theories bet.

    `answers` templates what was found from numbers: it gets the primary estimates by condition key and returns a clause
    (no capital, no full stop), which the answer sentence is built round.
    """

    name: str
    asks: str
    source: str
    factors: tuple[Factor, ...]
    materials: Callable[[Size, np.random.Generator], Material]
    treatment: Control
    measures: tuple[StudyMeasure, ...]
    controls: tuple[Control, ...]
    gates: tuple[Gate, ...]
    theories: tuple[Theory, ...]
    sizes: Mapping[str, Size]
    limits: tuple[str, ...]
    answers: Callable[[Mapping[str, "Summary"]], str]
    official: Callable[[Path, Size, np.random.Generator], Material] | None = None
    scratch_recipe: Recipe | None = None

    def __post_init__(self) -> None:
        for kind, named in (("factor", self.factors), ("theory", self.theories), ("control", self.controls)):
            names = [one.name for one in named]
            if len(set(names)) != len(names):
                raise BadRecord(f"study {self.name!r} has two of one {kind} name: {', '.join(names)}.")
        if not self.measures or not self.measures[0].is_rate:
            raise BadRecord(f"study {self.name!r}: its first measure must be a rate, which theories bet on.")

    def size(self, name: str) -> Size:
        """The size called `name`, or an error with the ones there are."""
        if name not in self.sizes:
            raise unknown(f"size of {self.name}", name, self.sizes)
        return self.sizes[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The primary estimate of a condition, as an answer sentence needs it."""

    condition: Condition
    value: float
    low: float
    high: float
    chance: float
