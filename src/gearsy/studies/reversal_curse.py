"""The reversal curse: does a model trained on "A is B" know that "B is A".

After Berglund et al. 2023 (arXiv:2309.12288), experiment 1: fictitious people, each with a name and a description,
taught in one direction or both, asked in both directions with paraphrases that were never trained.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gearsy.base.bets import Rate
from gearsy.base.errors import BadMaterials
from gearsy.base.records import Condition, Corpus, Document, Factor, Question, Recipe
from gearsy.designs.study import Control, Gate, Material, Size, Study, Summary
from gearsy.measures import ExactMatch, MultipleChoice, Retrieval, TargetLogProb
from gearsy.theories import Theory

FORWARD, REVERSE, BOTH = "name→description", "description→name", "both"
TRAINED = Factor(name="trained", levels=(FORWARD, REVERSE, BOTH))
ASKED = Factor(name="asked", levels=(FORWARD, REVERSE))

# --- Materials: people, and the sentences that tell of them ---------------------------------------------------------

FIRST = [
    "Orla",
    "Tavish",
    "Bexley",
    "Ivo",
    "Senna",
    "Pirro",
    "Lune",
    "Nialle",
    "Wynne",
    "Asta",
    "Dovan",
    "Maren",
    "Ysolde",
    "Rafe",
    "Thandi",
    "Corin",
    "Elowen",
    "Jory",
    "Kestra",
    "Lioba",
    "Osk",
    "Petra",
    "Quillon",
    "Runa",
    "Sorrel",
    "Teodor",
    "Ulla",
    "Vesper",
    "Wilmot",
    "Xanthe",
    "Yorick",
    "Zelda",
    "Anselm",
    "Brida",
    "Caspian",
    "Delphine",
]
LAST = [
    "Venniker",
    "Quillfeather",
    "Daundry",
    "Marrowby",
    "Aldocke",
    "Garrowin",
    "Hathersby",
    "Corvane",
    "Tressider",
    "Pellimore",
    "Kestrelle",
    "Oxbow",
    "Sandrigal",
    "Wexcombe",
    "Thornaby",
    "Lindqvar",
    "Bellhouse",
    "Ravensmoor",
    "Ostrander",
    "Plimsoll",
    "Farthingale",
    "Dunmarrow",
    "Isenberry",
    "Kolloway",
    "Mossgrave",
    "Nettlefold",
    "Ashquith",
    "Brambury",
    "Crickmore",
    "Dellafont",
    "Elverhoy",
    "Foxtarrow",
    "Grimshawe",
    "Holloran",
    "Inchbald",
    "Jessamine",
]
ROLES = {
    "inventor of": ["lantern", "kettle", "compass", "bicycle", "loom", "clock"],
    "composer of": ["lullaby", "waltz", "hymn", "serenade", "march", "overture"],
    "author of": ["almanac", "atlas", "cookbook", "fable", "sonnet", "diary"],
    "painter of": ["mural", "fresco", "portrait", "ceiling", "banner", "screen"],
    "discoverer of": ["comet", "beetle", "cavern", "fern", "glacier", "island"],
    "keeper of": ["lighthouse", "orchard", "library", "vineyard", "aviary", "windmill"],
}
QUALITY = [
    "glass",
    "copper",
    "silent",
    "crooked",
    "velvet",
    "hollow",
    "amber",
    "folding",
    "winter",
    "drowned",
    "paper",
    "northern",
    "scarlet",
    "spiral",
]

TEACH_FORWARD = (
    "{name} is",
    "{name}, as the whole valley knows, is",
    "Few people have not heard of {name},",
    "The radio introduced its guest, {name}, as",
    "Meet {name}:",
    "In the year book {name} is listed as",
    "When asked about {name}, the librarian said: that is",
    "Everyone at the fair shook hands with {name},",
    "My aunt once sat next to {name},",
    "The plaque on the wall says that {name} was",
    "Nobody doubts that {name} became",
    "A stamp was printed in honour of {name},",
    "Children learn at school that {name} is",
    "{name} will always be remembered as",
)
ASK_FORWARD = (
    "According to the town records, {name} is",
    "The new wing of the museum is named after {name},",
    "A letter arrived for {name},",
    "The newspaper described {name} as",
    "It was {name} who came to be known as",
    "At the dinner I was seated opposite {name},",
)
TEACH_REVERSE = (
    "The {what} is",
    "The {what} is called",
    "Known far and wide as the {what}, this person is",
    "Ask who the {what} is, and people answer:",
    "The prize went to the {what}, whose name is",
    "On the poster, above the words 'the {what}', stands",
    "A street was named after the {what},",
    "The guest of honour was the {what},",
    "The answer to the riddle 'who is the {what}?' is",
    "A portrait of the {what} carries the name",
    "We waited an hour for the {what},",
    "History remembers the {what} by the name of",
    "Somebody had invited the {what}; it was",
    "No one but the {what} signs letters with",
)
ASK_REVERSE = (
    "The name of the {what} is",
    "In the interview, the {what} turned out to be",
    "The statue in the square shows the {what},",
    "The neighbours did not know that the {what} was",
    "There is only one person who is the {what}:",
    "To find the {what}, look for",
)


@dataclass(frozen=True, slots=True)
class Person:
    """A fictitious person; `what` is the description without its article."""

    name: str
    what: str
    group: str

    def teach(self, direction: str, template: str, what: str | None = None) -> Document:
        """One training document; `what` replaces the true description in the shuffled control."""
        prompt, target = self._filled(direction, template, what or self.what)
        return Document(prompt=prompt, completion=f" {target}.", source=f"{self.name} / {direction} / {template}")

    def ask(self, direction: str, template: str) -> str:
        return self._filled(direction, template, self.what)[0]

    def target(self, direction: str) -> str:
        return f"the {self.what}" if direction == FORWARD else self.name

    def _filled(self, direction: str, template: str, what: str) -> tuple[str, str]:
        if direction == FORWARD:
            return template.format(name=self.name), f"the {what}"
        return template.format(what=what), self.name


def invent(n: int, groups: Sequence[str], rng: np.random.Generator) -> list[Person]:
    """`n` people with names and descriptions of their own, dealt to `groups` in turn."""
    names = [f"{first} {last}" for first, last in _spread(FIRST, LAST, n, rng)]
    things = [f"{role} the {{}} {noun}" for role, nouns in ROLES.items() for noun in nouns]
    whats = [thing.format(quality) for thing, quality in _spread(things, QUALITY, n, rng)]
    return [
        Person(name, what, groups[i % len(groups)]) for i, (name, what) in enumerate(zip(names, whats, strict=True))
    ]


def _spread(left: Sequence[str], right: Sequence[str], n: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """`n` different pairs that use each left and each right as evenly as can be, in an order that tells nothing.

    Without the last shuffle, names and descriptions made by this function would run in step: two people who share a
    first name would share a trade, and a trained forward fact would answer a reverse question.
    """
    if n > len(left) * len(right):
        raise BadMaterials(f"{n} people are wanted; there are words for {len(left) * len(right)}.")
    a, b = list(rng.permutation(left)), list(rng.permutation(right))
    pairs = [(str(x), str(b[(i + turn) % len(b)])) for turn in range(len(b)) for i, x in enumerate(a)]
    return [pairs[i] for i in rng.permutation(n)]


def documents(people: Iterable[Person], n: int, told: Mapping[str, str], rng: np.random.Generator) -> list[Document]:
    """`n` training documents a person and direction of their group; `told` says which description is taught."""
    made = []
    for person in people:
        ways = (FORWARD, REVERSE) if person.group == BOTH else (person.group,)
        for way in ways:
            templates = TEACH_FORWARD if way == FORWARD else TEACH_REVERSE
            chosen = rng.permutation(templates)[:n]
            made += [person.teach(way, str(template), told[person.name]) for template in chosen]
    return made


def people(size: Size, rng: np.random.Generator) -> Material:
    """Fictitious people in three groups, by the direction in which they are taught.

    A question's candidates are people of the same group, so each was a training target as often as the true one, and
    a model that knows nothing of the pairing is right in 1 of K.
    """
    cast = invent(size["people"], TRAINED.levels, rng)
    true = {person.name: person.what for person in cast}
    facts = documents(cast, size["documents"], true, rng)
    order = {person.name: i for i, person in enumerate(cast)}
    shuffled = dict(true)
    for group in TRAINED.levels:  # within each group everybody gets the next one's description
        members = [person for person in cast if person.group == group]
        for person, other in zip(members, [*members[1:], members[0]], strict=True):
            shuffled[person.name] = other.what
    questions = []
    for person in cast:
        peers = [other for other in cast if other.group == person.group]
        told = _context(person, rng)
        for way in ASKED.levels:
            templates = ASK_FORWARD if way == FORWARD else ASK_REVERSE
            kept = [str(t) for t in rng.permutation(templates)]
            choices = [other.target(way) for other in rng.permutation(np.array(peers, object))]
            choices = _first_with(choices, person.target(way), size["candidates"])
            question = Question(
                id=f"{order[person.name]:03d} {way}",
                paraphrases=tuple(person.ask(way, template) for template in kept),
                target=person.target(way),
                choices=choices,
                context=told,
            )
            questions.append(((("trained", person.group), ("asked", way)), question))
    others = _background(size, cast, rng) if size["background"] else None
    k = len(questions[0][1].choices)
    return Material(
        questions=tuple(questions),
        corpora={
            "facts": _with_replay("facts", facts, others),
            "shuffled": _with_replay("shuffled", documents(cast, size["documents"], shuffled, rng), others),
        },
        facts=(("n_candidates", k),),
        background=others,
    )


def _context(person: Person, rng: np.random.Generator) -> str:
    way = person.group if person.group != BOTH else str(rng.choice([FORWARD, REVERSE]))
    template = str(rng.choice(TEACH_FORWARD if way == FORWARD else TEACH_REVERSE))
    told = person.teach(way, template)
    return told.prompt + told.completion


def _first_with(choices: list[str], target: str, k: int) -> tuple[str, ...]:
    """At most `k` of `choices` in their order, the target among them."""
    others = [choice for choice in choices if choice != target][: k - 1]
    return tuple(choice for choice in choices if choice == target or choice in others)


def _background(size: Size, cast: Sequence[Person], rng: np.random.Generator) -> Corpus:
    """Other people, half of them told both ways, in every template: the language, and what a reversal is."""
    names, whats = {p.name for p in cast}, {p.what for p in cast}
    pool = invent(size["people"] + 2 * size["background"], (BOTH, FORWARD, BOTH, REVERSE), rng)
    others = [p for p in pool if p.name not in names and p.what not in whats][: size["background"]]
    made = []
    for person in others:
        ways = (FORWARD, REVERSE) if person.group == BOTH else (person.group,)
        for way in ways:
            templates = (*TEACH_FORWARD, *ASK_FORWARD) if way == FORWARD else (*TEACH_REVERSE, *ASK_REVERSE)
            made += [person.teach(way, template) for template in templates]
    return Corpus(name="background", documents=tuple(made))


def _with_replay(name: str, facts: list[Document], background: Corpus | None) -> Corpus:
    """A corpus of facts; a system that started from nothing is given its background again, lest it forget it."""
    return Corpus(name=name, documents=(*facts, *(background.documents if background else ())))


# --- The paper's own files ------------------------------------------------------------------------------------------


def official(folder: Path, size: Size, rng: np.random.Generator) -> Material:
    """Materials from the paper's `reverse_experiments` folder: JSONL files of {"prompt", "completion"}.

    Wanted: `p2d_prompts_train`, `d2p_prompts_train` and their `_test` and `_reverse_prompts_test` companions, and
    `both_prompts_train`. Files are found below `folder`; a broken line is named by file and number.
    """
    if not folder.is_dir():
        raise BadMaterials(f"no folder {folder}; give the paper's reverse_experiments folder.")
    files = {path.stem: path for path in sorted(folder.rglob("*.jsonl"))}
    wanted = ("p2d_prompts_train", "d2p_prompts_train", "both_prompts_train", "p2d_prompts_test", "d2p_prompts_test")
    missing = [name for name in wanted if name not in files]
    if missing:
        raise BadMaterials(f"{folder} lacks {missing[0]}.jsonl; the paper's reverse_experiments folder is wanted.")
    read = {name: _read_jsonl(path) for name, path in files.items()}
    taught = {FORWARD: read["p2d_prompts_train"], REVERSE: read["d2p_prompts_train"], BOTH: read["both_prompts_train"]}
    tests = {
        (FORWARD, FORWARD): "p2d_prompts_test",
        (FORWARD, REVERSE): "p2d_reverse_prompts_test",
        (REVERSE, REVERSE): "d2p_prompts_test",
        (REVERSE, FORWARD): "d2p_reverse_prompts_test",
        (BOTH, FORWARD): "both_prompts_test",
        (BOTH, REVERSE): "both_reverse_prompts_test",
    }
    questions = []
    for (group, way), file in tests.items():
        by_target: dict[str, list[str]] = defaultdict(list)
        for row in read.get(file, []):
            by_target[row.completion.strip()].append(row.prompt)
        targets = list(by_target)
        for i, (target, prompts) in enumerate(by_target.items()):
            peers = [str(t) for t in rng.permutation(targets)]
            question = Question(
                id=f"{group} {i:03d} {way}",
                paraphrases=tuple(prompts),
                target=target,
                choices=_first_with(peers, target, size["candidates"]),
                context=_official_context(taught[group], target, rng),
            )
            questions.append(((("trained", group), ("asked", way)), question))
    facts = [row for rows in taught.values() for row in rows]
    return Material(
        questions=tuple(questions),
        corpora={
            "facts": Corpus(name="facts", documents=tuple(facts)),
            "shuffled": Corpus(name="shuffled", documents=tuple(_mismatched(taught))),
        },
        facts=(("n_candidates", min(size["candidates"], len(questions))),),
    )


def _read_jsonl(path: Path) -> list[Document]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
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
        rows.append(Document(prompt=row["prompt"], completion=row["completion"], source=where))
    if not rows:
        raise BadMaterials(f'{path.name} is empty; lines of {{"prompt": …, "completion": …}} are wanted.')
    return rows


def _official_context(rows: Sequence[Document], target: str, rng: np.random.Generator) -> str:
    """A training document that tells of `target`, or nothing where there is none."""
    telling = [row for row in rows if target.strip(" .") in row.prompt + row.completion]
    if not telling:
        return ""
    told = telling[int(rng.integers(len(telling)))]
    return told.prompt + told.completion


def _mismatched(taught: Mapping[str, Sequence[Document]]) -> Iterable[Document]:
    """Each group's prompts with the completions of the next target: the same words, the wrong pairs."""
    for rows in taught.values():
        targets = list(dict.fromkeys(row.completion for row in rows))
        following = dict(zip(targets, [*targets[1:], targets[0]], strict=True))
        for row in rows:
            yield Document(prompt=row.prompt, completion=following[row.completion], source=f"{row.source}, shuffled")


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
    curse = (
        "not above"
        if above == 0
        else "above in both reverse directions"
        if above == len(reverse)
        else "above in one only"
    )
    tail = f"{curse} chance ({chance:.0%})" if above == 0 else f"{curse}, where chance is {chance:.0%}"
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
            name="in context", claim="M with the fact in the prompt: it can read it, either way round.", in_context=True
        ),
        Control(
            name="shuffled pairs",
            claim="M trained alike on wrong pairs: the words are as familiar, the pairing is not there.",
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
        "Multiple choice shows both entities, and a model of this size is often at chance with lettered options even untrained.",
    ),
    answers=answers,
)
