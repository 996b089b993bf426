"""`Scripted`: a system whose answers are written down, for tests and for learning the main path offline."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from gearsy.base.digests import digest
from gearsy.base.errors import Unsupported
from gearsy.base.records import Failure, Prompt, Reply, Request, Response, Sampling, Scored


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted:
    """Answers from a table, or from a function of the prompt; scores a completion by how likely the script says it.

    `replies` maps a prompt to its answer, or is a function from prompt to answer; `likes` is a function
    (prompt, completion) -> log-probability in nats. A prompt that is not in the table is a `Failure`.

    >>> Scripted(replies={"2 + 2 =": " 4"}).respond("2 + 2 =", Sampling(), n=1)[0].text
    ' 4'
    """

    replies: Mapping[str, str] | Callable[[Prompt], str] = field(default_factory=dict)
    likes: Callable[[Prompt, str], float] | None = None
    name: str = "scripted"
    version: str = "1"

    @property
    def digest(self) -> str:
        table = dict(self.replies) if isinstance(self.replies, Mapping) else _spelled(self.replies)
        script = {"table": table, "likes": _spelled(self.likes)}
        return digest("system", {"kind": "scripted", "name": self.name, "version": self.version, **script})

    def respond(self, prompt: Prompt, sampling: Sampling, n: int) -> list[Response | Failure]:
        if n < 1:
            raise Unsupported(f"n is {n}; ask for at least 1 answer.")
        if isinstance(self.replies, Mapping):
            if prompt not in self.replies:
                return [Failure(reason="not scripted", detail=str(prompt))] * n
            text = self.replies[str(prompt)]
        else:
            text = self.replies(prompt)
        return [Response(text=text, state="ok" if text.strip() else "empty")] * n

    def logprobs(self, prompt: Prompt, completions: Sequence[str]) -> Scored | Failure:
        if self.likes is None:
            raise Unsupported(f"system {self.name!r} has no `likes`; give it one to score completions.")
        scores = tuple(self.likes(prompt, completion) for completion in completions)
        return Scored(logprobs=scores, n_tokens=tuple(len(completion.split()) for completion in completions))

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        return [
            self.logprobs(r.prompt, r.completions) if r.completions else self.respond(r.prompt, r.sampling, 1)[0]
            for r in requests
        ]


def _spelled(value: Any, within: tuple[CodeType, ...] = ()) -> Any:
    """`value` for a digest: a function by its code and by what it holds on to, anything else by its repr.

    `within` are the functions around it, as one may hold on to itself. What a function calls by name is not followed.
    """
    code = getattr(value, "__code__", value)
    if isinstance(code, CodeType) and code not in within:
        held = [getattr(value, "__defaults__", None), getattr(value, "__kwdefaults__", None)]
        held += [cell.cell_contents for cell in getattr(value, "__closure__", None) or ()]
        parts = [_spelled(part, (*within, code)) for part in (*code.co_consts, *held)]
        return [code.co_code.hex(), list(code.co_names), parts]
    if isinstance(value, list | tuple):
        return [_spelled(part, within) for part in value]
    if isinstance(value, set | frozenset):
        return sorted(map(_plain_repr, value))  # in another process a set has another order
    return _plain_repr(value)


def _plain_repr(value: object) -> str:
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
