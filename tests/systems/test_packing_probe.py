"""Models on which packed rows would be wrong are scored plainly, and rightly."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gearsy.base.records import Request, Scored
from gearsy.systems.local import LocalSystem

PROMPTS = ("The inventor of the glass lantern is", "One, two, three, four. The sky is")
COMPLETIONS = (" Orla Venniker", " Ivo Daundry of the valley", " blue")


def _folder(kind: str, folder: Path, tokenizer_into: Callable[[Path], int]) -> Path:
    import torch
    import transformers as t

    folder.mkdir()
    torch.manual_seed(0)
    n = tokenizer_into(folder)
    small = {"vocab_size": n, "hidden_size": 32, "num_hidden_layers": 2}
    if kind == "sliding window":
        config = t.MistralConfig(
            **small,
            intermediate_size=64,
            num_attention_heads=4,
            num_key_value_heads=2,
            sliding_window=3,
            max_position_embeddings=256,
        )
        t.MistralForCausalLM(config).save_pretrained(folder)
    elif kind == "recurrent":
        t.MambaForCausalLM(t.MambaConfig(**small, state_size=4)).save_pretrained(folder)
    else:
        t.BloomForCausalLM(t.BloomConfig(vocab_size=n, hidden_size=32, n_layer=2, n_head=4)).save_pretrained(folder)
    return folder


@pytest.mark.filterwarnings("ignore")  # what transformers says of kernels that a test has no use for
@pytest.mark.parametrize("kind", ["sliding window", "recurrent", "no positions"])
def test_a_model_that_cannot_be_packed_is_scored_plainly(
    kind: str, tmp_path: Path, tokenizer_into: Callable[[Path], int]
):
    import torch

    system = LocalSystem.open(_folder(kind, tmp_path / "model", tokenizer_into), dtype="fp32", device="cpu")
    replies = system.answer([Request(prompt=prompt, completions=COMPLETIONS) for prompt in PROMPTS])
    model, tokenizer = system.weights.base, system.weights.tokenizer
    for prompt, reply in zip(PROMPTS, replies, strict=True):
        assert isinstance(reply, Scored)
        for completion, got in zip(COMPLETIONS, reply.logprobs, strict=True):
            ids = tokenizer(prompt + completion, return_tensors="pt").input_ids
            first = len(tokenizer(prompt).input_ids)
            with torch.no_grad():
                logs = model(input_ids=ids).logits[0].float().log_softmax(-1)
            by_hand = sum(float(logs[i - 1, ids[0, i]]) for i in range(first, ids.shape[1]))
            assert got == pytest.approx(by_hand, abs=1e-3)


def test_a_llama_is_packed(tiny_model: Path):
    system = LocalSystem.open(tiny_model)
    system.logprobs(PROMPTS[0], COMPLETIONS)
    assert system.weights.packs is True
