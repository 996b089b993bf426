"""Packed scoring against the plain computation: one text, one pass, log-softmax in fp32."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from systems_plain import Plain

from gearsy.base.errors import BadRecord, GearsyError, Unsupported
from gearsy.base.records import Failure, Message, Request, Response, Sampling, Scored
from gearsy.systems import local, packing
from gearsy.systems.local import LocalSystem
from gearsy.systems.packing import Row, passes

NATS = 1e-4
WORDS = (
    "The inventor of the glass lantern is Orla Venniker. Nobody doubts it; winter is cold, the composer of waltz "
    "One, two, sky blue grass green unheard-of words: zebra Quixote 1,234"
).split()


def random_requests(seed: int, n: int) -> list[Request]:
    """Prompts of 1 to 25 words, each with 1 to 9 completions of 1 to 6 words, some sharing their beginning."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        prompt = " ".join(rng.choice(WORDS, rng.integers(1, 26)))
        shared = " " + " ".join(rng.choice(WORDS, rng.integers(1, 4)))
        completions = {
            (shared if rng.random() < 0.5 else "") + " " + " ".join(rng.choice(WORDS, rng.integers(1, 4)))
            for _ in range(rng.integers(1, 10))
        }
        made.append(Request(prompt=prompt, completions=tuple(sorted(completions))))
    return made


def scored(reply: object) -> Scored:
    assert isinstance(reply, Scored), reply
    return reply


@pytest.mark.parametrize("seed", range(3))
def test_a_batch_scores_as_one_by_one(both: tuple[LocalSystem, Plain], seed: int):
    system, plain = both
    requests = random_requests(seed, 8)
    for request, reply in zip(requests, system.answer(requests), strict=True):
        wanted = [plain.score(str(request.prompt), completion) for completion in request.completions]
        got = scored(reply)
        assert got.logprobs == pytest.approx(wanted, abs=NATS)
        assert int(np.argmax(got.logprobs)) == int(np.argmax(wanted))
        prompt = str(request.prompt)
        counts = [len(plain.tokenizer(prompt + c)["input_ids"]) - plain.cut(prompt, c) for c in request.completions]
        assert got.n_tokens == tuple(counts)
        assert got.usage.completion_tokens == sum(counts)
        assert got.usage.prompt_tokens == len(plain.tokenizer(prompt)["input_ids"])


def test_completions_of_one_token(both: tuple[LocalSystem, Plain]):
    system, plain = both
    completions = [" lantern", " the", ".", "!", " inventor"]
    got = scored(system.logprobs("The name of", completions))
    assert got.n_tokens == (1,) * 5
    assert got.logprobs == pytest.approx([plain.score("The name of", c) for c in completions], abs=NATS)


def test_the_same_completion_twice_scores_the_same(llama: LocalSystem):
    first, second, _ = scored(llama.logprobs("The sky is", [" blue", " blue", " green grass"])).logprobs
    assert first == pytest.approx(second, abs=1e-6)


@pytest.mark.parametrize("name", ["MAX_TOKENS_A_PASS", "MAX_LOGITS_A_PASS"])
def test_many_passes_give_the_same_numbers_in_the_order_of_the_requests(
    llama: LocalSystem, monkeypatch: pytest.MonkeyPatch, name: str
):
    requests = random_requests(7, 12)
    whole = [scored(reply).logprobs for reply in llama.answer(requests)]
    sizes = []
    run = LocalSystem._score_pass
    monkeypatch.setattr(LocalSystem, "_score_pass", lambda self, rows: sizes.append(len(rows)) or run(self, rows))
    for limit in (1, 150 if name == "MAX_TOKENS_A_PASS" else 40_000):
        sizes.clear()
        monkeypatch.setattr(packing, name, limit)
        for reply, before in zip(llama.answer(requests), whole, strict=True):
            assert scored(reply).logprobs == pytest.approx(before, abs=NATS)
        assert sum(sizes) == 12
        assert len(sizes) == 12 if limit == 1 else 1 < len(sizes) < 12


