"""From a study to its trials: crossed, counterbalanced, and the same in every process."""

import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from gearsy.base.bets import Rate
from gearsy.base.errors import BadMaterials, BadRecord, GearsyError, UnknownName
from gearsy.base.records import Condition, Corpus, Document, Factor, Question, Recipe
from gearsy.designs import Control, Material, Size, Study
from gearsy.designs.plan import Design, choose_levels, plan, with_seeds
from gearsy.measures import ExactMatch, MultipleChoice, Retrieval, TargetLogProb
from gearsy.theories import Theory
from gearsy.theories.scoring import Rules

COLOUR = Factor(name="colour", levels=("red", "blue"))
SHAPE = Factor(name="shape", levels=("round", "square", "long"))
SIZE = Size(seeds=2, paraphrases=3, control_paraphrases=1, recipe=Recipe(), dials={"things": 6})


def guess(condition: Condition, belief: Rate) -> Rate:
    return belief


def materials(size: Size, rng: np.random.Generator) -> Material:
    """Six questions in each condition, the conditions in an order that is not the factors'."""
    questions = []
    for shape in ("long", "round", "square"):
        for colour in ("blue", "red"):
            names = [f"{colour} {shape} thing {i}" for i in range(size["things"])]
            for i, name in enumerate(names):
                question = Question(
                    id=f"{name}?",
                    paraphrases=tuple(f"{ask} {i} is" for ask in ("It", "That", "This", "Number")),
                    target=name,
                    choices=tuple(names),
                    context=f"Number {i} is {name}.",
                )
                questions.append(((("colour", colour), ("shape", shape)), question))
    corpus = Corpus(name="facts", documents=(Document(prompt="It", completion=" is."),))
    return Material(questions=tuple(questions), corpora={"facts": corpus}, facts=(("n_candidates", 6),))


STUDY = Study(
    name="things",
    asks="What is it?",
    source="nobody",
    factors=(COLOUR, SHAPE),
    materials=materials,
    treatment=Control(name="", claim="M′", corpus="facts"),
    measures=(Retrieval(), ExactMatch(), MultipleChoice(), TargetLogProb()),
    controls=(Control(name="untrained", claim="M"), Control(name="told", claim="M, told", in_context=True)),
    gates=(),
    theories=(Theory(name="T", claim="It guesses.", gears=(guess,)),),
    sizes={"quick": SIZE},
    limits=(),
    answers=lambda found: "nothing",
)


def made(study: Study = STUDY, size: Size = SIZE, only: Sequence[str] = ()) -> Design:
    return plan(study, "quick", size, study.materials(size, np.random.default_rng(0)), only)


def test_the_factors_are_crossed_in_their_order_for_the_treatment_and_each_control():
    keys = [condition.key for condition in made().conditions]
    crossed = [f"colour={c}, shape={s}" for c in COLOUR.levels for s in SHAPE.levels]
    assert keys == crossed + [f"{key} [untrained]" for key in crossed] + [f"{key} [told]" for key in crossed]
    assert [condition.key for condition in made().treated] == crossed


def test_every_combination_is_asked_once():
    trials = Counter(
        (t.condition.key, t.question, t.paraphrase, t.form, t.seed) for t in made().trials
    )  # fmt: skip
    assert set(trials.values()) == {1}
    per_condition = Counter(t.condition.key for t in made().trials)
    forms = 3  # retrieval and the target's log-probability share one
    for condition in made().conditions:
        wanted = 6 * forms * (1 if condition.control else SIZE.paraphrases * SIZE.seeds)
        assert per_condition[condition.key] == wanted
    assert {t.seed for t in made().trials if t.condition.control} == {0}
    assert {t.seed for t in made().trials if not t.condition.control} == {0, 1}


def test_conditions_offer_the_facts_of_the_design():
    design = made()
    assert design.shape == (6, 6)
    for condition in design.conditions:
        assert condition["n_candidates"] == 6
        assert condition["n_prompts"] == 6
        assert condition["n_samples_a_prompt"] == (1 if condition.control else 6)


def test_requests_are_put_in_their_form():
    trials = {t.form: t for t in made().trials if t.condition.key == "colour=red, shape=round" and t.paraphrase == 1}
    scored, drawn, chosen = trials["completions"].request, trials["open"].request, trials["choice"].request
    assert scored.prompt == drawn.prompt == "That 5 is"
    assert scored.completions == tuple(f" red round thing {i}" for i in range(6))
    assert drawn.completions == ()
    assert drawn.sampling.temperature == 0
    assert drawn.sampling.max_tokens >= 3 * 4
    assert drawn.sampling.stop == (".", "\n")
    assert chosen.completions == (" A", " B", " C", " D")
    lines = str(chosen.prompt).splitlines()
    assert lines[0] == "Complete the sentence with the right option."
    assert lines[1] == "That 5 is ..."
    assert lines[2:6] == [f"{letter}. {o}" for letter, o in zip("ABCD", trials["choice"].options, strict=True)]
    assert lines[6] == "The right option is"


