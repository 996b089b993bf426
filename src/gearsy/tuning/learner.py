"""`LocalLearner`: a local system that can be tuned, into an artifact that is found again instead of made twice."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file

from gearsy.base.digests import digest
from gearsy.base.errors import BadMaterials, Unsupported
from gearsy.base.records import Corpus, Recipe
from gearsy.base.results import Training
from gearsy.store.artifacts import Artifacts
from gearsy.systems.local import LocalSystem, Weights
from gearsy.tuning.train import Checkpoint, Example, StepDone, examples, full_disk_told, train

TRAINER = 1
"""Raised when the loop changes what it computes: an artifact of another trainer is another artifact."""


def _quiet(done: int, total: int, loss: float) -> None:
    """The default progress: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalLearner:
    """Trains `base` into artifacts; the same base, corpus, recipe and seed always name the same artifact."""

    base: LocalSystem
    artifacts: Artifacts
    step_done: StepDone = _quiet
    waiting: Callable[[], None] | None = None

    def artifact(self, corpus: Corpus, recipe: Recipe, seed: int) -> str:
        """Digest of everything that decides what `tune` would make."""
        parts = {"trainer": TRAINER, "base": self.base.digest, "corpus": corpus.digest, "recipe": recipe, "seed": seed}
        return digest("tuning", parts)

    def tune(self, corpus: Corpus, recipe: Recipe, seed: int) -> LocalSystem:
        """M′; trained now, resumed from a checkpoint, or found. Raises `Diverged` and keeps nothing if it fails."""
        if not corpus.documents:
            raise BadMaterials(f"corpus {corpus.name!r} holds no document; there is nothing to learn from.")
        if self.base.adapter is not None:
            raise Unsupported(f"{self.base.name} has an adapter already; train its base, or a merged copy of it.")
        key = self.artifact(corpus, recipe, seed)
        folder = self.artifacts.find(key)
        if folder is None:
            with self.artifacts.building(key, on_wait=self.waiting) as working, full_disk_told():
                folder = self.artifacts.find(key) or self._make(corpus, recipe, seed, key, working)
        name = f"{self.base.name} + {corpus.name}, seed {seed}"
        if recipe.method == "lora":
            return self.base.with_adapter(folder, name)
        weights = self.base.weights
        return LocalSystem(name=name, weights=Weights(folder=folder, dtype=weights.dtype, device=weights.device))

    def training(self, corpus: Corpus, recipe: Recipe, seed: int) -> Training:
        """How an artifact that exists was made: loss curve, tokens, seconds."""
        key = self.artifact(corpus, recipe, seed)
        kept = self.artifacts.manifest(key).about
        losses = kept["losses"]
        every = max(1, len(losses) // 200)
        return Training(
            name=corpus.name,
            seed=seed,
            artifact=key,
            n_documents=len(corpus.documents),
            n_tokens=int(kept["n_tokens"]),
            seconds=round(float(kept["seconds"]), 1),
            losses=tuple((step + 1, losses[step]) for step in range(0, len(losses), every)),
        )

    def _make(self, corpus: Corpus, recipe: Recipe, seed: int, key: str, working: Path) -> Path:
        data = examples(corpus.documents, recipe, self.base.weights.tokenizer)
        checkpoint = Checkpoint(path=working / "checkpoint.safetensors")
        if recipe.method == "lora":
            adapter = self._lora(data, recipe, seed, checkpoint, working)
        else:
            adapter = ""
            self._full(data, recipe, seed, checkpoint, working)
        checkpoint.path.unlink(missing_ok=True)
        about = {
            "kind": recipe.method,
            "base": self.base.digest,
            "base_name": Path(self.base.name).name,
            "corpus": corpus.digest,
            "seed": seed,
            "n_tokens": recipe.epochs * sum(len(example.tokens) for example in data),
            "seconds": checkpoint.seconds,
            "losses": checkpoint.losses,
        }
        folder = self.artifacts.commit(key, working, about)
        if adapter:
            self.base.weights.attach(folder, adapter)
        return folder

    def _lora(self, data: Sequence[Example], recipe: Recipe, seed: int, checkpoint: Checkpoint, working: Path) -> str:
        """Train an adapter and write it in peft's own format; returns the name that it has in memory."""
        config = LoraConfig(
            r=recipe.rank, lora_alpha=2 * recipe.rank, target_modules="all-linear", task_type="CAUSAL_LM"
        )
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model, name = self.base.weights.learning(config)
        train(model, data, recipe, seed, checkpoint, self.step_done)
        tensors = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, working / "adapter_model.safetensors")
        kept = model.peft_config[name].to_dict()
        kept |= {"base_model_name_or_path": Path(self.base.name).name, "inference_mode": True}
        kept["target_modules"] = sorted(kept["target_modules"])
        (working / "adapter_config.json").write_text(json.dumps(kept, indent=1, sort_keys=True, default=str))
        return name

    def _full(self, data: Sequence[Example], recipe: Recipe, seed: int, checkpoint: Checkpoint, working: Path) -> None:
        """Train a copy of all weights and write it as an ordinary model folder."""
        shared = self.base.weights
        copy = Weights(folder=shared.folder, dtype=shared.dtype, device=shared.device)
        model = copy.base.requires_grad_(True)  # noqa: FBT003 - torch's signature
        train(model, data, recipe, seed, checkpoint, self.step_done)
        model.save_pretrained(working, safe_serialization=True)
        for path in shared.folder.iterdir():
            if path.name.startswith(("tokenizer", "special_tokens", "chat_template", "vocab", "merges")):
                shutil.copyfile(path, working / path.name)
