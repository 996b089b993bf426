"""The contract of a system that learns; it returns how many checks it made."""

from collections.abc import Callable

from gearsy.base.errors import ContractBroken
from gearsy.base.protocols import Learns, Scores, System
from gearsy.base.records import Corpus, Document, Recipe, Scored

CORPUS = Corpus(
    name="contract",
    documents=tuple(
        Document(prompt=f"The word for {n} is", completion=f" {w}.") for n, w in enumerate(("ora", "bel", "tin"))
    ),
)
RECIPE = Recipe(rate=2e-3, epochs=12, batch=3, rank=4)


def check_learner(fresh: Callable[[], tuple[Learns, System]]) -> int:
    """Check a learner; `fresh` makes one that has nothing kept, with the system M that it trains.

    Twice the same training must give the same M′, another seed or corpus another; M′ must know what it was taught better
    than M does, and M must be as it was. Raises `ContractBroken`; returns the number of checks.
    """
    learner, base = fresh()
    before, digest = _likes(base), base.digest
    tuned = learner.tune(CORPUS, RECIPE, 0)
    if not isinstance(tuned, System):
        raise ContractBroken(f"tune gave {tuned!r}, which is no System.")
    again = fresh()[0].tune(CORPUS, RECIPE, 0)
    other = learner.tune(CORPUS, RECIPE, 1)
    shorter = learner.tune(Corpus(name="shorter", documents=CORPUS.documents[:2]), RECIPE, 0)
    clauses = (
        (tuned.digest == again.digest, "the same base, corpus, recipe and seed gave different systems."),
        (len({digest, tuned.digest, other.digest, shorter.digest}) == 4, "different trainings share a digest."),
        (base.digest == digest, "training changed the digest of M."),
        (_likes(base) == before, "training changed what M answers."),
        (_likes(tuned) > before, "M′ likes what it was taught no better than M does."),
    )
    for holds, clause in clauses:
        if not holds:
            raise ContractBroken(clause)
    return 1 + len(clauses)


def _likes(system: System) -> float:
    """Summed log-probability of the contract's completions."""
    if not isinstance(system, Scores):
        raise ContractBroken(f"{system.name} cannot score text, so what it learnt cannot be checked.")
    replies = [system.logprobs(document.prompt, [document.completion]) for document in CORPUS.documents]
    return sum(reply.logprobs[0] for reply in replies if isinstance(reply, Scored))
