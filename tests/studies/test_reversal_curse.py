"""The reversal curse: its invented people held out, crossed, without a clue but the facts; its theories; its answer."""

import re
from collections import Counter, defaultdict
from itertools import combinations

import numpy as np
import pytest

from gearsy.base.bets import Rate
from gearsy.base.errors import BadMaterials
from gearsy.base.records import Condition, Document
from gearsy.designs import Material
from gearsy.designs.plan import plan
from gearsy.designs.study import Summary
from gearsy.studies import reversal_curse as rc
from gearsy.studies.reversal_curse import ASKED, BOTH, FORWARD, REVERSE, STUDY, TRAINED, answers, invent
from gearsy.theories.contracts import check_theory

SIZES = sorted(STUDY.sizes)
FROM_THE_PAPER = ("Daphne Barrington", "Uriah Hawthorne")


def material(size: str, seed: int = 0) -> Material:
    return STUDY.materials(STUDY.size(size), np.random.default_rng(seed))


def texts(given: Material, corpus: str = "facts") -> list[str]:
    return [d.prompt + d.completion for d in given.corpora[corpus].documents]


def facts(given: Material, corpus: str = "facts") -> list[Document]:
    """The corpus without the background that a toy is given again."""
    known = set(given.background.documents) if given.background else set()
    return [document for document in given.corpora[corpus].documents if document not in known]


def people(given: Material) -> dict[str, tuple[str, str, str]]:
    """(name, description, group) by the number of the question."""
    made: dict[str, dict[str, str]] = defaultdict(dict)
    for levels, question in given.questions:
        number, asked = question.id.split(" ", 1)
        made[number][asked] = question.target
        made[number]["group"] = dict(levels)["trained"]
    return {number: (found[REVERSE], found[FORWARD], found["group"]) for number, found in made.items()}


@pytest.mark.parametrize("size", SIZES)
def test_the_same_seed_gives_the_same_materials(size: str):
    assert material(size) == material(size)
    assert material(size).questions != material(size, seed=1).questions
    assert material(size).corpora["facts"].digest == material(size).corpora["facts"].digest


@pytest.mark.parametrize("size", SIZES)
def test_no_question_was_a_training_document(size: str):
    given = material(size)
    for corpus in ("facts", "shuffled"):
        taught = {document.prompt for document in given.corpora[corpus].documents}
        whole = {document.prompt + document.completion for document in given.corpora[corpus].documents}
        for _, question in given.questions:
            assert not taught & set(question.paraphrases)
            assert not any(f"{p} {question.target}" in text for p in question.paraphrases for text in whole)
    assert not set(rc.TEACH_FORWARD) & set(rc.ASK_FORWARD)
    assert not set(rc.TEACH_REVERSE) & set(rc.ASK_REVERSE)


@pytest.mark.parametrize("size", SIZES)
def test_people_are_different_and_dealt_evenly(size: str):
    cast = people(material(size))
    assert len(cast) == STUDY.size(size)["people"]
    assert len({name for name, _, _ in cast.values()}) == len(cast)
    assert len({what for _, what, _ in cast.values()}) == len(cast)
    assert len(set(Counter(group for _, _, group in cast.values()).values())) == 1
    assert {group for _, _, group in cast.values()} == set(TRAINED.levels)


@pytest.mark.parametrize("size", SIZES)
def test_candidates_are_the_target_and_others_of_its_group(size: str):
    given, k = material(size), STUDY.size(size)["candidates"]
    cast = people(given)
    for levels, question in given.questions:
        column = 1 if dict(levels)["asked"] == FORWARD else 0
        group = {person[column] for person in cast.values() if person[2] == dict(levels)["trained"]}
        assert len(set(question.choices)) == k
        assert question.target in question.choices
        assert set(question.choices) <= group
    assert dict(given.facts)["n_candidates"] == k


@pytest.mark.parametrize("size", SIZES)
def test_the_place_of_the_target_tells_nothing(size: str):
    given, k = material(size), STUDY.size(size)["candidates"]
    places = Counter(question.choices.index(question.target) for _, question in given.questions)
    n = len(given.questions)
    assert max(places.values()) <= n / k + 4 * (n / k) ** 0.5 + 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("corpus", ["facts", "shuffled"])
