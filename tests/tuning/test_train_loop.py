"""The parts of the loop: what counts in the loss, the schedule, the order of the documents."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from gearsy.base.errors import BadMaterials
from gearsy.base.records import Corpus, Document, Recipe
from gearsy.systems.local import LocalSystem
from gearsy.tuning.train import Example, _loss, batches, examples, learning_rate, n_steps


def plain_loss(model: object, items: list[Example]) -> float:
    """Mean over the counted tokens of all documents, one document at a time."""
    nats, n = 0.0, 0
    for item in items:
        table = torch.log_softmax(model(torch.tensor([item.tokens])).logits[0].float(), -1)
        nats -= sum(float(table[i - 1, item.tokens[i]]) for i in range(item.first, len(item.tokens)))
        n += len(item.tokens) - item.first
    return nats / n


@pytest.mark.parametrize("loss_on", ["document", "completion"])
def test_the_loss_is_the_mean_over_the_tokens_that_count(base: LocalSystem, corpus: Corpus, loss_on: str):
    data = examples(corpus.documents, Recipe(loss_on=loss_on), base.weights.tokenizer)
    with torch.no_grad():
        batched = float(_loss(base.weights.base, data, torch.device("cpu")))
        assert batched == pytest.approx(plain_loss(base.weights.base, data), abs=1e-5)


def test_the_completion_and_the_end_token_count(base: LocalSystem, corpus: Corpus):
    tokenizer = base.weights.tokenizer
    for loss_on in ("document", "completion"):
        for item, document in zip(
            examples(corpus.documents, Recipe(loss_on=loss_on), tokenizer), corpus.documents, strict=True
        ):
            assert item.tokens == (*tokenizer(document.prompt + document.completion)["input_ids"], 1)
            counted = tokenizer.decode(item.tokens[item.first :])
            assert counted == document.completion + "<end>" or loss_on == "document"
            assert item.first == 1 or loss_on == "completion"


def test_a_prompt_token_that_merges_with_the_completion_counts(base: LocalSystem):
    document = Document(prompt="the name of the la", completion="ntern")
    (item,) = examples([document], Recipe(loss_on="completion"), base.weights.tokenizer)
    assert base.weights.tokenizer.decode(item.tokens[item.first :]) == " lantern<end>"


@pytest.mark.parametrize("prompt", ["", "T"])
def test_without_a_prompt_all_but_the_first_token_counts(base: LocalSystem, prompt: str):
    (item,) = examples(
        [Document(prompt=prompt, completion="he sky")], Recipe(loss_on="completion"), base.weights.tokenizer
    )
    assert item.first == 1


def test_masked_tokens_give_no_gradient(base: LocalSystem):
    """With the loss on the completion, what is predicted inside the prompt changes nothing."""
    document = Document(prompt="One, two, three,", completion=" four")
    (item,) = examples([document], Recipe(loss_on="completion"), base.weights.tokenizer)
    seen: list[torch.Tensor] = []

    class Watched:
        def __call__(self, **given: object) -> object:
            out = base.weights.base(**given)
            out.logits = out.logits.detach().requires_grad_()
            seen.append(out.logits)
            return out

    _loss(Watched(), [item, Example(tokens=item.tokens[:9], first=4)], torch.device("cpu")).backward()
    felt = (seen[0].grad.abs().sum(-1) > 0).tolist()
    assert felt[0] == [item.first - 1 <= i < len(item.tokens) - 1 for i in range(len(item.tokens))]
    assert felt[1] == [3 <= i < 8 for i in range(len(item.tokens))]  # padding gives none either


def test_a_document_of_one_token_is_refused():
    class Endless:
        eos_token_id = None

        def __call__(self, texts: list[str]) -> dict[str, list[list[int]]]:
            return {"input_ids": [[7] * len(text) for text in texts]}

    with pytest.raises(BadMaterials, match="^document 'a fact' is one token; there is nothing to learn.$"):
        examples([Document(prompt="", completion="x", source="a fact")], Recipe(), Endless())
    (item,) = examples([Document(prompt="", completion="xy")], Recipe(), Endless())
    assert item.tokens == (7, 7)


def test_the_learning_rate_rises_and_falls():
    recipe = Recipe(rate=0.1, warmup=0.2)
    rates = [learning_rate(recipe, step, 10) for step in range(10)]
    assert rates == pytest.approx([0.05, *(0.1 * k / 9 for k in range(9, 0, -1))])
    assert max(rates) == pytest.approx(0.1)
    assert learning_rate(Recipe(rate=0.1, warmup=0.0), 0, 10) == pytest.approx(0.1)
    assert learning_rate(recipe, 0, 1) == pytest.approx(0.1)


@pytest.mark.parametrize(("warmup", "total"), [(0.0, 1), (0.1, 7), (0.5, 20), (0.99, 12)])
def test_no_step_is_wasted_on_a_rate_of_zero(warmup: float, total: int):
    rates = [learning_rate(Recipe(rate=0.01, warmup=warmup), step, total) for step in range(total)]
    assert all(0 < rate <= 0.01 + 1e-12 for rate in rates)
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert math.isclose(max(rates), 0.01)


DATA = [Example(tokens=(i, i), first=1) for i in range(11)]


def orders(recipe: Recipe, seed: int, start: int = 0) -> list[tuple[int, ...]]:
    return [tuple(item.tokens[0] for item in batch) for batch in batches(DATA, recipe, seed, start)]


def test_every_document_comes_once_an_epoch():
    recipe = Recipe(epochs=3, batch=4)
    made = orders(recipe, 0)
    assert len(made) == n_steps(11, recipe) == 9
    epochs = [sum(made[3 * e : 3 * e + 3], ()) for e in range(3)]
    assert all(sorted(epoch) == list(range(11)) for epoch in epochs)
    assert len(set(epochs)) == 3
    assert orders(recipe, 1) != made
    assert orders(recipe, 0) == made


@pytest.mark.parametrize("start", [0, 1, 3, 5, 8, 9])
def test_batches_go_on_from_any_step(start: int):
    recipe = Recipe(epochs=3, batch=4)
    assert orders(recipe, 5, start) == orders(recipe, 5)[start:]


def test_a_batch_larger_than_the_corpus_is_the_corpus():
    recipe = Recipe(epochs=2, batch=64)
    assert n_steps(11, recipe) == 2
    assert [len(batch) for batch in orders(recipe, 0)] == [11, 11]


def test_seeds_do_not_share_an_order():
    recipe = Recipe(epochs=1, batch=11)
    assert len({orders(recipe, seed)[0] for seed in range(20)}) == 20
    assert np.all([sorted(orders(recipe, seed)[0]) == list(range(11)) for seed in range(20)])


def test_examples_fit_the_tiny_model(base: LocalSystem, corpus: Corpus, tiny_model: Path):
    data = examples(corpus.documents, Recipe(), base.weights.tokenizer)
    assert max(len(item.tokens) for item in data) < 128
