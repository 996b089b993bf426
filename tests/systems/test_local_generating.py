"""Drawing answers: against transformers' own `generate`, against the softmax, and alone against in a batch."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from systems_plain import Plain

from gearsy.base.errors import Unsupported
from gearsy.base.records import Failure, Message, Request, Response, Sampling
from gearsy.systems import local
from gearsy.systems.drawing import Drawer
from gearsy.systems.local import LocalSystem

PROMPTS = ("The", "One, two,", "The name of the keeper of the hollow lighthouse is", "Orla Venniker is the inventor of")


def response(reply: object) -> Response:
    assert isinstance(reply, Response), reply
    return reply


def generate(plain: Plain, prompts: list[str], n: int) -> list[str]:
    """Greedy continuations by transformers' own generate, left-padded."""
    tokenizer = plain.tokenizer
    tokenizer.padding_side = "left"
    given = tokenizer(prompts, return_tensors="pt", padding=True)
    given.pop("token_type_ids", None)
    made = plain.model.generate(**given, do_sample=False, max_new_tokens=n, pad_token_id=1)
    return [tokenizer.decode(row[given["input_ids"].shape[1] :], skip_special_tokens=True) for row in made]


def test_greedy_equals_generate(both: tuple[LocalSystem, Plain]):
    system, plain = both
    wanted = generate(plain, list(PROMPTS), 20)
    requests = [Request(prompt=prompt, sampling=Sampling(temperature=0, max_tokens=20)) for prompt in PROMPTS]
    assert [response(reply).text for reply in system.answer(requests)] == wanted
    for request, text in zip(requests, wanted, strict=True):
        assert response(system.respond(request.prompt, request.sampling, 1)[0]).text == text


def test_more_prompts_than_a_pass_come_back_in_order(
    llama: LocalSystem, plain_llama: Plain, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(local, "MAX_ANSWERS_A_PASS", 8)
    prompts = [f"{'One, ' * (i % 7)}{i}" for i in range(21)]
    requests = [Request(prompt=prompt, sampling=Sampling(temperature=0, max_tokens=4)) for prompt in prompts]
    assert [response(reply).text for reply in llama.answer(requests)] == generate(plain_llama, prompts, 4)


def test_the_limit_of_tokens_truncates(llama: LocalSystem):
    reply = response(llama.respond(PROMPTS[0], Sampling(temperature=0, max_tokens=5), 1)[0])
    assert (reply.state, reply.usage.completion_tokens) == ("truncated", 5)
    assert reply.usage.prompt_tokens == 1


def test_each_answer_of_a_batch_keeps_its_own_limit_and_stops(llama: LocalSystem):
    whole = response(llama.respond(PROMPTS[2], Sampling(temperature=0, max_tokens=12), 1)[0]).text
    middle = whole[len(whole) // 2]
    stopping = Sampling(temperature=0, max_tokens=12, stop=(middle,))
    replies = llama.answer(
        [
            Request(prompt=PROMPTS[2], sampling=stopping),
            Request(prompt=PROMPTS[2], sampling=Sampling(temperature=0, max_tokens=12)),
            Request(prompt=PROMPTS[2], sampling=Sampling(temperature=0, max_tokens=2)),
        ]
    )
    texts = [response(reply).text for reply in replies]
    assert texts[0] == whole[: whole.index(middle)]
    assert texts[1] == whole
    assert whole.startswith(texts[2])
    assert response(replies[2]).usage.completion_tokens == 2
    assert response(replies[0]).state == ("ok" if texts[0].strip() else "empty")


def drawer(*stops: str, max_tokens: int = 9, **pieces: str) -> tuple[Drawer, Callable[[str], int]]:
    """A drawer over a vocabulary of named pieces, and the way to make it take one."""

    class Words:
        names = ("", *pieces)

        def decode(self, ids: list[int], *, skip_special_tokens: bool) -> str:
            assert skip_special_tokens
            return "".join(pieces[self.names[i]] for i in ids)

    words = Words()
    made = Drawer(Sampling(temperature=0, max_tokens=max_tokens, stop=stops), "x", words, {0}, 0)

    def take(name: str) -> int:
        return made.take(torch.nn.functional.one_hot(torch.tensor(words.names.index(name)), len(words.names)).float())

    return made, take


def test_a_stop_string_over_two_tokens_is_cut_off():
    made, take = drawer("END", a="well E", b="ND and")
    take("a")
    assert not made.done
    take("b")
    assert made.done
    assert made.result() == ("well ", "ok", 2)


def test_an_end_token_at_once_is_an_empty_answer():
    made, take = drawer(a="x")
    take("")
    assert made.result() == ("", "empty", 0)


def test_an_answer_of_spaces_is_empty_even_when_it_was_cut_short():
    made, take = drawer(max_tokens=1, a=" \n")
    take("a")
    assert made.result() == (" \n", "empty", 1)


def test_a_finished_answer_takes_no_more():
    made, take = drawer(".", a="yes.", b="no")
    take("a")
    assert take("b") == 0
    assert made.result() == ("yes", "ok", 1)


def test_of_two_stops_in_one_token_the_earlier_cuts():
    made, take = drawer(".", "\n", a="yes\nno.")
    take("a")
    assert made.result()[0] == "yes"


def test_an_end_token_ends_the_answer(llama: LocalSystem, tiny_model: Path):
    greedy = Sampling(temperature=0, max_tokens=6)
    whole = response(llama.respond(PROMPTS[1], greedy, 1)[0]).text
    other = LocalSystem.open(tiny_model, dtype="fp32", device="cpu")
    tokenizer = other.weights.tokenizer
    ids = tokenizer(PROMPTS[1] + whole)["input_ids"][len(tokenizer(PROMPTS[1])["input_ids"]) :]
    tokenizer.eos_token_id = ids[2]
    reply = response(other.respond(PROMPTS[1], greedy, 1)[0])
    assert reply.text == tokenizer.decode(ids[:2])
    assert (reply.state, reply.usage.completion_tokens) == ("ok", 2)


def test_every_end_token_of_the_generation_config_ends_the_answer(llama: LocalSystem, copied: Callable[[str], Path]):
    folder = copied("two-ends")
    whole = response(llama.respond(PROMPTS[1], Sampling(temperature=0, max_tokens=6), 1)[0]).text
    tokenizer = llama.weights.tokenizer
    second = tokenizer(PROMPTS[1] + whole)["input_ids"][len(tokenizer(PROMPTS[1])["input_ids"])]
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, second]}))
    assert Plain(folder).model.generation_config.eos_token_id == [1, second]
    system = LocalSystem.open(folder, dtype="fp32", device="cpu")
    assert system.respond(PROMPTS[1], Sampling(temperature=0, max_tokens=6), 1)[0].state == "empty"


