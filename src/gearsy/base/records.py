"""The records that travel between floors: frozen, keyword-only, and unwilling to hold a wrong value.

Reading order is the loop's order: what is varied and asked (`Factor` … `Trial`), what changes the model
(`Document` … `Recipe`), what comes back (`Scored`, `Response`, `Failure`), what it is worth (`Score`,
`Estimate`). What theories state is in `gearsy.base.bets`; what a run ends with in `gearsy.base.results`.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from gearsy.base.digests import digest
from gearsy.base.errors import BadRecord, UnknownFactor, unknown

State = Literal["ok", "refused", "empty", "truncated", "unparsed", "failed"]
STATES: tuple[State, ...] = ("ok", "refused", "empty", "truncated", "unparsed", "failed")
Form = Literal["open", "completions", "choice"]
"""How a question is put: answered freely, its choices scored as continuations, or shown as lettered options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """Something that is varied, and the values it takes.

    >>> Factor(name="asked", levels=("forward", "reverse")).levels
    ('forward', 'reverse')
    """

    name: str
    levels: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.name:
            raise BadRecord("a factor has no name; give it one word.")
        if len(set(self.levels)) != len(self.levels) or not self.levels:
            raise BadRecord(f"factor {self.name!r} has levels {self.levels}; it wants one or more different ones.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition(Mapping[str, str | float]):
    """One level of each factor, with the fixed facts of the design; a read-only mapping.

    `facts` (say `n_candidates`) are known before anything is asked. Nothing measured ever stands here, so a
    theory that reads a condition cannot see an answer. `control` is empty for the treatment, and names the
    control otherwise.

    >>> Condition(levels=(("trained", "both"),), facts=(("n_candidates", 12),))["n_candidates"]
    12
    """

    levels: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, float], ...] = ()
    control: str = ""

    def __getitem__(self, name: str) -> str | float:
        for key, value in (*self.levels, *self.facts):
            if key == name:
                return value
        raise UnknownFactor(str(unknown("factor", name, [key for key, _ in (*self.levels, *self.facts)])))

    def __iter__(self) -> Iterator[str]:
        return iter([key for key, _ in (*self.levels, *self.facts)])

    def __len__(self) -> int:
        return len(self.levels) + len(self.facts)

    @property
    def key(self) -> str:
        """The condition in words, the same in every table: `trained=both, asked=forward`."""
        words = ", ".join(f"{name}={level}" for name, level in self.levels)
        return f"{words} [{self.control}]" if self.control else words


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    text: str