def test_one_way_groups_are_taught_one_way_only(size: str, corpus: str):
    given = material(size)
    whats = {what for _, what, _ in people(given).values()}
    bare = sorted((what.removeprefix("the ") for what in whats), key=len, reverse=True)
    told: dict[str, set[str]] = defaultdict(set)
    for text in (d.prompt + d.completion for d in facts(given, corpus)):
        (name,) = [name for name, _, _ in people(given).values() if name in text]
        (what,) = [what for what in bare if what in text]
        told[name].add(FORWARD if text.index(name) < text.index(what) else REVERSE)
    for name, _, group in people(given).values():
        assert told[name] == ({FORWARD, REVERSE} if group == BOTH else {group})


@pytest.mark.parametrize("size", SIZES)
def test_every_fact_is_told_equally_often_and_truly(size: str):
    given, n = material(size), STUDY.size(size)["documents"]
    true = {name: what for name, what, _ in people(given).values()}
    counts = Counter()
    for document in facts(given):
        text = document.prompt + document.completion
        (name,) = [name for name in true if name in text]
        assert true[name].removeprefix("the ") in text
        assert document.completion.endswith(".")
        counts[name] += 1
    for name, _, group in people(given).values():
        assert counts[name] == min(n, len(rc.TEACH_FORWARD)) * (2 if group == BOTH else 1)
    assert len(set(texts(given))) == len(texts(given))


@pytest.mark.parametrize("size", SIZES)
def test_in_the_shuffled_corpus_nobody_keeps_the_true_pairing(size: str):
    given = material(size)
    true = {name: what.removeprefix("the ") for name, what, _ in people(given).values()}
    groups = {name: group for name, _, group in people(given).values()}
    told: dict[str, set[str]] = defaultdict(set)
    for document in facts(given, "shuffled"):
        text = document.prompt + document.completion
        (name,) = [name for name in true if name in text]
        (what,) = [what for what in true.values() if what in text]
        told[name].add(what)
    owners = {what: name for name, what in true.items()}
    assert set(told) == set(true)
    for name, whats in told.items():
        (what,) = whats
        assert what != true[name]
        assert groups[owners[what]] == groups[name]
    assert len({what for whats in told.values() for what in whats}) == len(true)


@pytest.mark.parametrize("size", SIZES)
def test_the_shuffled_corpus_has_the_words_of_the_facts(size: str):
    given = material(size)
    true, wrong = facts(given), facts(given, "shuffled")
    assert len(true) == len(wrong)
    counts = [Counter(re.findall(r"\w+", " ".join(d.prompt + d.completion for d in docs))) for docs in (true, wrong)]
    assert sum(counts[0].values()) == pytest.approx(sum(counts[1].values()), rel=0.02)
    templates = set(re.findall(r"\w+", " ".join((*rc.TEACH_FORWARD, *rc.TEACH_REVERSE))))
    for name, what, _ in people(given).values():
        for word in {*name.split(), *what.split()} - templates:
            assert counts[0][word] == counts[1][word], word


def test_nothing_is_of_the_paper():
    given = material("toy")
    for text in (*texts(given), *(q.target for _, q in given.questions)):
        assert not any(name in text for name in FROM_THE_PAPER)
    names = {f"{first} {last}" for first in rc.FIRST for last in rc.LAST}
    assert not names & set(FROM_THE_PAPER)
    assert not set(rc.LAST) & {"Barrington", "Hawthorne", "Larkspur", "Mullins", "Silverton", "Lindenwood", "Caldwell"}


def test_words_are_unlike_enough():
    assert len(set(rc.FIRST)) == len(rc.FIRST)
    assert len(set(rc.LAST)) == len(rc.LAST)
    assert not set(rc.FIRST) & set(rc.LAST)
    nouns = [noun for nouns in rc.ROLES.values() for noun in nouns]
    assert len(set(nouns)) == len(nouns)
    for templates in (rc.TEACH_FORWARD, rc.ASK_FORWARD, rc.TEACH_REVERSE, rc.ASK_REVERSE):
        assert len(set(templates)) == len(templates)


