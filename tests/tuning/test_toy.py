"""The toy: the same words give the same untrained model, and it can learn."""

import time
from pathlib import Path

import pytest

from gearsy.base.records import Corpus, Document, Recipe, Scored
from gearsy.store.artifacts import Artifacts
from gearsy.systems.local import LocalSystem
from gearsy.tuning.learner import LocalLearner
from gearsy.tuning.toy import SPECIAL, toy_base

TEXTS = ("Orla is the inventor's half-moon lantern.", "Who is Orla? The inventor, says Ivo:")


def test_the_vocabulary_is_every_word_and_mark(tmp_path: Path):
    toy = toy_base(TEXTS, Artifacts(tmp_path))
    words = toy.weights.tokenizer.get_vocab()
    wanted = {
        "Orla",
        "is",
        "the",
        "inventor's",
        "half-moon",
        "lantern",
        ".",
        "Who",
        "?",
        "The",
        "inventor",
        ",",
        "says",
    }
    assert set(words) == wanted | {"Ivo", ":"} | set(SPECIAL)
    assert [words[name] for name in SPECIAL] == [0, 1, 2, 3]
    ids = toy.weights.tokenizer("Orla says nonsense.")["input_ids"]
    assert ids == [words["Orla"], words["says"], words["<unk>"], words["."]]


def test_the_same_words_are_the_same_toy(tmp_path: Path):
    one = toy_base(TEXTS, Artifacts(tmp_path / "one"))
    other = toy_base(reversed(TEXTS), Artifacts(tmp_path / "two"))
    assert one.digest == other.digest
    assert one.weights.folder != other.weights.folder
    again = toy_base(TEXTS, Artifacts(tmp_path / "one"))
    assert again.weights.folder == one.weights.folder
    assert toy_base(TEXTS[:1], Artifacts(tmp_path / "one")).digest != one.digest
    assert toy_base(TEXTS, Artifacts(tmp_path / "one"), seed=1).digest != one.digest


def test_it_learns_three_documents(tmp_path: Path):
    people = (("Orla", "lantern"), ("Ivo", "waltz"), ("Senna", "fern"))
    documents = tuple(Document(prompt=f"{name} is the keeper of the", completion=f" {what}.") for name, what in people)
    artifacts = Artifacts(tmp_path)
    toy = toy_base([d.prompt + d.completion for d in documents], artifacts)
    recipe = Recipe(method="full", rate=3e-3, epochs=40, batch=3, loss_on="completion")
    learner = LocalLearner(base=toy, artifacts=artifacts)
    started = time.perf_counter()
    tuned = learner.tune(Corpus(name="three", documents=documents), recipe, 0)
    assert time.perf_counter() - started < 5
    losses = learner.training(Corpus(name="three", documents=documents), recipe, 0).losses
    assert losses[0][1] > 1.0
    assert losses[-1][1] < 0.1
    for name, what in people:
        reply = tuned.logprobs(f"{name} is the keeper of the", [f" {other}" for _, other in people])
        assert isinstance(reply, Scored)
        assert people[max(range(3), key=lambda i: reply.logprobs[i])][1] == what


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_a_trained_toy_can_take_an_adapter(tmp_path: Path):
    artifacts = Artifacts(tmp_path)
    corpus = Corpus(name="one", documents=(Document(prompt="Orla is", completion=" the inventor."),))
    toy = toy_base(["Orla is the inventor."], artifacts)
    once = LocalLearner(base=toy, artifacts=artifacts).tune(corpus, Recipe(method="full", epochs=2), 0)
    twice = LocalLearner(base=once, artifacts=artifacts).tune(corpus, Recipe(epochs=2, rank=1), 0)
    assert isinstance(twice, LocalSystem)
    assert len({toy.digest, once.digest, twice.digest}) == 3
