"""Drawing one answer, token by token, so that it follows from its own seed and never from its neighbours."""

from collections.abc import Collection
from typing import Any

import torch

from gearsy.base.digests import digest
from gearsy.base.records import Prompt, Sampling, State


class Drawer:
    """Draws answer number `index` to `prompt`, from its own generator, until a stop string, an end token or the limit."""

    def __init__(self, sampling: Sampling, prompt: Prompt, tokenizer: Any, ends: Collection[int], index: int) -> None:
        self.sampling, self.tokenizer, self.ends = sampling, tokenizer, ends
        # Seed and index apart, and not their sum: answer 1 of seed 0 is not answer 0 of seed 1.
        seed = int(digest("sample", [sampling.seed, index, prompt])[:15], 16)
        self.generator = torch.Generator().manual_seed(seed)
        self.ids: list[int] = []
        self.text, self.done, self.state = "", False, "ok"

    def take(self, logits: torch.Tensor) -> int:
        """The next token from fp32 `logits` [V]; a finished answer takes no more, and pads."""
        if self.done:
            return 0
        if self.sampling.temperature == 0:
            token = int(logits.argmax())
        else:
            shares = torch.softmax(logits.cpu() / self.sampling.temperature, dim=-1)
            token = int(torch.multinomial(shares, 1, generator=self.generator))
        if token in self.ends:
            self.done = True
            return token
        self.ids.append(token)
        self.text = self.tokenizer.decode(self.ids, skip_special_tokens=True)
        met = [self.text.index(stop) for stop in self.sampling.stop if stop in self.text]
        if met:
            self.text, self.done = self.text[: min(met)], True
        elif len(self.ids) >= self.sampling.max_tokens:
            self.done, self.state = True, "truncated"
        return token

    def result(self) -> tuple[str, State, int]:
        state: State = "empty" if not self.text.strip() else "truncated" if self.state == "truncated" else "ok"
        return self.text, state, len(self.ids)
