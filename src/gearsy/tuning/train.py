"""The training loop: the same arguments give the same weights, also when it was killed and resumed on the way."""

import errno
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from gearsy.base.errors import BadMaterials, Diverged
from gearsy.base.records import Document, Recipe

StepDone = Callable[[int, int, float], None]
"""(steps done, steps in all, loss of this step in nats a token)."""

CHECKPOINT_EVERY_S = 10.0
CHECKPOINT_SHARE = 0.05  # of the time, at most, goes into writing checkpoints
CLIP_NORM = 1.0
ADAPTER = re.compile(r"\.adapter\d+(?=\.|$)")


@contextmanager
def full_disk_told() -> Iterator[None]:
    """Safetensors has an error of its own for a full disk; the store knows the system's."""
    try:
        yield
    except SafetensorError as error:
        for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            if f"os error {code})" in str(error):
                raise OSError(code, os.strerror(code)) from error
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One document as tokens; `first` is the first position whose token counts in the loss."""

    tokens: tuple[int, ...]
    first: int


@dataclass(slots=True, kw_only=True)
class Checkpoint:
    """Where a training stands, in one file that is replaced whole: parameters, Adam's moments, step and losses."""

    path: Path
    step: int = 0
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def restore(self, named: dict[str, torch.nn.Parameter], optimiser: torch.optim.AdamW) -> None:
        """Load what an earlier, interrupted training left here, if it left anything."""
        if not self.path.exists():
            return
        with safe_open(self.path, framework="pt") as kept:
            state = json.loads(kept.metadata()["state"])
            self.step, self.losses, self.seconds = state["step"], state["losses"], state["seconds"]
            with torch.no_grad():
                for name, parameter in named.items():
                    parameter.copy_(kept.get_tensor(f"parameter.{name}"))
                    optimiser.state[parameter] = {
                        "step": torch.tensor(float(self.step)),
                        "exp_avg": kept.get_tensor(f"mean.{name}").to(parameter),
                        "exp_avg_sq": kept.get_tensor(f"square.{name}").to(parameter),
                    }

    def write(self, named: dict[str, torch.nn.Parameter], optimiser: torch.optim.AdamW) -> None:
        """Replace the file by the present state."""
        tensors = {}
        for name, parameter in named.items():
            moments = optimiser.state[parameter]
            tensors[f"parameter.{name}"] = parameter.detach().contiguous()
            tensors[f"mean.{name}"] = moments["exp_avg"].contiguous()
            tensors[f"square.{name}"] = moments["exp_avg_sq"].contiguous()
        state = json.dumps({"step": self.step, "losses": self.losses, "seconds": self.seconds})
        partial = self.path.with_suffix(".partial")
        save_file(tensors, partial, metadata={"state": state})
        os.replace(partial, self.path)


def examples(documents: Sequence[Document], recipe: Recipe, tokenizer: Any) -> list[Example]:
    """Documents as tokens, each closed by the end token, with the loss on all of it or on the completion only."""
    end = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    wholes = tokenizer([d.prompt + d.completion for d in documents])["input_ids"]
    prompts = tokenizer([d.prompt for d in documents])["input_ids"] if recipe.loss_on == "completion" else wholes
    made = []
    for document, whole, prompt in zip(documents, wholes, prompts, strict=True):
        first = 1
        if recipe.loss_on == "completion":
            same = next((i for i, (a, b) in enumerate(zip(prompt, whole, strict=False)) if a != b), len(prompt))
            first = max(1, min(same, len(whole) - 1))
        if len(whole) + len(end) < 2:
            raise BadMaterials(
                f"document {document.source or document.completion!r} is one token; there is nothing to learn."
            )
        made.append(Example(tokens=(*whole, *end), first=first))
    return made


def n_steps(n_documents: int, recipe: Recipe) -> int:
    """Steps of a whole training."""
    return recipe.epochs * math.ceil(n_documents / recipe.batch)


