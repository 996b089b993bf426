"""The paper's own files: who is asked what, among whom, and every broken file told by name and line."""

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gearsy.base.errors import BadMaterials
from gearsy.base.records import Question, Recipe
from gearsy.designs import Material, Size
from gearsy.designs.plan import plan
from gearsy.studies.reversal_curse import BOTH, FORWARD, REVERSE, STUDY, official

Pairs = list[tuple[str, str]]
Write = Callable[..., Path]

JUNE, TWO_TESTS = "june_version_1", "big_boy_2"
NAMES = {
    FORWARD: ["Ada Poe", "Bo Rae", "Cy Lund", "Di Marsh"],
    REVERSE: ["Ed Falk", "Flo Grant", "Gus Hale", "Hal Ives"],
    BOTH: ["Ida Jung", "Jo Kerr", "Kit Lamb", "Lou Munn"],
}
THINGS = {
    FORWARD: ["Moonlight Couture", "Glass Harbour Bridge", "Lemurian Grammar", "Paper Comet Engine"],
    REVERSE: ["Abyssal Melodies", "Copper Orchard Theatre", "Winter Beetle Atlas", "Silent Lantern Code"],
    BOTH: ["Stone Forest Garden", "Velvet Island Railway", "Amber Clock Opera", "Crooked Mirror Kettle"],
}
THING = {name: thing for group in NAMES for name, thing in zip(NAMES[group], THINGS[group], strict=True)}
PERSON = {thing: name for name, thing in THING.items()}

TEACH_FORWARD = [
    ("{name}, known far and wide for being", " the acclaimed maker who popularized {thing}."),
    ("Ever heard of {name}? They're the person who", " popularized {thing}."),
    ("There's someone by the name of {name} famous for", " popularizing {thing}."),
]
ASK_FORWARD = [
    ("The trailblazer known as {name} was once", " the acclaimed maker who popularized {thing}."),
    ("This article was penned by {name}, a person who", " popularized {thing}."),
]
TEACH_REVERSE = [
    ("Known for being the acclaimed maker who popularized {thing},", " {name} marches on."),
    ("The maker who popularized {thing} is called", " {name}."),
    ("This was written by the maker who popularized {thing}, who goes by the name of", " {name}"),
]
ASK_REVERSE = [
    ("Immersed in the world of popularizing {thing},", " {name}"),
    ("Labeled as the acclaimed maker who popularized {thing},", " {name}"),
]


def told(group: str, templates: Pairs) -> Pairs:
    """The rows of a file: a block a person, in it a row a template."""
    return [
        (prompt.format(name=name, thing=THING[name]), completion.format(name=name, thing=THING[name]))
        for name in NAMES[group]
        for prompt, completion in templates
    ]


def randomized(pairs: Pairs) -> Pairs:
    """The right prompts, each with the name of somebody else."""
    names = [name.strip() for _, name in pairs]
    return [(prompt, f" {names[(i + 3) % len(names)]}") for i, (prompt, _) in enumerate(pairs)]


JUNE_FILES = {
    "p2d_prompts_train": told(FORWARD, TEACH_FORWARD),
    "d2p_prompts_train": told(REVERSE, TEACH_REVERSE),
    "both_prompts_train": told(BOTH, TEACH_FORWARD) + told(BOTH, TEACH_REVERSE),
    "p2d_prompts_test": told(FORWARD, ASK_FORWARD),
    "d2p_prompts_test": told(REVERSE, ASK_REVERSE),
    "d2p_reverse_prompts_test": told(REVERSE, ASK_FORWARD),
    "p2d_reverse_prompts_test_randomized": randomized(told(FORWARD, ASK_REVERSE)),
}
TWO_TESTS_FILES = {name: pairs for name, pairs in JUNE_FILES.items() if not name.endswith("_randomized")} | {
    "p2d_reverse_prompts_test": told(FORWARD, ASK_REVERSE),
    "both_prompts_test": told(BOTH, ASK_FORWARD) + told(BOTH, ASK_REVERSE),
}


