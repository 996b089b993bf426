"""The plain, slow way of computing what the local system packs: one text, one forward pass, no batch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


class Plain:
    """A model and its tokenizer, asked one text at a time in fp32."""

    def __init__(self, folder: Path) -> None:
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)

    @torch.no_grad()
    def tokens(self, ids: Sequence[int]) -> list[float]:
        """Log-probability of each token but the first."""
        table = torch.log_softmax(self.model(torch.tensor([list(ids)])).logits[0].float(), dim=-1)
        return [float(table[i, token]) for i, token in enumerate(ids[1:])]

    def cut(self, prompt: str, completion: str) -> int:
        """Where the joint encoding first differs from the prompt's own."""
        alone, joint = self.tokenizer(prompt)["input_ids"], self.tokenizer(prompt + completion)["input_ids"]
        same = 0
        while same < min(len(alone), len(joint) - 1) and alone[same] == joint[same]:
            same += 1
        return same

    def score(self, prompt: str, completion: str, cut: int | None = None) -> float:
        """Summed log-probability of the joint encoding's tokens from `cut` on."""
        joint = self.tokenizer(prompt + completion)["input_ids"]
        return sum(self.tokens(joint)[(self.cut(prompt, completion) if cut is None else cut) - 1 :])
