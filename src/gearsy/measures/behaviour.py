"""Measures of a single reply. Each says how the question must be put (`form`) and how its number is to be read."""

import math
import re
from dataclasses import dataclass

from gearsy.base.records import Failure, Form, Reply, Response, Score, Scored, Trial
from gearsy.measures.refusals import looks_refused


@dataclass(frozen=True, slots=True, kw_only=True)
class _Likeliest:
    """1 if the true target is likelier than every other option, else 0; a tie is not a success."""

    name: str
    title: str
    form: Form
    is_rate: bool = True
    unit: str = "rate"

    def chance(self, trial: Trial) -> float | None:
        """The score of a guesser."""
        return 1 / len(trial.options)

    def rate(self, trial: Trial, reply: Reply) -> Score | Failure:
        scores = _scores(trial, reply)
        if isinstance(scores, Failure):
            return scores
        at = trial.options.index(trial.target)
        others = [value for i, value in enumerate(scores) if i != at]
        return Score(value=float(all(scores[at] > value for value in others)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval(_Likeliest):
    """1 if the true target is likelier than every other candidate of its kind, else 0; a tie is not a success.

    Chance is 1/K for K candidates that have been seen equally often.
    """

    name: str = "retrieval"
    title: str = "true target likeliest of K candidates"
    form: Form = "completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipleChoice(_Likeliest):
    """1 if the letter of the true target is the likeliest answer when cue and target both stand in the prompt."""

    name: str = "multiple choice"
    title: str = "right letter likeliest, options shown"
    form: Form = "choice"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLogProb:
    """Log-probability of the true target, in nats, summed over its tokens."""

    name: str = "target log-probability"
    title: str = "log-probability of the true target"
    form: Form = "completions"
    is_rate: bool = False
    unit: str = "nats"

    def chance(self, trial: Trial) -> float | None:
        """A log-probability has no chance level."""
        return None

    def rate(self, trial: Trial, reply: Reply) -> Score | Failure:
        scores = _scores(trial, reply)
        if isinstance(scores, Failure):
            return scores
        value = scores[trial.options.index(trial.target)]
        if not math.isfinite(value):
            return Failure(reason="impossible", detail=f"the model gives {trial.target!r} no probability at all.")
        return Score(value=value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactMatch:
    """1 if the greedy answer is the target, but for case, spaces and marks at its ends; else 0.

    A refused, empty or truncated answer that does not match scores 0 under its own state: it stays in the
    denominator, and is counted beside the estimate.
    """

    name: str = "exact match"
    title: str = "greedy answer equals the target"
    form: Form = "open"
    is_rate: bool = True
    unit: str = "rate"

    def chance(self, trial: Trial) -> float | None:
        """Nobody hits a sentence by guessing."""
        return 0.0

    def rate(self, trial: Trial, reply: Reply) -> Score | Failure:
        if isinstance(reply, Failure):
            return reply
        if not isinstance(reply, Response):
            return Failure(
                reason="wrong form", detail=f"exact match rates an answer in words, not a {type(reply).__name__}."
            )
        if _bare(reply.text) == _bare(trial.target):
            return Score(value=1.0)
        refused = reply.state in ("ok", "truncated") and looks_refused(reply.text)
        return Score(value=0.0, state="refused" if refused else reply.state)


def _scores(trial: Trial, reply: Reply) -> tuple[float, ...] | Failure:
    """One log-probability for each option, or why there is none."""
    if isinstance(reply, Failure):
        return reply
    if not isinstance(reply, Scored):
        return Failure(reason="wrong form", detail=f"log-probabilities are wanted, not a {type(reply).__name__}.")
    if len(reply.logprobs) != len(trial.options):
        return Failure(reason="wrong form", detail=f"{len(reply.logprobs)} scores for {len(trial.options)} options.")
    return reply.logprobs


def _bare(text: str) -> str:
    """Text without case, runs of spaces, and marks at its ends."""
    return re.sub(r"\s+", " ", text).strip(" .,;:!?\"'\n").casefold()
