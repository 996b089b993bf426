"""The contract of a system, as a function that anyone can run on theirs; it returns how many checks it made."""

import math
from collections.abc import Sequence

from gearsy.base.errors import ContractBroken, Unsupported
from gearsy.base.protocols import Batches, Scores, System
from gearsy.base.records import Failure, Prompt, Request, Response, Sampling, Scored


def _must(holds: bool, clause: str) -> int:  # noqa: FBT001 - reads as the clause it asserts
    if not holds:
        raise ContractBroken(clause)
    return 1


def check_system(
    system: System,
    prompts: Sequence[Prompt] = ("One, two,", "The sky is"),
    completions: Sequence[str] = (" three", " blue"),
    tolerance_nats: float = 1e-3,
) -> int:
    """Check the verbs that `system` has on the given prompts; raises `ContractBroken`, returns the number of checks."""
    if not prompts:
        raise ContractBroken("no prompts: this checks nothing; give at least one.")
    checks = _must(isinstance(system, System), f"{system!r} lacks name, digest or respond.")
    checks += _must(len(system.digest) == 64, f"{system.name}: digest has {len(system.digest)} digits, not 64.")
    checks += _must(system.digest == system.digest, f"{system.name}: its digest changes when read twice.")
    greedy = Sampling(temperature=0, max_tokens=4)
    answered: list[Response | Failure] = []
    for prompt in prompts:
        first, second = system.respond(prompt, greedy, 2), system.respond(prompt, greedy, 2)
        checks += _must(len(first) == 2, f"{system.name}: asked for 2 answers, gave {len(first)}.")
        kinds = all(isinstance(reply, Response | Failure) for reply in first)
        checks += _must(kinds, f"{system.name}: an answer is neither Response nor Failure.")
        texts = [[r.text if isinstance(r, Response) else r.reason for r in replies] for replies in (first, second)]
        checks += _must(texts[0] == texts[1], f"{system.name}: greedy answers to {prompt!r} differ: {texts}.")
        answered += first
    if not any(isinstance(reply, Response) for reply in answered):
        raise ContractBroken(f"{system.name}: every answer is a failure: {answered[0]}")
    if isinstance(system, Scores) and _can_score(system, prompts[0], completions):
        checks += _check_scores(system, prompts, completions, tolerance_nats)
    return checks


def _can_score(system: Scores, prompt: Prompt, completions: Sequence[str]) -> bool:
    """Whether it scores at all: a wrapper or a script may have the verb, and say that it cannot."""
    try:
        system.logprobs(prompt, completions)
    except Unsupported:
        return False
    return True


def _check_scores(system: Scores, prompts: Sequence[Prompt], completions: Sequence[str], tolerance_nats: float) -> int:
    checks, singles = 0, []
    for prompt in prompts:
        together = system.logprobs(prompt, completions)
        if not isinstance(together, Scored):
            raise ContractBroken(f"logprobs failed on {prompt!r}: {together}")
        checks += _must(len(together.logprobs) == len(completions), "logprobs: not one number a completion.")
        checks += _must(all(n >= 1 for n in together.n_tokens), "logprobs: a completion of no tokens.")
        alone = [system.logprobs(prompt, [completion]) for completion in completions]
        for got, one in zip(together.logprobs, alone, strict=True):
            assert isinstance(one, Scored)  # noqa: S101 - the same call succeeded just above
            near = math.isclose(got, one.logprobs[0], abs_tol=tolerance_nats)
            checks += _must(near, f"logprobs of {prompt!r} depend on the other completions: {got} ≠ {one.logprobs[0]}.")
        singles.append(together)
    if isinstance(system, Batches):
        requests = [Request(prompt=prompt, completions=tuple(completions)) for prompt in prompts]
        for one, batched in zip(singles, system.answer(requests), strict=True):
            if not isinstance(batched, Scored):
                raise ContractBroken(f"answer() gave {batched} for a request with completions.")
            gap = max(abs(a - b) for a, b in zip(one.logprobs, batched.logprobs, strict=True))
            checks += _must(gap <= tolerance_nats, f"answer() differs from logprobs() by {gap} nats.")
    return checks
