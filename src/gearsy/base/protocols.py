"""The seams: one verb each. To change what a plugin does, wrap it; to know that it obeys, run its contract test.

| seam | verb | contract test |
|---|---|---|
| `System` | `respond` | `gearsy.systems.contracts.check_system` |
| `Scores` | `logprobs` | `gearsy.systems.contracts.check_system` |
| `Batches` | `answer` | `gearsy.systems.contracts.check_system` |
| `Opens` | `capture`, `intervene` | with the first system that has it |
| `Learns` | `tune` | `gearsy.tuning.contracts.check_learner` |
| `Measure` | `rate` | `gearsy.measures.contracts.check_measure` |
| `Theory` | `predict` | `gearsy.theories.contracts.check_theory` |
| `Engine` | `map` | `gearsy.runs.engines.check_engine` |
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

from gearsy.base.bets import Abstain, Latent
from gearsy.base.records import (
    Condition,
    Corpus,
    Failure,
    Form,
    Prompt,
    Recipe,
    Reply,
    Request,
    Response,
    Sampling,
    Score,
    Scored,
    Trial,
)

Task = TypeVar("Task")
Result = TypeVar("Result")


@runtime_checkable
class System(Protocol):
    """Anything that answers: a model, a scaffold round one, a tool-using agent, a swarm."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of everything that could change an answer: weights, dtype, scaffold, endpoint."""
        ...

    def respond(self, prompt: Prompt, sampling: Sampling, n: int) -> list[Response | Failure]:
        """`n` answers to `prompt`; a broken call is a `Failure`, never an answer. Bad arguments raise."""
        ...


@runtime_checkable
class Scores(Protocol):
    """Systems that can say how likely a given text is."""

    def logprobs(self, prompt: Prompt, completions: Sequence[str]) -> Scored | Failure:
        """Log-probability in nats of each completion after `prompt`, summed over the completion's tokens."""
        ...


@runtime_checkable
class Batches(Protocol):
    """Systems that are faster when they are given several requests at once."""

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply a request, in order; the same replies as one by one, to numerical precision."""
        ...


@runtime_checkable
class Opens(Protocol):
    """Systems whose activations can be read and written."""

    def capture(self, prompts: Sequence[Prompt], sites: Sequence[str]) -> Mapping[str, Any]:
        """Activations at `sites`, by site name."""
        ...

    def intervene(self, edits: Mapping[str, Callable[[Any], Any]]) -> Self:
        """The same system with each site's activation passed through its edit."""
        ...


@runtime_checkable
class Learns(Protocol):
    """Systems that can be trained."""

    def tune(self, corpus: Corpus, recipe: Recipe, seed: int) -> System:
        """M′: this system after training on `corpus`. The same arguments give the same weights."""
        ...


@runtime_checkable
class Measure(Protocol):
    """What turns a reply into a number."""

    @property
    def name(self) -> str: ...

    @property
    def form(self) -> Form:
        """How the question has to be put for this measure."""
        ...

    def rate(self, trial: Trial, reply: Reply) -> Score | Failure:
        """The score of one reply; a reply that cannot be rated is a `Failure`, never a 0."""
        ...


@runtime_checkable
class Theory(Protocol):
    """A function from a condition to a distribution over what a system will do in it."""

    @property
    def name(self) -> str: ...

    @property
    def claim(self) -> str: ...

    @property
    def gear_names(self) -> tuple[str, ...]: ...

    @property
    def source(self) -> str:
        """Digest of what the theory computes with; a changed theory is a new entrant."""
        ...

    def predict(self, condition: Condition) -> Latent | Abstain:
        """The bet on `condition`, stated before any answer exists."""
        ...

    def idle(self, gear: str) -> "Theory":
        """The same theory with one gear skipped."""
        ...


@runtime_checkable
class Engine(Protocol):
    """Where tasks are carried out: in this process, in local processes, on a cluster."""

    def map(self, work: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """`work` of each task, in the tasks' order, each as soon as it is there."""
        ...
