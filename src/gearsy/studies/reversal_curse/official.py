"""The files of Berglund et al. 2023 (arXiv:2309.12288), experiment 1, as questions and corpora.

Of a version's folder, such as `june_version_7921032488`, the prompts and completions are used of: `p2d_prompts_train`,
`d2p_prompts_train`, `both_prompts_train`, `p2d_prompts_test`, `d2p_prompts_test`, `d2p_reverse_prompts_test`,
`p2d_reverse_prompts_test` or its `_randomized` form, and `both_prompts_test` where there is one. p2d is person to
description, d2p the other way; a reverse test asks against the direction that was taught.
"""

import json
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gearsy.base.errors import BadMaterials
from gearsy.base.records import Corpus, Document, Question
from gearsy.designs.study import Levels, Material, Size
from gearsy.studies.reversal_curse.people import BOTH, FORWARD, REVERSE

BOTH_WAYS = (FORWARD, REVERSE)
TAUGHT = {
    "p2d_prompts_train": (FORWARD, (FORWARD,)),
    "d2p_prompts_train": (REVERSE, (REVERSE,)),
    "both_prompts_train": (BOTH, BOTH_WAYS),
}
TESTED = {
    "p2d_prompts_test": (FORWARD, (FORWARD,)),
    "d2p_prompts_test": (REVERSE, (REVERSE,)),
    "d2p_reverse_prompts_test": (REVERSE, (FORWARD,)),
    "p2d_reverse_prompts_test": (FORWARD, (REVERSE,)),
    "both_prompts_test": (BOTH, BOTH_WAYS),
}
"""Of each file: the group of its people, and the directions that its rows may have."""

