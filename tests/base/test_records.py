"""Records refuse what is wrong, in words a user can act on; digests are of the content alone."""

import math
from collections import OrderedDict
from dataclasses import FrozenInstanceError, dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gearsy.base.bets import Categories, Cell, Draws, Finding, Quantiles, Rate, Verdict
from gearsy.base.digests import canonical, digest, file_digest
from gearsy.base.errors import BadRecord, GearsyError, UnknownName, unknown
from gearsy.base.records import (
    Condition,
    Corpus,
    Document,
    Estimate,
    Factor,
    Message,
    Question,
    Recipe,
    Request,
    Response,
    Sampling,
    Score,
    Scored,
)

NAN, INF = float("nan"), float("inf")

WRONG: list[tuple[type, dict[str, Any], str]] = [
    (Factor, {"name": "", "levels": ("a",)}, "a factor has no name; give it one word."),
    (Factor, {"name": "f", "levels": ()}, "factor 'f' has levels (); it wants one or more different ones."),
    (
        Factor,
        {"name": "f", "levels": ("a", "a")},
        "factor 'f' has levels ('a', 'a'); it wants one or more different ones.",
    ),
    (
        Question,
        {"id": "q", "paraphrases": (), "target": "t"},
        "question 'q' has no paraphrase; give at least one prompt.",
    ),
    (
        Question,
        {"id": "q", "paraphrases": ("p",), "target": "t", "choices": ("t", "t")},
        "question 'q' offers the same choice twice: ('t', 't').",
    ),
    (
        Question,
        {"id": "q", "paraphrases": ("p",), "target": "t", "choices": ("u", "v")},
        "question 'q' has target 't', which is not among its choices.",
    ),
    (Sampling, {"temperature": -0.1}, "temperature is -0.1; it must lie in [0, 2]."),
    (Sampling, {"temperature": 2.1}, "temperature is 2.1; it must lie in [0, 2]."),
    (Sampling, {"temperature": NAN}, "temperature is nan; it must lie in [0, 2]."),
    (Sampling, {"max_tokens": 0}, "max_tokens is 0; it must be at least 1."),
    (
        Request,
        {"prompt": "p", "completions": ("a", "")},
        "a request has an empty completion; give at least one character to score.",
    ),
    (
        Document,
        {"prompt": "p", "completion": "", "source": "s"},
        "document 's' has nothing to learn: its completion is empty.",
    ),
    (Document, {"prompt": "p", "completion": ""}, "document 'p' has nothing to learn: its completion is empty."),
    (Recipe, {"rate": 0.0}, "rate is 0.0; a learning rate lies between 0 and 1."),
    (Recipe, {"rate": 1.0}, "rate is 1.0; a learning rate lies between 0 and 1."),
    (Recipe, {"rate": NAN}, "rate is nan; a learning rate lies between 0 and 1."),
    (Recipe, {"epochs": 0}, "epochs is 0, batch 8, rank 16; each must be 1 or more."),
    (Recipe, {"batch": 0}, "epochs is 4, batch 0, rank 16; each must be 1 or more."),
    (Recipe, {"rank": 0}, "epochs is 4, batch 8, rank 0; each must be 1 or more."),
    (Recipe, {"warmup": 1.0}, "warmup is 1.0; it is a share of the steps, in [0, 1)."),
    (Scored, {"logprobs": (-1.0,), "n_tokens": ()}, "1 log-probabilities with 0 token counts."),
    (Scored, {"logprobs": (-1.0, NAN), "n_tokens": (1, 1)}, "a log-probability is nan; it must be at most 0."),
    (Scored, {"logprobs": (0.1,), "n_tokens": (1,)}, "a log-probability is 0.1; it must be at most 0."),
    (Score, {"value": NAN}, "a score is nan; it must be finite. Return a Failure where there is none."),
    (Score, {"value": INF}, "a score is inf; it must be finite. Return a Failure where there is none."),
    (
        Estimate,
        {"value": 0.5, "low": 0.6, "high": 0.7, "n": 3, "method": "m"},
        "the estimate 0.5 lies outside its own interval [0.6, 0.7].",
    ),
    (
        Estimate,
        {"value": 0.5, "low": 0.4, "high": 0.7, "n": 0, "method": "m"},
        "an estimate rests on 0 units; it needs at least 1.",
    ),
    (Rate, {"mean": -0.1, "sd": 0.1}, "Rate(mean=-0.1): a rate lies in [0, 1]."),
    (
        Rate,
        {"mean": 0.5, "sd": 0},
        "Rate(mean=0.5, sd=0): a point is refused; say how sure the theory is with sd > 0.",
    ),
    (
        Rate,
        {"mean": 0.5, "sd": NAN},
        "Rate(mean=0.5, sd=nan): a point is refused; say how sure the theory is with sd > 0.",
    ),
    (
        Rate,
        {"mean": 0.9, "sd": 0.4},
        "Rate(mean=0.9, sd=0.4): no rate has that mean and spread; sd must be below 0.3.",
    ),
    (
        Categories,
        {"alpha": (("a", 1.0),)},
        "Categories(alpha=(('a', 1.0),)): give two or more labels, each with a weight above 0.",
    ),
    (
        Quantiles,
        {"levels": (0.5, 0.1), "values": (1.0, 2.0)},
        "Quantiles: give two or more rising levels, and a non-decreasing value for each.",
    ),
    (
        Quantiles,
        {"levels": (0.0, 0.5), "values": (1.0, 2.0)},
        "Quantiles: levels lie strictly between 0 and 1, values are finite.",
    ),
    (Draws, {"values": (1.0,) * 19}, "Draws holds 19 values; give at least 20, all finite."),
    (Draws, {"values": (*(1.0,) * 20, NAN)}, "Draws holds 21 values; give at least 20, all finite."),
    (
        Cell,
        {"condition": Condition(levels=()), "successes": 5, "m": 2, "r": 2},
        "5 successes of 2 prompts × 2 samples is impossible.",
    ),
    (
        Finding,
        {"estimand": "e", "effect": 2, "low": 0, "high": 1, "n": 3, "moderators": (), "source": "s"},
        "finding 'e': 2 lies outside [0, 1].",
    ),
]