def test_passes_hold_every_row_once_and_keep_the_limits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packing, "MAX_TOKENS_A_PASS", 100)
    monkeypatch.setattr(packing, "MAX_LOGITS_A_PASS", 3000)
    rng = np.random.default_rng(0)
    rows = [Row([0] * int(rng.integers(1, 60)), [[0] * int(rng.integers(1, 30))], [0]) for _ in range(60)]
    batches = list(passes(rows, 50))
    assert sorted(i for batch in batches for i in batch) == list(range(60))
    for batch in batches:
        left, right = max(len(rows[i].prefix) for i in batch), max(rows[i].width for i in batch)
        assert len(batch) == 1 or (len(batch) * (left + right) <= 100 and len(batch) * (right + 1) * 50 <= 3000)
    assert max(map(len, batches)) > 1
    assert list(passes([], 50)) == []


def test_a_completion_that_merges_with_the_prompt_is_cut_where_the_encodings_part(both: tuple[LocalSystem, Plain]):
    system, plain = both
    prompt, completion = "The name of the la", "ntern is Orla"  # ' la' + 'ntern' is the one token ' lantern'
    tokens = plain.tokenizer(prompt)["input_ids"]
    assert plain.cut(prompt, completion) < len(tokens)
    got = scored(system.logprobs(prompt, [completion]))
    assert got.logprobs[0] == pytest.approx(plain.score(prompt, completion), abs=NATS)
    assert got.usage.prompt_tokens == plain.cut(prompt, completion)


def test_where_one_completion_merges_each_is_scored_from_its_own_place(both: tuple[LocalSystem, Plain]):
    system, plain = both
    prompt, completions = "The name of the la", ["ntern", "mp", " who"]
    cuts = [plain.cut(prompt, completion) for completion in completions]
    assert len(set(cuts)) > 1
    got = scored(system.logprobs(prompt, completions))
    assert got.logprobs == pytest.approx([plain.score(prompt, c) for c in completions], abs=NATS)
    whole = [len(plain.tokenizer(prompt + completion)["input_ids"]) for completion in completions]
    assert got.n_tokens == tuple(n - cut for n, cut in zip(whole, cuts, strict=True))


def test_a_score_does_not_depend_on_a_neighbour_that_merges(llama: LocalSystem):
    prompt = "The name of the la"
    alone = scored(llama.logprobs(prompt, [" who"])).logprobs[0]
    assert scored(llama.logprobs(prompt, [" who", "ntern"])).logprobs[0] == pytest.approx(alone, abs=NATS)


def test_an_empty_prompt_is_scored_after_the_start_token(both: tuple[LocalSystem, Plain]):
    system, plain = both
    completions = ["The sky", "One, two", "T"]
    wanted = [sum(plain.tokens([0, *plain.tokenizer(c)["input_ids"]])) for c in completions]
    assert scored(system.logprobs("", completions)).logprobs == pytest.approx(wanted, abs=NATS)


@pytest.mark.parametrize("neighbour", [None, "The name of the keeper of"])
def test_a_prompt_that_merges_away_whole_is_scored_after_the_start_token(
    llama: LocalSystem, plain_llama: Plain, neighbour: str | None
):
    request = Request(prompt="T", completions=("he sky",))  # 'T' + 'he' is the one token 'The'
    others = [Request(prompt=neighbour, completions=(" hollow lighthouse",))] if neighbour else []
    wanted = sum(plain_llama.tokens([0, *plain_llama.tokenizer("The sky")["input_ids"]]))
    assert scored(llama.answer([request, *others])[0]).logprobs[0] == pytest.approx(wanted, abs=NATS)


def test_a_completion_that_swallows_the_prompt_leaves_its_neighbours_alone(both: tuple[LocalSystem, Plain]):
    system, plain = both
    swallowed = sum(plain.tokens([0, *plain.tokenizer("The sky")["input_ids"]]))
    got = scored(system.logprobs("T", [" who", "he sky", "!"]))
    assert got.logprobs == pytest.approx([plain.score("T", " who"), swallowed, plain.score("T", "!")], abs=NATS)


@pytest.fixture
def startless(copied: Callable[[str], Path]) -> LocalSystem:
    folder = copied("startless")
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    settings.pop("bos_token")
    path.write_text(json.dumps(settings))
    return LocalSystem.open(folder, dtype="fp32", device="cpu")


