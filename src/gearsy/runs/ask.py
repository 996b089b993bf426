"""Ask: each trial goes to its system once; what is in the lab already is never asked again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gearsy.base.digests import digest
from gearsy.base.errors import Unsupported
from gearsy.base.protocols import Batches, Engine, Scores, System
from gearsy.base.records import Reply, Request, Trial
from gearsy.designs.plan import Design
from gearsy.runs.watch import Watch
from gearsy.store import Lab

CHUNK = 48
"""Trials a transaction: what a kill may lose. Fixed, since a model's batches, and so its last digits, follow from it."""

ANSWERER = 1
"""Raised when the code that scores or draws answers changes what it gives: old answers are then other answers."""

Arm = tuple[str, int]
"""(name of the control, seed): which system a trial is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The replies in the trials' order, and how many of them were asked now."""

    replies: tuple[Reply, ...]
    asked_now: int
    found: int


def key_of(system: System, trial: Trial) -> str:
    """The full digest of everything that could change the reply."""
    parts = {"answerer": ANSWERER, "system": system.digest, "request": trial.request, "sample": trial.sample}
    return digest("response", parts)


def arms_of(design: Design) -> list[Arm]:
    """The systems that are asked, in the order of the trials."""
    return list(dict.fromkeys((trial.condition.control, trial.seed) for trial in design.trials))


def known(design: Design, systems: Mapping[Arm, System], lab: Lab) -> int:
    """How many replies of the treatment's trials the lab holds already."""
    keys = [
        key_of(systems[arm], trial)
        for trial in design.trials
        if not trial.condition.control and (arm := (trial.condition.control, trial.seed)) in systems
    ]
    return len(lab.responses.find(keys))


def ask(design: Design, systems: Mapping[Arm, System], lab: Lab, engine: Engine, watch: Watch) -> Asked:
    """Ask all trials of `design`, arm by arm, keeping each chunk as it lands."""
    watch.stage("ask", len(design.trials))
    replies: dict[int, Reply] = {}
    asked_now = 0
    for arm in arms_of(design):
        system = systems[arm]
        mine = [i for i, t in enumerate(design.trials) if (t.condition.control, t.seed) == arm]
        keys = {i: key_of(system, design.trials[i]) for i in mine}
        found = lab.responses.find(keys.values())
        chunks = [mine[start : start + CHUNK] for start in range(0, len(mine), CHUNK)]
        missing = [[i for i in chunk if keys[i] not in found] for chunk in chunks]
        watch.advance(len(mine) - sum(map(len, missing)), f"{system.name}: {len(mine)} trials")
        work = [chunk for chunk in missing if chunk]
        requests = [[design.trials[i].request for i in chunk] for chunk in work]
        answers = engine.map(_Answering(system), requests)
        for chunk, landed in zip(work, answers, strict=True):
            lab.responses.keep(system.digest, {keys[i]: reply for i, reply in zip(chunk, landed, strict=True)})
            found |= {keys[i]: reply for i, reply in zip(chunk, landed, strict=True)}
            found |= lab.responses.find(
                [keys[i] for i in chunk]
            )  # another process may have been first: one answer counts
            asked_now += len(chunk)
            watch.advance(len(chunk), system.name)
        replies |= {i: found[keys[i]] for i in mine}
        _release(system)
    ordered = tuple(replies[i] for i in range(len(design.trials)))
    return Asked(replies=ordered, asked_now=asked_now, found=len(ordered) - asked_now)


@dataclass(frozen=True, slots=True)
class _Answering:
    """Puts a chunk of requests to a system."""

    system: System

    def __call__(self, requests: Sequence[Request]) -> list[Reply]:
        if isinstance(self.system, Batches):
            return self.system.answer(requests)
        return list(self._one_by_one(requests))

    def _one_by_one(self, requests: Sequence[Request]) -> Iterator[Reply]:
        for request in requests:
            if not request.completions:
                yield self.system.respond(request.prompt, request.sampling, 1)[0]
            elif isinstance(self.system, Scores):
                yield self.system.logprobs(request.prompt, request.completions)
            else:
                raise Unsupported(
                    f"{self.system.name} cannot score given text, and this study's primary measure needs it."
                )


def _release(system: System) -> None:
    """Give back the memory of a system that holds weights of its own."""
    release = getattr(system, "release", None)
    if release is not None:
        release()