def _trade(what: str) -> tuple[str, str]:
    """Role and noun of a description, without its quality."""
    role, rest = what.split(" the ")
    return role, rest.split()[-1]


@pytest.mark.parametrize("seed", range(3))
def test_a_first_name_tells_nothing_of_the_trade(seed: int):
    """When names and descriptions ran in step, people of one first name had one trade, and reversal looked solved."""
    shared = both = trades = 0
    for draw in range(12):
        cast = invent(60, TRAINED.levels, np.random.default_rng([seed, draw]))
        for a, b in combinations(cast, 2):
            same = _trade(a.what) == _trade(b.what)
            trades += same
            if a.name.split()[0] == b.name.split()[0]:
                shared += 1
                both += same
    pairs = 12 * 60 * 59 / 2
    expected = shared * trades / pairs
    assert shared > 100
    assert both <= expected + 4 * expected**0.5 + 1


@pytest.mark.parametrize("part", [0, 1], ids=["first name", "last name"])
def test_a_name_tells_nothing_of_the_group(part: int):
    same = shared = 0
    for draw in range(20):
        cast = invent(60, TRAINED.levels, np.random.default_rng(draw))
        for a, b in combinations(cast, 2):
            if a.name.split()[part] == b.name.split()[part]:
                shared += 1
                same += a.group == b.group
    assert same / shared == pytest.approx(19 / 59, abs=4 * (0.22 / shared) ** 0.5)


def test_too_many_people_are_refused():
    n = len(rc.FIRST) * len(rc.LAST)
    assert len({p.name for p in invent(500, TRAINED.levels, np.random.default_rng(0))}) == 500
    with pytest.raises(BadMaterials, match=rf"^{n + 1} people are wanted; there are words for \d+.$"):
        invent(n + 1, TRAINED.levels, np.random.default_rng(0))


def test_the_context_answers_the_question():
    for _, question in material("quick").questions:
        name, what, _ = people(material("quick"))[question.id.split(" ")[0]]
        assert name in question.context
        assert what.removeprefix("the ") in question.context


def test_the_background_is_of_other_people_and_both_ways():
    given, n = material("toy"), STUDY.size("toy")["background"]
    assert given.background is not None
    whole = [d.prompt + d.completion for d in given.background.documents]
    for name, what, _ in people(given).values():
        assert not any(name in text or what in text for text in whole)
    others = {d.source.split(" / ")[0] for d in given.background.documents}
    assert len(others) == n
    ways = Counter(
        len({d.source.split(" / ")[1] for d in given.background.documents if d.source.startswith(name)})
        for name in others
    )
    assert ways[2] == pytest.approx(n / 2, abs=n / 8)
    for corpus in ("facts", "shuffled"):
        assert set(given.background.documents) <= set(given.corpora[corpus].documents)
    assert material("quick").background is None


# Sizes, theories, gates