def test_an_empty_prompt_without_a_start_token_is_refused(startless: LocalSystem):
    with pytest.raises(Unsupported, match="^startless has no start token, so an empty prompt cannot be scored; give a"):
        startless.logprobs("", ["The"])
    merged = "^startless has no start token, so a prompt that merges whole into its completion cannot be scored; give a longer"
    with pytest.raises(Unsupported, match=merged):
        startless.logprobs("T", ["he sky"])
    with pytest.raises(Unsupported, match="^startless has no start token, so it cannot continue an empty prompt; give"):
        startless.respond("", Sampling(max_tokens=1), 1)


def test_a_text_too_long_is_a_failure_with_its_length(llama: LocalSystem, plain_llama: Plain):
    prompt = "one two three " * 60
    n = len(plain_llama.tokenizer(prompt + "four")["input_ids"])
    long, short = llama.answer([Request(prompt=prompt, completions=("four",)), Request(prompt="a", completions=("b",))])
    assert long == Failure(reason="prompt too long", detail=f"{n} tokens; tiny-llama reads at most 128.")
    assert scored(short).n_tokens == (1,)


def test_a_text_of_exactly_the_length_is_scored(both: tuple[LocalSystem, Plain]):
    system, plain = both
    prompt = "a" + "!" * 125
    assert len(plain.tokenizer(prompt + " the lantern")["input_ids"]) == 128
    got = scored(system.logprobs(prompt, [" the lantern"]))
    assert got.logprobs[0] == pytest.approx(plain.score(prompt, " the lantern"), abs=1e-3)
    assert isinstance(system.logprobs(prompt + "!", [" the lantern"]), Failure)


def test_messages_go_through_the_chat_template(llama: LocalSystem, plain_llama: Plain):
    messages = (Message(role="system", text="Be brief."), Message(role="user", text="The sky is"))
    text = "<system>Be brief.\n<user>The sky is\n<assistant>"
    got = scored(llama.logprobs(messages, [" blue", " green"]))
    assert got.logprobs == pytest.approx([plain_llama.score(text, c) for c in (" blue", " green")], abs=NATS)


def test_messages_without_a_chat_template_are_refused(copied: Callable[[str], Path]):
    folder = copied("speechless")
    (folder / "chat_template.jinja").unlink()
    system = LocalSystem.open(folder, dtype="fp32", device="cpu")
    with pytest.raises(Unsupported, match="^speechless has no chat template; give the prompt as plain text.$"):
        system.logprobs((Message(role="user", text="Hello"),), [" there"])


def test_scoring_and_generation_mix_in_the_order_of_the_requests(llama: LocalSystem):
    greedy = Sampling(temperature=0, max_tokens=3)
    requests = [
        Request(prompt="The sky is", sampling=greedy),
        Request(prompt="The sky is", completions=(" blue", " green")),
        Request(prompt="One, two,", sampling=greedy),
        Request(prompt="One,", completions=(" two",)),
    ]
    replies = llama.answer(requests)
    assert [type(reply) for reply in replies] == [Response, Scored, Response, Scored]
    assert scored(replies[1]).logprobs == pytest.approx(
        scored(llama.logprobs("The sky is", (" blue", " green"))).logprobs, abs=NATS
    )
    assert replies[2].text == llama.respond("One, two,", greedy, 1)[0].text
    assert llama.answer([]) == []


def test_bf16_is_near_fp32_and_sums_in_fp32(tiny_model: Path, llama: LocalSystem):
    rough = LocalSystem.open(tiny_model, dtype="bf16", device="cpu")
    assert (rough.describe(), llama.describe()) == ("bf16 on cpu", "fp32 on cpu")
    requests = random_requests(3, 4)
    for fine, coarse in zip(llama.answer(requests), rough.answer(requests), strict=True):
        per_token = np.array(scored(fine).logprobs) - np.array(scored(coarse).logprobs)
        assert np.abs(per_token / np.array(scored(fine).n_tokens)).max() < 0.25
    seen: list[str] = []
    sums = local.row_sums
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "row_sums", lambda logits, row: seen.append(str(logits.dtype)) or sums(logits, row))
        scored(rough.logprobs("The name of", [" the", " lantern is"]))
    assert seen == ["torch.float32"]


def test_no_completions_is_an_error_a_user_can_read(llama: LocalSystem):
    with pytest.raises(GearsyError, match="completion"):
        llama.logprobs("The sky is", [])


def test_an_empty_completion_is_refused(llama: LocalSystem):
    with pytest.raises(BadRecord, match="^a request has an empty completion; give at least one character to score.$"):
        llama.logprobs("The sky is", [" blue", ""])