def test_only_the_in_context_control_is_told():
    for trial in made().trials:
        number = trial.target[-1]
        told = f"Number {number} is {trial.target}.\n" in str(trial.request.prompt)
        assert told == (trial.condition.control == "told")


def test_the_target_is_always_among_the_options():
    for trial in made().trials:
        assert trial.options.count(trial.target) == 1
        assert len(set(trial.options)) == len(trial.options)
        assert len(trial.options) == (4 if trial.form == "choice" else 6)


def test_the_right_letter_is_counterbalanced():
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for trial in made().trials:
        if trial.form == "choice":
            counts[trial.condition.key][trial.options.index(trial.target)] += 1
    for key, letters in counts.items():
        assert set(letters) == {0, 1, 2, 3}, key
        n = sum(letters.values())
        assert max(letters.values()) - min(letters.values()) <= max(1, n / 8), key


def test_wrong_options_do_not_depend_on_the_paraphrase_or_seed():
    shown = defaultdict(set)
    for trial in made().trials:
        if trial.form == "choice":
            shown[trial.question].add(frozenset(trial.options))
    assert all(len(sets) == 1 for sets in shown.values())


# --only


def test_only_leaves_the_levels_that_were_chosen():
    keys = [c.key for c in made(only=["shape=long", "colour=red"]).treated]
    assert keys == ["colour=red, shape=long"]
    assert [c.key for c in made(only=["shape=long", "shape=round", "colour=red"]).treated] == [
        "colour=red, shape=round",
        "colour=red, shape=long",
    ]
    assert len(made(only=[]).treated) == 6


@pytest.mark.parametrize(
    ("only", "wording"),
    [
        ("shap=long", "no factor named 'shap'. Did you mean 'shape'? Known: colour, shape."),
        ("shape=lon", "no level of shape named 'lon'. Did you mean 'long'? Known: long, round, square."),
        ("shape", "'shape' is no choice of a level; write FACTOR=LEVEL, such as colour=red."),
        ("", "'' is no choice of a level; write FACTOR=LEVEL, such as colour=red."),
        ("shape=", "no level of shape named ''. Known: long, round, square."),
    ],
)
def test_a_wrong_choice_is_told(only: str, wording: str):
    with pytest.raises(UnknownName) as caught:
        choose_levels(STUDY.factors, [only])
    assert str(caught.value) == wording


def test_nothing_left_is_told():
    only_red = replace(STUDY, materials=lambda size, rng: _red(materials(size, rng)))
    with pytest.raises(BadMaterials, match="^no question is left of 18; loosen --only.$"):
        made(only_red, only=["colour=blue"])


def _red(material: Material) -> Material:
    return replace(material, questions=tuple(one for one in material.questions if dict(one[0])["colour"] == "red"))


# The digest


def test_the_digest_changes_with_whatever_is_asked():
    def with_questions(change: dict[str, object]) -> Study:
        def changed(size: Size, rng: np.random.Generator) -> Material:
            whole = materials(size, rng)
            (levels, first), *rest = whole.questions
            return replace(whole, questions=((levels, replace(first, **change)), *rest))

        return replace(STUDY, materials=changed)

    def with_corpus(size: Size, rng: np.random.Generator) -> Material:
        other = Corpus(name="facts", documents=(Document(prompt="It", completion=" was."),))
        return replace(materials(size, rng), corpora={"facts": other})

    designs = [
        made(),
        made(with_questions({"paraphrases": ("It 0 is", "That 0 is!", "This 0 is")})),
        made(with_questions({"context": "Otherwise."})),
        made(with_questions({"id": "another?"})),
        made(replace(STUDY, materials=with_corpus)),
        made(replace(STUDY, measures=(Retrieval(), MultipleChoice()))),
        made(replace(STUDY, measures=(Retrieval(), ExactMatch(), MultipleChoice()))),
        made(replace(STUDY, controls=STUDY.controls[:1])),
        made(replace(STUDY, asks="What is that?")),
        made(size=replace(SIZE, seeds=1)),
        made(size=replace(SIZE, paraphrases=2)),
        made(size=replace(SIZE, recipe=Recipe(rate=1e-2))),
        made(only=["colour=red"]),
    ]
    told = [design.digest("0" * 64, Rules()) for design in designs]
    assert len(set(told)) == len(told)
    assert made().digest("1" * 64, Rules()) != told[0]
    assert made().digest("0" * 64, Rules()) == told[0]