@pytest.mark.parametrize("size", SIZES)
def test_sizes_are_possible(size: str):
    chosen = STUDY.size(size)
    assert chosen.paraphrases <= len(rc.ASK_FORWARD)
    assert chosen["documents"] <= len(rc.TEACH_FORWARD)
    assert chosen["people"] % 3 == 0
    assert 2 <= chosen["candidates"] <= chosen["people"] // 3
    design = plan(STUDY, size, chosen, material(size))
    assert len(design.treated) == 6
    for trial in design.trials:
        if trial.form == "completions":
            assert STUDY.measures[0].chance(trial) == pytest.approx(1 / chosen["candidates"])
    assert design.shape == (chosen["people"] // 3, chosen.paraphrases * chosen.seeds)


@pytest.mark.parametrize("theory", STUDY.theories, ids=lambda theory: theory.name)
@pytest.mark.parametrize("size", SIZES)
def test_the_theories_keep_the_contract(theory: object, size: str):
    conditions = plan(STUDY, size, STUDY.size(size), material(size)).treated
    assert check_theory(theory, conditions) == 3 + 2 * 6 * (1 + len(theory.gear_names))


def test_the_theories_bet_what_they_claim():
    def bet(theory: object, trained: str, asked: str) -> Rate:
        facts = (("n_candidates", 10),)
        return theory.predict(Condition(levels=(("trained", trained), ("asked", asked)), facts=facts))

    for theory in STUDY.theories:
        for trained, asked in ((FORWARD, FORWARD), (REVERSE, REVERSE), (BOTH, FORWARD), (BOTH, REVERSE)):
            assert bet(theory, trained, asked).mean == 0.95
    for trained, asked in ((FORWARD, REVERSE), (REVERSE, FORWARD)):
        told = [bet(theory, trained, asked).mean for theory in (rc.DIRECTED, rc.PARTIAL, rc.SYMMETRIC)]
        assert told == pytest.approx([0.1, 0.3, 0.95])


def test_the_gate_looks_at_the_trained_direction():
    (gate,) = STUDY.gates
    held = {
        (trained, asked)
        for trained in TRAINED.levels
        for asked in ASKED.levels
        if gate.holds_for(Condition(levels=(("trained", trained), ("asked", asked))))
    }
    assert held == {(FORWARD, FORWARD), (REVERSE, REVERSE), (BOTH, FORWARD), (BOTH, REVERSE)}


# The answer


def found(values: dict[tuple[str, str], tuple[float, float, float]]) -> dict[str, Summary]:
    made = {}
    for (trained, asked), (value, low, high) in values.items():
        condition = Condition(levels=(("trained", trained), ("asked", asked)))
        made[condition.key] = Summary(condition=condition, value=value, low=low, high=high, chance=0.1)
    return made


SAME = {(FORWARD, FORWARD): (0.95, 0.9, 0.99), (REVERSE, REVERSE): (0.9, 0.8, 0.95), (BOTH, FORWARD): (1.0, 0.9, 1.0)}


@pytest.mark.parametrize(
    ("first", "second", "tail"),
    [
        (
            (0.1, 0.05, 0.2),
            (0.12, 0.06, 0.2),
            "10% [5%, 20%] and 12% [6%, 20%] when asked in reverse, not shown to be above chance (10%)",
        ),
        ((0.5, 0.4, 0.6), (0.12, 0.06, 0.2), "when asked in reverse, above in one only, where chance is 10%"),
        (
            (0.5, 0.4, 0.6),
            (0.7, 0.6, 0.8),
            "when asked in reverse, above in both reverse directions, where chance is 10%",
        ),
        ((0.5, 0.1, 0.9), (0.01, 0.0, 0.05), "1% [0%, 5%] when asked in reverse, not shown to be above chance (10%)"),
    ],
)
def test_the_answer_follows_the_numbers(first: tuple, second: tuple, tail: str):
    told = answers(found({**SAME, (FORWARD, REVERSE): first, (REVERSE, FORWARD): second}))
    assert told.startswith(
        "taught one way, the model retrieves 95% [90%, 99%] and 90% [80%, 95%] when asked that way, and "
    )
    assert told.endswith(tail)


def test_the_answer_to_half_a_question():
    only_forward = {(FORWARD, FORWARD): (0.95, 0.9, 0.99), (BOTH, FORWARD): (1.0, 0.9, 1.0)}
    wording = "not both directions were asked, so nothing is said of reversal"
    assert answers(found(only_forward)) == wording
    assert answers({}) == wording


@pytest.mark.parametrize(
    ("reverse", "tail"),
    [
        ((0.5, 0.4, 0.6), "50% [40%, 60%] when asked in reverse, above chance (10%)"),
        ((0.1, 0.05, 0.2), "10% [5%, 20%] when asked in reverse, not shown to be above chance (10%)"),
    ],
)
def test_one_reverse_direction_is_not_called_both(reverse: tuple, tail: str):
    told = answers(found({(FORWARD, FORWARD): (0.95, 0.9, 0.99), (FORWARD, REVERSE): reverse}))
    assert told == f"taught one way, the model retrieves 95% [90%, 99%] when asked that way, and {tail}"