@pytest.mark.parametrize(
    ("record", "given", "wording"), WRONG, ids=[f"{kind.__name__}-{i}" for i, (kind, _, _) in enumerate(WRONG)]
)
def test_records_refuse_wrong_values(record: type, given: dict[str, Any], wording: str):
    with pytest.raises(BadRecord) as caught:
        record(**given)
    assert str(caught.value) == wording


@pytest.mark.parametrize(
    ("record", "given", "wording"),
    [
        (Recipe, {"method": "lore"}, "no training method named 'lore'. Did you mean 'lora'? Known: full, lora."),
        (Recipe, {"loss_on": "all"}, "no loss named 'all'. Known: completion, document."),
        (Response, {"text": "", "state": "truncate"}, "no response state named 'truncate'. Did you mean 'truncated'? "),
        (
            Verdict,
            {"name": "SUPORTED", "because": ""},
            "no verdict named 'SUPORTED'. Did you mean 'SUPPORTED'? Known: ",
        ),
    ],
)
def test_records_refuse_unknown_names(record: type, given: dict[str, Any], wording: str):
    with pytest.raises(UnknownName) as caught:
        record(**given)
    assert str(caught.value).startswith(wording)


@pytest.mark.parametrize("value", [-1.0, NAN])
def test_a_negative_weight_decay_is_refused(value: float):
    with pytest.raises(BadRecord, match="weight_decay"):
        Recipe(weight_decay=value)


def test_a_score_refuses_an_unknown_state():
    with pytest.raises(UnknownName, match="truncate"):
        Score(value=0.0, state="truncate")


def test_an_empty_stop_string_is_refused():
    with pytest.raises(BadRecord, match="stop"):
        Sampling(stop=("",))


def test_the_edges_are_allowed():
    assert Sampling(temperature=0).temperature == 0
    assert Sampling(temperature=2).temperature == 2
    assert Scored(logprobs=(0.0, -INF), n_tokens=(1, 1)).logprobs == (0.0, -INF)
    assert Estimate(value=0.5, low=0.5, high=0.5, n=1, method="m").level == 0.95
    assert Recipe(warmup=0.0).warmup == 0


def test_records_are_frozen_and_take_names_only():
    with pytest.raises(FrozenInstanceError):
        Sampling().seed = 3
    with pytest.raises(TypeError):
        Factor("f", ("a",))
    assert replace(Sampling(), seed=3) == Sampling(seed=3)
    with pytest.raises(BadRecord):
        replace(Sampling(), max_tokens=0)


# Conditions


CONDITION = Condition(levels=(("trained", "both"), ("asked", "reverse")), facts=(("n_candidates", 12),))