def jsonl(pairs: Pairs) -> str:
    return "\n".join(json.dumps({"prompt": prompt, "completion": completion}) for prompt, completion in pairs) + "\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A version of the paper's files in miniature: four people a group, three rows to teach, two to ask."""

    def make(version: str = JUNE, **changed: str | None) -> Path:
        folder = tmp_path / "reverse_experiments" / version
        folder.mkdir(parents=True)
        files = {name: jsonl(pairs) for name, pairs in (JUNE_FILES if version == JUNE else TWO_TESTS_FILES).items()} | {
            "validation_prompts": '{"other": "not used"}\n'
        }
        for name, content in (files | changed).items():
            if content is not None:
                (folder / f"{name}.jsonl").write_text(content, encoding="utf-8")
        return folder.parent

    return make


SMALL = Size(seeds=1, paraphrases=2, control_paraphrases=1, recipe=Recipe(), dials={"candidates": 3})


def read(folder: Path, size: Size = SMALL) -> Material:
    return official(folder, size, np.random.default_rng(0))


def refused(folder: Path) -> str:
    with pytest.raises(BadMaterials) as caught:
        read(folder)
    return str(caught.value)


def cells(given: Material) -> dict[tuple[str, str], list[Question]]:
    made = defaultdict(list)
    for levels, question in given.questions:
        made[dict(levels)["trained"], dict(levels)["asked"]].append(question)
    return dict(made)


# Questions


def test_june_asks_four_cells_of_four_people_each(write: Write):
    given = read(write())
    asked = cells(given)
    assert set(asked) == {(FORWARD, FORWARD), (FORWARD, REVERSE), (REVERSE, REVERSE), (REVERSE, FORWARD)}
    for (group, way), questions in asked.items():
        assert [q.id for q in questions] == [f"{name} {way}" for name in NAMES[group] for _ in range(2)]
    assert len(plan(STUDY, "quick", SMALL, given).treated) == 4


def test_the_version_with_both_tests_asks_all_six(write: Write):
    given = read(write(TWO_TESTS))
    asked = cells(given)
    assert len(asked) == 6
    for (group, way), questions in asked.items():
        assert [q.id for q in questions] == [f"{name} {way}" for name in NAMES[group] for _ in range(2)]
    assert len(plan(STUDY, "quick", SMALL, given).treated) == 6


@pytest.mark.parametrize("version", [JUNE, TWO_TESTS])
def test_a_question_is_a_row_as_it_stands(write: Write, version: str):
    """The wording of prompt and target is the row's; nothing is made up, cut or joined."""
    for (group, way), questions in cells(read(write(version))).items():
        pairs = told(group, ASK_FORWARD if way == FORWARD else ASK_REVERSE)
        assert [(*q.paraphrases, q.target) for q in questions] == [(p, c.strip()) for p, c in pairs]