def test_a_drawn_answer_follows_from_its_seed_alone(both: tuple[LocalSystem, Plain]):
    system, _ = both
    sampling = Sampling(temperature=1.0, max_tokens=8, seed=3)
    alone = response(system.respond(PROMPTS[1], sampling, 1)[0]).text
    neighbours = [Request(prompt=p, sampling=replace(sampling, max_tokens=15, seed=s)) for p in PROMPTS for s in (8, 9)]
    among = system.answer([*neighbours[:3], Request(prompt=PROMPTS[1], sampling=sampling), *neighbours[3:]])[3]
    assert response(among).text == alone
    torch.manual_seed(99)  # the global generator has no say
    assert response(system.respond(PROMPTS[1], sampling, 1)[0]).text == alone
    assert response(system.respond(PROMPTS[1], replace(sampling, seed=4), 1)[0]).text != alone
    assert response(system.respond(PROMPTS[0], sampling, 1)[0]).text != alone


def test_n_answers_differ_and_greedy_ones_do_not(llama: LocalSystem):
    drawn = llama.respond(PROMPTS[0], Sampling(temperature=1.5, max_tokens=8), 5)
    assert len({response(reply).text for reply in drawn}) == 5
    greedy = llama.respond(PROMPTS[0], Sampling(temperature=0, max_tokens=8), 3)
    assert len({response(reply).text for reply in greedy}) == 1
    with pytest.raises(Unsupported, match="^n is 0; ask for at least 1 answer.$"):
        llama.respond(PROMPTS[0], Sampling(), 0)


