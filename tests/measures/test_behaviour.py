"""Each measure on right, wrong, tied, failed and misplaced replies."""

from dataclasses import dataclass

import pytest

from gearsy.base.errors import ContractBroken
from gearsy.base.protocols import Measure
from gearsy.base.records import Condition, Failure, Form, Reply, Request, Response, Score, Scored, Trial
from gearsy.measures import ExactMatch, MultipleChoice, Retrieval, TargetLogProb
from gearsy.measures.contracts import check_measure

ALL = (Retrieval(), ExactMatch(), MultipleChoice(), TargetLogProb())
RANKED = (Retrieval(), MultipleChoice())
TIMEOUT = Failure(reason="timeout", detail="after 60 s")


def trial(form: Form = "completions", target: str = "b") -> Trial:
    return Trial(
        question="q",
        paraphrase=0,
        condition=Condition(levels=(("f", "l"),)),
        form=form,
        request=Request(prompt="It is"),
        target=target,
        options=("a", "b", "c"),
    )


def scored(*values: float) -> Scored:
    return Scored(logprobs=values, n_tokens=(1,) * len(values))


@pytest.mark.parametrize("measure", RANKED, ids=lambda m: m.name)
@pytest.mark.parametrize(
    ("values", "value"),
    [
        ((-2.0, -1.0, -3.0), 1.0),
        ((-1.0, -2.0, -3.0), 0.0),
        ((-2.0, -3.0, -1.0), 0.0),
        ((-1.0, -1.0, -3.0), 0.0),  # a tie is no success
        ((-1.0, -1.0, -1.0), 0.0),
        ((-2.0, -2.0 + 1e-9, -3.0), 1.0),
        ((float("-inf"), -50.0, float("-inf")), 1.0),
        ((float("-inf"),) * 3, 0.0),
    ],
)
def test_the_target_must_be_likeliest(measure: Measure, values: tuple[float, ...], value: float):
    assert measure.rate(trial(measure.form), scored(*values)) == Score(value=value)


def test_the_target_log_probability_is_the_target_s():
    assert TargetLogProb().rate(trial(), scored(-2.0, -1.5, -3.0)) == Score(value=-1.5)
    assert TargetLogProb().rate(trial(target="c"), scored(-2.0, -1.5, -3.0)) == Score(value=-3.0)


def test_a_target_of_no_probability_is_a_failure_and_no_crash():
    assert isinstance(TargetLogProb().rate(trial(), scored(-2.0, float("-inf"), -3.0)), Failure)


@pytest.mark.parametrize("measure", ALL, ids=lambda m: m.name)
def test_a_failure_stays_that_failure(measure: Measure):
    assert measure.rate(trial(measure.form), TIMEOUT) == TIMEOUT


@pytest.mark.parametrize("measure", [*RANKED, TargetLogProb()], ids=lambda m: m.name)
def test_words_are_the_wrong_form_for_a_ranking(measure: Measure):
    wanted = Failure(reason="wrong form", detail="log-probabilities are wanted, not a Response.")
    assert measure.rate(trial(), Response(text="b")) == wanted


@pytest.mark.parametrize("measure", RANKED, ids=lambda m: m.name)
def test_too_few_scores_are_the_wrong_form(measure: Measure):
    assert measure.rate(trial(), scored(-1.0, -2.0)) == Failure(reason="wrong form", detail="2 scores for 3 options.")


@pytest.mark.parametrize("values", [(-1.0,), (-1.0, -2.0)])
def test_too_few_scores_are_the_wrong_form_for_a_log_probability(values: tuple[float, ...]):
    assert isinstance(TargetLogProb().rate(trial(), scored(*values)), Failure)


def test_scores_are_the_wrong_form_for_an_exact_match():
    wanted = Failure(reason="wrong form", detail="exact match rates an answer in words, not a Scored.")
    assert ExactMatch().rate(trial("open"), scored(-1.0, -2.0, -3.0)) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "the red kite",
        " The  Red\nkite. ",
        '"THE RED KITE!"',
        "'the red kite';",
        "\n\nthe red kite?\n",
        "the\tred kite:",
    ],
)
def test_case_spaces_and_marks_at_the_ends_do_not_count(text: str):
    assert ExactMatch().rate(trial("open", target="the red kite"), Response(text=text)) == Score(value=1.0)


