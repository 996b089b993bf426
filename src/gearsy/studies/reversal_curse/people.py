"""The invented people of the reversal curse, what is told of them, and what is asked.

Fictitious people as in experiment 1 of Berglund et al. 2023 (arXiv:2309.12288), none of whom is in the paper.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gearsy.base.errors import BadMaterials
from gearsy.base.records import Corpus, Document, Factor, Question
from gearsy.designs.study import Material, Size

FORWARD, REVERSE, BOTH = "name→description", "description→name", "both"
TRAINED = Factor(name="trained", levels=(FORWARD, REVERSE, BOTH))
ASKED = Factor(name="asked", levels=(FORWARD, REVERSE))

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
