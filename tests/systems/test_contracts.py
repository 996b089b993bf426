"""The contract tests of systems and engines: they count, they pass what is good, and they bite on planted bad ones."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import pytest

from gearsy.base.errors import ContractBroken, GearsyError, Unsupported
from gearsy.base.protocols import Batches, Scores, System
from gearsy.base.records import Failure, Message, Prompt, Reply, Request, Response, Sampling, Scored
from gearsy.runs.engines import InProcess, check_engine
from gearsy.systems import Scripted
from gearsy.systems.contracts import check_system
from gearsy.systems.local import LocalSystem

GOOD = Scripted(replies=lambda prompt: f"{prompt} yes", likes=lambda prompt, completion: -float(len(completion)))


class Mute:
    """A system with one verb, that keeps the contract."""

    name, digest = "mute", "0" * 64

    def respond(self, prompt: Prompt, sampling: Sampling, n: int) -> list[Response | Failure]:
        return [Response(text="yes")] * n


class Whole(Mute):
    """A system with all three verbs, that keeps the contract."""

    def logprobs(self, prompt: Prompt, completions: Sequence[str]) -> Scored | Failure:
        return Scored(logprobs=tuple(-float(len(c)) for c in completions), n_tokens=(1,) * len(completions))

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        return [self.logprobs(request.prompt, request.completions) for request in requests]


def test_the_contract_counts_what_it_checked(llama: LocalSystem, gpt2: LocalSystem):
    assert check_system(Mute()) == 3 + 2 * 3
    with_scores = 3 + 2 * 3 + 2 * (2 + 2) + 2
    assert check_system(Whole()) == with_scores
    assert check_system(GOOD) == with_scores
    assert check_system(llama) == with_scores
    assert check_system(gpt2) == with_scores
    assert check_system(llama, prompts=["One,"], completions=[" a", " b", " c"]) == 3 + 3 + (2 + 3) + 1


class ShortDigest(Mute):
    digest = "0" * 12


class RestlessDigest(Mute):
    n = 0

    @property
    def digest(self) -> str:
        self.n += 1
        return f"{self.n:064d}"


class Nameless:
    digest = "0" * 64


class OneAnswer(Mute):
    def respond(self, prompt: Prompt, sampling: Sampling, n: int) -> list[Response | Failure]:
        return [Response(text="yes")]


class Stringly(Mute):
    def respond(self, prompt: Prompt, sampling: Sampling, n: int) -> list:
        return ["yes"] * n


class Moody(Mute):
    n = 0

    def respond(self, prompt: Prompt, sampling: Sampling, n: int) -> list[Response | Failure]:
        self.n += 1
        return [Response(text=f"yes {self.n}")] * n


class Unscoring(Whole):
    def logprobs(self, prompt: Prompt, completions: Sequence[str]) -> Scored | Failure:
        return Failure(reason="timeout")


class Forgetful(Whole):
    def logprobs(self, prompt: Prompt, completions: Sequence[str]) -> Scored | Failure:
        return Scored(logprobs=(-1.0,), n_tokens=(1,))


class Tokenless(Whole):
    def logprobs(self, prompt: Prompt, completions: Sequence[str]) -> Scored | Failure:
        return replace(super().logprobs(prompt, completions), n_tokens=(0,) * len(completions))


class Neighbourly(Whole):
    """Normalises over the completions that it happens to be given."""

    def logprobs(self, prompt: Prompt, completions: Sequence[str]) -> Scored | Failure:
        made = super().logprobs(prompt, completions)
        return replace(made, logprobs=tuple(value - len(completions) for value in made.logprobs))


class Inaccurate(Whole):
    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        made = super().answer(requests)
        return [replace(one, logprobs=tuple(value - 0.01 for value in one.logprobs)) for one in made]


class Disorderly(Whole):
    def logprobs(self, prompt: Prompt, completions: Sequence[str]) -> Scored | Failure:
        made = super().logprobs(prompt, completions)
        return replace(made, logprobs=tuple(value - len(str(prompt)) for value in made.logprobs))

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        return super().answer(requests)[::-1]


class Deaf(Whole):
    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        return [Response(text="yes") for _ in requests]


@pytest.mark.parametrize(
    ("planted", "clause"),
    [
        (Nameless(), "lacks name, digest or respond."),
        (ShortDigest(), "^mute: digest has 12 digits, not 64.$"),
        (RestlessDigest(), "^mute: its digest changes when read twice.$"),
        (OneAnswer(), "^mute: asked for 2 answers, gave 1.$"),
        (Stringly(), "^mute: an answer is neither Response nor Failure.$"),
        (Moody(), "^mute: greedy answers to 'One, two,' differ:"),
        (Unscoring(), "^logprobs failed on 'One, two,': Failure"),
        (Forgetful(), "^logprobs: not one number a completion.$"),
        (Tokenless(), "^logprobs: a completion of no tokens.$"),
        (Neighbourly(), "^logprobs of 'One, two,' depend on the other completions: -8.0 ≠ -7.0.$"),
        (Inaccurate(), r"^answer\(\) differs from logprobs\(\) by 0\.0\d+ nats.$"),
        (Disorderly(), r"^answer\(\) differs from logprobs\(\) by 1\.0 nats.$"),
        (Deaf(), r"^answer\(\) gave Response"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_the_contract_bites(planted: System, clause: str):
    with pytest.raises(ContractBroken, match=clause):
        check_system(planted)


def test_a_contract_without_prompts_is_no_contract():
    with pytest.raises(ContractBroken):
        check_system(Whole(), prompts=[])


def test_a_system_that_never_answers_does_not_keep_the_contract():
    class Broken(Mute):
        def respond(self, prompt: Prompt, sampling: Sampling, n: int) -> list[Response | Failure]:
            return [Failure(reason="timeout")] * n

    with pytest.raises(ContractBroken):
        check_system(Broken())


def test_a_script_of_answers_alone_keeps_the_contract():
    assert check_system(Scripted(replies=lambda prompt: "yes")) == 3 + 2 * 3


# The public double


def test_scripted_answers_from_its_table():
    system = Scripted(replies={"2 + 2 =": " 4", "silence": " "})
    assert [r.text for r in system.respond("2 + 2 =", Sampling(), 3)] == [" 4"] * 3
    assert system.respond("silence", Sampling(), 1)[0].state == "empty"
    assert system.respond("3 + 3 =", Sampling(), 1) == [Failure(reason="not scripted", detail="3 + 3 =")]
    with pytest.raises(Unsupported, match="^n is 0; ask for at least 1 answer.$"):
        system.respond("2 + 2 =", Sampling(), 0)
    with pytest.raises(Unsupported, match="^system 'scripted' has no `likes`; give it one to score completions.$"):
        system.logprobs("2 + 2 =", [" 4"])


def test_scripted_answers_and_scores_in_order():
    requests = [Request(prompt="a"), Request(prompt="b", completions=(" x", " longer one")), Request(prompt="c")]
    first, second, third = GOOD.answer(requests)
    assert (first.text, third.text) == ("a yes", "c yes")
    assert second == Scored(logprobs=(-2.0, -11.0), n_tokens=(1, 2))


def test_scripted_takes_messages_through_a_function():
    system = Scripted(replies=lambda prompt: prompt[-1].text.upper())
    assert system.respond((Message(role="user", text="hello"),), Sampling(), 1)[0].text == "HELLO"


def test_the_digest_of_a_script_is_of_its_table():
    one = Scripted(replies={"a": "b", "c": "d"})
    assert one.digest == Scripted(replies={"c": "d", "a": "b"}).digest
    others = [Scripted(replies={"a": "b"}), replace(one, version="2"), replace(one, name="other")]
    assert len({one.digest, *(other.digest for other in others)}) == 4


def saying(word: str) -> Callable[[Prompt], str]:
    return lambda prompt: word


def test_two_scripts_of_other_answers_have_other_digests():
    scripts = [Scripted(replies=saying("yes")), Scripted(replies=saying("no"))]
    likes = [Scripted(likes=lambda p, c: -1.0), Scripted(likes=lambda p, c: -2.0)]
    assert len({system.digest for system in (*scripts, *likes)}) == 4


def test_what_a_system_can_do_is_seen_from_its_verbs(llama: LocalSystem):
    assert isinstance(llama, System)
    assert isinstance(llama, Scores)
    assert isinstance(llama, Batches)
    assert not isinstance(Mute(), Scores)
    assert issubclass(Unsupported, GearsyError)


# Engines


def test_the_engine_s_contract_counts():
    assert check_engine(InProcess()) == 4


class Shuffling:
    def map(self, work: Callable, tasks: Iterable) -> Iterator:
        return iter([work(task) for task in sorted(tasks)])


class Inventing:
    def map(self, work: Callable, tasks: Iterable) -> Iterator:
        return iter([work(task) for task in tasks] or [None])


class Eager:
    """Does all the work before it gives anything."""

    def map(self, work: Callable, tasks: Iterable) -> Iterator:
        return iter([work(task) for task in tasks])


class Swallowing:
    def map(self, work: Callable, tasks: Iterable) -> Iterator:
        for task in tasks:
            try:
                yield work(task)
            except ArithmeticError:
                yield None


@pytest.mark.parametrize(
    ("planted", "error", "clause"),
    [
        (Shuffling(), ContractBroken, "results are not in the tasks' order."),
        (Inventing(), ContractBroken, "no task gave a result."),
        (Swallowing(), ContractBroken, "swallowed an error of its work."),
    ],
)
def test_the_engine_s_contract_bites(planted: object, error: type[Exception], clause: str):
    with pytest.raises(error, match=clause):
        check_engine(planted)


def test_an_engine_that_does_not_stream_breaks_the_contract():
    with pytest.raises(ContractBroken):
        check_engine(Eager())