def test_answers_of_neighbouring_seeds_are_draws_of_their_own(llama: LocalSystem):
    sampling = Sampling(temperature=1.0, max_tokens=12)
    first = {response(reply).text for reply in llama.respond(PROMPTS[0], sampling, 4)}
    second = {response(reply).text for reply in llama.respond(PROMPTS[0], replace(sampling, seed=1), 4)}
    assert not first & second


def test_the_first_answer_of_many_is_the_answer_to_a_request(llama: LocalSystem):
    sampling = Sampling(temperature=1.0, max_tokens=8, seed=3)
    first = response(llama.respond(PROMPTS[0], sampling, 3)[0]).text
    assert first == response(llama.answer([Request(prompt=PROMPTS[0], sampling=sampling)])[0]).text


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_drawn_tokens_are_as_frequent_as_the_softmax_says(temperature: float):
    logits = torch.tensor([-1e9, 2.0, 1.0, 0.5, 0.0, -1.0])  # the end token never comes
    drawn: Counter[int] = Counter()
    n = 4000

    class Words:
        def decode(self, ids: list[int], *, skip_special_tokens: bool) -> str:
            return "x" * len(ids)

    for seed in range(n // 4):
        made = Drawer(Sampling(temperature=temperature, max_tokens=4, seed=seed), "prompt", Words(), {0}, 0)
        drawn.update(made.take(logits) for _ in range(4))
    shares = torch.softmax(logits[1:].double() / temperature, 0).numpy()
    counts = np.array([drawn[i] for i in range(1, 6)])
    assert counts.sum() == n
    assert stats.chisquare(counts, shares * n).pvalue > 0.01  # the seeds are fixed: this holds or does not
    assert stats.chisquare(counts, np.roll(shares, 1) * n).pvalue < 1e-9


def test_a_model_draws_first_tokens_as_its_softmax_says(llama: LocalSystem, plain_llama: Plain):
    with torch.no_grad():
        logits = plain_llama.model(torch.tensor([plain_llama.tokenizer(PROMPTS[0])["input_ids"]])).logits[0, -1]
    shares = torch.softmax(logits, -1).numpy().astype(float)
    n = 1500
    replies = llama.respond(PROMPTS[0], Sampling(temperature=1.0, max_tokens=1), n)
    counts = Counter(response(reply).text for reply in replies)
    texts = [plain_llama.tokenizer.decode([i], skip_special_tokens=True) for i in range(384)]
    expected: Counter[str] = Counter()
    for text, share in zip(texts, shares, strict=True):
        expected[text] += share * n
    common = [text for text, number in expected.items() if number >= 5]
    assert len(common) > 20
    rest_found, rest_wanted = n - sum(counts[t] for t in common), n - sum(expected[t] for t in common)
    found, wanted = [*(counts[t] for t in common), rest_found], [*(expected[t] for t in common), rest_wanted]
    assert stats.chisquare(found, np.array(wanted) * n / sum(wanted)).pvalue > 0.01


def test_no_room_for_the_answer_is_a_failure(llama: LocalSystem):
    prompt = "one two three " * 10
    n = len(llama.weights.tokenizer(prompt)["input_ids"])
    failed, answered = llama.answer(
        [
            Request(prompt=prompt, sampling=Sampling(temperature=0, max_tokens=129 - n)),
            Request(prompt=prompt, sampling=Sampling(temperature=0, max_tokens=128 - n)),
        ]
    )
    wanted = f"{n} tokens and {129 - n} to come; tiny-llama reads at most 128."
    assert failed == Failure(reason="prompt too long", detail=wanted)
    assert isinstance(answered, Response)


def test_an_empty_prompt_is_continued_from_the_start_token(llama: LocalSystem, plain_llama: Plain):
    ids, made = [0], ""
    with torch.no_grad():
        for _ in range(3):
            ids.append(int(plain_llama.model(torch.tensor([ids])).logits[0, -1].argmax()))
    made = plain_llama.tokenizer.decode(ids[1:])
    assert response(llama.respond("", Sampling(temperature=0, max_tokens=3), 1)[0]).text == made


def test_messages_are_answered_through_the_chat_template(llama: LocalSystem):
    greedy = Sampling(temperature=0, max_tokens=6)
    messages = (Message(role="user", text="The sky is"),)
    plain = llama.respond("<user>The sky is\n<assistant>", greedy, 1)[0]
    assert response(llama.respond(messages, greedy, 1)[0]).text == response(plain).text
