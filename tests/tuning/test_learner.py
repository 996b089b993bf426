"""`LocalLearner`: the same arguments give the same bytes, also after an interruption; M is left as it was."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from gearsy.base.errors import BadMaterials, Diverged, GearsyError
from gearsy.base.records import Corpus, Recipe, Scored
from gearsy.store.artifacts import Artifacts
from gearsy.systems.local import LocalSystem
from gearsy.tuning import train as train_module
from gearsy.tuning.learner import LocalLearner

PROMPTS = ("Orla Venniker is", "The sky is", "The keeper of the hollow lighthouse is")
COMPLETIONS = (" the inventor of the glass lantern", " blue", " Senna Corvane")
WAYS = [
    pytest.param(method, loss_on, id=f"{method}-{loss_on}")
    for method in ("lora", "full")
    for loss_on in ("document", "completion")
]

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


def scores(system: LocalSystem) -> np.ndarray:
    """Log-probabilities [prompts, completions]."""
    replies = [system.logprobs(prompt, COMPLETIONS) for prompt in PROMPTS]
    return np.array([reply.logprobs for reply in replies if isinstance(reply, Scored)])


def weights_digest(folder: Path) -> str:
    (path,) = folder.glob("*.safetensors")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fresh(folder: Path) -> LocalSystem:
    return LocalSystem.open(folder, dtype="fp32", device="cpu")


def trained(folder: Path, corpus: Corpus, recipe: Recipe, seed: int, model: Path) -> tuple[str, Path]:
    """The key and folder of an artifact made by a process of its own, as it were."""
    learner = LocalLearner(base=fresh(model), artifacts=Artifacts(folder))
    learner.tune(corpus, recipe, seed)
    key = learner.artifact(corpus, recipe, seed)
    made = learner.artifacts.verify(key)
    return key, made


@pytest.mark.parametrize(("method", "loss_on"), WAYS)
def test_the_same_arguments_give_the_same_bytes(
    tmp_path: Path, corpus: Corpus, recipe: Recipe, tiny_model: Path, method: str, loss_on: str
):
    recipe = replace(recipe, method=method, loss_on=loss_on)
    torch.manual_seed(1)
    one = trained(tmp_path / "one", corpus, recipe, 0, tiny_model)
    torch.manual_seed(2)  # the global generator has no say
    two = trained(tmp_path / "two", corpus, recipe, 0, tiny_model)
    assert one[0] == two[0]
    for path in one[1].iterdir():
        if path.name != "manifest.json":  # holds the seconds that it took
            assert path.read_bytes() == (two[1] / path.name).read_bytes(), path.name


def test_another_seed_corpus_or_recipe_is_another_artifact(
    tmp_path: Path, corpus: Corpus, recipe: Recipe, tiny_model: Path
):
    other = Corpus(name="facts", documents=corpus.documents[:-1])
    made = [
        trained(tmp_path / "a", *arguments, tiny_model)
        for arguments in (
            (corpus, recipe, 0),
            (corpus, recipe, 1),
            (other, recipe, 0),
            (corpus, replace(recipe, rate=2e-2), 0),
            (corpus, replace(recipe, loss_on="completion"), 0),
        )
    ]
    assert len({key for key, _ in made}) == 5
    assert len({weights_digest(folder) for _, folder in made}) == 5


def test_the_name_of_a_corpus_does_not_decide(base: LocalSystem, artifacts: Artifacts, corpus: Corpus, recipe: Recipe):
    learner = LocalLearner(base=base, artifacts=artifacts)
    assert learner.artifact(replace(corpus, name="x"), recipe, 0) == learner.artifact(corpus, recipe, 0)


def interrupting(at: int) -> Callable[[int, int, float], None]:
    def step_done(done: int, total: int, loss: float) -> None:
        if done == at:
            raise KeyboardInterrupt

    return step_done


@pytest.mark.parametrize(("method", "loss_on"), WAYS)
def test_an_interrupted_training_goes_on_to_the_same_bytes(
    tmp_path: Path,
    corpus: Corpus,
    recipe: Recipe,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    loss_on: str,
):
    recipe = replace(recipe, method=method, loss_on=loss_on, weight_decay=0.01)
    _, whole = trained(tmp_path / "whole", corpus, recipe, 3, tiny_model)
    monkeypatch.setattr(train_module, "CHECKPOINT_EVERY_S", 0)
    monkeypatch.setattr(train_module, "CHECKPOINT_SHARE", 1e9)
    at = int(np.random.default_rng(len(method) + len(loss_on)).integers(3, 6))
    artifacts = Artifacts(tmp_path / "broken")
    with pytest.raises(KeyboardInterrupt):
        LocalLearner(base=fresh(tiny_model), artifacts=artifacts, step_done=interrupting(at)).tune(corpus, recipe, 3)
    steps: list[int] = []
    learner = LocalLearner(
        base=fresh(tiny_model), artifacts=artifacts, step_done=lambda done, total, loss: steps.append(done)
    )
    learner.tune(corpus, recipe, 3)
    assert steps == list(range(at, 7))  # the step that was interrupted had not been kept
    folder = artifacts.verify(learner.artifact(corpus, recipe, 3))
    assert weights_digest(folder) == weights_digest(whole)
    assert not list(folder.glob("checkpoint*"))
    told, wanted = (json.loads((f / "manifest.json").read_text())["losses"] for f in (folder, whole))
    assert told == wanted


def test_an_interrupted_training_goes_on_beside_another_adapter(
    tmp_path: Path, corpus: Corpus, recipe: Recipe, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
):
    _, whole = trained(tmp_path / "whole", corpus, recipe, 1, tiny_model)
    monkeypatch.setattr(train_module, "CHECKPOINT_EVERY_S", 0)
    monkeypatch.setattr(train_module, "CHECKPOINT_SHARE", 1e9)
    artifacts = Artifacts(tmp_path / "run")
    first = fresh(tiny_model)
    LocalLearner(base=first, artifacts=artifacts).tune(corpus, recipe, 0)  # seed 0 is done: adapter0
    with pytest.raises(KeyboardInterrupt):  # seed 1 is killed: adapter1
        LocalLearner(base=first, artifacts=artifacts, step_done=interrupting(4)).tune(corpus, recipe, 1)
    again = LocalLearner(base=fresh(tiny_model), artifacts=artifacts)
    again.tune(corpus, recipe, 0)  # found, so that seed 1 now is adapter0
    again.tune(corpus, recipe, 1)
    assert weights_digest(artifacts.verify(again.artifact(corpus, recipe, 1))) == weights_digest(whole)


def test_an_artifact_is_found_and_not_made_again(
    artifacts: Artifacts, corpus: Corpus, recipe: Recipe, tiny_model: Path
):
    before = LocalLearner(base=fresh(tiny_model), artifacts=artifacts).tune(corpus, recipe, 0)
    steps: list[int] = []
    learner = LocalLearner(
        base=fresh(tiny_model), artifacts=artifacts, step_done=lambda done, total, loss: steps.append(done)
    )
    after = learner.tune(corpus, recipe, 0)
    assert steps == []
    assert after.digest == before.digest
    np.testing.assert_allclose(scores(after), scores(before), atol=1e-6)


def test_training_an_adapter_leaves_m_as_it_was(
    base: LocalSystem, artifacts: Artifacts, corpus: Corpus, recipe: Recipe
):
    before, digest = scores(base), base.digest
    tuned = LocalLearner(base=base, artifacts=artifacts).tune(corpus, recipe, 0)
    assert np.abs(scores(tuned) - before).max() > 0.1
    assert np.array_equal(scores(base), before)
    assert base.digest == digest != tuned.digest


def test_two_adapters_on_one_base_take_turns(artifacts: Artifacts, corpus: Corpus, recipe: Recipe, tiny_model: Path):
    shared = fresh(tiny_model)
    bare = scores(shared)
    learner = LocalLearner(base=shared, artifacts=artifacts)
    systems = [learner.tune(corpus, recipe, seed) for seed in (0, 1)]
    wanted = []
    for seed in (0, 1):
        alone = LocalLearner(base=fresh(tiny_model), artifacts=artifacts).tune(corpus, recipe, seed)
        wanted.append(scores(alone))
    assert np.abs(wanted[0] - wanted[1]).max() > 0.05
    for turn in (0, 1, 1, 0):
        np.testing.assert_allclose(scores(systems[turn]), wanted[turn], atol=1e-5)
        assert np.array_equal(scores(shared), bare)
    assert systems[0].weights is shared.weights  # one base in memory


def test_a_tuned_system_says_whose_it_is(base: LocalSystem, artifacts: Artifacts, corpus: Corpus, recipe: Recipe):
    assert LocalLearner(base=base, artifacts=artifacts).tune(corpus, recipe, 4).name == "tiny-llama + facts, seed 4"


@pytest.mark.filterwarnings("ignore:Could not find a config file:UserWarning")  # peft looks for the base's name
def test_an_adapter_loads_in_plain_peft(
    base: LocalSystem, artifacts: Artifacts, corpus: Corpus, recipe: Recipe, tiny_model: Path
):
    tuned = LocalLearner(base=base, artifacts=artifacts).tune(corpus, recipe, 0)
    assert tuned.adapter is not None
    plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model), str(tuned.adapter)).eval()
    prompt, completion = PROMPTS[0], COMPLETIONS[0]
    start = len(base.weights.tokenizer(prompt)["input_ids"])
    ids = base.weights.tokenizer(prompt + completion)["input_ids"]
    with torch.no_grad():
        table = torch.log_softmax(plain(torch.tensor([ids])).logits[0].float(), -1)
    wanted = sum(float(table[i - 1, ids[i]]) for i in range(start, len(ids)))
    assert scores(tuned)[0, 0] == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_an_artifact_names_no_folder_of_this_machine(
    artifacts: Artifacts, corpus: Corpus, recipe: Recipe, tiny_model: Path, tmp_path: Path, method: str
):
    base = LocalSystem.open(tiny_model, name=str(tiny_model), dtype="fp32", device="cpu")  # as --system FOLDER names it
    learner = LocalLearner(base=base, artifacts=artifacts)
    learner.tune(corpus, replace(recipe, method=method), 0)
    folder = artifacts.verify(learner.artifact(corpus, replace(recipe, method=method), 0))
    for path in folder.iterdir():
        for place in (tiny_model.parent, tmp_path):
            assert str(place).encode() not in path.read_bytes(), path.name
    if method == "lora":
        config = json.loads((folder / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == "tiny-llama"
        assert config["inference_mode"] is True
        assert config["r"] == 2
    assert not list(folder.glob("*.bin"))


def test_a_fully_trained_model_is_a_folder_of_its_own(
    base: LocalSystem, artifacts: Artifacts, corpus: Corpus, recipe: Recipe
):
    before = scores(base)
    tuned = LocalLearner(base=base, artifacts=artifacts).tune(corpus, replace(recipe, method="full"), 0)
    assert tuned.adapter is None
    assert np.abs(scores(tuned) - before).max() > 0.1
    assert np.array_equal(scores(base), before)
    opened = LocalSystem.open(tuned.weights.folder, dtype="fp32", device="cpu")
    assert opened.digest == tuned.digest
    assert opened.weights.tokenizer.chat_template == base.weights.tokenizer.chat_template
    assert np.array_equal(scores(opened), scores(tuned))


def test_what_an_artifact_tells_of_its_making(base: LocalSystem, artifacts: Artifacts, corpus: Corpus, recipe: Recipe):
    told: list[tuple[int, int, float]] = []
    learner = LocalLearner(base=base, artifacts=artifacts, step_done=lambda *step: told.append(step))
    learner.tune(corpus, recipe, 2)
    training = learner.training(corpus, recipe, 2)
    assert training.losses == tuple((done, round(loss, 6)) for done, _, loss in told)
    assert [(done, total) for done, total, _ in told] == [(i, 6) for i in range(1, 7)]
    assert (training.name, training.seed, training.n_documents) == ("facts", 2, 5)
    lengths = [len(base.weights.tokenizer(d.prompt + d.completion)["input_ids"]) + 1 for d in corpus.documents]
    assert training.n_tokens == 2 * sum(lengths)
    with pytest.raises(GearsyError, match="^no artifact "):
        learner.training(corpus, recipe, 3)


@pytest.mark.parametrize(
    ("factor", "told"),
    [(float("nan"), "is not a number"), (float("inf"), "is not a number"), (1000.0, r"is \S+, from \S+ at the start")],
)
@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_training_that_diverges_keeps_nothing(
    base: LocalSystem,
    artifacts: Artifacts,
    corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    factor: float,
    told: str,
    method: str,
):
    monkeypatch.setattr(train_module, "CHECKPOINT_EVERY_S", 0)
    monkeypatch.setattr(train_module, "CHECKPOINT_SHARE", 1e9)
    loss, calls = train_module._loss, []

    def breaking(model: object, batch: object, device: object) -> torch.Tensor:
        calls.append(1)
        return loss(model, batch, device) * (factor if len(calls) == 4 else 1)

    monkeypatch.setattr(train_module, "_loss", breaking)
    recipe, before = Recipe(method=method, epochs=2, batch=2, rank=2, rate=1e-2), scores(base)
    learner = LocalLearner(base=base, artifacts=artifacts)
    wording = rf"^training diverged: the loss {told} at step 4 of 6. No weights were kept. "
    with pytest.raises(Diverged, match=wording + r"Lower the learning rate \(it is 0.01\).$"):
        learner.tune(corpus, recipe, 0)
    assert artifacts.find(learner.artifact(corpus, recipe, 0)) is None
    assert not list(tmp_path.rglob("*.safetensors"))
    assert np.array_equal(scores(base), before)
    monkeypatch.setattr(train_module, "_loss", loss)
    assert learner.tune(corpus, recipe, 0).digest != base.digest  # and the way is free for another attempt


def test_an_empty_corpus_is_refused(base: LocalSystem, artifacts: Artifacts, recipe: Recipe):
    with pytest.raises(BadMaterials, match="^corpus 'none' holds no document; there is nothing to learn from.$"):
        LocalLearner(base=base, artifacts=artifacts).tune(Corpus(name="none", documents=()), recipe, 0)


# A model with dropout, as GPT-2 has


def test_an_adapter_on_gpt2_is_trained_without_a_warning(
    artifacts: Artifacts, corpus: Corpus, recipe: Recipe, tiny_gpt2: Path
):
    tuned = LocalLearner(base=fresh(tiny_gpt2), artifacts=artifacts).tune(corpus, recipe, 0)
    assert tuned.adapter is not None


CONV1D = pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False:UserWarning")


@CONV1D
@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_model_with_dropout_trains_to_the_same_bytes(
    tmp_path: Path, corpus: Corpus, recipe: Recipe, tiny_gpt2: Path, method: str
):
    recipe = replace(recipe, method=method)
    torch.manual_seed(1)
    one = trained(tmp_path / "one", corpus, recipe, 0, tiny_gpt2)
    torch.manual_seed(2)
    assert weights_digest(one[1]) == weights_digest(trained(tmp_path / "two", corpus, recipe, 0, tiny_gpt2)[1])


@CONV1D
def test_training_an_adapter_leaves_an_m_with_dropout_as_it_was(
    artifacts: Artifacts, corpus: Corpus, recipe: Recipe, tiny_gpt2: Path
):
    base = fresh(tiny_gpt2)
    before = scores(base)
    LocalLearner(base=base, artifacts=artifacts).tune(corpus, recipe, 0)
    assert np.array_equal(scores(base), before)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_tuned_system_is_tuned_further_or_refused(
    base: LocalSystem, artifacts: Artifacts, corpus: Corpus, recipe: Recipe, method: str
):
    once = LocalLearner(base=base, artifacts=artifacts).tune(corpus, replace(recipe, epochs=4), 0)
    unrelated = Corpus(name="other", documents=corpus.documents[3:4])
    nearly_still = Recipe(method=method, rate=1e-9, epochs=1, batch=1, rank=1)
    before = scores(once)
    try:
        twice = LocalLearner(base=once, artifacts=artifacts).tune(unrelated, nearly_still, 0)
    except GearsyError:
        return
    np.testing.assert_allclose(scores(twice), before, atol=0.01)