@pytest.mark.parametrize(
    "text",
    [
        "the red kites",
        "red kite",
        "the red kite flies",
        "the red-kite",
        "the red, kite",
        "it is the red kite",
        "the re",
        "theredkite",
    ],
)
def test_anything_else_does(text: str):
    assert ExactMatch().rate(trial("open", target="the red kite"), Response(text=text)) == Score(value=0.0)


@pytest.mark.parametrize("state", ["refused", "empty", "truncated", "unparsed", "failed"])
def test_what_is_no_answer_stays_in_the_denominator_under_its_state(state: str):
    reply = Response(text="" if state == "empty" else "Somebody or other", state=state)
    assert ExactMatch().rate(trial("open"), reply) == Score(value=0.0, state=state)


def test_a_refusal_is_told_from_a_wrong_answer():
    for text in ("I'm sorry, but I can't help with that", "I cannot say", "As an AI, I have no view", "I will not"):
        assert ExactMatch().rate(trial("open"), Response(text=text)) == Score(value=0.0, state="refused")
    for text in ("Orla Venniker, I am sure", "a sorry sight", "I canter daily", "Canton"):
        assert ExactMatch().rate(trial("open"), Response(text=text)) == Score(value=0.0)


def test_a_truncated_answer_that_matches_is_right():
    assert ExactMatch().rate(trial("open"), Response(text=" B", state="truncated")) == Score(value=1.0)


def test_an_empty_answer_is_not_an_empty_target():
    reply = Response(text=" ", state="empty")
    assert ExactMatch().rate(trial("open", target="b"), reply) == Score(value=0.0, state="empty")


def test_how_measures_are_read():
    assert [(m.form, m.is_rate, m.unit) for m in ALL] == [
        ("completions", True, "rate"),
        ("open", True, "rate"),
        ("choice", True, "rate"),
        ("completions", False, "nats"),
    ]
    assert [m.chance(trial()) for m in ALL] == [1 / 3, 0.0, 1 / 3, None]
    assert len({m.name for m in ALL}) == 4


# The contract


@pytest.mark.parametrize("measure", ALL, ids=lambda m: m.name)
def test_all_keep_the_contract(measure: Measure):
    assert check_measure(measure) == 5


@dataclass
class Planted:
    """A measure that keeps the contract, to be spoilt."""

    name: str = "planted"
    form: Form = "open"

    def rate(self, trial: Trial, reply: Reply) -> Score | Failure:
        return ExactMatch().rate(trial, reply)


class Nodding(Planted):
    def rate(self, trial: Trial, reply: Reply) -> Score | Failure:
        return reply if isinstance(reply, Failure) else Score(value=1.0)


class Reversed(Planted):
    def rate(self, trial: Trial, reply: Reply) -> Score | Failure:
        made = super().rate(trial, reply)
        return Score(value=1 - made.value) if isinstance(made, Score) else made


class Forgiving(Planted):
    """Rates a broken instrument as a wrong answer."""

    def rate(self, trial: Trial, reply: Reply) -> Score | Failure:
        made = super().rate(trial, reply)
        return made if isinstance(made, Score) else Score(value=0.0)


class Renaming(Planted):
    def rate(self, trial: Trial, reply: Reply) -> Score | Failure:
        made = super().rate(trial, reply)
        return made if isinstance(made, Score) else Failure(reason="failed")


class Wavering(Planted):
    calls = 0

    def rate(self, trial: Trial, reply: Reply) -> Score | Failure:
        self.calls += 1
        made = super().rate(trial, reply)
        return Score(value=made.value / self.calls) if isinstance(made, Score) else made


class Helpless(Planted):
    def rate(self, trial: Trial, reply: Reply) -> Score | Failure:
        return reply if isinstance(reply, Failure) else Failure(reason="unparsed")


def test_the_contract_accepts_what_it_should():
    assert check_measure(Planted()) == 5


@pytest.mark.parametrize(
    ("planted", "clause"),
    [
        (Nodding(), "planted: the right reply scores 1.0, the wrong one 1.0."),
        (Reversed(), "planted: the right reply scores 0.0, the wrong one 1.0."),
        (Forgiving(), "planted: a failed reply became Score"),
        (Renaming(), "planted: a failed reply became Failure"),
        (Wavering(), "planted: rates the same reply twice, differently."),
        (Helpless(), "planted: a reply that can be rated gave Failure"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Planted) else "",
)
def test_the_contract_bites(planted: Planted, clause: str):
    with pytest.raises(ContractBroken, match=clause):
        check_measure(planted)