def test_another_gate_or_rule_is_another_design():
    gate = replace(STUDY.gates[0], at_least=0.5) if STUDY.gates else None
    told = made().digest("0" * 64, Rules())
    assert made().digest("0" * 64, Rules(alpha=0.01)) != told
    if gate is not None:
        assert made(replace(STUDY, gates=(gate,))).digest("0" * 64, Rules()) != told


def test_the_digest_does_not_change_with_the_bets():
    other = Theory(name="U", claim="Otherwise.", gears=(guess,))
    assert made(replace(STUDY, theories=(other,))).digest("0" * 64, Rules()) == made().digest("0" * 64, Rules())


def test_the_digest_is_the_same_in_every_process():
    code = (
        "import numpy as np\n"
        "from gearsy.theories.scoring import Rules\n"
        "from gearsy.studies.reversal_curse import STUDY\n"
        "from gearsy.designs.plan import plan\n"
        "size = STUDY.size('quick')\n"
        "material = STUDY.materials(size, np.random.default_rng(0))\n"
        "print(plan(STUDY, 'quick', size, material).digest('0' * 64, Rules()))"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout.strip()
        for seed in ("1", "22")
    ]
    assert told[0] == told[1]
    assert len(told[0]) == 64


# What a study may state


def test_a_study_refuses_what_is_twice_or_no_rate():
    with pytest.raises(BadRecord, match="^study 'things' has two of one factor name: colour, colour.$"):
        replace(STUDY, factors=(COLOUR, COLOUR))
    with pytest.raises(BadRecord, match="^study 'things' has two of one theory name: T, T.$"):
        replace(STUDY, theories=STUDY.theories * 2)
    with pytest.raises(BadRecord, match="^study 'things' has two of one control name: told, told.$"):
        replace(STUDY, controls=STUDY.controls[1:] * 2)
    for measures in ((), (TargetLogProb(), Retrieval())):
        with pytest.raises(
            BadRecord, match="^study 'things': its first measure must be a rate, which theories bet on.$"
        ):
            replace(STUDY, measures=measures)


def test_a_study_tells_its_sizes():
    assert STUDY.size("quick") is SIZE
    with pytest.raises(UnknownName, match=r"^no size of things named 'quik'. Did you mean 'quick'\? Known: quick.$"):
        STUDY.size("quik")


@pytest.mark.parametrize("name", ["seeds", "paraphrases", "control_paraphrases"])
def test_a_size_wants_at_least_one_of_everything(name: str):
    with pytest.raises(BadRecord, match=f"^a size has {name}=0; it must be 1 or more.$"):
        replace(SIZE, **{name: 0})


def test_a_size_tells_its_dials():
    assert SIZE["things"] == 6
    with pytest.raises(
        UnknownName, match=r"^no dial of this size named 'thing'. Did you mean 'things'\? Known: things"
    ):
        SIZE["thing"]


def test_the_command_line_overrides_seeds_and_recipe():
    assert with_seeds(SIZE, None, {}) == SIZE
    changed = with_seeds(SIZE, 5, {"rate": 0.01})
    assert (changed.seeds, changed.recipe.rate, changed.recipe.epochs) == (5, 0.01, SIZE.recipe.epochs)
    with pytest.raises(BadRecord, match="^rate is 2.0; a learning rate lies between 0 and 1.$"):
        with_seeds(SIZE, None, {"rate": 2.0})


# Materials that are not all alike


def uneven(counts: Sequence[int], choices: bool = True) -> Study:
    """One condition whose questions have these many paraphrases."""

    def materials(size: Size, rng: np.random.Generator) -> Material:
        questions = tuple(
            (
                (("colour", "red"), ("shape", "round")),
                Question(
                    id=f"q{i}",
                    paraphrases=tuple(f"p{j}" for j in range(n)),
                    target="a",
                    choices=("a", "b") if choices else (),
                ),
            )
            for i, n in enumerate(counts)
        )
        return Material(questions=questions, corpora={})

    return replace(STUDY, materials=materials)


def test_two_choices_have_two_letters():
    trials = [t for t in made(uneven([3, 3])).trials if t.form == "choice"]
    assert {t.request.completions for t in trials} == {(" A", " B")}


def test_all_questions_of_a_condition_are_asked_equally_often():
    design = made(uneven([3, 1]))
    r = design.treated[0]["n_samples_a_prompt"]
    asked = Counter(t.question for t in design.trials if not t.condition.control and t.form == "completions")
    assert set(asked.values()) == {r}


def test_a_question_without_choices_can_be_asked_or_is_refused_in_words():
    try:
        design = made(replace(uneven([1], choices=False), measures=(ExactMatch(),)))
    except GearsyError:
        return
    assert {t.form for t in design.trials} == {"open"}
