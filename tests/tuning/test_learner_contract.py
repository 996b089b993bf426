"""The contract of what learns: it counts, and it bites on learners that lie."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from gearsy.base.digests import digest
from gearsy.base.errors import ContractBroken
from gearsy.base.protocols import Learns, System
from gearsy.base.records import Corpus, Failure, Prompt, Recipe, Response, Sampling, Scored
from gearsy.store.artifacts import Artifacts
from gearsy.systems.local import LocalSystem
from gearsy.tuning.contracts import check_learner
from gearsy.tuning.learner import LocalLearner

Fresh = Callable[[], tuple[Learns, System]]


@dataclass
class Knower:
    """A system that likes the texts it was told, and nothing else."""

    told: frozenset[str] = frozenset()
    salt: str = ""
    name: str = "knower"
    drift: float = 0.0

    @property
    def digest(self) -> str:
        return digest("knower", [sorted(self.told), self.salt])

    def respond(self, prompt: Prompt, sampling: Sampling, n: int) -> list[Response | Failure]:
        return [Response(text="yes")] * n

    def logprobs(self, prompt: Prompt, completions: Sequence[str]) -> Scored | Failure:
        values = tuple(-1.0 - self.drift if f"{prompt}{c}" in self.told else -9.0 - self.drift for c in completions)
        return Scored(logprobs=values, n_tokens=(1,) * len(values))


@dataclass
class Learner:
    """Keeps the contract, unless a fault is planted."""

    base: Knower
    fault: str = ""
    turns: count = field(default_factory=count)

    def tune(self, corpus: Corpus, recipe: Recipe, seed: int) -> System:
        texts = frozenset(document.prompt + document.completion for document in corpus.documents)
        if self.fault == "no system":
            return "M′"
        if self.fault == "moves M":
            self.base.drift += 1
        if self.fault == "renames M":
            self.base.salt = "moved"
        salt = {"restless": f"{id(self)} {next(self.turns)}", "deaf to seeds": ""}.get(self.fault, str(seed))
        if self.fault == "learns nothing":
            return Knower(salt=salt + corpus.digest)
        return Knower(texts, salt + self.fault)


def fresh_with(fault: str) -> Fresh:
    def fresh() -> tuple[Learns, System]:
        base = Knower()
        return Learner(base, fault), base

    return fresh


def test_the_contract_counts_what_it_checked(tiny_model: Path, tmp_path: Path):
    labs = count()

    def fresh() -> tuple[Learns, System]:
        base = LocalSystem.open(tiny_model, dtype="fp32", device="cpu")
        return LocalLearner(base=base, artifacts=Artifacts(tmp_path / str(next(labs)))), base

    assert check_learner(fresh) == 6
    assert check_learner(fresh_with("")) == 6


@pytest.mark.parametrize(
    ("fault", "clause"),
    [
        ("no system", "tune gave 'M′', which is no System."),
        ("restless", "the same base, corpus, recipe and seed gave different systems."),
        ("deaf to seeds", "different trainings share a digest."),
        ("moves M", "training changed what M answers."),
        ("renames M", "training changed the digest of M."),
        ("learns nothing", "M′ likes what it was taught no better than M does."),
    ],
)
def test_the_contract_bites(fault: str, clause: str):
    with pytest.raises(ContractBroken, match=clause):
        check_learner(fresh_with(fault))