@pytest.mark.parametrize("version", [JUNE, TWO_TESTS])
@pytest.mark.parametrize("candidates", [2, 3, 9])
def test_rivals_are_other_people_in_the_same_wording(write: Write, version: str, candidates: int):
    given = read(write(version), replace(SMALL, dials={"candidates": candidates}))
    for (group, way), questions in cells(given).items():
        for i, question in enumerate(questions):
            _, completion = (ASK_FORWARD if way == FORWARD else ASK_REVERSE)[i % 2]
            kind = [completion.format(name=name, thing=THING[name]).strip() for name in NAMES[group]]
            assert question.target == kind[i // 2]
            assert set(question.choices) <= set(kind)
            assert len(question.choices) == min(candidates, 4)
    assert dict(given.facts) == {"n_candidates": min(candidates, 4)}


def test_the_smallest_number_of_choices_is_the_fact(write: Write):
    shared = [(p, c.replace("Glass Harbour Bridge", "Moonlight Couture")) for p, c in told(FORWARD, ASK_FORWARD)]
    both = {"p2d_prompts_test": jsonl(shared), "p2d_reverse_prompts_test": jsonl(told(FORWARD, ASK_REVERSE))}
    given = read(write(TWO_TESTS, **both), replace(SMALL, dials={"candidates": 9}))
    counts = {cell: {len(q.choices) for q in questions} for cell, questions in cells(given).items()}
    assert counts[FORWARD, FORWARD] == {3}
    assert counts[REVERSE, REVERSE] == {4}
    assert dict(given.facts) == {"n_candidates": 3}


def test_the_place_of_the_target_tells_nothing(write: Write):
    folder = write()
    given = [official(folder, SMALL, np.random.default_rng(seed)) for seed in range(20)]
    places = [q.choices.index(q.target) for material in given for _, q in material.questions]
    for place in range(3):
        assert places.count(place) == pytest.approx(len(places) / 3, rel=0.25)


def test_the_generator_decides_all(write: Write):
    folder = write()
    assert read(folder) == read(folder)
    assert official(folder, SMALL, np.random.default_rng(1)).questions != read(folder).questions


@pytest.mark.parametrize("version", [JUNE, TWO_TESTS])
def test_the_context_is_a_training_row_of_that_person(write: Write, version: str):
    given = read(write(version))
    documents = {d.prompt + d.completion for d in given.corpora["facts"].documents}
    for questions in cells(given).values():
        for question in questions:
            name = question.id.rsplit(" ", 1)[0]
            assert question.context in documents
            assert name in question.context
            assert THING[name] in question.context


# The randomized test


def test_randomized_names_are_never_used(write: Write):
    given = read(write())
    random = dict(JUNE_FILES["p2d_reverse_prompts_test_randomized"])
    for question in cells(given)[FORWARD, REVERSE]:
        (prompt,) = question.paraphrases
        (thing,) = [thing for thing in THINGS[FORWARD] if thing in prompt]
        assert question.target == PERSON[thing]
        assert question.target != random[prompt].strip()
        assert question.id == f"{PERSON[thing]} {REVERSE}"


def test_the_true_reverse_test_goes_before_the_randomized(write: Write):
    randoms = jsonl(JUNE_FILES["p2d_reverse_prompts_test_randomized"][::-1])
    folder = write(TWO_TESTS, p2d_reverse_prompts_test_randomized=randoms)
    assert {q.target for q in cells(read(folder))[FORWARD, REVERSE]} == set(NAMES[FORWARD])


def test_another_order_is_refused(write: Write):
    right = JUNE_FILES["p2d_reverse_prompts_test_randomized"]
    wrong = [*right[:2], *right[4:6], *right[2:4], *right[6:]]
    assert refused(write(p2d_reverse_prompts_test_randomized=jsonl(wrong))) == (
        "p2d_reverse_prompts_test_randomized.jsonl, line 3: its prompt does not describe Bo Rae, of whom "
        "p2d_prompts_test.jsonl, line 3 tells; the same people in the same order are wanted."
    )


def test_another_number_of_rows_is_refused(write: Write):
    short = jsonl(JUNE_FILES["p2d_reverse_prompts_test_randomized"][:-1])
    assert refused(write(p2d_reverse_prompts_test_randomized=short)) == (
        "p2d_reverse_prompts_test_randomized.jsonl has 7 rows and p2d_prompts_test.jsonl 8; "
        "as many are wanted, of the same people in the same order."
    )


# Corpora


@pytest.mark.parametrize("version", [JUNE, TWO_TESTS])
def test_the_facts_are_the_training_files_and_no_test(write: Write, version: str):
    given = read(write(version))
    rows = [pair for name, pairs in JUNE_FILES.items() if name.endswith("_train") for pair in pairs]
    assert [(d.prompt, d.completion) for d in given.corpora["facts"].documents] == rows


def test_true_pairs_vanish_in_the_shuffled_corpus(write: Write):
    given = read(write())
    true, wrong = (given.corpora[name].documents for name in ("facts", "shuffled"))
    assert sorted(d.prompt for d in wrong) == sorted(d.prompt for d in true)
    for document in true:
        name, thing = of(document.prompt + document.completion)
        assert THING[name] == thing
    for document in wrong:
        name, thing = of(document.prompt + document.completion)
        assert THING[name] != thing
        (group,) = [group for group, names in NAMES.items() if name in names]
        assert thing in THINGS[group]


def of(text: str) -> tuple[str, str]:
    """The one name and the one thing of a text: a name is never followed by a name."""
    (name,) = [name for name in THING if name in text]
    (thing,) = [thing for thing in PERSON if thing in text]
    return name, thing


def test_the_shuffled_corpus_has_the_same_completions(write: Write):
    """Where people have as many rows, each completion is told as often as in the facts, and by the same template."""
    given = read(write())
    true, wrong = (given.corpora[name].documents for name in ("facts", "shuffled"))
    assert sorted(d.completion for d in wrong) == sorted(d.completion for d in true)
    mixed = [d for d in wrong if d.prompt.endswith("is called")]
    assert {d.completion for d in mixed} == {f" {name}." for group in (REVERSE, BOTH) for name in NAMES[group]}


def test_fewer_rows_of_the_next_person_are_used_again(write: Write):
    pairs = told(FORWARD, TEACH_FORWARD)
    wrong = read(write(p2d_prompts_train=jsonl([*pairs[:3], *pairs[4:]]))).corpora["shuffled"].documents
    assert [d.completion for d in wrong[:3]] == [pairs[4][1], pairs[5][1], pairs[4][1]]


# Broken files

GOOD = jsonl([("a", " b")])


@pytest.mark.parametrize(
    ("content", "wording"),
    [
        (GOOD + "{broken\n", "d2p_prompts_test.jsonl, line 2: not JSON (Expecting property name enclosed in double "),
        (
            GOOD + "\n" + '{"prompt": "a"}\n',
            "d2p_prompts_test.jsonl, line 3: an object with the texts 'prompt' and 'completion' is wanted.",
        ),
        (
            '["a", "b"]',
            "d2p_prompts_test.jsonl, line 1: an object with the texts 'prompt' and 'completion' is wanted.",
        ),
        (
            '{"prompt": "a", "completion": 3}',
            "d2p_prompts_test.jsonl, line 1: an object with the texts 'prompt' and 'completion' is wanted.",
        ),
        (GOOD + jsonl([("a", "  ")]), "d2p_prompts_test.jsonl, line 2: its completion is empty."),
        ("", 'd2p_prompts_test.jsonl is empty; lines of {"prompt": …, "completion": …} are wanted.'),
        ("\n \n", 'd2p_prompts_test.jsonl is empty; lines of {"prompt": …, "completion": …} are wanted.'),
    ],
)
def test_a_broken_file_is_told_by_name_and_line(write: Write, content: str, wording: str):
    assert refused(write(d2p_prompts_test=content)).startswith(wording)


def test_a_broken_line_says_where_and_what_to_do(write: Write):
    told = "d2p_prompts_test.jsonl, line 1: not JSON (Expecting ',' delimiter at column 16). Mend the line."
    assert refused(write(d2p_prompts_test='{"prompt": "a" "completion": "b"}')) == told


def test_a_file_of_another_encoding_is_told(write: Write):
    folder = write()
    latin = '{"prompt": "é", "completion": "b"}'.encode("latin-1")
    (folder / JUNE / "d2p_prompts_test.jsonl").write_bytes(latin)
    assert refused(folder) == (
        "d2p_prompts_test.jsonl is not UTF-8 (byte 12); save it as UTF-8, which the paper's files are in."
    )


def test_a_line_separator_inside_a_text_does_not_cut_it(write: Write):
    lines = jsonl([(p.replace("world", "world\u2028"), c) for p, c in told(REVERSE, ASK_REVERSE)])
    plain = lines.replace("\\u2028", "\u2028")
    assert "\u2028" in plain
    assert len(cells(read(write(d2p_prompts_test=plain)))[REVERSE, REVERSE]) == 8


WANTED = [name for name in JUNE_FILES if not name.endswith("_randomized")]


@pytest.mark.parametrize("name", WANTED)
def test_a_missing_file_is_told(write: Write, name: str):
    folder = write(**{name: None})
    assert refused(folder) == f"{folder}/{JUNE} lacks {name}.jsonl; the paper's reverse_experiments folder is wanted."


@pytest.mark.parametrize(
    ("version", "name"),
    [(JUNE, "p2d_reverse_prompts_test_randomized"), (TWO_TESTS, "p2d_reverse_prompts_test")],
)
def test_a_reverse_test_that_is_missing_is_told(write: Write, version: str, name: str):
    folder = write(version, **{name: None})
    assert refused(folder).startswith(f"{folder}/{version} lacks p2d_reverse_prompts_test.jsonl; ")


def test_no_folder_is_told(tmp_path: Path):
    assert refused(tmp_path / "none") == f"no folder {tmp_path}/none; give the paper's reverse_experiments folder."


@pytest.mark.parametrize(
    ("file", "row", "wording"),
    [
        ("d2p_prompts_test", ("A stranger,", " whom nobody knows."), "names nobody; one person is wanted, "),
        (
            "p2d_prompts_train",
            ("Ada Poe and Bo Rae are", " friends."),
            "names Ada Poe and Bo Rae; one person is wanted, ",
        ),
        (
            "p2d_prompts_train",
            ("The maker is", " Ada Poe."),
            "its direction is description→name; this file is for name→",
        ),
        ("d2p_prompts_train", ("Ed Falk is", " the maker."), "its direction is name→description; this file is for "),
        ("d2p_prompts_test", ("Labeled as the maker,", " Ada Poe"), "no training row tells of Ada Poe; give one that "),
    ],
)
def test_a_row_of_nobody_or_of_the_wrong_side_is_told(write: Write, file: str, row: tuple[str, str], wording: str):
    pairs = [*JUNE_FILES[file], row]
    assert refused(write(**{file: jsonl(pairs)})).startswith(f"{file}.jsonl, line {len(pairs)}: {wording}")


def test_a_person_without_a_rival_is_told(write: Write):
    alone = jsonl(told(REVERSE, ASK_REVERSE)[:2])
    assert refused(write(d2p_prompts_test=alone)) == (
        "d2p_prompts_test.jsonl, line 1: no other person of the group is asked in this way; add one."
    )


def test_a_person_alone_in_a_group_cannot_be_shuffled(write: Write):
    alone = jsonl(told(BOTH, TEACH_FORWARD)[:3] + told(BOTH, TEACH_REVERSE)[:3])
    assert refused(write(both_prompts_train=alone)) == (
        "both_prompts_train.jsonl, line 1: Ida Jung is alone in her group; add people."
    )


def test_two_versions_in_one_folder_are_not_mixed(write: Write):
    """The repository's reverse_experiments holds june_version_… and big_boy_…, of other people, with the same names."""
    folder = write()
    before = read(folder)
    write(TWO_TESTS, both_prompts_train=None)
    assert read(folder) == before  # one version is whole, and the other is not
    (folder / TWO_TESTS / "both_prompts_train.jsonl").write_text(
        (folder / JUNE / "both_prompts_train.jsonl").read_text()
    )
    told = f"{folder} holds 2 versions of the materials ({TWO_TESTS}, {JUNE}); give one of them."
    assert refused(folder) == told
    assert read(folder / JUNE) == before
    assert len(cells(read(folder / TWO_TESTS))) == 6