Prompt = str | tuple[Message, ...]
"""Text to be continued as it stands, or the turns of a conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: its paraphrases (prompts to continue), the true target, and the candidates of its kind.

    `context` is what the in-context control puts before the prompt: the facts that answer it.
    """

    id: str
    paraphrases: tuple[str, ...]
    target: str
    choices: tuple[str, ...] = ()
    context: str = ""

    def __post_init__(self) -> None:
        if not self.paraphrases:
            raise BadRecord(f"question {self.id!r} has no paraphrase; give at least one prompt.")
        if len(set(self.choices)) != len(self.choices):
            raise BadRecord(f"question {self.id!r} offers the same choice twice: {self.choices}.")
        if self.choices and self.target not in self.choices:
            raise BadRecord(f"question {self.id!r} has target {self.target!r}, which is not among its choices.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How an answer is drawn. Temperature 0 is greedy decoding."""

    temperature: float = 1.0
    max_tokens: int = 64
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 2:
            raise BadRecord(f"temperature is {self.temperature}; it must lie in [0, 2].")
        if self.max_tokens < 1:
            raise BadRecord(f"max_tokens is {self.max_tokens}; it must be at least 1.")
        if "" in self.stop:
            raise BadRecord("a stop string is empty, and would stop every answer at once; leave it out.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is put to a system in one go: `completions` to score if there are any, else an answer to draw."""

    prompt: Prompt
    completions: tuple[str, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)

    def __post_init__(self) -> None:
        if any(not completion for completion in self.completions):
            raise BadRecord("a request has an empty completion; give at least one character to score.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One question, one paraphrase, one condition, one trained model (`seed`) and one sample.

    `request` is what the system will be given, `options` the choices in the order in which they are shown.
    """

    question: str
    paraphrase: int
    condition: Condition
    form: Form
    request: Request
    target: str
    options: tuple[str, ...]
    seed: int = 0
    sample: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text to learn from. `prompt + completion` is the text; `source` says which fact and template made it."""

    prompt: str
    completion: str
    source: str = ""

    def __post_init__(self) -> None:
        if not self.completion:
            raise BadRecord(f"document {self.source or self.prompt!r} has nothing to learn: its completion is empty.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """The documents that turn M into M′."""

    name: str
    documents: tuple[Document, ...]

    @property
    def digest(self) -> str:
        return digest("corpus", [[d.prompt, d.completion] for d in self.documents])


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How M is trained into M′.

    `method`: `lora` (Hu et al. 2021, arXiv:2106.09685) on every linear layer, or `full`. `loss_on`: the whole
    document, or its completion only. `rate` is the peak learning rate, reached after `warmup` of all steps and
    then lowered linearly to zero. `batch` counts documents.
    """

    method: Literal["lora", "full"] = "lora"
    loss_on: Literal["document", "completion"] = "document"
    rate: float = 1e-3
    epochs: int = 4
    batch: int = 8
    rank: int = 16
    weight_decay: float = 0.0
    warmup: float = 0.1

    def __post_init__(self) -> None:
        if self.method not in ("lora", "full"):
            raise unknown("training method", self.method, ("lora", "full"))
        if self.loss_on not in ("document", "completion"):
            raise unknown("loss", self.loss_on, ("document", "completion"))
        if not 0 < self.rate < 1:
            raise BadRecord(f"rate is {self.rate}; a learning rate lies between 0 and 1.")
        if self.epochs < 1 or self.batch < 1 or self.rank < 1:
            raise BadRecord(f"epochs is {self.epochs}, batch {self.batch}, rank {self.rank}; each must be 1 or more.")
        if not 0 <= self.weight_decay <= 10:
            raise BadRecord(f"weight_decay is {self.weight_decay}; it lies in [0, 10].")
        if not 0 <= self.warmup < 1:
            raise BadRecord(f"warmup is {self.warmup}; it is a share of the steps, in [0, 1).")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens that a system computed for one request."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer in words. `state` is `ok`, or why it is not an answer that can be rated as it stands."""

    text: str
    state: State = "ok"
    usage: Usage = field(default_factory=Usage)
    latency_s: float = 0.0

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise unknown("response state", self.state, STATES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Log-probabilities, in nats, of the given completions: one sum over its tokens each, and its token count."""

    logprobs: tuple[float, ...]
    n_tokens: tuple[int, ...]
    usage: Usage = field(default_factory=Usage)
    latency_s: float = 0.0

    def __post_init__(self) -> None:
        if len(self.logprobs) != len(self.n_tokens):
            raise BadRecord(f"{len(self.logprobs)} log-probabilities with {len(self.n_tokens)} token counts.")
        wrong = [value for value in self.logprobs if math.isnan(value) or value > 1e-6]
        if wrong:
            raise BadRecord(f"a log-probability is {wrong[0]}; it must be at most 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The instrument broke; nobody answered. Never rated, always counted."""

    reason: str
    detail: str = ""


Reply = Response | Scored | Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a measure made of one reply, in the measure's unit; `state` other than `ok` counts as asked, not answered."""

    value: float
    state: State = "ok"

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise BadRecord(f"a score is {self.value}; it must be finite. Return a Failure where there is none.")
        if self.state not in STATES:
            raise unknown("score state", self.state, STATES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its interval: `n` independent units (not samples) at confidence `level`."""

    value: float
    low: float
    high: float
    n: int
    method: str
    level: float = 0.95

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise BadRecord(f"the estimate {self.value} lies outside its own interval [{self.low}, {self.high}].")
        if self.n < 1:
            raise BadRecord(f"an estimate rests on {self.n} units; it needs at least 1.")