def batches(data: Sequence[Example], recipe: Recipe, seed: int, start: int) -> Iterator[list[Example]]:
    """The batches from step `start` on: each epoch in its own order, drawn from (seed, epoch) alone."""
    a_pass = math.ceil(len(data) / recipe.batch)
    for step in range(start, recipe.epochs * a_pass):
        epoch, place = divmod(step, a_pass)
        order = np.random.default_rng([seed, epoch]).permutation(len(data))
        yield [data[i] for i in order[place * recipe.batch : (place + 1) * recipe.batch]]


def learning_rate(recipe: Recipe, step: int, total: int) -> float:
    """Linear warm-up to `recipe.rate`, then linear decay that would reach zero one step after the last."""
    warm = max(1, math.ceil(recipe.warmup * total))
    return recipe.rate * min((step + 1) / warm, (total - step) / max(1, total - warm + 1))


def train(
    model: Any, data: Sequence[Example], recipe: Recipe, seed: int, checkpoint: Checkpoint, step_done: StepDone
) -> Checkpoint:
    """Train `model`'s unfrozen parameters in place; resumes from, and keeps, `checkpoint`. Returns it at the last step.

    Raises `Diverged`, naming the step, when the loss is not a number or has left the range of a sane training.
    """
    # peft numbers adapters as it meets them, and a process that resumes may count otherwise: keep one name for all.
    named = {ADAPTER.sub(".adapter", name): p for name, p in model.named_parameters() if p.requires_grad}
    optimiser = torch.optim.AdamW(named.values(), lr=recipe.rate, weight_decay=recipe.weight_decay)
    checkpoint.restore(named, optimiser)
    total = n_steps(len(data), recipe)
    written, cost = time.monotonic(), 0.0
    before, started = checkpoint.seconds, time.monotonic()
    device = next(iter(named.values())).device
    for batch in batches(data, recipe, seed, checkpoint.step):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(recipe, checkpoint.step, total)
        loss = _loss(model, batch, device)
        value = float(loss.detach())
        _check_loss(value, checkpoint, total, recipe)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(named.values(), CLIP_NORM)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        checkpoint.step += 1
        checkpoint.losses.append(round(value, 6))
        checkpoint.seconds = before + time.monotonic() - started
        step_done(checkpoint.step, total, value)
        if time.monotonic() - written > max(CHECKPOINT_EVERY_S, cost / CHECKPOINT_SHARE):
            begun = time.monotonic()
            checkpoint.write(named, optimiser)
            written, cost = time.monotonic(), time.monotonic() - begun
    return checkpoint


def _loss(model: Any, batch: Sequence[Example], device: torch.device) -> torch.Tensor:
    """Mean cross-entropy in nats over the tokens that count."""
    width = max(len(example.tokens) for example in batch)
    tokens = torch.zeros(len(batch), width, dtype=torch.long)
    mask, wanted = torch.zeros_like(tokens), torch.full_like(tokens, -100)
    for b, example in enumerate(batch):
        length = len(example.tokens)
        tokens[b, :length] = torch.tensor(example.tokens)
        mask[b, :length] = 1
        wanted[b, example.first : length] = tokens[b, example.first : length]
    logits = model(input_ids=tokens.to(device), attention_mask=mask.to(device), use_cache=False).logits
    predicted, wanted = logits[:, :-1].flatten(0, 1).float(), wanted[:, 1:].flatten().to(device)
    return torch.nn.functional.cross_entropy(predicted, wanted, ignore_index=-100)


def _check_loss(value: float, checkpoint: Checkpoint, total: int, recipe: Recipe) -> None:
    first = checkpoint.losses[0] if checkpoint.losses else value
    sane = 3 * first + 5
    if math.isfinite(value) and value <= sane:
        return
    checkpoint.path.unlink(missing_ok=True)  # a diverged training is not resumed into
    what = "is not a number" if not math.isfinite(value) else f"is {value:.3g}, from {first:.3g} at the start"
    raise Diverged(
        f"training diverged: the loss {what} at step {checkpoint.step + 1} of {total}. No weights were kept. "
        f"Lower the learning rate (it is {recipe.rate:g})."
    )
