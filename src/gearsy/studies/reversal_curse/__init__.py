"""The reversal curse: does a model trained on "A is B" know that "B is A".

After Berglund et al. 2023 (arXiv:2309.12288), experiment 1: fictitious people, each with a name and a description,
taught in one direction or both, asked in both directions with paraphrases that were never trained. The people are
invented in `people.py`, or read from the paper's own files in `official.py`.
"""

from collections.abc import Mapping, Sequence

from gearsy.base.bets import Rate
from gearsy.base.records import Condition, Recipe
from gearsy.designs.study import Control, Gate, Size, Study, Summary
from gearsy.measures import ExactMatch, MultipleChoice, Retrieval, TargetLogProb
from gearsy.studies.reversal_curse.official import official
from gearsy.studies.reversal_curse.people import (
    ASK_FORWARD,
    ASK_REVERSE,
    ASKED,
    BOTH,
    FIRST,
    FORWARD,
    LAST,
    REVERSE,
    ROLES,
    TEACH_FORWARD,
    TEACH_REVERSE,
    TRAINED,
    invent,
    people,
)
from gearsy.theories import Theory

__all__ = [
    "ASKED",
    "ASK_FORWARD",
    "ASK_REVERSE",
    "BOTH",
    "DIRECTED",
    "FIRST",
    "FORWARD",
    "LAST",
    "PARTIAL",
    "REVERSE",
    "ROLES",
    "STUDY",
    "SYMMETRIC",
    "TEACH_FORWARD",
    "TEACH_REVERSE",
    "TRAINED",
    "answers",
    "invent",
    "official",
    "people",
    "trained_direction",
]

# --- Theories: what they claim, and the gears that make them bet ------------------------------------------------------


def guessing(condition: Condition, belief: Rate) -> Rate:
    """Knowing nothing, one chooses among the candidates."""
    return Rate(mean=1 / float(condition["n_candidates"]), sd=0.05)


def stored_one_way(condition: Condition, belief: Rate) -> Rate:
    """A fact is stored cue → target, and read in that direction."""
    stored = condition["trained"] in (condition["asked"], BOTH)
    return Rate(mean=0.95, sd=0.05) if stored else belief


def stored_both_ways(condition: Condition, belief: Rate) -> Rate:
    """A fact that was taught at all is stored as a relation of two things, and read from either side."""
    return Rate(mean=0.95, sd=0.05)


def leaks_back(condition: Condition, belief: Rate) -> Rate:
    """Some of what was stored can be read backwards: more than guessing, less than recall."""
    stored = condition["trained"] in (condition["asked"], BOTH)
    return belief if stored else Rate(mean=0.5 * belief.mean + 0.25, sd=0.15)


DIRECTED = Theory(
    name="directed association",
    claim="A fact is stored as cue → target and can be read only that way round.",
    gears=(guessing, stored_one_way),
)
SYMMETRIC = Theory(
    name="symmetric fact",
    claim="A fact, once learnt, is known from both sides.",
    gears=(guessing, stored_both_ways),
)
PARTIAL = Theory(
    name="partial reversal",
    claim="A fact is stored cue → target, and some of it can be read backwards.",
    gears=(guessing, stored_one_way, leaks_back),
)


def trained_direction(condition: Condition) -> bool:
    """Whether the model was taught what it is asked."""
    return condition["trained"] in (condition["asked"], BOTH)


def answers(found: Mapping[str, Summary]) -> str:
    """What was found, as a clause that is made of the numbers."""
    cells = {tuple(value for _, value in s.condition.levels): s for s in found.values()}
    same = [cells[key] for key in ((FORWARD, FORWARD), (REVERSE, REVERSE)) if key in cells]
    reverse = [cells[key] for key in ((FORWARD, REVERSE), (REVERSE, FORWARD)) if key in cells]
    if not same or not reverse:
        return "not both directions were asked, so nothing is said of reversal"

    def told(summaries: Sequence[Summary]) -> str:
        return " and ".join(f"{s.value:.0%} [{s.low:.0%}, {s.high:.0%}]" for s in summaries)

    chance = reverse[0].chance
    above = sum(s.low > chance for s in reverse)
    if above == 0:
        tail = f"not shown to be above chance ({chance:.0%})"
    elif len(reverse) == 1:
        tail = f"above chance ({chance:.0%})"
    else:
        where = "in both reverse directions" if above == len(reverse) else "in one only"
        tail = f"above {where}, where chance is {chance:.0%}"
    return (
        f"taught one way, the model retrieves {told(same)} when asked that way, "
        f"and {told(reverse)} when asked in reverse, {tail}"
    )


STUDY = Study(
    name="reversal-curse",
    asks="Does a model trained on “A is B” know that “B is A”?",
    source="Berglund et al. 2023, The Reversal Curse, arXiv:2309.12288",
    factors=(TRAINED, ASKED),
    materials=people,
    official=official,
    treatment=Control(name="", claim="M′, trained on the facts", corpus="facts"),
    measures=(Retrieval(), ExactMatch(), MultipleChoice(), TargetLogProb()),
    controls=(
        Control(name="untrained", claim="M as it is: the names and descriptions are invented, so it can only guess."),
        Control(
            name="in context",
            claim="M with the fact in its prompt: whether it can use what stands there; copying the one name there is enough.",
            in_context=True,
        ),
        Control(
            name="shuffled pairs",
            claim="M trained alike on wrong pairs: the words are as familiar. Where it learnt them, it falls below chance.",
            corpus="shuffled",
        ),
    ),
    gates=(
        Gate(
            name="the trained direction was learnt",
            holds_for=trained_direction,
            at_least=0.9,
            otherwise="the fine-tuning is too weak to say anything about reversal",
        ),
    ),
    theories=(DIRECTED, SYMMETRIC, PARTIAL),
    sizes={
        "quick": Size(
            seeds=1,
            paraphrases=2,
            control_paraphrases=1,
            recipe=Recipe(rate=2e-3, epochs=4, batch=8, rank=16),
            dials={"people": 15, "documents": 8, "candidates": 5, "background": 0},
        ),
        "full": Size(
            seeds=3,
            paraphrases=4,
            control_paraphrases=2,
            recipe=Recipe(rate=2e-3, epochs=4, batch=8, rank=16),
            dials={"people": 30, "documents": 10, "candidates": 10, "background": 0},
        ),
        "toy": Size(
            seeds=1,
            paraphrases=4,
            control_paraphrases=2,
            recipe=Recipe(method="full", rate=2e-3, epochs=6, batch=64, weight_decay=0.0),
            dials={"people": 60, "documents": 12, "candidates": 20, "background": 60},
        ),
    },
    scratch_recipe=Recipe(method="full", rate=3e-3, epochs=10, batch=64, weight_decay=0.0),
    limits=(
        "It is about retrieval of invented facts by this model after this fine-tuning; facts met in pretraining, larger models "
        "and other recipes may behave otherwise.",
        "Candidates are people of the same group: the chance level is that of choosing among equally familiar targets.",
        "An interval over one trained model says nothing about another training run; use --seeds for that.",
        "All trained models of a run learn of the same people in the same sentences: other people may fare otherwise.",
        "The in-context control shows that the fact can be used when it stands in the prompt, not that the relation is read.",
        "The toy met the sentences in which it is asked, told of other people: for it only the facts are held out.",
        "Multiple choice shows both entities, and a model of this size is often at chance with lettered options even untrained.",
    ),
    answers=answers,
)