OPTIONAL = "both_prompts_test"
IN_ORDER, REVERSED, RANDOMIZED = (
    "p2d_prompts_test",
    "p2d_reverse_prompts_test",
    "p2d_reverse_prompts_test_randomized",
)
LONGEST_NAME = 4


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a file: the person it tells of, and from which side."""

    document: Document
    person: str
    way: str

    @property
    def target(self) -> str:
        return self.document.completion.strip()


def official(folder: Path, size: Size, rng: np.random.Generator) -> Material:
    """Materials from one version of the paper's files, in `folder` or below it; a bad line is named by file and number.

    All rows of a person in one direction have one question id, so that the person is what is counted: the templates
    that ask for her are paraphrases, and each has the wording of its own completion as target. Its rivals are the
    completions that the same template has for others of her group, for another wording would give itself away.
    """
    if not folder.is_dir():
        raise BadMaterials(f"no folder {folder}; give the paper's reverse_experiments folder.")
    lines = {name: _read_jsonl(path) for name, path in _one_version(folder).items()}
    rows = _rows(lines)
    taught = {group: rows[name] for name, (group, _) in TAUGHT.items()}
    questions = []
    for name, (group, _) in TESTED.items():
        questions += _questions(rows.get(name, []), group, taught[group], size["candidates"], rng)
    return Material(
        questions=tuple(questions),
        corpora={
            "facts": Corpus(name="facts", documents=tuple(row.document for told in taught.values() for row in told)),
            "shuffled": Corpus(
                name="shuffled", documents=tuple(d for told in taught.values() for d in _shuffled(told))
            ),
        },
        facts=(("n_candidates", min(len(question.choices) for _, question in questions)),),
    )


# --- Files and lines --------------------------------------------------------------------------------------------------


def _one_version(folder: Path) -> dict[str, Path]:
    """The files that are used, by name, of the one folder in or below `folder` that holds all that is wanted."""
    places = [folder, *sorted(path for path in folder.rglob("*") if path.is_dir())]
    found = {place: {name: place / f"{name}.jsonl" for name in (*TAUGHT, *TESTED, RANDOMIZED)} for place in places}
    found = {place: {name: path for name, path in files.items() if path.exists()} for place, files in found.items()}
    lacking = {place: _lacking(files) for place, files in found.items()}
    whole = [place for place in places if not lacking[place]]
    if not whole:
        nearest = min(places, key=lambda place: len(lacking[place]))
        raise BadMaterials(
            f"{nearest} lacks {lacking[nearest][0]}.jsonl; the paper's reverse_experiments folder is wanted."
        )
    if len(whole) > 1:
        names = ", ".join(place.name for place in whole)
        raise BadMaterials(f"{folder} holds {len(whole)} versions of the materials ({names}); give one of them.")
    files = found[whole[0]]
    return {name: path for name, path in files.items() if name != RANDOMIZED or REVERSED not in files}


def _lacking(files: Collection[str]) -> list[str]:
    wanted = [name for name in (*TAUGHT, *TESTED) if name != OPTIONAL]
    return [name for name in wanted if name not in files and not (name == REVERSED and RANDOMIZED in files)]


def _read_jsonl(path: Path) -> list[Document]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadMaterials(
            f"{path.name} is not UTF-8 (byte {error.start}); save it as UTF-8, which the paper's files are in."
        ) from error
    made = []
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines() also cuts at U+2028, inside a JSON string
        if not line.strip():
            continue
        where = f"{path.name}, line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise BadMaterials(f"{where}: not JSON ({error.msg} at column {error.colno}). Mend the line.") from error
        if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("prompt", "completion")):
            raise BadMaterials(f"{where}: an object with the texts 'prompt' and 'completion' is wanted.")
        if not row["completion"].strip():
            raise BadMaterials(f"{where}: its completion is empty.")
        made.append(Document(prompt=row["prompt"], completion=row["completion"], source=where))
    if not made:
        raise BadMaterials(f'{path.name} is empty; lines of {{"prompt": …, "completion": …}} are wanted.')
    return made


# --- Whom a line tells of ---------------------------------------------------------------------------------------------


def _rows(lines: Mapping[str, Sequence[Document]]) -> dict[str, list[Row]]:
    """The lines with their people and directions, by file; the randomized test gets its true names back."""
    named = _pattern(_names([line for file in lines.values() for line in file]))
    files = {**TAUGHT, **TESTED}
    made = {name: [_row(line, named, files[name][1]) for line in file] for name, file in lines.items() if name in files}
    if RANDOMIZED in lines:
        made[REVERSED] = _with_true_names(lines[RANDOMIZED], made[IN_ORDER])
    return made


def _names(lines: Sequence[Document]) -> list[str]:
    """The short completions that also occur inside a prompt, such as " Uriah Hawthorne".

    In training, a name may go on (" Uriah Hawthorne marches on."); a bare one ends in a letter and begins with a
    capital. That keeps out " popularized Moonlight Couture.", which without its full stop occurs in prompts as well.
    """
    prompts = "\n".join(line.prompt for line in lines)
    short = dict.fromkeys(line.completion.strip() for line in lines)
    bare = [c for c in short if len(c.split()) <= LONGEST_NAME and c[-1].isalnum() and not c[0].islower()]
    return [name for name in bare if name in prompts and _pattern([name]).search(prompts)]


def _pattern(names: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first)) or '(?!)'})(?!\w)")


def _row(line: Document, named: re.Pattern[str], ways: Sequence[str]) -> Row:
    """A bare name, or one that begins the completion of a prompt without names, is what the description leads to."""
    inside = sorted(set(named.findall(line.prompt)))
    completion = line.completion.strip()
    told = named.match(completion)
    if told and (not inside or told.group() == completion.rstrip(".")):
        row = Row(line, told.group(), REVERSE)
    elif len(inside) == 1:
        row = Row(line, inside[0], FORWARD)
    else:
        found = f"names {' and '.join(inside)}" if inside else "names nobody"
        raise BadMaterials(
            f"{line.source}: {found}; one person is wanted, inside the prompt or at the head of the completion."
        )
    if row.way not in ways:
        raise BadMaterials(f"{line.source}: its direction is {row.way}; this file is for {ways[0]} only.")
    return row


def _with_true_names(lines: Sequence[Document], in_order: Sequence[Row]) -> list[Row]:
    """The prompts of the randomized file with the names of `p2d_prompts_test`, which has the same people in order.

    In June's version only this form of the test was published: right prompts, with names drawn at random as
    completions. That a prompt and its person belong together is checked by the words of the descriptions.
    """
    if len(lines) != len(in_order):
        raise BadMaterials(
            f"{RANDOMIZED}.jsonl has {len(lines)} rows and {IN_ORDER}.jsonl {len(in_order)}; "
            "as many are wanted, of the same people in the same order."
        )
    told = defaultdict(list)
    for row in in_order:
        told[row.person].append(row.target)
    made = []
    for line, row in zip(lines, in_order, strict=True):
        if not any(_share_content(line.prompt, description) for description in told[row.person]):
            raise BadMaterials(
                f"{line.source}: its prompt does not describe {row.person}, of whom {row.document.source} tells; "
                "the same people in the same order are wanted."
            )
        truly = Document(prompt=line.prompt, completion=f" {row.person}", source=line.source)
        made.append(Row(truly, row.person, REVERSE))
    return made


def _share_content(one: str, other: str) -> bool:
    """Whether half of the words longer than three letters of the shorter text are in the other."""
    a, b = (set(re.findall(r"\w{4,}", text.casefold())) for text in (one, other))
    return 2 * len(a & b) >= max(1, min(len(a), len(b)))


# --- Questions, and the wrong pairs -----------------------------------------------------------------------------------


def _by_person(rows: Sequence[Row], way: str) -> dict[str, list[Row]]:
    """Each person's rows of one direction, people and rows in the file's order."""
    made = defaultdict(list)
    for row in rows:
        if row.way == way:
            made[row.person].append(row)
    return dict(made)


def _questions(
    rows: Sequence[Row], group: str, taught: Sequence[Row], k: int, rng: np.random.Generator
) -> list[tuple[Levels, Question]]:
    """One question a row. Row i of a person has the same template as row i of anybody else."""
    documents = defaultdict(list)
    for row in taught:
        documents[row.person].append(row.document)
    made = []
    for way in BOTH_WAYS:
        people = _by_person(rows, way)
        for person, own in people.items():
            for i, row in enumerate(own):
                if person not in documents:
                    raise BadMaterials(f"{row.document.source}: no training row tells of {person}; give one that does.")
                told = documents[person][int(rng.integers(len(documents[person])))]
                question = Question(
                    id=f"{person} {way}",
                    paraphrases=(row.document.prompt,),
                    target=row.target,
                    choices=_choices(row, [theirs[i].target for theirs in people.values() if i < len(theirs)], k, rng),
                    context=told.prompt + told.completion,
                )
                made.append(((("trained", group), ("asked", way)), question))
    return made


def _choices(row: Row, of_the_group: Sequence[str], k: int, rng: np.random.Generator) -> tuple[str, ...]:
    """The target and at most `k` - 1 other texts, in an order that tells nothing."""
    others = [text for text in dict.fromkeys(of_the_group) if text != row.target]
    if not others:
        raise BadMaterials(f"{row.document.source}: no other person of the group is asked in this way; add one.")
    offered = [row.target, *(others[i] for i in rng.permutation(len(others))[: k - 1])]
    return tuple(offered[i] for i in rng.permutation(len(offered)))


def _shuffled(taught: Sequence[Row]) -> list[Document]:
    """Each person's prompts with the completions of the next person in the same direction: all words, wrong pairs."""
    made = []
    for way in BOTH_WAYS:
        blocks = list(_by_person(taught, way).values())
        for own, following in zip(blocks, [*blocks[1:], *blocks[:1]], strict=True):
            if own is following:
                raise BadMaterials(f"{own[0].document.source}: {own[0].person} is alone in her group; add people.")
            for i, row in enumerate(own):
                completion = following[i % len(following)].document.completion
                source = f"{row.document.source}, shuffled"
                made.append(Document(prompt=row.document.prompt, completion=completion, source=source))
    return made