def test_a_condition_is_a_mapping_of_levels_and_facts():
    assert dict(CONDITION) == {"trained": "both", "asked": "reverse", "n_candidates": 12}
    assert len(CONDITION) == 3
    assert list(CONDITION) == ["trained", "asked", "n_candidates"]
    assert "asked" in CONDITION


def test_a_condition_can_be_asked_for_what_it_may_not_have():
    with pytest.raises(UnknownName) as caught:
        CONDITION["aksed"]
    assert str(caught.value) == "no factor named 'aksed'. Did you mean 'asked'? Known: asked, n_candidates, trained."


@pytest.mark.parametrize("ask", [lambda: "depth" in CONDITION, lambda: CONDITION.get("depth", 3)], ids=["in", "get"])
def test_in_and_get_answer_for_a_name_that_is_not_there(ask: Any):
    assert ask() in (False, 3)


def test_a_condition_is_named_alike_everywhere():
    assert CONDITION.key == "trained=both, asked=reverse"
    assert replace(CONDITION, control="untrained").key == "trained=both, asked=reverse [untrained]"
    assert replace(CONDITION, facts=()).key == CONDITION.key


def test_conditions_can_be_keys():
    assert {CONDITION: 1}[replace(CONDITION)] == 1
    assert replace(CONDITION, control="untrained") != CONDITION


# Names


def test_an_unknown_name_is_told_with_the_closest():
    assert str(unknown("theory", "rat", ["symmetric", "rate"])) == (
        "no theory named 'rat'. Did you mean 'rate'? Known: rate, symmetric."
    )
    assert str(unknown("theory", "xyz", ["symmetric", "rate"])) == "no theory named 'xyz'. Known: rate, symmetric."
    assert str(unknown("theory", "x", [])) == "no theory named 'x'. Known: none."


def test_errors_exit_with_two_and_bad_records_are_values():
    assert unknown("a", "b", []).exit_code == 2
    assert issubclass(BadRecord, ValueError)
    assert issubclass(BadRecord, GearsyError)


# Digests


def test_the_order_of_keys_does_not_count_and_that_of_lists_does():
    assert digest("d", {"a": 1, "b": 2}) == digest("d", OrderedDict(b=2, a=1))
    assert digest("d", [1, 2]) != digest("d", [2, 1])
    assert digest("d", (1, 2)) == digest("d", [1, 2])


def test_domains_and_kinds_are_kept_apart():
    assert digest("trial", [1]) != digest("prompt", [1])
    assert len(digest("trial", [1])) == 64

    @dataclass(frozen=True)
    class Twin:
        role: str
        text: str

    given = {"role": "user", "text": "hello"}
    assert len({digest("d", Message(**given)), digest("d", Twin(**given)), digest("d", given)}) == 3


def test_equal_numbers_are_equal_and_like_texts_are_not():
    assert digest("d", 1.0) == digest("d", 1)
    assert digest("d", "1") != digest("d", 1)
    assert digest("d", True) != digest("d", 1)
    assert digest("d", "e\u0301") != digest("d", "\u00e9")
    assert digest("d", None) != digest("d", "")


def test_a_digest_that_others_can_compute():
    import hashlib

    assert canonical({"b": 1.0, "a": ("é", None)}) == '{"a":["é",null],"b":1}'.encode()
    assert digest("d", [1]) == hashlib.sha256(b"gearsy:d\x00[1]").hexdigest()


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_no_digest_of_what_is_no_number(value: float):
    with pytest.raises(ValueError, match=r"."):
        digest("d", {"x": value})


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), Path("x"), math])
def test_no_digest_of_what_has_no_canonical_form(value: object):
    with pytest.raises(
        TypeError, match=f"^cannot digest a {type(value).__name__}; give records, mappings, sequences or"
    ):
        digest("d", [value])


def test_a_corpus_is_its_documents_in_their_order():
    one, two = Document(prompt="a", completion="b"), Document(prompt="c", completion="d")
    assert Corpus(name="x", documents=(one, two)).digest == Corpus(name="y", documents=(one, two)).digest
    assert Corpus(name="x", documents=(one, two)).digest != Corpus(name="x", documents=(two, one)).digest
    moved = Document(prompt="ab", completion="c"), Document(prompt="a", completion="bc")
    assert len({Corpus(name="x", documents=(d,)).digest for d in moved}) == 2  # the cut counts: it decides the loss


def test_a_file_s_digest_is_of_its_bytes(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
